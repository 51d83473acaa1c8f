// Who vouches for the author of a message that came from outside (RFC 8601): the place where the verdict is
// formed.
//
// Fails closed: a field that does not parse as a whole vouches for nothing, and one fail outweighs every
// pass.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "message/header.h"
#include "net/ip.h"
#include "submission/services.h"

namespace kage::submission {

/// Whether the mail system in front, or a trusted network, vouches that the author's domain (canonical) is
/// not forged. `peer` is the client that handed us the message.
bool is_vouched(std::span<const message::Field> header, const net::PeerAddress& peer,
                std::string_view author_domain, const SessionOptions& options);

/// The part of it that reads Authentication-Results: fields of an authserv-id of ours above the first
/// Received field (or, without any there, above the second) say dmarc=pass for the domain, or an aligned
/// spf=pass or dkim=pass, and none says dmarc=fail or speaks of another author.
bool results_vouch(std::span<const message::Field> header, std::span<const std::string> authserv_ids,
                   std::string_view author_domain);

/// Relaxed alignment (RFC 7489 §3.1.1) of two canonical domains: equal, or of one organizational domain.
bool aligned(std::string_view domain, std::string_view author_domain);

}  // namespace kage::submission
