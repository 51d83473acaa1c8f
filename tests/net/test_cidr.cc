// Networks: a table of what is in and what is not, and what is refused.
#include "net/cidr.h"

#include <catch2/catch.hpp>

namespace kage::net {

TEST_CASE("networks contain what their prefix says") {
  struct Case {
    std::string_view network;
    std::string_view ip;
    bool inside;
  };
  const Case cases[] = {
      {"192.0.2.0/24", "192.0.2.0", true},
      {"192.0.2.0/24", "192.0.2.255", true},
      {"192.0.2.0/24", "192.0.3.0", false},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7", "192.0.2.6", false},
      {"192.0.2.0/24", "::ffff:192.0.2.9", true},
      {"::ffff:192.0.2.0/120", "192.0.2.9", true},
      {"::ffff:192.0.2.9", "192.0.2.9", true},
      {"0.0.0.0/0", "203.0.113.5", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "192.0.2.1", false},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/32", "2001:db9::1", false},
      {"2001:db8::/33", "2001:db8:8000::", false},
      {"fe80::/10", "febf::1", true},
      {"fe80::/10", "fec0::1", false},
      {"127.0.0.1/32", "127.0.0.1", true},
      {"::1", "::1", true},
      {"::1", "::2", false},
      {"192.0.2.0/24", "", false},
      {"192.0.2.0/24", "192.0.2.1 ", false},
      {"192.0.2.0/24", "mail.example", false},
  };
  for (const Case& c : cases) {
    INFO(c.network << " " << c.ip);
    const auto network = Network::parse(c.network);
    REQUIRE(network);
    CHECK(network->contains(c.ip) == c.inside);
  }
}

TEST_CASE("what is no network is refused") {
  for (const std::string_view text :
       {"", "/", "192.0.2.0/", "192.0.2.0/33", "2001:db8::/129", "192.0.2.1/24", "2001:db8::1/64",
        "192.0.2/24", "192.0.2.0/24/8", "192.0.2.0/-1", "192.0.2.0/+8", "[::1]", "fe80::1%eth0", "localhost",
        "1.2.3.4.5", "192.0.2.0 /24", "256.0.0.1"}) {
    INFO(text);
    const auto network = Network::parse(text);
    CHECK_FALSE(network);
    if (!network) CHECK(network.error().code == Errc::invalid);
  }
}

TEST_CASE("addresses have one text") {
  CHECK(format_ip(*parse_ip("::ffff:192.0.2.1")) == "192.0.2.1");
  CHECK(format_ip(*parse_ip("2001:DB8:0:0::0001")) == "2001:db8::1");
  CHECK_FALSE(parse_ip(std::string_view("192.0.2.1\0", 10)));
  CHECK_FALSE(parse_ip(std::string(100, '1')));
  CHECK(network_of("192.0.2.77") == "192.0.2.0/24");
  CHECK(network_of("::ffff:192.0.2.77") == "192.0.2.0/24");
  CHECK(network_of("2001:db8:1:1234:3:4:5:6") == "2001:db8:1:1200::/56");
  CHECK(network_of("").empty());
  CHECK(format_endpoint("192.0.2.1", 25) == "192.0.2.1:25");
  CHECK(format_endpoint("::1", 25) == "[::1]:25");
}

}  // namespace kage::net
