// Buckets of eight; where one is full, what was stored longest ago gives way.
#include "mapping/store/phantom_cache.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/metrics.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kFirstBuckets = 16;

std::uint32_t seconds_of(net::TimePoint time) {
  return static_cast<std::uint32_t>(time.time_since_epoch().count() / 1000);
}

}  // namespace

PhantomCache::PhantomCache(std::size_t capacity)
    : most_buckets_(std::bit_floor(std::max(capacity / kWays, std::size_t{1}))), key_(random_sip_key()) {}

std::uint64_t PhantomCache::phantom_hash(std::string_view local) const {
  const std::uint64_t hash = siphash(key_, local);
  return hash != 0 ? hash : 1;
}

std::uint32_t PhantomCache::spelling_hash(std::string_view spelling) const {
  return static_cast<std::uint32_t>(siphash(key_, spelling));
}

bool PhantomCache::knows(std::string_view local, std::string_view spelling, net::TimePoint now,
                         net::Millis most_age) const {
  if (buckets_.empty()) return false;
  const std::uint64_t phantom = phantom_hash(local);
  for (const Entry& entry : buckets_[phantom & (buckets_.size() - 1)].entries) {
    if (entry.phantom != phantom) continue;
    // Both times were rounded down: the true age is less than a second more.
    const std::uint32_t age = seconds_of(now) - entry.seconds;
    return std::chrono::seconds(age) + net::Millis(1000) <= most_age &&
           entry.spelling == spelling_hash(spelling);
  }
  return false;
}

/// Where this phantom is, or is to go.
PhantomCache::Entry& PhantomCache::place(std::uint64_t phantom) {
  auto& entries = buckets_[phantom & (buckets_.size() - 1)].entries;
  Entry* best = entries.data();
  for (Entry& entry : entries) {
    if (entry.phantom == phantom) return entry;
    if (best->phantom != 0 && (entry.phantom == 0 || entry.seconds < best->seconds)) best = &entry;
  }
  return *best;
}

void PhantomCache::put(const Entry& entry) {
  Entry& at = place(entry.phantom);
  if (at.phantom == 0) ++size_;
  at = entry;
}

void PhantomCache::grow() {
  const std::vector<Bucket> old = std::exchange(
      buckets_, std::vector<Bucket>(std::min(std::max(buckets_.size() * 2, kFirstBuckets), most_buckets_)));
  size_ = 0;
  for (const Bucket& bucket : old) {
    for (const Entry& entry : bucket.entries) {
      if (entry.phantom != 0) put(entry);
    }
  }
}

void PhantomCache::remember(std::string_view local, std::string_view spelling, net::TimePoint now) {
  const auto before = static_cast<std::int64_t>(size_);
  const std::uint64_t phantom = phantom_hash(local);
  const auto crowded = [&] {
    if (size_ * 2 >= buckets_.size() * kWays) return true;
    const Entry& at = place(phantom);
    return at.phantom != 0 && at.phantom != phantom;
  };
  while (buckets_.size() < most_buckets_ && crowded()) grow();
  put({phantom, spelling_hash(spelling), seconds_of(now)});
  metrics::add(metrics::Gauge::cache_phantoms_stored, static_cast<std::int64_t>(size_) - before);
}

void PhantomCache::clear() {
  metrics::add(metrics::Gauge::cache_phantoms_stored, -static_cast<std::int64_t>(size_));
  buckets_ = {};
  size_ = 0;
}

}  // namespace kage::mapping
