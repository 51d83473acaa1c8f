// How many messages a second a next hop gets from this process: a token bucket that all workers share.
//
// Each copy reserves the moment of its turn. Turns are given in the order of asking, whichever message or
// worker asks, so that a broadcast and a single message share the rate (contract R3.7: there is no queue; who
// has no turn in time is deferred).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace kage::submission {

class HopRate {
 public:
  using Clock = std::chrono::steady_clock;

  /// `per_second`: at least 1. In any stretch of t seconds there are at most per_second * t turns and one
  /// tenth of a second's more.
  explicit HopRate(std::uint32_t per_second);

  /// The moment of a turn, which is then taken; nothing, and nothing taken, when it would be after `latest`.
  /// Thread-safe, lock-free.
  std::optional<Clock::time_point> reserve(Clock::time_point now, Clock::time_point latest);

  [[nodiscard]] std::uint32_t per_second() const { return per_second_; }

 private:
  std::uint32_t per_second_;
  std::int64_t interval_;              // nanoseconds between turns
  std::int64_t burst_;                 // nanoseconds
  std::atomic<std::int64_t> next_{0};  // when the next turn would be without the burst
};

}  // namespace kage::submission
