// One address: reading, comparing, writing (contract R4.2, R4.5).
#include "message/address.h"

#include <catch2/catch.hpp>

namespace kage::message {
namespace {

std::string canonical(std::string_view text) {
  const auto address = parse_address(text);
  return address ? address->canonical() : std::string("(invalid)");
}

TEST_CASE("parse_address: accepted") {
  struct Case {
    std::string_view text;
    std::string_view local;
    std::string_view domain;
    std::string_view quoted;
  };
  const std::vector<Case> cases = {
      {"taro@example.jp", "taro", "example.jp", "taro@example.jp"},
      {"Taro.Yamada+x@Example.JP", "Taro.Yamada+x", "Example.JP", "Taro.Yamada+x@Example.JP"},
      {"\"taro\"@example.jp", "taro", "example.jp", "taro@example.jp"},
      {"\"with space\"@example.jp", "with space", "example.jp", "\"with space\"@example.jp"},
      {"\"a@b\"@example.jp", "a@b", "example.jp", "\"a@b\"@example.jp"},
      {"\"a\\\"b\\\\\"@example.jp", "a\"b\\", "example.jp", "\"a\\\"b\\\\\"@example.jp"},
      // Old carriers.
      {"a..b@docomo.ne.jp", "a..b", "docomo.ne.jp", "\"a..b\"@docomo.ne.jp"},
      {"\"a..b\"@docomo.ne.jp", "a..b", "docomo.ne.jp", "\"a..b\"@docomo.ne.jp"},
      {"abc.@docomo.ne.jp", "abc.", "docomo.ne.jp", "\"abc.\"@docomo.ne.jp"},
      {".abc@docomo.ne.jp", ".abc", "docomo.ne.jp", "\".abc\"@docomo.ne.jp"},
      {"a...@docomo.ne.jp", "a...", "docomo.ne.jp", "\"a...\"@docomo.ne.jp"},
      {"\"a\".b@example.jp", "a.b", "example.jp", "a.b@example.jp"},
      {"!#$%&'*+-/=?^_`{|}~@example.jp", "!#$%&'*+-/=?^_`{|}~", "example.jp",
       "!#$%&'*+-/=?^_`{|}~@example.jp"},
      {"山田@例え.テスト", "山田", "例え.テスト", "山田@例え.テスト"},
      {"a@[192.0.2.1]", "a", "[192.0.2.1]", "a@[192.0.2.1]"},
      {"a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
      {"root@localhost", "root", "localhost", "root@localhost"},
      {"a@under_score.example", "a", "under_score.example", "a@under_score.example"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto address = parse_address(c.text);
    REQUIRE(address);
    CHECK(address->local == c.local);
    CHECK(address->domain == c.domain);
    CHECK(address->spelling == c.text);
    CHECK(address->quoted() == c.quoted);
    // What is written is read as the same.
    const auto again = parse_address(address->quoted());
    REQUIRE(again);
    CHECK(again->canonical() == address->canonical());
  }
}

TEST_CASE("parse_address: refused") {
  const std::vector<std::string> cases = {"",
                                          "@",
                                          "a@",
                                          "@b",
                                          "a",
                                          "a@b@c",
                                          "a b@c",
                                          " a@b",
                                          "a@b ",
                                          "a@b c",
                                          "<a@b>",
                                          "a@b,c@d",
                                          "a@.b",
                                          "a@b..c",
                                          "a@..",
                                          "a@.",
                                          "a(c)@b",
                                          "a@(c)b",
                                          "\"a@b",
                                          "\"a\"b@c",
                                          "a\"b\"@c",
                                          "\"\"@b",
                                          "a@[192.0.2.1",
                                          "a@[]",
                                          "a@b]",
                                          "a\\b@c",
                                          "a@b/c",
                                          "a@b=c",
                                          "a;b@c",
                                          "a:b@c",
                                          "\xff@b",
                                          "a@\xff.b",
                                          "a@b\r\n",
                                          "a\n@b",
                                          "\"a\rb\"@c",
                                          "\"a\r\n b\nc\x01\"@d",
                                          std::string("a\0b@c", 5),
                                          std::string("\"a\0b\"@c", 7),
                                          std::string(257, 'a') + "@b",
                                          "a@" + std::string(256, 'b'),
                                          "a@" + std::string(64, 'b') + ".example"};
  for (const std::string& text : cases) {
    CAPTURE(text);
    const auto address = parse_address(text);
    REQUIRE_FALSE(address);
    CHECK(address.error().code == Errc::invalid);
  }
  CHECK(parse_address(std::string(256, 'a') + "@b").has_value());
}

TEST_CASE("parse_address: what goes out again has plain dots, and none at its end") {
  for (const auto& [text, spelling] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"A@Example.jp.", "A@Example.jp"},
           {"a@victim。test", "a@victim.test"},
           {"\"a\"@例え．テスト｡", "\"a\"@例え.テスト"},
       }) {
    const auto address = parse_address(text);
    REQUIRE(address);
    CHECK(address->spelling == spelling);
    CHECK(address->canonical() == parse_address(spelling)->canonical());
  }
}

TEST_CASE("canonical: who only looks like somebody is somebody else", "[R3.3]") {
  // Sharp s, long s, the Kelvin sign, ligatures, a dotless i with or without a dot above.
  for (const auto& [one, other] :
       std::vector<std::pair<std::string_view, std::string_view>>{{"straße@x", "strasse@x"},
                                                                  {"ſato@x", "sato@x"},
                                                                  {"ta\u212aeshi@x", "takeshi@x"},
                                                                  {"ﬁsher@x", "fisher@x"},
                                                                  {"oﬃcer@x", "officer@x"},
                                                                  {"ıto@x", "ito@x"},
                                                                  {"İto@x", "ito@x"},
                                                                  {"ｓato@x", "sato@x"},
                                                                  {"\"a\u037eb\"@x", "\"a;b\"@x"}}) {
    CAPTURE(one);
    CHECK(canonical(one) != canonical(other));
    CHECK(canonical(one) != "(invalid)");
  }
}

TEST_CASE("parse_address: cut at every octet") {
  const std::string text = "\"a \\\"b\".c..d.@[IPv6:2001:db8::1]";
  REQUIRE(parse_address(text));
  for (std::size_t cut = 0; cut < text.size(); ++cut) CHECK_FALSE(parse_address(text.substr(0, cut)));
}

TEST_CASE("canonical: spellings of one address are one") {
  const std::vector<std::vector<std::string>> same = {
      {"taro@example.jp", "TARO@EXAMPLE.JP", "\"Taro\"@example.jp.", "t\"\"@x"},
      {"a..b@docomo.ne.jp", "\"a..b\"@docomo.ne.jp", "A..B@DOCOMO.ne.jp"},
      {"x@例え.テスト", "x@xn--r8jz45g.xn--zckzah", "X@XN--R8JZ45G.XN--ZCKZAH", "x@例え。テスト",
       "x@例え．テスト", "x@例え｡テスト", "x@例え.テスト。", "x@xn--r8jz45g.テスト"},
      {"x@bücher.example", "x@BÜCHER.example", "x@xn--bcher-kva.example", "x@bu\u0308cher.example"},
      {"x@faß.example", "x@xn--fa-hia.example"},
      {"x@example.jp", "x@ｅｘａｍｐｌｅ．ｊｐ", "x@example。jp"},
      {"É@x", "é@x", "e\u0301@x", "E\u0301@x"},
      {"Übung@x", "übung@x"},
      {"a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]"},
  };
  for (const auto& group : same) {
    for (const std::string& text : group) {
      if (text == "t\"\"@x") continue;
      CAPTURE(text);
      CHECK(canonical(text) == canonical(group[0]));
      CHECK(canonical(text) != "(invalid)");
    }
  }
  CHECK(canonical("Taro@Example.JP") == "taro@example.jp");
  CHECK(canonical("\"A b\"@x") == "a b@x");
  CHECK(canonical("faß@x") != canonical("fab@x"));
  CHECK(canonical("x@faß.example") != canonical("x@fass.example"));  // nontransitional
  CHECK(canonical("x@例え.テスト") == "x@xn--r8jz45g.xn--zckzah");
}

TEST_CASE("canonical: a domain that IDNA refuses is still compared without case") {
  const Address a{.local = "X", .domain = "A..B", .spelling = ""};
  CHECK(a.canonical() == "x@a..b");
  const Address b{.local = "x", .domain = "Foo☃_-.Example..", .spelling = ""};
  const Address c{.local = "x", .domain = "例え...", .spelling = ""};
  CHECK(c.canonical_domain() == *canonical_domain("例え"));
  CHECK(b.canonical() == Address{.local = "x", .domain = b.canonical_domain(), .spelling = ""}.canonical());
}

TEST_CASE("canonical_domain") {
  CHECK(*canonical_domain("Example.JP.") == "example.jp");
  CHECK(*canonical_domain("日本語.jp") == "xn--wgv71a119e.jp");
  CHECK(*canonical_domain("[192.0.2.1]") == "[192.0.2.1]");
  for (std::string_view bad : {"", ".", "a..b", ".a", "a b", "a@b", "[", "[]", "[a", "a]", "\xff", "a\x01",
                               "例え..テスト", "例 え.jp"}) {
    CAPTURE(bad);
    REQUIRE_FALSE(canonical_domain(bad));
    CHECK(canonical_domain(bad).error().code == Errc::invalid);
  }
  CHECK_FALSE(canonical_domain(std::string(64, 'a') + ".jp"));
  std::string lengthy;
  while (lengthy.size() < 260) lengthy += "abcdefgh.";
  CHECK_FALSE(canonical_domain(lengthy));
}

TEST_CASE("needs_utf8, is_dot_atom") {
  CHECK_FALSE(parse_address("a@b")->needs_utf8());
  CHECK(parse_address("山@b")->needs_utf8());
  CHECK(parse_address("a@例え.jp")->needs_utf8());
  CHECK(parse_address("a.b@c")->is_dot_atom());
  CHECK(parse_address("山.田@c")->is_dot_atom());
  CHECK_FALSE(parse_address("a..b@c")->is_dot_atom());
  CHECK_FALSE(parse_address(".a@c")->is_dot_atom());
  CHECK_FALSE(parse_address("a.@c")->is_dot_atom());
  CHECK_FALSE(parse_address("\"a b\"@c")->is_dot_atom());
}

}  // namespace
}  // namespace kage::message
