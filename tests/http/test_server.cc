// The server on real sockets: one end is ours, the other a client of the test.
#include "http/server.h"

#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/log.h"
#include "net/tcp_stream.h"
#include "tests/net/test_streams.h"

namespace kage::http {
namespace {

using net::testing::run_on_loop;

struct Pair {
  net::StreamPtr ours;
  net::StreamPtr client;
};

Pair make_pair(net::Loop& loop) {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
  auto ours = net::adopt_unix(loop, ends[0]);
  auto client = net::adopt_unix(loop, ends[1]);
  REQUIRE(ours);
  REQUIRE(client);
  return {std::move(*ours), std::move(*client)};
}

Response respond(const Request& request) {
  if (request.target == "/missing") return {404, "text/plain", "no\n"};
  return {200, "text/plain", "target " + request.target + "\n"};
}

/// Writes `text` in pieces and reads until the server closes.
net::Task<void> talk(net::Stream& client, std::string text, std::size_t piece, std::string& answer) {
  for (std::size_t at = 0; at < text.size(); at += piece) {
    const std::string part = text.substr(at, piece);
    if (!co_await client.write(part)) break;
  }
  while (true) {
    const auto read = co_await client.read();
    if (!read || read->empty()) co_return;
    answer += *read;
  }
}

std::string exchange(const std::string& text, std::size_t piece = 100'000, ServerOptions options = {}) {
  net::Loop loop;
  Server server(loop, respond, options);
  Pair pair = make_pair(loop);
  server.start(std::move(pair.ours));
  std::string answer;
  run_on_loop(loop, talk(*pair.client, text, piece, answer));
  CHECK(server.size() == 0);
  return answer;
}

net::Task<void> stop_idle(net::Loop& loop, Server& server, net::Stream& client, std::string& answer) {
  const std::string request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  CHECK(co_await client.write(request));
  const auto first = co_await client.read();
  if (first) answer = *first;
  co_await server.stop(loop.now() + net::Millis(60'000));
  const auto end = co_await client.read();
  CHECK((!end || end->empty()));
}

}  // namespace

TEST_CASE("answers") {
  const std::string get = exchange("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(get.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(get.find("Content-Length: 10\r\n") != std::string::npos);
  CHECK(get.ends_with("\r\n\r\ntarget /a\n"));

  const std::string head = exchange("HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(head.find("Content-Length: 10\r\n") != std::string::npos);
  CHECK(head.ends_with("\r\n\r\n"));

  CHECK(exchange("GET /missing HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 404 "));
  const std::string put = exchange("DELETE /a HTTP/1.0\r\n\r\n");
  CHECK(put.starts_with("HTTP/1.1 405 "));
  CHECK(put.find("Allow: GET, HEAD\r\n") != std::string::npos);
  CHECK(exchange("nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx").starts_with("HTTP/1.1 413 "));
  CHECK(exchange("GET /" + std::string(9000, 'x')).starts_with("HTTP/1.1 431 "));
}

namespace {

/// An exchange in which a library throws, in the way that the target names.
class Throwing final : public Exchange {
 public:
  explicit Throwing(std::string target) : target_(std::move(target)) {}
  std::optional<Response> begin() override {
    if (target_ == "/begin") throw std::bad_alloc();
    return std::nullopt;
  }
  std::optional<Response> take(std::string_view /*octets*/) override { throw std::length_error("content"); }
  net::Task<Response> finish() override {
    if (target_ == "/finish") throw std::bad_alloc();
    co_return Response{.content = "fine\n"};
  }
  Response fault(int status) override { return {.status = status, .content = {}}; }

 private:
  std::string target_;
};

}  // namespace

TEST_CASE("an exception ends its connection and no other") {
  log::configure(log::Level::error);
  net::Loop loop;
  ServerOptions options;
  options.max_content = 100;
  Server server(
      loop,
      [](const Request& request, const net::PeerAddress&, bool) {
        return std::make_unique<Throwing>(request.target);
      },
      options);
  Pair waiting = make_pair(loop);
  server.start(std::move(waiting.ours));
  for (const std::string request :
       {"GET /begin HTTP/1.0\r\n\r\n", "POST /take HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
        "GET /finish HTTP/1.0\r\n\r\n"}) {
    Pair pair = make_pair(loop);
    server.start(std::move(pair.ours));
    std::string answer;
    run_on_loop(loop, talk(*pair.client, request, 100, answer));
    CHECK(answer.empty());
    CHECK(server.size() == 1);
  }
  std::string answer;
  run_on_loop(loop, talk(*waiting.client, "GET /fine HTTP/1.0\r\n\r\n", 100, answer));
  CHECK(answer.ends_with("fine\n"));
  CHECK(server.size() == 0);
}

TEST_CASE("three pipelined requests in every cut give three answers") {
  const std::string text =
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: "
      "x\r\nConnection: "
      "close\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size(); piece += 5) {
    const std::string answer = exchange(text, piece);
    const auto one = answer.find("target /1\n");
    const auto two = answer.find("target /2\n");
    const auto three = answer.find("target /3\n");
    CHECK(one < two);
    CHECK(two < three);
    CHECK(three != std::string::npos);
  }
}

TEST_CASE("a connection has a bounded number of requests and of time") {
  ServerOptions two;
  two.max_requests = 2;
  const std::string one_request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string answer = exchange(one_request + one_request + one_request, 100'000, two);
  CHECK(answer.find("target", answer.find("target") + 1) == answer.rfind("target"));

  ServerOptions impatient;
  impatient.header_timeout = net::Millis(20);
  impatient.idle_timeout = net::Millis(20);
  CHECK(exchange("GET / HTT", 100'000, impatient).empty());
  CHECK(exchange("", 100'000, impatient).empty());
}

TEST_CASE("more connections than allowed are closed") {
  net::Loop loop;
  ServerOptions one;
  one.max_connections = 1;
  Server server(loop, respond, one);
  Pair first = make_pair(loop);
  Pair second = make_pair(loop);
  server.start(std::move(first.ours));
  server.start(std::move(second.ours));
  CHECK(server.size() == 1);
  std::string answer;
  run_on_loop(loop, talk(*second.client, "GET / HTTP/1.0\r\n\r\n", 100, answer));
  CHECK(answer.empty());
  run_on_loop(loop, talk(*first.client, "GET / HTTP/1.0\r\n\r\n", 100, answer));
  CHECK(answer.starts_with("HTTP/1.1 200 "));
}

TEST_CASE("a stop closes idle connections") {
  net::Loop loop;
  Server server(loop, respond);
  Pair pair = make_pair(loop);
  server.start(std::move(pair.ours));
  std::string answer;
  run_on_loop(loop, stop_idle(loop, server, *pair.client, answer));
  CHECK(answer.starts_with("HTTP/1.1 200 "));
  CHECK(server.size() == 0);
  Pair late = make_pair(loop);
  server.start(std::move(late.ours));
  CHECK(server.size() == 0);
}

}  // namespace kage::http
