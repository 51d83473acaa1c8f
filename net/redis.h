// A Redis client for one loop: pipelined, reconnecting, with time-outs (contract R3.8, R9.3).
//
// Everything that a step needs goes in one RedisBatch and takes one round trip; batches of several sessions
// share the connection. It connects when first used and again after a failure, with back-off; while Redis is
// away a batch fails with Errc::unavailable or Errc::timed_out and nothing is retried by itself: a batch
// whose answer was lost may have been carried out. With sentinels each connection goes to the master of that
// moment, and one whose server is no master any more is given up.
//
// In a cluster a batch is cut by server, and the parts go out at the same time. A part that fails is the
// batch's failure: the others may have been carried out.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/ip.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/task.h"

namespace kage::net {

/// One RESP2 reply.
struct RedisReply {
  enum class Type : std::uint8_t { nil, status, error, integer, string, array };
  Type type = Type::nil;
  std::int64_t integer = 0;
  std::string text;  ///< status, error and string
  std::vector<RedisReply> elements;

  [[nodiscard]] bool is_nil() const { return type == Type::nil; }
  [[nodiscard]] bool is_error() const { return type == Type::error; }
};

/// Commands for one round trip, encoded as they are added.
class RedisBatch {
 public:
  void add(std::initializer_list<std::string_view> arguments);
  void add(const std::vector<std::string_view>& arguments);
  /// One command out of another batch.
  void add_encoded(std::string_view command);
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] const std::string& encoded() const { return encoded_; }

 private:
  std::string encoded_;
  std::size_t count_ = 0;
};

/// Redis Sentinel: servers that know which of several Redis servers is the master.
struct RedisSentinels {
  std::vector<Endpoint> endpoints;  ///< asked in this order; empty: there are none
  std::string master;               ///< the name under which they watch it
  std::string username;             ///< ACL user of the sentinels; empty: "default"
  std::string password;             ///< of the sentinels; empty: no AUTH
};

struct RedisOptions {
  std::string unix_path;          ///< when set, host, port, sentinels and cluster are not used
  RedisSentinels sentinels;       ///< when set, host and port are not used
  std::vector<Endpoint> cluster;  ///< some servers of a Redis Cluster; when set, host and port are not used
  std::string host;
  std::uint16_t port = 6379;
  std::string username;  ///< ACL user; empty: "default"
  std::string password;  ///< empty: no AUTH
  int database = 0;
  Millis connect_timeout{2000};
  Millis command_timeout{2000};  ///< from sending a batch to its last reply
  /// Turns a TCP stream that is connected to `host` into a TLS one; empty: plain. Sentinels and all
  /// servers of a cluster are spoken to in the same way. Set by the one that has the TLS context, so that net
  /// does not depend on tls.
  std::function<Task<Result<StreamPtr>>(StreamPtr, std::string host, TimePoint)> secure;
};

class RedisCluster;

class Redis {
 public:
  Redis(Loop& loop, RedisOptions options);
  ~Redis();
  Redis(const Redis&) = delete;
  Redis& operator=(const Redis&) = delete;

  /// Sends the batch and returns one reply for each command, in order. A reply may itself be an error
  /// (is_error): the batch then still succeeds. Otherwise, when Redis cannot be reached: Errc::unavailable,
  /// timed_out, denied (AUTH) or tls; when the answer was lost, so that the batch may have been carried out:
  /// closed, timed_out, protocol or limit.
  ///
  /// In a cluster each command has its key first (EVAL: behind the number of keys), the commands of one slot
  /// keep their order, those of different slots have none, and unavailable, too, may mean that a part was
  /// carried out.
  Task<Result<std::vector<RedisReply>>> run(RedisBatch batch);

  /// Whether the keys of one batch may lie on several servers.
  [[nodiscard]] bool is_cluster() const { return cluster_ != nullptr; }

  /// The servers that hold keys: one, or all masters of a cluster, asked for now.
  Task<Result<std::vector<Endpoint>>> servers();
  /// run() at one of servers(), for what is said to a server and not about a key.
  Task<Result<std::vector<RedisReply>>> run_at(Endpoint server, RedisBatch batch);

  /// Changes after every reconnect, so caches can tell that Redis may have lost or changed something
  /// meanwhile. In a cluster also when a connection is lost and when a slot has moved.
  [[nodiscard]] std::uint64_t connection_epoch() const;

  [[nodiscard]] const RedisOptions& options() const;

  /// How the server of this key is reached, for a connection beside this one. In a cluster another one when
  /// the key has moved.
  [[nodiscard]] RedisOptions options_for(std::string_view key) const;

  /// Round trips begun since the start; for tests, since the metric counts those of all.
  [[nodiscard]] std::uint64_t round_trips() const;

  /// Ends the connection and fails what waits. run() after close() fails.
  void close();

 private:
  friend class RedisCluster;
  struct Connection;
  std::shared_ptr<Connection> connection_;  // null in a cluster
  std::shared_ptr<RedisCluster> cluster_;   // null with one server

  /// Has `changed` called whenever a connection was made or lost.
  void on_link(std::function<void()> changed);
};

}  // namespace kage::net
