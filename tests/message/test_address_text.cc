// Addresses in free text: nothing that is one may stay behind (contract R5.2).
#include <catch2/catch.hpp>

#include "message/address.h"
#include "message/address_text.h"

namespace kage::message {
namespace {

/// The hits as "text in the source|canonical".
std::vector<std::string> hits(std::string_view text) {
  std::vector<std::string> all;
  std::size_t at = 0;
  for (const TextAddress& hit : find_addresses(text)) {
    REQUIRE(hit.offset >= at);
    REQUIRE(hit.offset + hit.length <= text.size());
    at = hit.offset + hit.length;
    all.push_back(std::string(text.substr(hit.offset, hit.length)) + "|" + hit.address.canonical());
  }
  return all;
}

std::string replaced(std::string_view text) {
  std::string out;
  std::size_t at = 0;
  for (const TextAddress& hit : find_addresses(text)) {
    out += text.substr(at, hit.offset - at);
    out += "x";
    at = hit.offset + hit.length;
  }
  out += text.substr(at);
  return out;
}

using Hits = std::vector<std::string>;

struct Case {
  std::string_view text;
  Hits found;
};

const std::vector<Case> kCases = {
    {"", {}},
    {"no address", {}},
    {"taro@example.jp", {"taro@example.jp|taro@example.jp"}},
    {"Taro (taro@Example.JP).", {"taro@Example.JP|taro@example.jp"}},
    {"<a@b.example>", {"a@b.example|a@b.example"}},
    {"mailto:a@b.example?subject=x", {"a@b.example|a@b.example"}},
    {"a@b.example,d@e.example", {"a@b.example|a@b.example", "d@e.example|d@e.example"}},
    {"a@b.example;d@e.example d@f.example",
     {"a@b.example|a@b.example", "d@e.example|d@e.example", "d@f.example|d@f.example"}},
    {"\"a b\"@c.example", {"\"a b\"@c.example|a b@c.example"}},
    {"x \"a\\\"b\"@c.example", {"\"a\\\"b\"@c.example|a\"b@c.example"}},
    {"\"a\rb\"@c.example", {"\"a\rb\"@c.example|ab@c.example"}},
    {"\"taro@example.jp\" <x>", {"taro@example.jp|taro@example.jp"}},
    {"abc.@docomo.ne.jp a..b@docomo.ne.jp .abc@docomo.ne.jp",
     {"abc.@docomo.ne.jp|abc.@docomo.ne.jp", "a..b@docomo.ne.jp|a..b@docomo.ne.jp",
      ".abc@docomo.ne.jp|.abc@docomo.ne.jp"}},
    {"see...taro@example.jp", {"see...taro@example.jp|see...taro@example.jp"}},
    {"see ...taro@example.jp", {"taro@example.jp|taro@example.jp"}},
    {"taro@example.jp.", {"taro@example.jp|taro@example.jp"}},
    {"taro@example.jp... and", {"taro@example.jp|taro@example.jp"}},
    {"taro@example.jp-- ", {"taro@example.jp|taro@example.jp"}},
    {"'taro@example.jp'", {"taro@example.jp|taro@example.jp"}},
    {"*taro@example.jp*", {"taro@example.jp|taro@example.jp"}},
    {"{taro@example.jp}", {"taro@example.jp|taro@example.jp"}},
    {"o'neill@example.jp", {"o'neill@example.jp|o'neill@example.jp"}},
    {"a@[192.0.2.1] b@[IPv6:2001:db8::1]",
     {"a@[192.0.2.1]|a@[192.0.2.1]", "b@[IPv6:2001:db8::1]|b@[ipv6:2001:db8::1]"}},
    {"SRS0=x=y=dom.example=user@fwd.example",
     {"SRS0=x=y=dom.example=user@fwd.example|srs0=x=y=dom.example=user@fwd.example"}},
    {"bounce-taro=example.jp@list.example",
     {"bounce-taro=example.jp@list.example|bounce-taro=example.jp@list.example"}},
    {"a@b@c.example", {"a@b@c.example|a@b@c.example"}},
    {"a@b.example@c.example", {"a@b.example@c.example|a@b.example@c.example"}},
    {"a%40b.example", {"a%40b.example|a@b.example"}},
    {"https://x.example/?m=taro%40example.jp&x=1", {"taro%40example.jp|taro@example.jp"}},
    {"mailto:a@b.example?cc=c@d.example&bcc=e@f.example",
     {"a@b.example|a@b.example", "c@d.example|c@d.example", "e@f.example|e@f.example"}},
    {"https://x.example/u/taro@example.jp?v=hanako@example.jp&w=y",
     {"taro@example.jp|taro@example.jp", "hanako@example.jp|hanako@example.jp"}},
    {"user%40b.example@c.example", {"user%40b.example@c.example|user@b.example@c.example"}},
    {"a%40b%2Eexample", {"a%40b%2Eexample|a@b.example"}},
    // Japanese around it.
    {"連絡先はtaro@example.jpまで", {"taro@example.jp|taro@example.jp"}},
    {"「taro@example.jp」", {"taro@example.jp|taro@example.jp"}},
    {"taro@example.jp。次の文", {"taro@example.jp|taro@example.jp"}},
    {"taro@example.jp、hanako@example.jp",
     {"taro@example.jp|taro@example.jp", "hanako@example.jp|hanako@example.jp"}},
    {"taro@mail.example.co.jpへ。次は", {"taro@mail.example.co.jp|taro@mail.example.co.jp"}},
    {"taro@exampleテスト.jp", {"taro@exampleテスト.jp|taro@xn--example-6v4f3dva.jp"}},
    {"山田@例え.テスト", {"山田@例え.テスト|山田@xn--r8jz45g.xn--zckzah"}},
    {"taro@例え。テスト", {"taro@例え。テスト|taro@xn--r8jz45g.xn--zckzah"}},
    {"taro@例え.jpまで", {"taro@例え.jp|taro@xn--r8jz45g.jp"}},
    {"ｔａｒｏ＠ｅｘａｍｐｌｅ．ｊｐ", {"ｔａｒｏ＠ｅｘａｍｐｌｅ．ｊｐ|taro@example.jp"}},
    {"taro＠example.jp", {"taro＠example.jp|taro@example.jp"}},
    {"taro@example。jp", {"taro@example。jp|taro@example.jp"}},
    {"taro@mail.example。jp", {"taro@mail.example。jp|taro@mail.example.jp"}},
    {"taro﹫example.jp", {"taro﹫example.jp|taro@example.jp"}},
    {"ta\u200Bro@exam\u200Bple.jp", {"ta\u200Bro@exam\u200Bple.jp|taro@example.jp"}},
    // None.
    {"@taro", {}},
    {"taro@", {}},
    {"taro@example", {}},
    {"@example.jp", {}},
    {"飲み会@渋谷", {}},
    {"a @ b", {}},
    {"a@.example", {}},
    {"a@b..example", {}},
    {"a@[192.0.2.1", {}},
    {"a@[]", {}},
    {"100%40", {}},
};

TEST_CASE("find_addresses: table") {
  for (const Case& c : kCases) {
    CAPTURE(c.text);
    CHECK(hits(c.text) == c.found);
  }
}

TEST_CASE("find_addresses: none of the originals is left after replacing") {
  for (const Case& c : kCases) {
    CAPTURE(c.text);
    std::vector<std::string> originals;
    for (const TextAddress& hit : find_addresses(c.text)) originals.push_back(hit.address.canonical());
    for (const TextAddress& left : find_addresses(replaced(c.text))) {
      for (const std::string& original : originals) CHECK(left.address.canonical() != original);
    }
  }
}

TEST_CASE("find_addresses: an address glued to anything is found") {
  for (std::string_view before : {"",   " ",  "<",  "(",  "[",  "\"",   "'", ":",  ";",     ",", "mailto:",
                                  "=?", "『", "、", "あ", "\t", "\xFF", "@", "a@", "\"\" ", "》"}) {
    for (std::string_view after : {"",   " ",  ">",  ")",  "]",    "\"", "'",  ":", ";", ",", "?x=y",
                                   "』", "、", "あ", "\t", "\xFF", "@",  "。", "/", "&", "="}) {
      const std::string text = std::string(before) + "canary@secret.example" + std::string(after);
      CAPTURE(text);
      CHECK(replaced(text).find("secret.example") == std::string::npos);
      CHECK(replaced(text).find("canary") == std::string::npos);
    }
  }
}

TEST_CASE("find_addresses: cut at every octet") {
  for (const Case& c : kCases) {
    for (std::size_t cut = 0; cut <= c.text.size(); ++cut) {
      hits(c.text.substr(0, cut));
      hits(c.text.substr(cut));
    }
  }
}

TEST_CASE("find_addresses: hostile sizes") {
  for (std::string_view unit :
       {"@",  "a@",  "a@b.", "a@b.example@", "\"@", "\"a\"@", "\\\"@",  "あ@",     "a@あ",  "a@b.あ",
        ".@", "a@[", "a@[1", "%40",          "＠",  "a.",     "\u200B", "\u200B@", "a@b。", "-@-"}) {
    std::string text;
    while (text.size() < 1U << 18U) text += unit;
    CAPTURE(unit);
    CHECK(find_addresses(text).size() <= text.size());
  }
}

}  // namespace
}  // namespace kage::message
