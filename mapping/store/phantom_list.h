// All phantoms of some members, read from Redis as they lie there, for `kagemusha phantoms`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>

#include "mapping/phantom.h"
#include "net/redis.h"

namespace kage::mapping {

struct ListedPhantom {
  const Member& member;
  std::string local;
  std::optional<Sighting> seen{};  ///< nothing: only mentioned, or nothing is collected
};

/// Calls `found` with each phantom of `members`, once, in no order. One pass over the keys in pages of a
/// thousand; the values of one page and the next page's keys take one round trip. `progress`: keys looked at,
/// and how many there are about. Values that do not open are left out.
net::Task<Result<>> list_phantoms(net::Redis& redis, Routes routes, std::unordered_set<MemberId> members,
                                  std::function<void(const ListedPhantom&)> found,
                                  std::function<void(std::uint64_t, std::uint64_t)> progress);

}  // namespace kage::mapping
