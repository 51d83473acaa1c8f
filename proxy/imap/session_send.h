// Commands on their way to the upstream.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/imap/core.h"

namespace kage::proxy {

/// Writes a whole command (without tag and line end), its literals as the upstream takes them. A status: the
/// upstream ended the command before it had all of it.
net::Task<Result<std::optional<ImapStatus>>> send_command(ImapCore& core, std::string tag,
                                                          std::string command);

/// Waits until the upstream asks for the rest; a status as above.
net::Task<Result<std::optional<ImapStatus>>> await_continuation(ImapCore& core, std::string_view tag);

/// Whether the upstream takes a literal of this size without being asked (RFC 7888).
bool takes_unasked(const ImapCore& core, std::uint64_t size);

}  // namespace kage::proxy
