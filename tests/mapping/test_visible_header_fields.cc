// What is told from the deciding fields alone reads as in the whole visible block, however short room is
// (contract R8.2).
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <iterator>
#include <set>
#include <span>
#include <sstream>

#include "base/metrics.h"
#include "base/text.h"
#include "delivered.h"
#include "mapping/rewrite/field_policy.h"
#include "mapping/rewrite/ids.h"
#include "mapping/visible/header.h"
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

std::set<std::string> deciding(bool several) {
  std::istringstream names(deciding_fields(several));
  return {std::istream_iterator<std::string>(names), {}};
}

/// What a server gives of the block when it is asked for the deciding fields.
std::string asked_for(std::string_view block) {
  static const std::set<std::string> names = deciding(false);
  std::string out;
  for (const message::Field& field : message::tokenize(block.substr(0, block.size() - 2)).value()) {
    if (names.contains(upper(field.name))) out += field.raw;
  }
  return out + "\r\n";
}

constexpr auto kEnvelope = std::to_array<std::string_view>(
    {"Date", "Subject", "From", "Sender", "Reply-To", "To", "Cc", "In-Reply-To", "Message-ID"});

std::vector<std::string_view> shown_names() {
  std::vector<std::string_view> names;
  for (const FieldRule& rule : field_rules()) {
    if (rule.towards_member != FieldClass::drop) names.push_back(rule.name);
  }
  return names;
}

/// Whether the fields alone could tell.
bool same_story(HeaderView& view, const std::string& block, std::span<const std::string_view> names) {
  const Viewer viewer{&world().routes(), &world().member(1), false, {}};
  FieldSet told;
  for (const std::string_view name : names) told.add(name);
  std::string whole, part, original;
  std::vector<PhantomWrite> all, some;
  const auto before = metrics::value(metrics::Counter::headers_shown);
  view.show(viewer, BlockKind::message, block, whole, all);
  CHECK(metrics::value(metrics::Counter::headers_shown) == before + 1);
  const auto counted = metrics::value(metrics::Counter::headers_shown);
  const bool done = view.show_fields(viewer, told, asked_for(block), part, original, some);
  CHECK(metrics::value(metrics::Counter::headers_shown) == counted + (done ? 1 : 0));
  if (!done) {
    CHECK((part.empty() && original.empty() && some.empty()));
    return false;
  }
  INFO(block << "---\n" << whole << "---\n" << part);
  for (const std::string_view name : names) {
    REQUIRE(bodies(part, name) == bodies(whole, name));
    if (!bodies(part, name).empty()) REQUIRE(bodies(original, name) == bodies(block, name));
  }
  for (const message::Field& field : message::tokenize(part.substr(0, part.size() - 2)).value()) {
    CHECK(told.has(find_rule(field.name)));
  }
  CHECK(part.ends_with("\r\n"));
  for (const PhantomWrite& write : some) {
    CHECK(std::ranges::find(all, write.local, &PhantomWrite::local) != all.end());
    CHECK(part.find(write.local) != std::string::npos);
  }
  return true;
}

}  // namespace

TEST_CASE("what deciding fields tell reads as in the whole block") {
  HeaderView view;
  const auto shown = shown_names();
  std::size_t told = 0;
  std::size_t short_of_room = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::string block = DeliveredHeader(seed, "pta@school.example", "officer@home.example").block();
    told += same_story(view, block, kEnvelope) ? 1 : 0;
    same_story(view, block, shown);
    for (const std::size_t count : {1UL, 2UL, 3UL, 5UL, 8UL, 100UL}) {
      short_of_room += same_story(view, crowded(block, count), kEnvelope) ? 0 : 1;
    }
  }
  // Delivered messages have room; where it is short, the whole block decides.
  CHECK(told > 190);
  CHECK(short_of_room > 200);
}

TEST_CASE("deciding fields are all that cross and those that choose the viewer") {
  const auto one = deciding(false);
  for (const std::string_view name : shown_names()) CHECK(one.contains(upper(name)));
  CHECK(one.contains("RECEIVED"));
  CHECK(one.contains("AUTHENTICATION-RESULTS"));
  CHECK(one.size() == shown_names().size() + 2);
  const auto several = deciding(true);
  for (const char* name : {"DELIVERED-TO", "X-ORIGINAL-TO", "ENVELOPE-TO"}) {
    CHECK(several.contains(name));
    CHECK_FALSE(one.contains(name));
  }
  CHECK(several.size() == one.size() + 3);
}

TEST_CASE("fields alone do not do for what the member wrote, and where octets or ends are odd") {
  HeaderView view;
  FieldSet told;
  told.add("From");
  const std::string room = "Received: from a.example by b.example;" + std::string(300, 'x') + "\r\n\tday\r\n";
  const auto tells = [&](const Viewer& viewer, const std::string& fields) {
    std::string out, original;
    std::vector<PhantomWrite> fresh;
    const bool done = view.show_fields(viewer, told, fields, out, original, fresh);
    CHECK(done == !out.empty());
    return done;
  };
  const Viewer viewer{&world().routes(), &world().member(1), false, {}};
  Viewer own = viewer;
  own.own = true;
  const std::string from = "From: a@b.example\r\n";
  CHECK(tells(viewer, room + from + "\r\n"));
  CHECK_FALSE(tells(own, room + from + "\r\n"));
  CHECK_FALSE(tells(viewer, from + "\r\n"));
  CHECK_FALSE(tells(viewer, room + from));
  CHECK_FALSE(tells(viewer, room + "From: a@b.example\n\r\n"));
  CHECK_FALSE(tells(viewer, room + from + "\r\nbody"));
  CHECK_FALSE(tells(viewer, ""));
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
