// A walk over all phantoms in Redis in small steps that keep nobody waiting, and what is counted on it.
//
// There is no index of phantoms by member: it would cost memory for every phantom and be used once a year.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "mapping/routes/table.h"
#include "mapping/store/key_scan.h"
#include "net/redis.h"

namespace kage::mapping {

class PhantomScan {
 public:
  static constexpr std::size_t kStep = 1000;  ///< keys of one step, about

  explicit PhantomScan(net::Redis& redis, net::Loop& loop)
      : redis_(redis), loop_(loop), keys_(redis, kStep, {}) {}

  struct Found {
    std::string key;
    std::optional<MemberId> owner;  ///< nothing: a text, but no value of ours
  };
  struct Page {
    std::vector<Found> phantoms;
    /// Of the routes, read after the values: a member of a value that was read exists by now or never again,
    /// since ids are not reused and a phantom is written after its member.
    std::uint64_t generation = 0;
    std::uint64_t removed = 0;  ///< the sum of the numbers that the commands of `before` answered
  };
  /// The next step: two round trips (in a cluster four), no command of which touches more than about kStep
  /// keys; then rests as long as it took, 50 ms at most, so that others have their turn. `before` goes with
  /// the first trip.
  net::Task<Result<Page>> next(net::RedisBatch before);
  [[nodiscard]] bool ended() const { return keys_.ended(); }
  /// Whether it may have missed some, since keys moved from one server of a cluster to another. Asks.
  net::Task<Result<bool>> missed() { return keys_.moved(); }

  [[nodiscard]] std::uint64_t seen() const { return seen_; }           ///< keys of any kind so far
  [[nodiscard]] std::uint64_t total() const { return keys_.total(); }  ///< keys of any kind when it began

 private:
  net::Task<Result<std::vector<net::RedisReply>>> read_values(net::RedisBatch batch);

  net::Redis& redis_;
  net::Loop& loop_;
  KeyScan keys_;
  std::uint64_t seen_ = 0;
};

/// How many phantoms each of some members has.
struct PhantomCensus {
  std::unordered_map<MemberId, std::uint64_t> counts;  ///< of those that were asked for and have any
  bool exact = true;
  /// When not exact: a member none of whose phantoms was met has, with 95 % probability, fewer than this.
  std::uint64_t resolution = 0;
};
/// Counts all when Redis holds at most `exact_up_to` keys; else a sample of `sample` keys, since the order of
/// a scan is that of hashes. `progress` is called with (done, total) keys.
struct CensusBounds {
  std::uint64_t exact_up_to = 250'000;
  std::uint64_t sample = 100'000;
};
net::Task<Result<PhantomCensus>> count_phantoms(net::Redis& redis, net::Loop& loop,
                                                std::vector<MemberId> members,
                                                std::function<void(std::uint64_t, std::uint64_t)> progress,
                                                CensusBounds bounds = {});

}  // namespace kage::mapping
