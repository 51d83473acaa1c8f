// What we show in place of real addresses and ids: form, uniqueness, and that nothing opens that was not
// sealed here.
#include <catch2/catch.hpp>
#include <set>

#include "base/random.h"
#include "base/text.h"
#include "mapping/phantom.h"

using namespace kage;
using namespace kage::mapping;

namespace {

message::Address parse(std::string_view text) {
  return message::parse_address(text).value();
}

/// Members 1 to 3 behind two addresses; `key_of_first` lets a test exchange a member's key.
Routes make_routes(char key_of_first = 'a', bool with_third = true, char master = 'm') {
  std::vector<AddressSpec> addresses(2);
  addresses[0].address = parse("pta@school.example");
  addresses[1].address = parse("office@school.example");
  std::vector<RouteTable::Row> rows;
  const auto add = [&rows](MemberId id, char key, std::string address, std::string_view mailbox) {
    MemberSpec spec;
    spec.mailbox = parse(mailbox);
    rows.push_back({id, MemberKeys(std::string(32, key)), std::move(address), std::move(spec)});
  };
  add(0xfedcba9876543210U, key_of_first, "pta@school.example", "one@gmail.example");
  add(2, 'b', "pta@school.example", "two@gmail.example");
  if (with_third) add(3, 'c', "office@school.example", "one@gmail.example");
  return RouteTable::build({{"school.example", ""}}, std::move(addresses), std::move(rows),
                           std::make_shared<const MasterKeys>(std::string(32, master)), 1)
      .value();
}

constexpr MemberId kFirst = 0xfedcba9876543210U;
constexpr std::string_view kPhantomDomain = "p.school.example";

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return text;
}

}  // namespace

TEST_CASE("a phantom has 16 characters that survive old systems", "[R4.1]") {
  const Routes routes = make_routes();
  const Member& member = *routes->find_member(kFirst);
  const std::string local = phantom_local(member, "hanako@docomo.example");
  CHECK(local.size() == 16);
  CHECK(local.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz") == std::string::npos);
  CHECK(phantom_local(member, "hanako@docomo.example") == local);
  CHECK(phantom_address(member, "hanako@docomo.example") == local + "@p.school.example");
  CHECK(looks_like_phantom(local));
  CHECK(looks_like_phantom(upper(local)));
  CHECK_FALSE(looks_like_phantom(local.substr(1)));
  CHECK_FALSE(looks_like_phantom(local + "0"));
  for (const char c : {'i', 'l', 'o', 'u', '.', '@', '\0', ' ', '\x80'}) {
    CHECK_FALSE(looks_like_phantom(std::string(15, '0') + c));
  }
  CHECK_FALSE(looks_like_phantom(""));
}

TEST_CASE("one phantom for each pair, and no two share anything", "[R3.4]") {
  const Routes routes = make_routes();
  const Routes again = make_routes('z');  // the first member deleted and added: another key
  const std::vector<const Member*> members = {routes->find_member(kFirst), routes->find_member(2),
                                              routes->find_member(3), again->find_member(kFirst)};
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) {
    const std::string correspondent = "person" + std::to_string(i) + "@outside.example";
    for (const Member* member : members) seen.insert(phantom_local(*member, correspondent));
  }
  CHECK(seen.size() == 8000);
  // Nothing in the text of one tells of another of the same correspondent: they agree in a place about as
  // often as chance has it (1 in 32).
  int equal = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string correspondent = "person" + std::to_string(i) + "@outside.example";
    const std::string a = phantom_local(*members[0], correspondent);
    const std::string b = phantom_local(*members[1], correspondent);
    for (std::size_t at = 0; at < a.size(); ++at) equal += a[at] == b[at] ? 1 : 0;
  }
  CHECK(equal > 350);  // 500 expected of 16000, deviation 22
  CHECK(equal < 650);
}

TEST_CASE("a stored phantom opens to the spelling last seen, for its member and name only", "[R4.2][R4.3]") {
  const Routes routes = make_routes();
  const Member& member = *routes->find_member(kFirst);
  const std::string spelling = "Hanako.Yamada@Docomo.Example";
  const std::string local = phantom_local(member, parse(spelling).canonical());
  const std::string value = seal_phantom_value(member, local, spelling);
  CHECK(value.size() <= 100);
  CHECK(value.find("anako") == std::string::npos);
  CHECK(phantom_value_member(value) == kFirst);

  for (const std::string& name : {local, upper(local)}) {
    const auto opened = open_phantom_value(*routes, name, value);
    REQUIRE(opened);
    CHECK(opened->member == &member);
    CHECK(opened->correspondent.spelling == spelling);
  }
  CHECK(seal_phantom_value(member, upper(local), spelling) == value);
  CHECK_FALSE(open_phantom_value(*routes, std::string(16, '0'), value));
  CHECK_FALSE(open_phantom_value(*make_routes('z'), local, value));  // added again: another key
  for (std::size_t i = 0; i < value.size(); ++i) {
    CHECK_FALSE(open_phantom_value(*routes, local, std::string_view(value).substr(0, i)));
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string changed = value;
      changed[i] = static_cast<char>(static_cast<unsigned char>(changed[i]) ^ (1U << bit));
      CHECK_FALSE(open_phantom_value(*routes, local, changed));
    }
  }
}

TEST_CASE("a stored phantom stays small", "[R4.3]") {
  const Routes routes = make_routes();
  const Member& member = *routes->find_member(kFirst);
  const std::string usual = "a.rather.long.local.part.of.somebody@mail.department.company.example";
  const std::string local = phantom_local(member, usual);
  CHECK(local.size() + seal_phantom_value(member, local, usual).size() < 120);
  const std::string odd = "a..b.@docomo.example";  // contract R4.5
  const std::string odd_local = phantom_local(member, parse(odd).canonical());
  const auto opened = open_phantom_value(*routes, odd_local, seal_phantom_value(member, odd_local, odd));
  REQUIRE(opened);
  CHECK(opened->correspondent.spelling == odd);
}

TEST_CASE("what is collected of a correspondent opens again, and the first day stands in clear") {
  const Routes routes = make_routes();
  const Member& member = *routes->find_member(kFirst);
  const std::string local = phantom_local(member, "hanako@docomo.example");
  const Sighting seen{20'000, 20'410, "山田花子"};
  std::string value = seal_phantom_value(member, local, "Hanako@docomo.example", seen);
  CHECK(phantom_value_member(value) == kFirst);
  auto opened = open_phantom_value(*routes, local, value);
  REQUIRE(opened);
  CHECK(opened->correspondent.spelling == "Hanako@docomo.example");
  CHECK(opened->seen == seen);
  value.replace(9, 2, std::string{'\x4e', '\x1f'});  // as Redis keeps it from an older value
  opened = open_phantom_value(*routes, local, value);
  REQUIRE(opened);
  CHECK(opened->seen->first == 0x4e1f);
  for (std::size_t i = 0; i < value.size(); ++i) {
    CHECK_FALSE(open_phantom_value(*routes, local, std::string_view(value).substr(0, i)));
  }
  CHECK_FALSE(
      open_phantom_value(*routes, local, seal_phantom_value(member, local, "h@docomo.example"))->seen);
}

TEST_CASE("a name is kept as one harmless line without an address", "[R5.2]") {
  CHECK(kept_name("  Hanako Yamada ") == "Hanako Yamada");
  CHECK(kept_name("hanako@docomo.example").empty());
  CHECK(kept_name("花子＠docomo").empty());
  CHECK(kept_name("Taro taro%40corp.example").empty());  // other spellings of '@' (contract R5.2)
  CHECK(kept_name("\xed\xa0\x80\xe0\x80\xafx") == "x");  // a surrogate, an overlong form
  CHECK(kept_name("a\x1b[31mb\r\nc\xe2\x80\xae"
                  "d\xc2\x85") == "a[31mbcd");
  const std::string long_name = kept_name("一二三四五六七八九十一二三四五");
  CHECK(long_name == "一二三四五六七八九十");
  CHECK(kept_name("").empty());
}

TEST_CASE("a sealed message id opens to the original", "[R4.6]") {
  const Routes routes = make_routes();
  const Member& member = *routes->find_member(2);
  for (std::size_t size : {1UL, 2UL, 3UL, 15UL, 16UL, 17UL, 60UL, 499UL, 500UL}) {
    const std::string id = random_bytes(size);
    const std::string sealed = seal_msg_id(routes->master(), member, id, kPhantomDomain);
    CHECK(sealed.size() < 990);
    CHECK(sealed.ends_with("@p.school.example"));
    CHECK(sealed.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_@.") ==
          std::string::npos);
    CHECK(seal_msg_id(routes->master(), member, id, kPhantomDomain) == sealed);
    CHECK(seal_msg_id(routes->master(), *routes->find_member(3), id, kPhantomDomain) != sealed);
    const auto opened = open_msg_id(*routes, sealed, kPhantomDomain);
    REQUIRE(opened);
    CHECK(opened->member == &member);
    CHECK(opened->original == id);
  }
}

TEST_CASE("a sealed message id survives a changed case of its domain and no other change", "[R4.6]") {
  const Routes routes = make_routes();
  const std::string id = "CAF.123+abc@mail.outside.example";
  const std::string sealed = seal_msg_id(routes->master(), *routes->find_member(2), id, "School.Example");
  const std::string local = sealed.substr(0, sealed.find('@'));
  CHECK(open_msg_id(*routes, local + "@school.example", "school.example"));
  CHECK(open_msg_id(*routes, local + "@SCHOOL.EXAMPLE", "school.example"));
  CHECK_FALSE(open_msg_id(*routes, local + "@p.school.example", "p.school.example"));
  CHECK_FALSE(open_msg_id(*routes, local + "@school.example", "p.school.example"));
  CHECK_FALSE(open_msg_id(*routes, local, "school.example"));
  for (std::size_t i = 0; i < local.size(); ++i) {
    for (const char c : std::string_view("Aa0-_z=.")) {
      if (local[i] == c) continue;
      std::string changed = local;
      changed[i] = c;
      CHECK_FALSE(open_msg_id(*routes, changed + "@school.example", "school.example"));
    }
    CHECK_FALSE(open_msg_id(*routes, local.substr(0, i) + "@school.example", "school.example"));
  }
  CHECK_FALSE(open_msg_id(*routes, std::string(100'000, 'A') + "@school.example", "school.example"));
  CHECK_FALSE(open_msg_id(*make_routes('a', true, 'n'), sealed, "school.example"));  // another master key
}

TEST_CASE("a sealed message id dies with its member and tells nobody which member it was", "[R3.5][R4.6]") {
  const Routes routes = make_routes();
  const Member& third = *routes->find_member(3);
  std::set<std::string> tags;
  for (int i = 0; i < 500; ++i) {
    const std::string sealed =
        seal_msg_id(routes->master(), third, std::to_string(i) + "@x.example", kPhantomDomain);
    CHECK_FALSE(open_msg_id(*make_routes('a', false), sealed, kPhantomDomain));
    tags.insert(sealed.substr(0, 10));
  }
  CHECK(tags.size() == 500);
}

TEST_CASE("a message id that is too long is replaced for good", "[R4.6]") {
  const Routes routes = make_routes();
  const Member& member = *routes->find_member(2);
  for (const std::string& id : {std::string(501, 'a'), std::string(20'000, 'b'), std::string()}) {
    const std::string sealed = seal_msg_id(routes->master(), member, id, kPhantomDomain);
    CHECK(sealed.size() == 1 + 43 + 1 + kPhantomDomain.size());
    CHECK(sealed == seal_msg_id(routes->master(), member, id, kPhantomDomain));
    CHECK(sealed != seal_msg_id(routes->master(), *routes->find_member(3), id, kPhantomDomain));
    CHECK_FALSE(open_msg_id(*routes, sealed, kPhantomDomain));
  }
}

TEST_CASE("a bounce address tells us, and nobody else, what it belongs to", "[R4.7]") {
  const Routes routes = make_routes();
  const std::int64_t now = 1'790'000'000;
  for (const BounceOf what : {BounceOf::to_member, BounceOf::to_correspondent}) {
    const Member& member = *routes->find_member(kFirst);
    const std::string local = bounce_local(routes->master(), what, member, now);
    CHECK(local.size() == 27);
    CHECK(looks_like_bounce(local));
    CHECK_FALSE(looks_like_phantom(local));
    for (const std::string& text : {local, upper(local)}) {
      const auto opened = open_bounce(*routes, text, now);
      REQUIRE(opened);
      CHECK(opened->what == what);
      CHECK(opened->member == &member);
    }
    CHECK(bounce_local(routes->master(), what, member, now) != local);
    for (std::size_t i = 0; i < local.size(); ++i) {
      CHECK_FALSE(open_bounce(*routes, local.substr(0, i), now));
      std::string changed = local;
      changed[i] = changed[i] == '7' ? '8' : '7';
      CHECK_FALSE(open_bounce(*routes, changed, now));
    }
    CHECK_FALSE(open_bounce(*make_routes('a', true, 'n'), local, now));
  }
}

TEST_CASE("a bounce address ends after 60 days and with its member") {
  const Routes routes = make_routes();
  const std::int64_t day = 86400;
  // Day 65535 of the counter and beyond: it wraps.
  for (const std::int64_t made : {20'000 * day, 65'535 * day, 65'536 * day + 5}) {
    const std::string local =
        bounce_local(routes->master(), BounceOf::to_member, *routes->find_member(3), made);
    CHECK(open_bounce(*routes, local, made + 60 * day));
    CHECK_FALSE(open_bounce(*routes, local, made + 61 * day));
    CHECK_FALSE(open_bounce(*routes, local, made + 1000 * day));
    CHECK(open_bounce(*routes, local, made - day));
    CHECK_FALSE(open_bounce(*routes, local, made - 2 * day));
    CHECK_FALSE(open_bounce(*make_routes('a', false), local, made));
  }
  CHECK_FALSE(looks_like_bounce(""));
  CHECK_FALSE(looks_like_bounce("a" + std::string(26, '0')));
  CHECK_FALSE(looks_like_bounce("b" + std::string(26, 'z')));  // more than 128 bits
}
