// A walk over all keys of Redis in steps; in a cluster over one master after the other. Internal to mapping.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/redis.h"

namespace kage::mapping {

/// Keys that move from one server to another meanwhile may be named twice, or not at all: see moved().
class KeyScan {
 public:
  /// `pattern`: of MATCH; empty: every key.
  KeyScan(net::Redis& redis, std::size_t step, std::string pattern)
      : redis_(redis), count_(std::to_string(step)), pattern_(std::move(pattern)) {}

  struct Step {
    std::vector<net::RedisReply> replies;  ///< to the commands of `with`
    std::vector<net::RedisReply> keys;
  };
  /// The next step, and commands about keys that go with it: one round trip, in a cluster two, and more at
  /// the first step. An error that Redis answers to any of them is an error. To be called until ended().
  net::Task<Result<Step>> next(net::RedisBatch with);
  [[nodiscard]] bool ended() const { return begun_ && at_ == servers_.size(); }

  [[nodiscard]] std::uint64_t total() const { return total_; }  ///< keys when it began

  /// Whether keys were on their way from one server to another while it lasted. Asks; in a cluster only.
  net::Task<Result<bool>> moved();

 private:
  net::Task<Result<>> begin();
  net::Task<Result<bool>> moving();

  net::Redis& redis_;
  std::string count_;
  std::string pattern_;
  std::vector<net::Endpoint> servers_;
  std::size_t at_ = 0;
  std::string cursor_ = "0";
  bool begun_ = false;
  bool moving_ = false;  // when it began
  std::uint64_t total_ = 0;
  std::uint64_t epoch_ = 0;
};

}  // namespace kage::mapping
