// A batch for a Redis Cluster: cut by server, sent on where a slot is being moved, and put together again.
// Pure. Internal to net.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/redis.h"
#include "net/redis_slots.h"

namespace kage::net {

/// A batch on its way through a cluster, round by round: next() says what goes to whom, take() sorts the
/// answers, until next() has nothing more.
///
/// Commands of one slot keep their order: they go to one server in one piece. Only while the slot is being
/// moved can some be sent on and others not; then those behind that only read are read again after them.
/// Commands of different slots know no order.
class RedisRounds {
 public:
  /// Each command has its key first (EVAL: behind the number of keys), or no argument at all: that one goes
  /// to any server.
  explicit RedisRounds(RedisBatch batch);
  RedisRounds(const RedisRounds&) = delete;
  RedisRounds& operator=(const RedisRounds&) = delete;

  /// What goes to one server in one piece.
  struct Part {
    Endpoint server;
    RedisBatch batch;
    std::vector<std::size_t> places;  ///< of each command in the whole; kNoPlace: ours, not the caller's
  };
  static constexpr std::size_t kNoPlace = SIZE_MAX;

  /// Empty: all is answered. Errc::unavailable: nobody has a slot that is needed; nothing of this round may
  /// be sent then.
  Result<std::vector<Part>> next(const RedisSlotMap& map);

  void take(const Part& part, std::vector<RedisReply> replies);

  /// Since the last next() a server said that a slot has moved for good; that one knows a newer map.
  [[nodiscard]] const std::optional<Endpoint>& moved() const { return moved_; }

  /// One for each command, when all is answered.
  std::vector<RedisReply> replies() && { return std::move(replies_); }

 private:
  enum class State : std::uint8_t { waiting, asking, answered };
  struct Command {
    std::string_view encoded;  // in batch_
    std::optional<std::uint16_t> slot;
    bool reads;  // and changes nothing: may be repeated
    State state = State::waiting;
    bool redirected = false;  // and not answered since
    Endpoint ask;
  };

  /// A command that is sent on in this round.
  struct Unsettled {
    std::uint16_t slot;
    const Endpoint* server;
  };
  static bool has_to_wait(const Command& command, const Endpoint* server,
                          const std::vector<Unsettled>& before);

  const RedisBatch batch_;
  std::vector<Command> commands_;
  std::vector<RedisReply> replies_;
  std::optional<Endpoint> moved_;
};

}  // namespace kage::net
