// TLS on top of any Stream, as a Stream.
//
// The end of the stream is known only by the peer's close_notify (an empty view); a connection that just ends
// is Errc::closed, since somebody may have cut it. Errors never carry what a peer sent.
#pragma once

#include <memory>
#include <string>

#include "net/buffered_reader.h"
#include "net/stream.h"
#include "tls/client_context.h"
#include "tls/server_context.h"

namespace kage::tls {

/// Shakes hands as the server before `deadline`; the stream has no deadline afterwards. Errc::tls, timed_out
/// or closed.
net::Task<Result<net::StreamPtr>> accept_tls(net::StreamPtr lower, std::shared_ptr<ServerContext> context,
                                             net::TimePoint deadline);

/// Puts TLS under a session: replaces `stream` by one over it, from which `reader` reads on. What the reader
/// holds is taken for the beginning of the handshake, so after STARTTLS (where a byte behind the command is
/// an attack) its caller has refused it before. False (and a line in the log) when there is no session to go
/// on with; `stream` is null then. References outlive the task.
net::Task<bool> secure_session(net::StreamPtr& stream, net::BufferedReader& reader,
                               std::shared_ptr<ServerContext> context, net::TimePoint deadline);

/// Shakes hands as a client with `host`, whose certificate is verified unless the context says otherwise.
net::Task<Result<net::StreamPtr>> connect_tls(net::StreamPtr lower, std::shared_ptr<ClientContext> context,
                                              std::string host, net::TimePoint deadline);

}  // namespace kage::tls
