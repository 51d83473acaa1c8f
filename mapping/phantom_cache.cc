// Two generations: new entries go to the young one, which becomes the old one when it is full or half a
// minute old.
#include "mapping/phantom_cache.h"

#include <utility>

#include "base/random.h"
#include "mapping/keys.h"

namespace kage::mapping {
namespace {
constexpr net::Millis kGeneration{30'000};
}

PhantomCache::PhantomCache(std::size_t capacity) : capacity_(capacity), key_(random_bytes(32)) {}

std::uint64_t PhantomCache::hash(std::string_view text) const {
  std::uint64_t number = 0;
  for (const char c : hmac_sha256(key_, text).substr(0, 8))
    number = number << 8U | static_cast<unsigned char>(c);
  return number;
}

void PhantomCache::age(net::TimePoint now) {
  if (young_.size() >= capacity_ / 2 || now - born_ >= kGeneration) {
    old_ = std::exchange(young_, {});
    old_born_ = std::exchange(born_, now);
  }
  // Its oldest entry is as old as the generation.
  if (now - old_born_ >= 2 * kGeneration) old_.clear();
}

bool PhantomCache::knows(std::string_view local, std::string_view spelling, net::TimePoint now) {
  age(now);
  const std::uint64_t key = hash(local);
  auto found = young_.find(key);
  if (found == young_.end()) {
    found = old_.find(key);
    if (found == old_.end()) return false;
  }
  return found->second == hash(spelling);
}

void PhantomCache::remember(std::string_view local, std::string_view spelling, net::TimePoint now) {
  age(now);
  young_.insert_or_assign(hash(local), hash(spelling));
}

void PhantomCache::clear() {
  young_.clear();
  old_.clear();
}

}  // namespace kage::mapping
