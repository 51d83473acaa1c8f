// The bucket as one number: the time up to which turns are given away.
#include "submission/hop_rate.h"

#include <algorithm>

namespace kage::submission {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kBurst = kSecond / 10;

std::int64_t nanoseconds(HopRate::Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

HopRate::HopRate(std::uint32_t per_second)
    : per_second_(std::max<std::uint32_t>(per_second, 1)),
      interval_(kSecond / per_second_),
      burst_(kBurst - std::min(kBurst, interval_)) {}

std::optional<HopRate::Clock::time_point> HopRate::reserve(Clock::time_point now, Clock::time_point latest) {
  const std::int64_t present = nanoseconds(now);
  std::int64_t next = next_.load(std::memory_order_relaxed);
  for (;;) {
    // A turn of the unused past is worth having for a tenth of a second only.
    const std::int64_t turn = std::max(next, present - burst_);
    const std::int64_t at = std::max(turn, present);
    if (at > nanoseconds(latest)) return std::nullopt;
    if (next_.compare_exchange_weak(next, turn + interval_, std::memory_order_relaxed)) {
      return Clock::time_point(std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(at)));
    }
  }
}

}  // namespace kage::submission
