// A small HTTP/1.1 server for one worker: GET and HEAD, no content, keep-alive (RFC 9110, RFC 9112).
//
// Everything is bounded: header size, connections, requests of a connection, and the time for each of them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "http/request_parser.h"
#include "net/stream.h"

namespace kage::http {

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string content;
};

/// Answers a GET or HEAD; other methods never get here.
using Handler = std::function<Response(const Request&)>;

struct ServerOptions {
  std::size_t max_connections = 256;
  std::size_t max_requests = 1000;     ///< of one connection
  net::Millis header_timeout{10'000};  ///< from its first octet to the end of a request's header
  net::Millis idle_timeout{60'000};    ///< between requests
  net::Millis write_timeout{10'000};   ///< for one response
};

class Server {
 public:
  Server(net::Loop& loop, Handler handler, ServerOptions options = {});
  ~Server();  ///< every connection must have ended; see stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves one connection to its end. Above max_connections it is closed at once.
  void start(net::StreamPtr stream);

  /// Idle connections are closed, others after their response, all of them at `deadline`. Resolves when none
  /// is left.
  net::Task<void> stop(net::TimePoint deadline);

  [[nodiscard]] std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kage::http
