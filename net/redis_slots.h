// Redis Cluster without the network: slots of keys, the map of slots, and redirections (redis.io, "Redis
// cluster specification"). Pure. Internal to net.
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

/// Whether a server may be called that: a name or an IP address without brackets.
bool is_redis_host(std::string_view text);

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

}  // namespace kage::net
