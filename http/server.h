// A small HTTP/1.1 server for one worker, keep-alive (RFC 9110, RFC 9112): GET and HEAD without content for a
// Handler, every method with content for Exchanges.
//
// Everything is bounded: header size, content, connections, requests of a connection, and the time for each
// of them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/request_parser.h"
#include "net/ip.h"
#include "net/stream.h"
#include "tls/server_context.h"

namespace kage::http {

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string content;
  bool cacheable = false;  ///< by the browser, to show it again when its user goes back
  /// Further fields. What cannot stand in a field's value is dropped, so that nothing can inject a field.
  std::vector<std::pair<std::string_view, std::string>> fields{};
};

/// Answers a GET or HEAD; other methods never get here.
using Handler = std::function<Response(const Request&)>;

/// One request and its content, in this order: begin, take as often as needed, finish. A response from
/// begin() or take() is final: the remaining content is read and dropped, within bounds, so that the client
/// can read the response.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// The header section is complete.
  virtual std::optional<Response> begin() = 0;
  /// Octets of content, any cut; valid during the call.
  virtual std::optional<Response> take(std::string_view octets) = 0;
  /// The content is complete.
  virtual net::Task<Response> finish() = 0;
  /// What is said instead where the client breaks a rule of HTTP (400), is too slow (408), sends a header
  /// section (431) or content (413) that is too large.
  virtual Response fault(int status) = 0;
};
/// The request lives as long as the exchange. `tls`: it came over TLS.
using ExchangeMaker =
    std::function<std::unique_ptr<Exchange>(const Request&, const net::PeerAddress&, bool tls)>;

struct ServerOptions {
  std::size_t max_connections = 256;
  std::size_t max_requests = 1000;        ///< of one connection
  net::Millis handshake_timeout{10'000};  ///< of TLS
  net::Millis header_timeout{10'000};     ///< from its first octet to the end of a request's header
  net::Millis idle_timeout{60'000};       ///< between requests
  net::Millis write_timeout{10'000};      ///< for one response
  std::size_t max_content = 0;            ///< octets of a request's content as sent, chunk framing included
  net::Millis content_timeout{60'000};    ///< for a request's content, beside what min_content_rate grants
  std::size_t min_content_rate = 8192;    ///< octets a second below which a client is too slow
  net::Millis drain_timeout{30'000};      ///< to drop content behind an early response
  std::size_t max_drained = 32u << 20;    ///< octets, likewise
};

class Server {
 public:
  Server(net::Loop& loop, Handler handler, ServerOptions options = {});
  Server(net::Loop& loop, ExchangeMaker maker, ServerOptions options);
  ~Server();  ///< every connection must have ended; see stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves one connection to its end; TLS comes first where there is a context. Above max_connections it is
  /// closed at once.
  void start(net::StreamPtr stream, net::PeerAddress peer = {},
             std::shared_ptr<tls::ServerContext> tls = nullptr);

  /// Idle connections are closed, others after their response, all of them at `deadline`. Resolves when none
  /// is left.
  net::Task<void> stop(net::TimePoint deadline);

  [[nodiscard]] std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kage::http
