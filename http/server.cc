// One coroutine for each connection. A response is one write.
#include "http/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <string_view>

namespace kage::http {
namespace {

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

/// `head`: the response to a HEAD request has the fields only (RFC 9110 §9.3.2).
std::string encode(const Response& response, bool head, bool keep_alive) {
  std::string out = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\n{}Connection: {}\r\n\r\n",
      response.status, reason_of(response.status), response.content_type, response.content.size(),
      response.status == 405 ? "Allow: GET, HEAD\r\n" : "", keep_alive ? "keep-alive" : "close");
  if (!head) out += response.content;
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
    net::StreamPtr stream;
    bool busy = false;  // a request has begun and is not answered
  };

  State(net::Loop& l, Handler h, ServerOptions o) : loop(l), handler(std::move(h)), options(o) {}

  net::Loop& loop;
  Handler handler;
  ServerOptions options;
  std::list<Connection> connections;
  bool stopping = false;
  net::TimePoint stop_at{};  // when stopping
  net::Event empty;

  void limit(Connection& connection, net::Millis duration) const {
    const net::TimePoint at = loop.now() + duration;
    connection.stream->set_deadline(stopping ? std::min(at, stop_at) : at);
  }

  static net::Task<void> serve(std::shared_ptr<State> state, std::list<Connection>::iterator at);
  static net::Task<bool> one_request(std::shared_ptr<State> state, Connection& connection,
                                     RequestParser& parser, std::string& left);
  [[nodiscard]] std::string answer(const Request& request, bool last) const;
};

std::string Server::State::answer(const Request& request, bool last) const {
  const bool head = request.method == "HEAD";
  const Response response = head || request.method == "GET" ? handler(request) : plain(405);
  return encode(response, head, !last);
}

/// Reads and answers one request. False: the connection is at its end. `left` holds pipelined octets.
net::Task<bool> Server::State::one_request(std::shared_ptr<State> state, Connection& connection,
                                           RequestParser& parser, std::string& left) {
  parser.reset();
  RequestParser::Step step;
  state->limit(connection, left.empty() ? state->options.idle_timeout : state->options.header_timeout);
  while (true) {
    if (!left.empty()) {
      connection.busy = true;
      step = parser.feed(left);
      left.erase(0, step.consumed);
    } else {
      auto read = co_await connection.stream->read();
      if (!read || read->empty()) co_return false;
      if (!connection.busy) state->limit(connection, state->options.header_timeout);
      connection.busy = true;
      step = parser.feed(*read);
      if (step.status == RequestParser::Status::complete) left.assign(read->substr(step.consumed));
    }
    if (step.status != RequestParser::Status::more) break;
  }
  state->limit(connection, state->options.write_timeout);
  const bool complete = step.status == RequestParser::Status::complete;
  const bool last = !complete || state->stopping || !parser.request().keep_alive;
  const std::string response =
      complete ? state->answer(parser.request(), last) : encode(plain(status_of(step.status)), false, false);
  const auto written = co_await connection.stream->write(response);
  connection.busy = false;
  if (last && written) (void)co_await connection.stream->shutdown();
  co_return written && !last && !state->stopping;
}

net::Task<void> Server::State::serve(std::shared_ptr<State> state, std::list<Connection>::iterator at) {
  RequestParser parser;
  std::string left;
  std::size_t requests = 0;
  while (requests++ < state->options.max_requests && co_await one_request(state, *at, parser, left)) {
  }
  at->stream->close();
  state->connections.erase(at);
  if (state->connections.empty()) state->empty.set();
}

Server::Server(net::Loop& loop, Handler handler, ServerOptions options)
    : state_(std::make_shared<State>(loop, std::move(handler), options)) {}

Server::~Server() = default;

void Server::start(net::StreamPtr stream) {
  if (state_->stopping || state_->connections.size() >= state_->options.max_connections) {
    stream->close();
    return;
  }
  state_->connections.push_back({std::move(stream), false});
  net::spawn(State::serve(state_, std::prev(state_->connections.end())));
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
