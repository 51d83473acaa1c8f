// Address lists: RFC 5322 with everything obsolete, and what breaks in real mail.
#include <catch2/catch.hpp>

#include "message/address.h"
#include "message/address_list.h"

namespace kage::message {
namespace {

/// One item as text: "phrase<local|domain>(comment)", "[group", "]", "!junk phrase"; '~' in front when not
/// intact.
std::string shown(const ListItem& item) {
  std::string text;
  using Kind = ListItem::Kind;
  if (item.kind == Kind::group_start) text = "[" + item.phrase;
  if (item.kind == Kind::group_end) text = "]";
  if (item.kind == Kind::junk) text = "!" + item.phrase;
  if (item.kind == Kind::mailbox) {
    REQUIRE(item.address);
    if (!item.intact) text = "~";
    text += item.phrase + "<" + item.address->local + "|" + item.address->domain + ">";
  } else {
    CHECK_FALSE(item.address);
  }
  for (const std::string& comment : item.comments) text += "(" + comment + ")";
  return text;
}

using Shown = std::vector<std::string>;

Shown parsed(std::string_view body) {
  const auto items = parse_address_list(body);
  REQUIRE(items);
  Shown all;
  for (const ListItem& item : *items) all.push_back(shown(item));
  return all;
}

struct Case {
  std::string_view body;
  Shown items;
};

const std::vector<Case> kCases = {
    {"", {}},
    {" \r\n ", {}},
    {"a@b", {"<a|b>"}},
    {" a@b, c@d ", {"<a|b>", "<c|d>"}},
    {"<a@b>", {"<a|b>"}},
    {"Taro <a@b>", {"Taro<a|b>"}},
    {"Taro Yamada <a@b>, \"Hanako, S\" <c@d>", {"Taro Yamada<a|b>", "\"Hanako, S\"<c|d>"}},
    {"\"a@b\" <c@d>", {"\"a@b\"<c|d>"}},
    {"=?utf-8?B?5bGx?= =?utf-8?B?55Sw?= <a@b>", {"=?utf-8?B?5bGx?= =?utf-8?B?55Sw?=<a|b>"}},
    {"Taro\r\n Yamada\r\n <a@b>", {"Taro Yamada<a|b>"}},
    {"山田 太郎 <a@b>", {"山田 太郎<a|b>"}},
    {"山田@例え.テスト", {"<山田|例え.テスト>"}},
    {"Dr. John Q. Public <a@b>", {"Dr. John Q. Public<a|b>"}},
    // Quoted local parts and old carriers.
    {"\"with space\"@x", {"<with space|x>"}},
    {"<\"a@b\"@c>", {"<a@b|c>"}},
    {"\"a\\\"b\"@c", {"<a\"b|c>"}},
    {"a..b@docomo.ne.jp", {"<a..b|docomo.ne.jp>"}},
    {"<abc.@docomo.ne.jp>", {"<abc.|docomo.ne.jp>"}},
    {".abc@docomo.ne.jp, \"abc.\"@docomo.ne.jp", {"<.abc|docomo.ne.jp>", "<abc.|docomo.ne.jp>"}},
    {"<a@[192.0.2.1]>", {"<a|[192.0.2.1]>"}},
    {"a@[IPv6:2001:db8::1], b@c", {"<a|[IPv6:2001:db8::1]>", "<b|c>"}},
    // CFWS anywhere (RFC 5322 §4.4, A.6.3).
    {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
     {"Pete<pete|silly.test>(A nice \\) chap)(his account)(his host)"}},
    {"taro . yamada @ example . jp", {"<taro.yamada|example.jp>"}},
    {"<taro . yamada @ example . jp>", {"<taro.yamada|example.jp>"}},
    {"\"taro\" . \"yamada\"@x", {"<taro.yamada|x>"}},
    {"a@b (Taro (nested) Y)", {"<a|b>(Taro (nested) Y)"}},
    {"(c1) a@b (c2), (c3) <c@d>", {"<a|b>(c1)(c2)", "<c|d>(c3)"}},
    {"( a , b ) a@b", {"<a|b>( a , b )"}},
    // Empty elements.
    {",a@b,, ,c@d,", {"<a|b>", "<c|d>"}},
    // Obsolete routes.
    {"<@x,@y:a@b>", {"~<a|b>"}},
    {"Taro <@x.example , @y : a@b>", {"~Taro<a|b>"}},
    // Groups.
    {"undisclosed-recipients:;", {"[undisclosed-recipients", "]"}},
    {"Team: a@b, Taro <c@d>; , e@f", {"[Team", "<a|b>", "Taro<c|d>", "]", "<e|f>"}},
    {"\"Quoted, group\": a@b;", {"[\"Quoted, group\"", "<a|b>", "]"}},
    {"Team (c): ;", {"[Team(c)", "]"}},
    {"Team: a@b", {"[Team", "<a|b>", "]"}},
    {"canary@x.example: a@b;", {"[canary@x.example", "<a|b>", "]"}},
    {"A: a@b; B: c@d;", {"[A", "<a|b>", "]", "[B", "<c|d>", "]"}},
    {"mailto:a@b", {"[mailto", "<a|b>", "]"}},
    // Outlook's separator.
    {"a@b; c@d", {"<a|b>", "<c|d>"}},
    // Broken lists.
    {"a@b c@d", {"<a|b>", "<c|d>"}},
    {"<a@b> <c@d>", {"<a|b>", "<c|d>"}},
    {"<a@b> Taro <c@d>", {"<a|b>", "Taro<c|d>"}},
    {"a@x <b@y>", {"a@x<b|y>"}},
    {"User Name user@x", {"~User Name<user|x>"}},
    {"Dr. Taro taro@x", {"~Dr. Taro<taro|x>"}},
    {"a@b trailing", {"<a|b>", "!trailing"}},
    {"<a@b> trailing", {"<a|b>", "!trailing"}},
    {"<a@b trailing>", {"~<a|b>"}},
    {"<lead ing a@b>", {"~<a|b>"}},
    {"<mailto:a@b>", {"~<a|b>"}},
    {"Broken <a@b", {"~Broken<a|b>"}},
    {"Broken <a@b, c@d", {"~Broken<a|b>", "<c|d>"}},
    {"Broken <a@b <c@d>", {"~Broken<a|b>", "<c|d>"}},
    {"<<a@b>>", {"~<a|b>"}},
    {"a@b>", {"<a|b>", "!>"}},
    {"\"Taro <a@b>", {"~\"Taro<a|b>"}},
    {"(Taro <a@b>", {"~(Taro<a|b>"}},
    {"Taro) <a@b>", {"~Taro)<a|b>"}},
    {"[ML:123] Taro <a@b>", {"[ML:123] Taro<a|b>"}},
    {"Taro [x <a@b>", {"~Taro [x<a|b>"}},
    {"a@b@c.example", {"<a@b|c.example>"}},
    {"<a@b@c.example>", {"<a@b|c.example>"}},
    {"a@b.example|rest", {"~<a|b.example>"}},
    {"a@b/c, d@e", {"~<a|b>", "<d|e>"}},
    {"a@example.jp.", {"<a|example.jp.>"}},
    // Nothing to use.
    {"foo", {"!foo"}},
    {"foo bar, a@b", {"!foo bar", "<a|b>"}},
    {"(canary@x.example) foo", {"!foo(canary@x.example)"}},
    {"(canary@x.example)", {"!(canary@x.example)"}},
    {"<>", {"!<>"}},
    {"<foo>", {"!<foo>"}},
    {"Taro <>", {"!Taro <>"}},
    {"@x", {"!@x"}},
    {"a@", {"!a@"}},
    {"@", {"!@"}},
    {"a@.", {"!a@."}},
    {"\"\"@x", {"!\"\"@x"}},
    {"a@\xff\xfe", {"!a@\xff\xfe"}},
    {":", {"!:"}},
    {">", {"!>"}},
    {"\"", {"!\""}},
    {"\\", {"!\\"}},
    // Raw ISO-2022-JP: '@', '"', ',', '<' in the two-byte state are halves of characters.
    {"\x1b$B@h@8\x1b(B <a@b>", {"\x1b$B@h@8\x1b(B<a|b>"}},
    {"\x1b$B\"<,@\x1b(B <a@b>, c@d", {"\x1b$B\"<,@\x1b(B<a|b>", "<c|d>"}},
    {"\"\x1b$@8\"\"@\x1b(J\" <a@b>", {"\"\x1b$@8\"\"@\x1b(J\"<a|b>"}},
    {"a@b (\x1b$B(()(\x1b(B)", {"<a|b>(\x1b$B(()(\x1b(B)"}},
    {"\x1b$B;3ED <a@b>", {"!\x1b$B", "3ED<a|b>"}},
    // A state without an end behind a comment without one leaves the states before it alone.
    {"( \x1b$B\"<,@\x1b(B <a@b> \x1b$Bxx", {"~( \x1b$B\"<,@\x1b(B<a|b>", "!\x1b$Bxx"}},
    // Raw Shift_JIS: the second octet may be '@', '\\', '['.
    {"\x83\x40\x95\x5c <a@b>", {"\x83\x40\x95\x5c<a|b>"}},
    {"\"\x91\xe3\x95\x5c\" <a@b>", {"\"\x91\xe3\x95\x5c\"<a|b>"}},
};

TEST_CASE("parse_address_list: table") {
  for (const Case& c : kCases) {
    CAPTURE(c.body);
    CHECK(parsed(c.body) == c.items);
  }
}

TEST_CASE("parse_address_list: raw is the element as written") {
  const auto items = *parse_address_list(" Taro\r\n <a@b> (c) , \"x\"@y; G: ; foo");
  REQUIRE(items.size() == 5);
  CHECK(items[0].raw == "Taro\r\n <a@b> (c)");
  CHECK(items[1].raw == "\"x\"@y");
  CHECK(items[1].address->spelling == "\"x\"@y");
  CHECK(items[2].raw == "G:");
  CHECK(items[3].raw == ";");
  CHECK(items[4].raw == "foo");
}

TEST_CASE("parse_address_list: spelling keeps quotes and loses comments") {
  const auto items = *parse_address_list("\"a b\" (c) . X @ (d) Example . JP");
  REQUIRE(items.size() == 1);
  REQUIRE(items[0].address);
  CHECK(items[0].address->spelling == "\"a b\".X@Example.JP");
  CHECK(items[0].address->canonical() == "a b.x@example.jp");
}

/// Every octet that is in no item is a separator or white space: nothing is lost without being told.
void check_cover(std::string_view body, const std::vector<ListItem>& items) {
  std::size_t at = 0;
  for (const ListItem& item : items) {
    if (item.raw.empty()) continue;
    const auto begin = static_cast<std::size_t>(item.raw.data() - body.data());
    REQUIRE(begin >= at);
    CHECK(body.substr(at, begin - at).find_first_not_of(" \t\r\n,;") == std::string_view::npos);
    at = begin + item.raw.size();
  }
  CHECK(body.substr(at).find_first_not_of(" \t\r\n,;") == std::string_view::npos);
}

TEST_CASE("parse_address_list: all samples cut at every octet, at both ends") {
  for (const Case& c : kCases) {
    CAPTURE(c.body);
    for (std::size_t cut = 0; cut <= c.body.size(); ++cut) {
      const std::string_view head = c.body.substr(0, cut);
      const std::string_view tail = c.body.substr(cut);
      const auto first = parse_address_list(head);
      const auto second = parse_address_list(tail);
      REQUIRE(first);
      REQUIRE(second);
      check_cover(head, *first);
      check_cover(tail, *second);
    }
  }
}

TEST_CASE("parse_address_list: groups are balanced") {
  for (std::string_view body :
       {"a:b:c@d;;", "a:;b:", ":;:", "a: b: c;", ";;", "a:<x@y>;z", "x: <a@b;", "x: \"a;"}) {
    CAPTURE(body);
    int depth = 0;
    for (const ListItem& item : *parse_address_list(body)) {
      if (item.kind == ListItem::Kind::group_start) ++depth;
      if (item.kind == ListItem::Kind::group_end) --depth;
      CHECK((depth == 0 || depth == 1));
    }
    CHECK(depth == 0);
  }
}

TEST_CASE("parse_address_list: bounds") {
  const AddressLimits limits{.max_items = 3, .max_comment_depth = 2};
  CHECK(parse_address_list("a@b,c@d,e@f", limits)->size() == 3);
  CHECK(parse_address_list("a@b,c@d,e@f,g@h", limits).error().code == Errc::limit);
  CHECK(parse_address_list("a@b c@d e@f g@h", limits).error().code == Errc::limit);
  CHECK(parse_address_list("(1(2)) a@b", limits)->at(0).kind == ListItem::Kind::mailbox);
  const auto deep = *parse_address_list("(1(2(3))) a@b", limits);
  REQUIRE(deep.size() == 1);
  CHECK(deep[0].kind == ListItem::Kind::junk);
  CHECK_FALSE(deep[0].address);
  const auto group = *parse_address_list("G (1(2(3))): a@b;", limits);
  REQUIRE(group.size() == 2);
  CHECK(group[0].kind == ListItem::Kind::junk);
  CHECK(group[1].kind == ListItem::Kind::mailbox);
  CHECK(parse_address_list(std::string(257, 'a') + "@b")->at(0).kind == ListItem::Kind::junk);
  CHECK(parse_address_list("a@" + std::string(256, 'b'))->at(0).kind == ListItem::Kind::junk);
}

TEST_CASE("parse_address_list: hostile sizes") {
  // Each takes milliseconds when linear, and minutes when not.
  for (std::string_view unit :
       {"(",   ")",   "\"",  "<",    ">",    ",",      ";",    ":",   "@",    "[",    "]",
        "\\",  ".",   "a@",  "a@b ", "<@",   "\x1b$B", "(\"",  "\"(", "<a@b", "[a",   "a.",
        "a .", "(a)", "a@(", "@a,",  "<@a,", "\x83",   "\xff", "a:",  " ",    "\r\n "}) {
    std::string body;
    while (body.size() < 1U << 18U) body += unit;
    CAPTURE(unit);
    const auto items = parse_address_list(body, {.max_items = 1U << 21U, .max_comment_depth = 32});
    REQUIRE(items);
    const auto limited = parse_address_list(body);
    if (!limited) CHECK(limited.error().code == Errc::limit);
  }
}

}  // namespace
}  // namespace kage::message
