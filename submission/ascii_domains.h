// Addresses for next hops without SMTPUTF8 (RFC 6531): where only the domain is not ASCII, its A-label form
// says the same (RFC 5890 §2.3.2.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "message/address.h"

namespace kage::submission {

/// The address with its domain as A-labels, its local part as it is spelled. Nothing when the local part is
/// not ASCII, or IDNA refuses the domain.
std::optional<message::Address> with_ascii_domain(const message::Address& address);

/// The header block with the domains of addresses in From, To, Cc and their kin as A-labels. Fields without
/// such a domain stay byte for byte.
std::string with_ascii_domains(std::string_view header);

}  // namespace kage::submission
