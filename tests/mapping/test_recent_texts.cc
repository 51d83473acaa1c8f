// What is kept of late derivations: never a wrong answer, however small the room and whatever the order.
#include "mapping/visible/cache.h"

#include <catch2/catch.hpp>
#include <random>

namespace kage::mapping::test {
namespace {

constexpr metrics::Gauge kGauge = metrics::Gauge::cache_ids_derived;

ViewKey view_of(MemberId member, std::uint64_t generation = 1) {
  ViewKey view;
  view.member = member;
  view.generation = generation;
  return view;
}

/// Differs for every key, and in length.
std::string value_of(MemberId member, std::string_view text) {
  return "value of " + std::to_string(member) + std::string(text.size() % 40, '.') + std::string(text);
}

}  // namespace

TEST_CASE("recent texts are found, or nothing is") {
  const std::int64_t before = metrics::value(kGauge);
  RecentTexts texts({.sets = 8, .octets = 3000}, kGauge);
  std::mt19937 random(1);
  std::size_t known = 0;
  for (int i = 0; i < 20'000; ++i) {
    const MemberId member = 1 + random() % 2;
    const std::string text(random() % 30, static_cast<char>('a' + random() % 8));
    const RecentKey key(view_of(member), text);
    const std::string value = value_of(member, text);
    if (const auto found = texts.find(key)) {
      REQUIRE(*found == value);
      ++known;
      continue;
    }
    texts.put(key, value);
    REQUIRE(texts.find(key) == value);
    REQUIRE_FALSE(texts.find({view_of(member, 2), text}));
    REQUIRE_FALSE(texts.find({view_of(3), text}));
  }
  CHECK(known > 500);
  CHECK(metrics::value(kGauge) - before > 32);
  CHECK(metrics::value(kGauge) - before <= 64);
  texts.clear();
  CHECK(metrics::value(kGauge) == before);
  CHECK_FALSE(texts.find({view_of(1), "a"}));
}

TEST_CASE("of recent texts the ring keeps the last") {
  constexpr std::size_t kEntry = 24 + 4 + 6;
  RecentTexts texts({.sets = 1024, .octets = 5 * kEntry + 10}, kGauge);
  for (int i = 1000; i < 1100; ++i) {
    const auto is_there = [&](int number) {
      const std::string text = std::to_string(number);
      const auto found = texts.find({view_of(1), text});
      if (found) CHECK(*found == "v " + text);
      return found.has_value();
    };
    const std::string text = std::to_string(i);
    texts.put({view_of(1), text}, "v " + text);
    CHECK(is_there(i));
    if (i >= 1010) CHECK((is_there(i - 1) && is_there(i - 3)));
    CHECK_FALSE(is_there(i - 5));
  }
}

TEST_CASE("of a set the oldest gives way") {
  RecentTexts texts({.sets = 1, .octets = 100'000}, kGauge);
  const auto is_there = [&](int number) {
    const std::string text = std::to_string(number);
    return texts.find({view_of(1), text}) == text;
  };
  for (int i = 0; i < 100; ++i) {
    const std::string text = std::to_string(i);
    texts.put({view_of(1), text}, text);
    for (int back = 0; back < 8 && back <= i; ++back) CHECK(is_there(i - back));
    if (i >= 8) CHECK_FALSE(is_there(i - 8));
  }
}

TEST_CASE("what is long is not kept") {
  RecentTexts texts({.sets = 8, .octets = 100'000}, kGauge);
  const std::string longest(512, 'x');
  const std::string longer(513, 'x');
  texts.put({view_of(1), longest}, longest);
  CHECK(texts.find({view_of(1), longest}) == longest);
  texts.put({view_of(1), longer}, "short");
  CHECK_FALSE(texts.find({view_of(1), longer}));
  texts.put({view_of(1), "short"}, longer);
  CHECK_FALSE(texts.find({view_of(1), "short"}));
}

}  // namespace kage::mapping::test
