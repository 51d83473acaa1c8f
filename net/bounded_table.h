// Making room in a table of bounded size, so that many insertions share the cost of one walk.
#pragma once

#include <cstddef>

namespace kage::net {

/// Takes entries out of a table that is full until a quarter of `capacity` is free: those that are old first,
/// then others as they come. The next walk is that far away, however few entries become old meanwhile.
template <class Map, class IsOld>
void make_room(Map& table, std::size_t capacity, IsOld is_old) {
  erase_if(table, is_old);
  const std::size_t kept = capacity * 3 / 4;
  for (auto at = table.begin(); table.size() > kept && at != table.end();) at = table.erase(at);
}

}  // namespace kage::net
