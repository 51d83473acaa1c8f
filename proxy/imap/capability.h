// What the IMAP proxy says that it can do: an allow-list (contract R8.4), as a table.
#pragma once

#include <string>
#include <string_view>

namespace kage::proxy {

/// Before login, without the word CAPABILITY. `starttls`: it is offered; `logins`: they are allowed now.
std::string greeting_capabilities(bool starttls, bool logins);

/// After login: what the table allows and the upstream has. `upstream`: upper case, with a space at both
/// ends.
std::string session_capabilities(std::string_view upstream, bool gmail, bool compressed);

/// Whether a capability is passed and the upstream has it.
bool passes(std::string_view capability, std::string_view upstream, bool gmail);

}  // namespace kage::proxy
