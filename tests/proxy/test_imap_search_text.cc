// What of a message counts for a search: what is visible, and of that what was there before.
#include <catch2/catch.hpp>

#include "../mapping/rewrite_world.h"
#include "mapping/visible/message.h"
#include "proxy/search/needle.h"
#include "proxy/search/sort.h"
#include "proxy/search/text.h"

using namespace kage;
using namespace kage::proxy;
using namespace std::string_literals;
using mapping::test::with_crlf;
using mapping::test::World;

namespace {

constexpr auto kKept = SearchScope::kept;
constexpr auto kShown = SearchScope::shown;

bool has(const SearchedHeader& header, std::string_view name, std::string_view needle, SearchScope scope) {
  return header.field_has(name, search_form(needle), scope);
}

mapping::Audience audience_of(const World& world) {
  return {mapping::Routes(std::shared_ptr<void>(), &world.routes()), {&world.member(1), &world.member(2)}};
}

World& small_world(World& world) {
  return world.add("pta@school.example", "PTA", {"officer@gmail.example"})
      .add("office@school.example", "Office", {"officer@gmail.example"})
      .build();
}

}  // namespace

TEST_CASE("texts are compared without case, width and folds") {
  CHECK(casemap("aZ") == "AZ");
  CHECK(casemap("Straße é") == casemap("STRAßE É"));
  CHECK(casemap("ｶﾞｷﾞ Ａ") == casemap("ガギ a"));
  CHECK(casemap("\xc3").size() == 3);  // U+FFFD
  CHECK(search_form("a \t\r\n b") == "A B");
  CHECK(search_form("") == "");
}

TEST_CASE("a changed field keeps its names, not its addresses") {
  const std::string before = with_crlf(
      "From: \"Hana Sato\" <hana.sato@real.example>\n"
      "To: pta@school.example, Bob <bob@other.example> (the builder)\n"
      "Subject: =?UTF-8?B?44GC44GE?= of bob@other.example today\n"
      "Message-ID: <abc@real.example>\n"
      "X-Mailer: hidden tool\n\n");
  const std::string after = with_crlf(
      "From: \"Hana Sato\" <7k2m9qx4wz1c5t8r@p.school.example>\n"
      "To: pta@school.example, Bob <8k2m9qx4wz1c5t8r@p.school.example> (the builder)\n"
      "Subject: =?UTF-8?B?44GC44GE?= of 8k2m9qx4wz1c5t8r@p.school.example today\n"
      "Message-ID: <h0123456789@p.school.example>\n"
      "X-Filler: zz\n\n");
  const SearchedHeader header(before, after);
  CHECK(has(header, "from", "hana SATO", kKept));
  CHECK_FALSE(has(header, "from", "hana.sato", kKept));
  CHECK_FALSE(has(header, "from", "real.example", kShown));
  CHECK_FALSE(has(header, "from", "7k2m", kKept));
  CHECK(has(header, "from", "7K2M", kShown));
  CHECK(has(header, "to", "pta@school.example", kKept));
  CHECK(has(header, "to", "the builder", kKept));
  CHECK(has(header, "to", "Bob", kKept));
  CHECK_FALSE(has(header, "to", "other", kShown));
  CHECK(has(header, "subject", "あい of ", kKept));
  CHECK(has(header, "subject", " today", kKept));
  CHECK_FALSE(has(header, "subject", "8k2m", kKept));
  CHECK(has(header, "subject", "8k2m", kShown));
  CHECK_FALSE(has(header, "subject", "bob", kShown));
  CHECK_FALSE(has(header, "message-id", "h0123", kKept));
  CHECK(header.field_has_id("message-id", "h0123456789@p.school.example"));
  CHECK_FALSE(header.field_has_id("message-id", "h012"));
  CHECK_FALSE(header.has_field("x-mailer"));
  CHECK_FALSE(header.has(search_form("hidden tool"), kShown));
  CHECK(header.has(search_form("subject: "), kKept));
  CHECK_FALSE(header.has(search_form("zz"), kKept));
  for (const char* hidden : {"hidden", "real", "abc", "OTHER"}) CHECK(header.hides(search_form(hidden)));
  CHECK_FALSE(header.hides(search_form("zz")));
}

TEST_CASE("a name keeps what stands around the addresses in it") {
  const auto from = [](std::string_view name, std::string_view address) {
    return with_crlf("From: " + std::string(name) + " <" + std::string(address) + ">\n\n");
  };
  const std::string real = "taro@real.example", phantom = "7k2m9qx4wz1c5t8r@p.school.example";
  const std::string named = from("\"Taro Yamada (" + real + ")\"", real);
  const std::string named_phantom = from("\"Taro Yamada (" + phantom + ")\"", phantom);
  const SearchedHeader hidden(named, named_phantom);
  CHECK(has(hidden, "from", "taro yamada", kKept));
  CHECK(hidden.has(search_form("Taro Yamada"), kKept));
  CHECK_FALSE(has(hidden, "from", "real", kShown));
  CHECK_FALSE(has(hidden, "from", "7k2m", kKept));
  // Contract R7.2.
  const std::string plain = from("Taro Yamada", real), bare = from("", real);
  const std::string shown_bare = from("\"" + real + "\"", phantom);
  const std::string told = from("\"Taro Yamada (" + real + ")\"", phantom);
  const SearchedHeader shown(plain, told);
  for (const char* text : {"Taro Yamada", "taro@real", "real.example"})
    CHECK(has(shown, "from", text, kKept));
  CHECK_FALSE(has(shown, "from", "7k2m", kKept));
  CHECK(has(SearchedHeader(bare, shown_bare), "from", real, kKept));
}

TEST_CASE("an unchanged field counts as it stands") {
  const std::string block =
      with_crlf("From: =?ISO-2022-JP?B?GyRCJCIbKEI=?= \"B C\"\n <x@p.example>\nsubject: a\n\tb\n\n");
  const SearchedHeader header(block, block);
  CHECK(has(header, "from", "あ", kKept));
  CHECK(has(header, "from", "B C <x@p", kKept));
  CHECK(has(header, "from", "\"b c\" <x", kKept));
  CHECK(has(header, "subject", "A B", kKept));
  CHECK_FALSE(header.hides(search_form("a")));
  CHECK_FALSE(has(header, "to", "x", kKept));
}

TEST_CASE("bodies are searched decoded, part by part, nested headers like headers") {
  const std::string before = with_crlf(
      "Subject: top\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n"
      "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
      "=E3=81=82 soft=\n break\n--b\n"
      "Content-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: "
      "base64\n\nGyRCJCQbKEI=\n--b\n"
      "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nc2VjcmV0\n--b\n"
      "Content-Type: message/rfc822\n\nFrom: Bob <bob@other.example>\nSubject: inner\n\ninner "
      "text\n--b--\nepilogue\n");
  std::string after = before;
  after.replace(after.find("bob@other.example"), 17, "8k2m9qx4wz@p.exam");
  const SearchedBody body = searched_body(before, after);
  const auto kept = [&](std::string_view needle) { return body.has(search_form(needle), kKept); };
  CHECK(kept("あ soft break"));
  CHECK(kept("い"));
  CHECK(kept("inner text"));
  CHECK(kept("Subject: INNER"));
  CHECK(kept("bob"));
  CHECK_FALSE(kept("bob@"));
  CHECK_FALSE(kept("8k2m"));
  CHECK(body.has(search_form("8k2m"), kShown));
  CHECK_FALSE(body.has(search_form("other.example"), kShown));
  CHECK_FALSE(kept("secret"));
  CHECK_FALSE(kept("top"));
  CHECK_FALSE(kept("preamble"));
}

TEST_CASE("a message that is cut anywhere is searched as far as it goes") {
  const std::string text = with_crlf(
      "Content-Type: multipart/digest; boundary=\"b c\"\n\n--b c\n\nSubject: one\n\ntext of it\n--b c--\n");
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const auto part = std::string_view(text).substr(0, cut);
    const SearchedBody body = searched_body(part, part);
    CHECK(body.shown.empty());
    CHECK(body.has(search_form("text of it"), kKept) == (cut >= text.find("text of it") + 10));
  }
  CHECK(searched_body("ab", "abc").kept.empty());
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "Content-Type: message/rfc822\r\n\r\n";
  CHECK_FALSE(searched_body(deep, deep).kept.empty());
}

TEST_CASE("a changed line of a leaf does not count as kept") {
  const std::string before =
      with_crlf("Content-Type: text/html\n\n<p>hello</p>\n<img src=\"cid:abc@real\">\n");
  std::string after = before;
  after.replace(after.find("abc@real"), 8, "hx1@pppp");
  const SearchedBody body = searched_body(before, after);
  CHECK(body.has(search_form("hello"), kKept));
  CHECK_FALSE(body.has(search_form("hx1"), kKept));
  CHECK(body.has(search_form("hx1@pppp"), kShown));
  CHECK_FALSE(body.has(search_form("abc@real"), kShown));
}

TEST_CASE("phantoms in a search string stand for the real address, the login's own only") {
  World world;
  small_world(world);
  const mapping::Audience audience = audience_of(world);
  Needle needle = make_needle("Hana <7K2M9QX4WZ1C5T8R@p.school.example>");
  REQUIRE(needle.phantoms == std::vector<std::string>{"7k2m9qx4wz1c5t8r"});
  use_phantoms(needle, audience, {{&world.member(1), mapping::test::address("Hana.S@real.example")}});
  CHECK(needle.whole);
  CHECK(needle.upstream == std::vector<std::string>{"Hana.S@real.example", "hana.s@real.example"});
  REQUIRE(needle.apart.size() == 1);
  CHECK(needle.apart.front() == std::pair<std::string, std::string>("Hana.S", "real.example"));
  Needle foreign = make_needle("7k2m9qx4wz1c5t8r");
  mapping::Audience other = audience;
  other.members = {&world.member(2)};
  use_phantoms(foreign, other, {{&world.member(1), mapping::test::address("hana.s@real.example")}});
  CHECK_FALSE(foreign.whole);
  CHECK(foreign.upstream.empty());
  CHECK(make_needle("7k2m9qx4wz1c5t8r7k2m9qx4wz1c5t8r").phantoms.empty());
  CHECK(make_needle("7k2m9qx4wz1c5t8").phantoms.empty());
}

TEST_CASE("ids in a search string are opened and sealed") {
  World world;
  small_world(world);
  const mapping::Audience audience = audience_of(world);
  Needle sealed = make_needle(" <" + world.sealed(1, "abc@real.example") + "> ");
  use_id(sealed, audience);
  CHECK(std::ranges::find(sealed.upstream, "abc@real.example") != sealed.upstream.end());
  Needle own = make_needle("draft.1@gmail.example");
  use_id(own, audience);
  CHECK(std::ranges::find(own.upstream, world.sent(1, "draft.1@gmail.example")) != own.upstream.end());
  CHECK(own.id == "draft.1@gmail.example");
  Needle none = make_needle("abc def@x");
  use_id(none, audience);
  CHECK(none.id.empty());
  CHECK(none.upstream.empty());
}

TEST_CASE("which strings could be pieces of a phantom") {
  World world;
  small_world(world);
  const mapping::Audience audience = audience_of(world);
  for (const char* text :
       {"7k2m", "Z", "@p.sch", "t8r@p.school.example>", "<7k2m9qx4wz1c5t8r", "school", ".example"}) {
    INFO(text);
    CHECK(could_be_in_phantom(make_needle(text), audience));
  }
  for (const char* text : {"", "hello", "7k2m9qx4wz1c5t8r7", "7k@gmail", "a b", "\xe3\x81\x82"}) {
    INFO(text);
    CHECK_FALSE(could_be_in_phantom(make_needle(text), audience));
  }
}

TEST_CASE("base subjects") {
  const auto base = [](std::string_view text) { return base_subject(text); };
  CHECK(base("Re: [list] RE[2]: Hello  there (fwd)") == "Hello there");
  CHECK(base("[list] Hello") == "Hello");
  CHECK(base("[list]") == "[list]");
  CHECK(base("[Fwd: Re: x]") == "x");
  CHECK(base("fw [a]: fwd: y") == "y");
  CHECK(base("Report") == "Report");
  CHECK(base("") == "");
  CHECK(base("re:") == "");
  CHECK(base(std::string(100'000, '[')) == std::string(2000, '['));
}

TEST_CASE("sort values") {
  using By = SortKey::By;
  const std::string block = with_crlf(
      "From: \"Hana\" <zed@x.example>, a@b\nTo: friends: bob@y.example;\nCc: <carl@z.example>\nSubject: Re: "
      "=?UTF-8?Q?b=C3=A9?=\n\n");
  CHECK(sort_value(By::from, block) == "ZED");
  CHECK(sort_value(By::display_from, block) == "HANA");
  CHECK(sort_value(By::to, block) == "FRIENDS");
  CHECK(sort_value(By::cc, block) == "CARL");
  CHECK(sort_value(By::subject, block) == casemap("bé"));
  CHECK(sort_value(By::display_to, "Subject: x\r\n\r\n") == "");
}
