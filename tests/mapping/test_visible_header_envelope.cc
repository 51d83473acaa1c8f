// What ENVELOPE is told from reads as in the whole visible block, however short room is (contract R8.2).
#include <algorithm>
#include <catch2/catch.hpp>

#include "delivered.h"
#include "mapping/field_policy.h"
#include "mapping/rewrite_ids.h"
#include "mapping/visible_header.h"
#include "message/header.h"
#include "rewrite_world.h"

namespace kage::mapping::test {
namespace {

const World& world() {
  static const World made = [] {
    World result;
    result.add("pta@school.example", "PTA", {"officer@home.example"});
    result.build();
    return result;
  }();
  return made;
}

/// The bodies of the fields of that name, without line ends; white space that fills up a field counts.
std::vector<std::string> bodies(std::string_view block, std::string_view name) {
  std::vector<std::string> found;
  for (const message::Field& field : message::tokenize(block).value()) {
    if (!field.is(name)) continue;
    found.emplace_back(field.body);
    std::erase_if(found.back(), [](char c) { return c == '\r' || c == '\n'; });
  }
  return found;
}

/// The block without the last `count` of the fields that nobody sees.
std::string crowded(std::string_view block, std::size_t count) {
  std::string out;
  const auto fields = message::tokenize(block.substr(0, block.size() - 2)).value();
  std::size_t hidden = 0;
  for (const message::Field& field : fields) {
    hidden += find_rule(field.name).towards_member == FieldClass::drop ? 1 : 0;
  }
  for (const message::Field& field : fields) {
    const bool drop = find_rule(field.name).towards_member == FieldClass::drop;
    if (!drop || hidden-- > count) out += field.raw;
  }
  return out + "\r\n";
}

/// Whether less than the block was told.
bool same_story(HeaderView& view, const std::string& block) {
  const Viewer viewer{&world().routes(), &world().member(1), false, {}};
  std::string whole, part, original;
  std::vector<PhantomWrite> all, some;
  view.show(viewer, BlockKind::message, block, whole, all);
  view.show_envelope(viewer, block, part, original, some);
  INFO(block << "---\n" << whole << "---\n" << part);
  for (const std::string_view name :
       {"Date", "Subject", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "In-Reply-To", "Message-ID"}) {
    REQUIRE(bodies(part, name) == bodies(whole, name));
    if (!bodies(part, name).empty()) REQUIRE(bodies(original, name) == bodies(block, name));
  }
  CHECK(part.size() <= whole.size());
  const bool shorter = part.size() < whole.size();
  for (const PhantomWrite& write : some) {
    CHECK(std::ranges::find(all, write.local, &PhantomWrite::local) != all.end());
    if (shorter) CHECK(part.find(write.local) != std::string::npos);
  }
  return shorter;
}

}  // namespace

TEST_CASE("what an envelope is told from reads as in the whole block") {
  HeaderView view;
  std::size_t shorter = 0;
  std::size_t whole = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::string block = DeliveredHeader(seed, "pta@school.example", "officer@home.example").block();
    shorter += same_story(view, block) ? 1 : 0;
    for (const std::size_t count : {1UL, 2UL, 3UL, 5UL, 8UL, 100UL}) {
      whole += same_story(view, crowded(block, count)) ? 0 : 1;
    }
  }
  // Delivered messages have room; where it is short, the whole block decides.
  CHECK(shorter > 190);
  CHECK(whole > 200);
}

TEST_CASE("the most that an id can take is known") {
  const Member& member = world().member(1);
  const auto shown = [&](std::string_view id) {
    std::string out;
    append_id_in_view(out, world().routes(), member, id);
    return out.size();
  };
  for (std::size_t size = 1; size < 600; ++size) {
    std::string id(size, 'x');
    CHECK(shown(id) <= longest_id_in_view(member, size));
    if (size < 5) continue;
    id.replace(size / 2, 1, "@");
    CHECK(shown(id) <= longest_id_in_view(member, size));
  }
}

}  // namespace kage::mapping::test
