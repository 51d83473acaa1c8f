// The request parser: every cut of the input, and what is refused.
#include "http/request_parser.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace kage::http {
namespace {

using Status = RequestParser::Status;

constexpr std::string_view kGet =
    "GET /metrics?x=1 HTTP/1.1\r\nHost: a.example\r\nAccept:\r\nX-Long: one\r\n\r\n";

/// Feeds `text` in pieces of `size` octets; the status of the last piece that was needed.
Status feed(RequestParser& parser, std::string_view text, std::size_t size) {
  Status status = Status::more;
  for (std::size_t at = 0; at < text.size() && status == Status::more; at += size) {
    status = parser.feed(text.substr(at, size)).status;
  }
  return status;
}

}  // namespace

TEST_CASE("a request cut at every octet") {
  for (std::size_t size = 1; size <= kGet.size(); ++size) {
    RequestParser parser;
    CHECK(parser.idle());
    CHECK(feed(parser, kGet, size) == Status::complete);
    CHECK(parser.request().method == "GET");
    CHECK(parser.request().target == "/metrics?x=1");
    CHECK(parser.request().keep_alive);
    REQUIRE(parser.request().fields.size() == 3);
    CHECK(*parser.request().find("host") == "a.example");
    CHECK(parser.request().find("accept")->empty());
    CHECK(*parser.request().find("x-long") == "one");
    CHECK(parser.request().find("no-such") == nullptr);
  }
  for (std::size_t size = 1; size < kGet.size(); ++size) {
    RequestParser parser;
    CHECK(parser.feed(kGet.substr(0, size)).status == Status::more);
    const auto rest = parser.feed(kGet.substr(size));
    CHECK(rest.status == Status::complete);
    CHECK(rest.consumed == kGet.size() - size);
  }
}

TEST_CASE("pipelined requests are told apart") {
  RequestParser parser;
  const std::string two = std::string(kGet) + "HEAD / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";
  const auto first = parser.feed(two);
  CHECK(first.status == Status::complete);
  CHECK(first.consumed == kGet.size());
  parser.reset();
  CHECK(parser.idle());
  CHECK(parser.feed(std::string_view(two).substr(first.consumed)).status == Status::complete);
  CHECK(parser.request().method == "HEAD");
  CHECK_FALSE(parser.request().keep_alive);
}

TEST_CASE("what is refused") {
  struct Case {
    std::string text;
    Status status;
  };
  std::string fields;
  for (int i = 0; i < 101; ++i) fields += "A: b\r\n";
  const std::vector<Case> cases = {
      {"\x16\x03\x01\x02\x05\x01\x03", Status::malformed},
      {"GET / HTTP/1.1\r\n\r\n", Status::malformed},                        // RFC 9112 §3.2
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Status::malformed},  // RFC 9112 §3.2
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", Status::malformed},            // RFC 9112 §5.1
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Status::malformed},
      {"GET /\r\n\r\n", Status::malformed},
      {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", Status::malformed},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", Status::has_content},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Status::has_content},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       Status::malformed},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(9000, 'x'), Status::too_large},
      {"GET /" + std::string(9000, 'x'), Status::too_large},
      {"GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n", Status::too_large},
  };
  for (const Case& each : cases) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{7}, each.text.size()}) {
      RequestParser parser;
      INFO(each.text.substr(0, 80));
      CHECK(feed(parser, each.text, size) == each.status);
    }
  }
}

TEST_CASE("HTTP/1.0 needs no Host and does not stay open") {
  RequestParser parser;
  CHECK(parser.feed("GET / HTTP/1.0\r\n\r\n").status == Status::complete);
  CHECK_FALSE(parser.request().keep_alive);
}

TEST_CASE("content, where it is taken, in pieces of every size") {
  const std::string head = "POST /f HTTP/1.1\r\nHost: a\r\n";
  for (const std::string& text :
       {head + "Content-Length: 11\r\n\r\nhello world",
        head + "Transfer-Encoding: Chunked\r\n\r\n6;x=y\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"}) {
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
      RequestParser parser(RequestParser::Content::taken);
      std::string content;
      RequestParser::Step step;
      for (std::size_t at = 0; at < text.size(); at += piece) {
        step = parser.feed(std::string_view(text).substr(at, piece));
        content += parser.content();
        CHECK(parser.has_header() == (at + piece >= text.find("\r\n\r\n") + 4));
      }
      CHECK(step.status == Status::complete);
      CHECK(content == "hello world");
    }
  }
  for (const char* bad :
       {"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "Transfer-Encoding: chunked, chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nx\r\n"}) {
    RequestParser parser(RequestParser::Content::taken);
    INFO(bad);
    CHECK(feed(parser, head + bad, 5) == Status::malformed);
  }
}

TEST_CASE("an upgrade is not offered") {
  RequestParser parser;
  CHECK(
      parser.feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").status ==
      Status::complete);
  CHECK_FALSE(parser.request().keep_alive);
}

}  // namespace kage::http
