// Which of a provider's words a member may read (contract R3.1). Pure.
#pragma once

#include <string_view>

namespace kage::proxy {

/// Whether the text can be shown as it is: one line of at most 400 octets of ASCII that names no address in
/// any disguise, no host and no IP address.
bool is_neutral(std::string_view text);

/// Whether the text may hold an address in some disguise. Prefers to say yes.
bool may_hold_address(std::string_view text);

}  // namespace kage::proxy
