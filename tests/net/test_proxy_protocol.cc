// PROXY headers: known ones cut at every byte, malformed ones, and reading one in front of a session.
#include "net/proxy_protocol.h"

#include <catch2/catch.hpp>

#include "tests/net/test_streams.h"

namespace kage::net {
namespace {

using testing::MemoryStream;
using testing::run_on_loop;
using testing::Transcript;

std::string v2(char version_command, char family, std::string_view body) {
  std::string out("\r\n\r\n\0\r\nQUIT\n", 12);
  out.push_back(version_command);
  out.push_back(family);
  out.push_back(static_cast<char>(body.size() >> 8U));
  out.push_back(static_cast<char>(body.size() & 0xffU));
  return out.append(body);
}

const std::string kIpv4Body("\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x00\x19", 12);
const std::string kIpv6Body = std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16) +
                              std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02", 16) +
                              std::string("\xdc\x04\x00\x19", 4);

struct Case {
  std::string header;
  std::string ip;  // empty: the transport's address holds
  std::uint16_t port;
};

std::vector<Case> good_cases() {
  return {
      {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n", "192.0.2.1", 56324},
      {"PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n", "2001:db8::1", 56324},
      {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1 25\r\n", "192.0.2.1", 1},
      {"PROXY UNKNOWN\r\n", "", 0},
      {"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "", 0},
      {v2('\x21', '\x11', kIpv4Body), "192.0.2.1", 56324},
      {v2('\x21', '\x11', kIpv4Body + std::string("\x04\x00\x02xy", 5)), "192.0.2.1", 56324},
      {v2('\x21', '\x21', kIpv6Body), "2001:db8::1", 56324},
      {v2('\x21', '\x21', kIpv6Body + std::string(512 - 36, 'x')), "2001:db8::1", 56324},
      {v2('\x20', '\x00', ""), "", 0},
      {v2('\x20', '\x11', kIpv4Body), "", 0},
      {v2('\x21', '\x00', ""), "", 0},
      {v2('\x21', '\x31', std::string(216, 'u')), "", 0},
  };
}

std::vector<std::string> bad_cases() {
  return {
      "EHLO mail.example\r\n",
      "proxy TCP4 192.0.2.1 198.51.100.2 1 25\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 1 25\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 1 25 9\r\n",
      "PROXY TCP4 192.0.2.1  198.51.100.2 1 25\r\n",
      "PROXY TCP4 192.0.2.256 198.51.100.2 1 25\r\n",
      "PROXY TCP4 2001:db8::1 2001:db8::2 1 25\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n",
      "PROXY TCP5 192.0.2.1 198.51.100.2 1 25\r\n",
      "PROXY \r\n",
      "PROXY UNKNOWN " + std::string(200, 'x'),
      std::string(12, '\r'),
      v2('\x11', '\x11', kIpv4Body),
      v2('\x22', '\x11', kIpv4Body),
      v2('\x21', '\x12', kIpv4Body),
      v2('\x21', '\x11', kIpv4Body.substr(1)),
      v2('\x21', '\x21', kIpv6Body.substr(1)),
      v2('\x21', '\x21', kIpv6Body + std::string(512 - 35, 'x')),
  };
}

Task<void> read_header(StreamPtr stream, Result<PeerAddress>& peer, std::string& rest) {
  BufferedReader reader(*stream);
  peer = co_await read_proxy_header(reader, PeerAddress{"203.0.113.9", 9});
  if (!peer) co_return;
  while (true) {
    const auto bytes = co_await reader.chunk();
    if (!bytes || bytes->empty()) co_return;
    rest.append(*bytes);
  }
}

}  // namespace

TEST_CASE("a PROXY header is taken when it is whole, and not before") {
  for (const Case& c : good_cases()) {
    INFO(c.header.substr(0, 60));
    for (std::size_t cut = 0; cut < c.header.size(); ++cut) {
      const auto early = parse_proxy_header(c.header.substr(0, cut));
      REQUIRE(early);
      REQUIRE_FALSE(*early);
    }
    for (const std::string& rest : {std::string(), std::string("EHLO x\r\n"), std::string(2000, 'z')}) {
      const auto parsed = parse_proxy_header(c.header + rest);
      REQUIRE(parsed);
      REQUIRE(*parsed);
      CHECK((*parsed)->size == c.header.size());
      CHECK((*parsed)->source.has_value() == !c.ip.empty());
      if ((*parsed)->source) {
        CHECK((*parsed)->source->ip == c.ip);
        CHECK((*parsed)->source->port == c.port);
      }
    }
  }
}

TEST_CASE("a malformed PROXY header is refused at some byte and stays refused") {
  for (const std::string& header : bad_cases()) {
    INFO(header.substr(0, 60));
    bool refused = false;
    for (std::size_t cut = 0; cut <= header.size(); ++cut) {
      const auto parsed = parse_proxy_header(header.substr(0, cut));
      if (refused) REQUIRE_FALSE(parsed);
      if (!parsed) {
        CHECK(parsed.error().code == Errc::protocol);
        refused = true;
      } else {
        REQUIRE_FALSE(*parsed);
      }
    }
    CHECK(refused);
  }
}

TEST_CASE("reading a PROXY header leaves what follows, however it arrives") {
  for (const Case& c : good_cases()) {
    const std::string whole = c.header + "EHLO client.example\r\nMAIL FROM:<>\r\n";
    for (std::size_t cut = 1; cut <= whole.size(); ++cut) {
      Loop loop;
      auto transcript = std::make_shared<Transcript>(loop);
      transcript->give(whole.substr(0, cut));
      if (cut < whole.size()) transcript->give(whole.substr(cut));
      transcript->end();
      Result<PeerAddress> peer;
      std::string rest;
      run_on_loop(loop, read_header(std::make_unique<MemoryStream>(transcript), peer, rest));
      REQUIRE(peer);
      CHECK(peer->ip == (c.ip.empty() ? "203.0.113.9" : c.ip));
      CHECK(rest == "EHLO client.example\r\nMAIL FROM:<>\r\n");
    }
  }
}

TEST_CASE("a stream that ends or lies before the PROXY header is whole is an error") {
  for (const std::string input : {"", "PROXY TCP4 192.0.2.1", "HELO x\r\n"}) {
    Loop loop;
    Result<PeerAddress> peer;
    std::string rest;
    run_on_loop(loop, read_header(std::make_unique<MemoryStream>(loop, input), peer, rest));
    REQUIRE_FALSE(peer);
    CHECK(peer.error().code == (input.starts_with("HELO") ? Errc::protocol : Errc::closed));
  }
}

}  // namespace kage::net
