// Streams on sockets: how a connected TCP or Unix socket becomes a Stream.
#pragma once

#include <uv.h>

#include "net/stream.h"

namespace kage::net {

/// Takes over a connected TCP socket (TCP_NODELAY is set). Errc::io when libuv refuses it; the socket is
/// closed then.
Result<StreamPtr> adopt_tcp(Loop& loop, uv_os_sock_t socket);

/// Takes over a connected Unix stream socket, one end of a socketpair for instance.
Result<StreamPtr> adopt_unix(Loop& loop, uv_os_sock_t socket);

/// The error for a libuv status: closed, timed_out, unreachable or io, with libuv's name of it as the detail.
Error error_of(int uv_status);

}  // namespace kage::net
