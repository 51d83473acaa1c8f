// Commands on their way to the upstream.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/imap/core.h"

namespace kage::proxy {

/// Octets of a command that every server takes, literals aside (RFC 2683 §3.2.1.5; RFC 7162 §4 has 8,192).
/// What is made here keeps to it. What a client writes passes at any length.
inline constexpr std::size_t kMaxCommandLine = 8000;
/// Messages whose set has room in such a line, whatever their numbers, with 2,000 octets for the rest of it.
inline constexpr std::size_t kMaxSetMessages = (kMaxCommandLine - 2000) / sizeof "4294967295";

/// Writes a whole command (without tag and line end), its literals as the upstream takes them. A status: the
/// upstream ended the command before it had all of it.
net::Task<Result<std::optional<ImapStatus>>> send_command(ImapCore& core, std::string tag,
                                                          std::string command);

/// Waits until the upstream asks for the rest; a status as above.
net::Task<Result<std::optional<ImapStatus>>> await_continuation(ImapCore& core, std::string_view tag);

/// Whether the upstream takes a literal of this size without being asked (RFC 7888).
bool takes_unasked(const ImapCore& core, std::uint64_t size);

}  // namespace kage::proxy
