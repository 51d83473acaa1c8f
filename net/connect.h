// Making connections: from a name or a path to a Stream.
#pragma once

#include <cstdint>
#include <string>

#include "net/stream.h"

namespace kage::net {

// Errors of both: Errc::unreachable (no such name or path, or the last address refused), timed_out, invalid
// (a socket path that is too long), closed (the peer, or the loop, ended it at once), io.

/// Connects to a TCP host (name or IP; all resolved addresses are tried in order) before `deadline`.
Task<Result<StreamPtr>> connect_tcp(Loop& loop, std::string host, std::uint16_t port, TimePoint deadline);

/// Connects to a Unix stream socket.
Task<Result<StreamPtr>> connect_unix(Loop& loop, std::string path, TimePoint deadline);

}  // namespace kage::net
