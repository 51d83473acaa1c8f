// One coroutine for each connection. A response is one write.
#include "http/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <list>
#include <string_view>

#include "base/text.h"
#include "net/guarded.h"
#include "tls/tls_stream.h"

namespace kage::http {
namespace {

constexpr std::pair<int, std::string_view> kReasons[] = {
    {200, "OK"},
    {204, "No Content"},
    {303, "See Other"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
};

std::string_view reason_of(int status) {
  const auto* known = std::ranges::find(kReasons, status, &std::pair<int, std::string_view>::first);
  return known == std::end(kReasons) ? std::string_view("Status") : known->second;
}

/// `head`: the response to a HEAD request has the fields only (RFC 9110 §9.3.2).
std::string encode(const Response& response, bool head, bool keep_alive) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_of(response.status));
  if (response.status != 204) {
    out += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", response.content_type,
                       response.content.size());
  }
  out += fmt::format("Cache-Control: {}\r\nX-Content-Type-Options: nosniff\r\n",
                     response.cacheable ? "private, no-cache" : "no-store");
  for (const auto& [name, value] : response.fields) {
    out.append(name).append(": ");
    std::ranges::copy_if(value, std::back_inserter(out), [](char c) { return c >= ' ' && c < '\x7f'; });
    out += "\r\n";
  }
  out += fmt::format("Connection: {}\r\n\r\n", keep_alive ? "keep-alive" : "close");
  if (!head && response.status != 204) out += response.content;
  return out;
}

Response plain(int status) {
  return {status, "text/plain; charset=utf-8", fmt::format("{}\n", reason_of(status))};
}

int status_of(RequestParser::Status status) {
  switch (status) {
    case RequestParser::Status::too_large:
      return 431;
    case RequestParser::Status::has_content:
      return 413;
    default:
      return 400;
  }
}

}  // namespace

struct Server::State {
  struct Connection {
    net::StreamPtr stream;  // null while TLS shakes hands
    net::PeerAddress peer;
    bool tls = false;
    bool busy = false;  // a request has begun and is not answered
    std::string left;   // pipelined octets
  };
  /// A request on its way; lives in serve()'s frame by pointer.
  struct Running {
    explicit Running(RequestParser::Content content) : parser(content) {}
    RequestParser parser;
    std::unique_ptr<Exchange> exchange;
    std::optional<Response> response;
    std::size_t content = 0;  // octets behind the header section, as sent
    net::TimePoint content_began{};
    bool continued = false;  // 100 was said
    bool whole = false;      // all of it was read
  };

  State(net::Loop& l, Handler h, ExchangeMaker m, ServerOptions o)
      : loop(l), handler(std::move(h)), maker(std::move(m)), options(o) {}

  net::Loop& loop;
  Handler handler;
  ExchangeMaker maker;
  ServerOptions options;
  std::list<Connection> connections;
  bool stopping = false;
  net::TimePoint stop_at{};  // when stopping
  net::Event empty;

  using At = std::list<Connection>::iterator;

  void limit(Connection& connection, net::Millis duration) const { limit(connection, loop.now() + duration); }
  void limit(Connection& connection, net::TimePoint at) const {
    connection.stream->set_deadline(stopping ? std::min(at, stop_at) : at);
  }

  static net::Task<void> serve(std::shared_ptr<State> state, At at, net::StreamPtr lower,
                               std::shared_ptr<tls::ServerContext> tls);
  static net::Task<void> converse(std::shared_ptr<State> state, Connection& connection, net::StreamPtr lower,
                                  std::shared_ptr<tls::ServerContext> tls);
  static net::Task<bool> one_request(std::shared_ptr<State> state, Connection& connection, Running& running);
  static net::Task<bool> read_request(State& state, Connection& connection, Running& running);
  static net::Task<bool> read_more(State& state, Connection& connection, Running& running);
  static net::Task<bool> keep_asking(Connection& connection, Running& running);
  static net::Task<void> drain(State& state, Connection& connection);
  std::size_t feed(Running& running, Connection& connection, std::string_view octets) const;
  void take(Running& running, Connection& connection) const;
  [[nodiscard]] Response handle(const Request& request) const;
};

Response Server::State::handle(const Request& request) const {
  if (request.method == "GET" || request.method == "HEAD") return handler(request);
  Response refused = plain(405);
  refused.fields.emplace_back("Allow", "GET, HEAD");
  return refused;
}

/// Gives octets to the parser and what they brought to the exchange. How many were used.
std::size_t Server::State::feed(Running& running, Connection& connection, std::string_view octets) const {
  using Status = RequestParser::Status;
  connection.busy = true;
  const bool had_header = running.parser.has_header();
  const auto step = running.parser.feed(octets);
  if (had_header) running.content += step.consumed;
  running.whole = step.status == Status::complete;
  if (step.status != Status::more && step.status != Status::complete) {
    const int status = status_of(step.status);
    running.response = running.exchange ? running.exchange->fault(status) : plain(status);
  } else if (maker) {
    take(running, connection);
  }
  return step.consumed;
}

void Server::State::take(Running& running, Connection& connection) const {
  if (!running.parser.has_header()) return;
  if (!running.exchange) {
    running.content_began = loop.now();
    running.exchange = maker(running.parser.request(), connection.peer, connection.tls);
    running.response = running.exchange->begin();
  }
  if (running.response) return;
  if (running.content > options.max_content) {
    running.response = running.exchange->fault(413);
    return;
  }
  const std::string_view content = running.parser.content();
  if (!content.empty()) running.response = running.exchange->take(content);
}

/// One read from the connection into the request. False: the connection is at its end.
net::Task<bool> Server::State::read_more(State& state, Connection& connection, Running& running) {
  const bool had_header = running.parser.has_header();
  if (had_header) {
    const auto earned = static_cast<std::int64_t>(running.content * 1000 /
                                                  std::max<std::size_t>(1, state.options.min_content_rate));
    state.limit(connection, running.content_began + state.options.content_timeout + net::Millis(earned));
  }
  auto read = co_await connection.stream->read();
  if (!read && read.error().code == Errc::timed_out && had_header) {
    running.response = running.exchange->fault(408);
    co_return true;
  }
  if (!read || read->empty()) co_return false;
  if (!connection.busy) state.limit(connection, state.options.header_timeout);
  const std::size_t used = state.feed(running, connection, *read);
  if (running.whole) connection.left.assign(read->substr(used));
  co_return true;
}

/// RFC 9110 §10.1.1: the client waits for a word before it sends its content.
net::Task<bool> Server::State::keep_asking(Connection& connection, Running& running) {
  running.continued = true;
  const std::string* expect = running.parser.request().find("expect");
  if (expect == nullptr || !running.parser.content().empty()) co_return true;
  if (!equals_nocase(*expect, "100-continue")) {
    running.response = running.exchange->fault(400);
    co_return true;
  }
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  const auto written = co_await connection.stream->write(kContinue);
  co_return written.has_value();
}

/// Reads until there is a whole request or a response. False: the connection is at its end.
net::Task<bool> Server::State::read_request(State& state, Connection& connection, Running& running) {
  state.limit(connection,
              connection.left.empty() ? state.options.idle_timeout : state.options.header_timeout);
  if (!connection.left.empty()) {
    const std::string left = std::move(connection.left);
    connection.left.clear();
    const std::size_t used = state.feed(running, connection, left);
    if (running.whole) connection.left = left.substr(used);
  }
  while (!running.whole && !running.response) {
    if (running.exchange && !running.continued) {
      const bool going_on = co_await keep_asking(connection, running);
      if (!going_on) co_return false;
      if (running.response) break;
    }
    const bool going_on = co_await read_more(state, connection, running);
    if (!going_on) co_return false;
  }
  co_return true;
}

/// Closing with octets unread would take the response from the client's hands (RFC 9112 §9.6): the rest is
/// dropped until the client closes.
net::Task<void> Server::State::drain(State& state, Connection& connection) {
  state.limit(connection, state.options.drain_timeout);
  std::size_t drained = 0;
  while (drained <= state.options.max_drained) {
    auto read = co_await connection.stream->read();
    if (!read || read->empty()) co_return;
    drained += read->size();
  }
}

/// Reads and answers one request. False: the connection is at its end.
net::Task<bool> Server::State::one_request(std::shared_ptr<State> state, Connection& connection,
                                           Running& running) {
  const bool read = co_await read_request(*state, connection, running);
  if (!read) co_return false;
  connection.stream->set_deadline(std::nullopt);  // what follows has bounds of its own
  if (!running.response) {
    if (running.exchange) {
      running.response = co_await running.exchange->finish();
    } else {
      running.response = state->handle(running.parser.request());
    }
  }
  state->limit(connection, state->options.write_timeout);
  const bool last = !running.whole || state->stopping || !running.parser.request().keep_alive;
  const bool head = running.whole && running.parser.request().method == "HEAD";
  const std::string encoded = encode(*running.response, head, !last);
  const auto written = co_await connection.stream->write(encoded);
  if (last && written) (void)co_await connection.stream->shutdown();
  if (written && !running.whole && running.exchange) co_await drain(*state, connection);
  connection.busy = false;
  co_return written && !last && !state->stopping;
}

/// The handshake, then one request after another.
net::Task<void> Server::State::converse(std::shared_ptr<State> state, Connection& connection,
                                        net::StreamPtr lower, std::shared_ptr<tls::ServerContext> tls) {
  if (tls) {
    const net::TimePoint until = state->loop.now() + state->options.handshake_timeout;
    auto accepted = co_await tls::accept_tls(std::move(lower), std::move(tls), until);
    if (accepted) connection.stream = std::move(*accepted);
  } else {
    connection.stream = std::move(lower);
  }
  const auto content = state->maker ? RequestParser::Content::taken : RequestParser::Content::refused;
  bool going_on = connection.stream != nullptr;
  for (std::size_t requests = 0; going_on && requests < state->options.max_requests; ++requests) {
    // On the heap, and gone before the connection idles: an idle connection owns no buffer.
    const auto running = std::make_unique<Running>(content);
    going_on = co_await one_request(state, connection, *running) && !state->stopping;
  }
}

net::Task<void> Server::State::serve(std::shared_ptr<State> state, At at, net::StreamPtr lower,
                                     std::shared_ptr<tls::ServerContext> tls) {
  (void)co_await net::guarded(converse(state, *at, std::move(lower), std::move(tls)));
  if (at->stream) at->stream->close();
  state->connections.erase(at);
  if (state->connections.empty()) state->empty.set();
}

Server::Server(net::Loop& loop, Handler handler, ServerOptions options)
    : state_(std::make_shared<State>(loop, std::move(handler), ExchangeMaker(), options)) {}

Server::Server(net::Loop& loop, ExchangeMaker maker, ServerOptions options)
    : state_(std::make_shared<State>(loop, Handler(), std::move(maker), options)) {}

Server::~Server() = default;

void Server::start(net::StreamPtr stream, net::PeerAddress peer, std::shared_ptr<tls::ServerContext> tls) {
  if (state_->stopping || state_->connections.size() >= state_->options.max_connections) {
    stream->close();
    return;
  }
  const bool secured = tls != nullptr;
  state_->connections.push_back({nullptr, std::move(peer), secured, false, {}});
  net::spawn(State::serve(state_, std::prev(state_->connections.end()), std::move(stream), std::move(tls)));
}

net::Task<void> Server::stop(net::TimePoint deadline) {
  const auto state = state_;
  state->stopping = true;
  state->stop_at = deadline;
  if (state->connections.empty()) co_return;
  state->empty.reset();
  // Closing resumes a connection's coroutine, which erases it: go on from a copy.
  std::vector<net::Stream*> idle;
  for (auto& connection : state->connections) {
    if (!connection.stream) continue;
    connection.stream->set_deadline(deadline);
    if (!connection.busy) idle.push_back(connection.stream.get());
  }
  for (net::Stream* stream : idle) stream->close();
  if (!state->connections.empty()) co_await state->empty;
}

std::size_t Server::size() const {
  return state_->connections.size();
}

}  // namespace kage::http
