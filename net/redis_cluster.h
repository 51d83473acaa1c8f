// Redis Cluster for one loop: a Redis for each master, and the map that tells which has which key. Internal
// to net.
//
// The map is read when first needed, when a server says that a slot has moved, and when a server failed; it
// is asked from whoever answers. A server that is away fails the batches that need it and no others.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/redis.h"
#include "net/redis_rounds.h"
#include "net/redis_slots.h"

namespace kage::net {

class RedisCluster : public std::enable_shared_from_this<RedisCluster> {
 public:
  using Replies = Result<std::vector<RedisReply>>;

  RedisCluster(Loop& loop, RedisOptions options);

  // As the members of Redis that have these names.
  static Task<Replies> run(std::shared_ptr<RedisCluster> self, RedisBatch batch);
  static Task<Result<std::vector<Endpoint>>> servers(std::shared_ptr<RedisCluster> self);
  static Task<Replies> run_at(std::shared_ptr<RedisCluster> self, Endpoint server, RedisBatch batch);
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  [[nodiscard]] std::uint64_t round_trips() const { return round_trips_; }
  [[nodiscard]] const RedisOptions& options() const { return options_; }
  [[nodiscard]] RedisOptions options_for(std::string_view key) const;
  void close();

 private:
  using Node = std::shared_ptr<Redis>;
  using Map = std::shared_ptr<const RedisSlotMap>;

  /// A reading of the map that several batches wait for.
  struct Reading {
    Event done;
    Result<> result = fail(Errc::closed);
  };

  static Task<Result<>> read_map(std::shared_ptr<RedisCluster> self, Node teller, Endpoint told_by);
  static Task<Result<RedisSlotMap>> ask_anybody(std::shared_ptr<RedisCluster> self);
  static Task<Result<RedisSlotMap>> ask_one(std::shared_ptr<RedisCluster> self, Endpoint server,
                                            TimePoint deadline);
  static Task<void> read_map_aside(std::shared_ptr<RedisCluster> self);
  static Task<Result<>> run_round(std::shared_ptr<RedisCluster> self, RedisRounds& rounds,
                                  std::vector<RedisRounds::Part> parts);
  static Task<void> look_at(std::shared_ptr<RedisCluster> self, Node node);

  [[nodiscard]] RedisOptions options_at(const Endpoint& server) const;
  Node node(const Endpoint& server);
  void drop_guests();
  std::vector<Endpoint> whom_to_ask();
  void take_map(RedisSlotMap map);
  void doubt_map();
  void look_later();
  void look();

  Loop& loop_;
  const RedisOptions options_;
  Map map_;  // null: not read yet
  std::vector<std::pair<Endpoint, Node>> nodes_;
  std::shared_ptr<Reading> reading_;  // null: nobody reads now
  Stream* asked_ = nullptr;           // by the reading
  Timer timer_;
  TimePoint retry_at_{};  // before it the map is not read, unless a server says that it knows a newer one
  int failures_ = 0;      // readings in a row that gave nothing
  std::size_t turn_ = 0;  // who is asked first
  bool doubted_ = false;  // the map may be old
  bool closed_ = false;
  std::uint64_t epoch_ = 0;
  std::uint64_t round_trips_ = 0;
};

}  // namespace kage::net
