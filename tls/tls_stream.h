// TLS on top of any Stream, as a Stream.
//
// The end of the stream is known only by the peer's close_notify (an empty view); a connection that just ends
// is Errc::closed, since somebody may have cut it. Errors never carry what a peer sent.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

/// Facts for Received fields and logs.
struct TlsInfo {
  std::string_view protocol;  ///< "TLSv1.3"; OpenSSL's own text, as the next one
  std::string_view cipher;    ///< "TLS_AES_256_GCM_SHA384"
  int bits = 0;               ///< of the cipher
  bool resumed = false;       ///< by a session of an earlier connection
  std::string server_name;    ///< what the client asked for; the client's own text
};

/// Nothing when the stream is not one of this file's.
std::optional<TlsInfo> tls_info(const net::Stream& stream);

}  // namespace kage::tls
