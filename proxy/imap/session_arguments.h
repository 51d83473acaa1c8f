// Whether the arguments of a command are what the proxy passes (contract R8.4): nothing is sent upstream that
// was not understood. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/imap/core.h"

namespace kage::proxy {

/// For the commands that pass as they are; `name` in upper case. `capabilities`: of the upstream.
bool arguments_fit(std::string_view name, std::string_view arguments, std::string_view capabilities,
                   bool gmail);

/// What ENABLE may ask the upstream for, of what the client wants (RFC 5161): names in upper case with spaces
/// between. Nothing: malformed.
std::optional<std::string> enable_names(std::string_view arguments, std::string_view capabilities,
                                        bool gmail);

/// What stands before a message of APPEND, its announcement included. `first`: with the mailbox. `utf8`:
/// whether the message before, and then this one, stands in UTF8 (…) (RFC 6855).
bool append_fits(std::string_view line, bool first, bool& utf8, const ImapCore& core);

}  // namespace kage::proxy
