// APPEND and MULTIAPPEND (RFC 9051 §6.3.12, RFC 3502): what the client writes is stored as it wrote it, so
// that nothing real is taught to anybody; it streams, and only its size is bounded.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/imap/command.h"
#include "proxy/imap/core.h"

namespace kage::proxy {

struct AppendBounds {
  std::uint64_t max_message = 0;  ///< octets of one literal
  std::size_t max_command = 0;    ///< octets of what stands between two of them
  net::Millis client_timeout{0};  ///< for the client to go on
};

/// `head`: the arguments up to the first message, announced by `mark` and not read yet.
net::Task<Result<ImapStatus>> run_append(ImapCore& core, AppendBounds bounds, std::string head,
                                         LiteralMark mark);

}  // namespace kage::proxy
