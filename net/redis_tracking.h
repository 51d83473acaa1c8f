// Being told by Redis at once that keys with a prefix were changed, by whomever: a connection of its own on
// which nothing is asked ("client-side caching" of Redis 6 and later, broadcasting mode, in RESP2).
//
// It does not connect again by itself: whoever uses it learns that it ended, forgets what it knew, and
// decides when to try again.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/redis.h"

namespace kage::net {

class RedisTracking {
 public:
  RedisTracking(Loop& loop, RedisOptions options, std::string prefix);
  ~RedisTracking();
  RedisTracking(const RedisTracking&) = delete;
  RedisTracking& operator=(const RedisTracking&) = delete;

  /// Runs until the connection ends or close(), and returns why: Errc::denied when Redis or its ACL refuses
  /// this. `changed` is called when telling has begun, since what happened before is not told, and at every
  /// change from then on. A connection that answers nothing any more is noticed. Once at a time.
  Task<Error> run(std::move_only_function<void()> changed);

  /// Makes run() return soon, without another call of `changed`. run() after close() returns at once.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kage::net
