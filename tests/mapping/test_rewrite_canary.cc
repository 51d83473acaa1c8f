// Canaries: thousands of generated messages cross both ways, and nothing of a canary is on the other side
// (contract R3.1, R3.2).
#include <catch2/catch.hpp>
#include <cstdlib>

#include "base/text.h"
#include "canary.h"
#include "message/header.h"
#include "rewrite_world.h"

namespace kage::mapping::test {
namespace {

/// KAGEMUSHA_CANARY_MESSAGES asks for more.
std::uint64_t messages() {
  const char* const asked = std::getenv("KAGEMUSHA_CANARY_MESSAGES");
  return asked == nullptr ? 2000 : parse_number(asked).value_or(2000);
}

/// Members 1 and 2: names kept, private. 3 and 4: hidden, private. 5 and 6: kept, open. 7 and 8: hidden,
/// open. The odd one is who a copy is for; the even one, a colleague, has a canary for a mailbox and writes.
World canary_world() {
  World world;
  std::size_t number = 0;
  for (const RecipientPolicy recipients : {RecipientPolicy::private_, RecipientPolicy::open}) {
    for (const NamePolicy names : {NamePolicy::keep, NamePolicy::hide}) {
      const std::string n = std::to_string(++number);
      world.add("public" + n + "@school.example", "PTA",
                {"own" + n + "@home.example", "canaryloc" + n + "@canarydom.example"}, names, recipients);
    }
  }
  world.build();
  return world;
}

bool has_field(std::string_view block, std::string_view name) {
  const auto fields = message::tokenize(block);
  if (!fields) return false;
  for (const message::Field& field : *fields) {
    if (field.is(name)) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("no canary reaches a member") {
  const World world = canary_world();
  std::size_t phantoms = 0;
  for (std::uint64_t seed = 0; seed < messages(); ++seed) {
    const MemberId member = 1 + 2 * (seed % 4);
    CanaryHeader maker(seed, {"public1@school.example", "own1@home.example"});
    const std::string block = maker.block();
    const std::string out = inward(world, member, block, "canaryloc@canarydom.example");
    INFO("seed " << seed << "\n" << block << "\n---\n" << out);
    REQUIRE(malformed(out).empty());
    const auto found = canaries_in(out);
    CHECKED_ELSE(found.empty()) {
      INFO(found.front());
      FAIL();
    }
    REQUIRE(has_field(out, "From"));
    for (std::size_t at = out.find("@p.school.example"); at != std::string::npos;
         at = out.find("@p.school.example", at + 1)) {
      ++phantoms;
    }
  }
  CHECK(phantoms > 10 * messages());  // they are there, not dropped with everything else
}

TEST_CASE("no canary reaches a correspondent") {
  const World world = canary_world();
  std::size_t shown = 0;
  for (std::uint64_t seed = 0; seed < messages(); ++seed) {
    const MemberId member = 2 + 2 * (seed % 4);
    const Sent sent{.phantoms = {"alice@corp.example", "bob@home.example"}, .direct = {"carol@work.example"}};
    CanaryHeader maker(seed, {world.phantom(member, "alice@corp.example"), "public1@school.example",
                              world.phantom(member, "bob@home.example"), "carol@work.example"});
    const std::string block = maker.block();
    const std::string& correspondent = seed % 3 == 0 ? sent.direct[0] : sent.phantoms[seed % 2];
    const std::string out = outward(world, member, block, correspondent, sent);
    INFO("seed " << seed << "\n" << block << "\n---\n" << out);
    REQUIRE(malformed(out).empty());
    const auto found = canaries_in(out);
    CHECKED_ELSE(found.empty()) {
      INFO(found.front());
      FAIL();
    }
    REQUIRE(has_field(out, "From"));
    REQUIRE((has_field(out, "To") || has_field(out, "Cc")));
    REQUIRE(out.find("@p.school.example") == std::string::npos);
    if (out.find(correspondent) != std::string::npos) ++shown;
    if (world.member(member).address->spec.recipients == RecipientPolicy::private_) {
      for (const std::string_view other : {"alice@corp.example", "bob@home.example", "carol@work.example"}) {
        if (other != correspondent && block.find(other) == std::string::npos)
          CHECK(out.find(other) == std::string::npos);
      }
    }
  }
  CHECK(shown > messages() / 2);
}

TEST_CASE("the search finds canaries that are there") {
  CHECK(canaries_in("Subject: fine\r\n").empty());
  CHECK_FALSE(canaries_in("Subject: x canaryloc1\r\n").empty());
  CHECK_FALSE(canaries_in("Subject: CANARY\r\n DOM\r\n").empty());
  CHECK_FALSE(canaries_in("Subject: =?x?B?Y2FuYQ==?= =?x?B?cnlsb2M=?=\r\n").empty());
  CHECK_FALSE(canaries_in("Subject: =?x?Q?c=61na?=\r\n =?x?Q?rydom?=\r\n").empty());
  CHECK_FALSE(canaries_in("Content-Type: a/b; name*0*=%63ana; name*1=\"rydom\"\r\n").empty());
  CHECK_FALSE(canaries_in("Subject: \xEF\xBD\x83\xEF\xBD\x81naryloc\r\n").empty());
  CHECK(canaries_in("Content-Type: a/b; boundary=\"canaryloc\"\r\n").empty());
  CHECK_FALSE(canaries_in("Content-Type: a/b; boundary=\"x\"; name=canarydom\r\n").empty());
}

}  // namespace kage::mapping::test
