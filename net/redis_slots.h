// Redis Cluster without the network: slots of keys, the map of slots, redirections, and a batch that is cut
// by server and put together again (redis.io, "Redis cluster specification"). Pure. Internal to net.
//
// What servers answer is not trusted: bounds are checked, and what is not understood is refused.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/ip.h"
#include "net/redis.h"

namespace kage::net {

inline constexpr std::size_t kRedisSlots = 16384;

/// The slot of a key, or of its hash tag: what stands in its first braces.
std::uint16_t redis_slot(std::string_view key);

/// Which master has which slot.
struct RedisSlotMap {
  static constexpr std::size_t kMostServers = 1000;
  static constexpr std::uint16_t kNobody = UINT16_MAX;

  std::vector<Endpoint> servers;  ///< by host and port
  std::array<std::uint16_t, kRedisSlots> owner{};

  [[nodiscard]] const Endpoint* server_of(std::uint16_t slot) const {
    return owner[slot] == kNobody ? nullptr : &servers[owner[slot]];
  }
  bool operator==(const RedisSlotMap&) const = default;
};

/// Reads the answer to CLUSTER SLOTS. A server without a name is `asked`, the one that answered; slots of one
/// whose name is not known have nobody. Errc::protocol; Errc::unavailable: there is no server.
Result<RedisSlotMap> read_slot_map(const RedisReply& reply, const Endpoint& asked);

/// An error reply that says where a key is: "MOVED 3999 192.0.2.1:6381".
struct RedisRedirect {
  bool ask = false;  ///< only this once, and after ASKING
  Endpoint server;
};
/// Nothing: another error, or one that is not understood.
std::optional<RedisRedirect> read_redirect(const RedisReply& reply, const Endpoint& asked);

/// A batch on its way through a cluster, round by round: next() says what goes to whom, take() sorts the
/// answers, until next() has nothing more.
///
/// What commands of one slot promise each other by their order holds: they go to one server in one piece.
/// Only while the slot is being moved can some be sent on and others not; then those behind that only read
/// are read again after them. Commands of different slots know no order.
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
