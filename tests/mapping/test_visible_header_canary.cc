// The canaries of the SMTP spine, fetched instead of delivered: nothing of them is in what a member reads,
// and every block keeps its octets and lines (contract R3.1, R8.1).
#include <catch2/catch.hpp>
#include <cstdlib>

#include "base/text.h"
#include "canary.h"
#include "mapping/visible/fit.h"
#include "mapping/visible/header.h"
#include "message/header.h"
#include "rewrite_world.h"

namespace kage::mapping::test {
namespace {

std::uint64_t messages() {
  const char* const asked = std::getenv("KAGEMUSHA_CANARY_MESSAGES");
  return asked == nullptr ? 2000 : parse_number(asked).value_or(2000);
}

/// Members 1 and 3 look; 2 and 4 are colleagues with a canary for a mailbox.
World canary_world() {
  World world;
  std::size_t number = 0;
  for (const NamePolicy names : {NamePolicy::keep, NamePolicy::hide}) {
    const std::string n = std::to_string(++number);
    world.add("public" + n + "@school.example", "PTA",
              {"own" + n + "@home.example", "canaryloc" + n + "@canarydom.example"}, names);
  }
  world.build();
  return world;
}

/// Trace fields as a delivered message has them, with canaries where real ones name people and hosts.
std::string trace(std::size_t octets) {
  std::string out;
  while (out.size() < octets) {
    out +=
        "Received: from mx.canarydom.example (mx.canarydom.example [192.0.2.1])\r\n\tby mx.home.example with "
        "ESMTPS id canaryloc\r\n\tfor <canaryloc@canarydom.example>; Thu, 1 Jan 2026 00:00:00 +0900\r\n";
  }
  return out;
}

/// A Content-ID keeps its local part (it is nobody's address), so only domains count there.
std::vector<std::string> seen_in(std::string_view block) {
  std::string rest;
  std::vector<std::string> found;
  const auto fields = message::tokenize(block, {.max_octets = 64U << 20U, .max_fields = 100'000});
  REQUIRE(fields);
  for (const message::Field& field : *fields) {
    if (!field.is("Content-ID")) {
      rest += field.raw;
    } else if (lower(field.raw).find("canarydom") != std::string::npos) {
      found.emplace_back(field.raw);
    }
  }
  for (std::string& each : canaries_in(rest)) found.push_back(std::move(each));
  return found;
}

std::size_t phantoms_in(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = text.find("@p.school.example"); at != std::string_view::npos;
       at = text.find("@p.school.example", at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("no canary is in a header that a member fetches") {
  const World world = canary_world();
  HeaderView view;
  std::size_t phantoms = 0;
  std::vector<std::size_t> steps(8);
  for (std::uint64_t seed = 0; seed < messages(); ++seed) {
    const MemberId member = 1 + 2 * (seed % 2);
    CanaryHeader maker(seed, {"public1@school.example", "own1@home.example"});
    std::string block = seed % 3 == 0 ? "" : trace(seed % 5 * 700);
    block += maker.block();
    if (seed % 7 == 0) block = with_lf(block);
    if (seed % 4 != 0) block += seed % 7 == 0 ? "\n" : "\r\n";
    const BlockKind kind = seed % 5 == 0 ? BlockKind::part : BlockKind::message;
    std::string out;
    std::vector<PhantomWrite> fresh;
    ++steps[view.show({&world.routes(), &world.member(member), false}, kind, block, out, fresh)];
    INFO("seed " << seed << "\n" << block << "\n---\n" << out);
    REQUIRE(extent_of(out) == extent_of(block));
    const auto found = seen_in(out);
    CHECKED_ELSE(found.empty()) {
      INFO(found.front());
      FAIL();
    }
    const std::size_t shown = phantoms_in(out);
    if (shown > 0) CHECK_FALSE(fresh.empty());
    phantoms += shown;
  }
  CHECK(phantoms > 5 * messages());  // they are there, not dropped with everything else
  CHECK(steps[0] > messages() / 3);
  INFO(steps[0] << " " << steps[1] << " " << steps[2] << " " << steps[3] << " " << steps[4] << " " << steps[5]
                << " " << steps[6] << " " << steps[7]);
  CHECK(steps[7] == 0);
}

}  // namespace kage::mapping::test
