// What making room costs, and what it takes out.
#include "net/bounded_table.h"

#include <catch2/catch.hpp>

#include <cstddef>
#include <map>
#include <unordered_map>

using kage::net::make_room;

TEST_CASE("with a table that stays full an insertion costs a few looks, however many entries are old") {
  constexpr std::size_t kCapacity = 1000;
  constexpr int kInsertions = 20'000;
  // None is old, one becomes old with each insertion, all but the newest are.
  for (const int lifetime : {kInsertions, int{kCapacity}, 1}) {
    std::unordered_map<int, int> table;
    std::size_t looks = 0;
    for (int i = 0; i < kInsertions; ++i) {
      if (table.size() >= kCapacity) {
        make_room(table, kCapacity, [&](const auto& entry) {
          ++looks;
          return i - entry.second >= lifetime;
        });
      }
      table.emplace(i, i);
      REQUIRE(table.size() <= kCapacity);
    }
    CAPTURE(lifetime);
    CHECK(looks <= 5 * std::size_t{kInsertions});
  }
}

TEST_CASE("what is old goes first, and nothing else when that is enough") {
  std::map<int, bool> table;
  for (int i = 0; i < 100; ++i) table.emplace(i, i >= 70);  // the last 30 are old
  make_room(table, 100, [](const auto& entry) { return entry.second; });
  CHECK(table.size() == 70);
  CHECK(table.rbegin()->first == 69);
  for (int i = 0; i < 100; ++i) table.emplace(i, i >= 90);
  make_room(table, 100, [](const auto& entry) { return entry.second; });
  CHECK(table.size() == 75);
}

TEST_CASE("there is room in a table of any size") {
  for (std::size_t capacity = 1; capacity < 10; ++capacity) {
    std::map<std::size_t, int> table;
    for (std::size_t i = 0; i < capacity; ++i) table.emplace(i, 0);
    make_room(table, capacity, [](const auto& /*entry*/) { return false; });
    CHECK(table.size() < capacity);
  }
}
