// The connection to a member's POP3 server, and logging in there (contract R8.5).
//
// Answers are bounded line by line; what is no POP3 ends the connection.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/sasl.h"
#include "net/buffered_reader.h"
#include "net/stream.h"
#include "provider/providers.h"
#include "proxy/pop3/command.h"

namespace kage::proxy {

class Pop3Upstream {
 public:
  explicit Pop3Upstream(net::StreamPtr stream) : stream_(std::move(stream)), reader_(*stream_) {}

  /// The first line of an answer.
  net::Task<Result<Pop3Status>> status();
  /// Sends a command and reads that line. `secret` is the end of the command, and is not kept.
  net::Task<Result<Pop3Status>> ask(std::string_view command, std::string_view secret = {});
  /// A line of a multi-line answer, dots undone; false at its end. `line` is valid until the next suspension.
  net::Task<Result<bool>> line(std::string_view& line);
  /// CAPA; a server that does not know it can do what RFC 1939 has.
  net::Task<Result<Pop3Capabilities>> capabilities();

  [[nodiscard]] net::BufferedReader& reader() { return reader_; }
  [[nodiscard]] net::Stream& stream() { return *stream_; }
  /// Gives the stream away for a handshake, and takes the one behind it. Nothing may be buffered.
  net::StreamPtr release() { return std::move(stream_); }
  void adopt(net::StreamPtr stream);
  void close();

 private:
  net::StreamPtr stream_;  // null during a handshake
  net::BufferedReader reader_;
};

/// What a login came to.
struct Pop3Login {
  bool ok = false;
  Pop3Refusal refusal = Pop3Refusal::temporary;
  Error error = {Errc::denied, {}};  ///< why, for logs and metrics
};

/// Greets, does STLS where the provider wants it, and logs in. `upstream` was connected before; its stream
/// has the deadline.
net::Task<Pop3Login> log_in_pop3(Pop3Upstream& upstream, const provider::Providers& providers,
                                 const provider::ProviderOptions& provider, Credentials credentials,
                                 bool utf8, net::TimePoint deadline);

}  // namespace kage::proxy
