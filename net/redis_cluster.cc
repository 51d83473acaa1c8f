// Each server has a Redis of its own, which connects, waits and fails as a single one does; what is here is
// who gets what.
#include "net/redis_cluster.h"

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "base/metrics.h"
#include "net/redis_connect.h"
#include "net/redis_rounds.h"

namespace kage::net {
namespace {

/// A slot that moves needs three: the old place, the new one, and what has to be read again behind it.
constexpr int kMostRounds = 8;
/// Shorter than a cluster's own failover: a master that hangs is noticed before a replica takes its place.
constexpr Millis kLookEvery{1000};
constexpr Millis kMapEvery{250};
/// Of masters that were known and of those that the operator named: one of them answers, or all are away.
constexpr std::size_t kMostAsked = 16;
/// Servers that slots are on their way to, and that are no masters of the map yet.
constexpr std::size_t kMostGuests = 16;

/// Behind what is in `batch` already.
RedisBatch slots_question(RedisBatch batch = {}) {
  batch.add({"CLUSTER", "SLOTS"});
  return batch;
}

Task<void> run_part(std::shared_ptr<Redis> node, RedisBatch batch, RedisCluster::Replies& out) {
  out = co_await node->run(std::move(batch));
}

}  // namespace

RedisCluster::RedisCluster(Loop& loop, RedisOptions options)
    : loop_(loop), options_(std::move(options)), timer_(loop) {}

RedisOptions RedisCluster::options_at(const Endpoint& server) const {
  RedisOptions options = options_;
  options.cluster.clear();
  options.host = server.host;
  options.port = server.port;
  return options;
}

RedisOptions RedisCluster::options_for(std::string_view key) const {
  const Endpoint* server = map_ ? map_->server_of(redis_slot(key)) : nullptr;
  return options_at(server != nullptr ? *server : options_.cluster.front());
}

RedisCluster::Node RedisCluster::node(const Endpoint& server) {
  for (const auto& [endpoint, node] : nodes_) {
    if (endpoint == server) return node;
  }
  if (nodes_.size() >= (map_ ? map_->servers.size() : 0) + kMostGuests) drop_guests();
  const auto made = std::make_shared<Redis>(loop_, options_at(server));
  made->on_link([weak = weak_from_this()] {
    if (const auto self = weak.lock()) ++self->epoch_;
  });
  nodes_.emplace_back(server, made);
  return made;
}

/// Batches that are on their way there keep theirs until they are answered.
void RedisCluster::drop_guests() {
  std::erase_if(nodes_, [&](const auto& one) {
    return !map_ || std::ranges::find(map_->servers, one.first) == map_->servers.end();
  });
}

// The map

/// Every time another one is asked first: the one that hangs, or knows an old map, does not keep us.
std::vector<Endpoint> RedisCluster::whom_to_ask() {
  std::vector<Endpoint> all = options_.cluster;
  if (map_) {
    for (const Endpoint& server : map_->servers) {
      if (std::ranges::find(all, server) == all.end()) all.push_back(server);
    }
  }
  std::ranges::rotate(all, all.begin() + static_cast<std::ptrdiff_t>(turn_++ % all.size()));
  if (all.size() > kMostAsked) all.resize(kMostAsked);
  return all;
}

Task<Result<RedisSlotMap>> RedisCluster::ask_one(std::shared_ptr<RedisCluster> self, Endpoint server,
                                                 TimePoint deadline) {
  auto stream = co_await open_redis_at(self->loop_, self->options_, server, deadline);
  if (!stream) co_return std::unexpected(stream.error());
  if (self->closed_) co_return fail(Errc::closed);
  (*stream)->set_deadline(deadline);
  RedisBatch batch;
  add_auth(batch, self->options_.username, self->options_.password);
  RedisParser parser;
  self->asked_ = stream->get();
  const auto replies = co_await ask_redis(**stream, parser, slots_question(std::move(batch)));
  self->asked_ = nullptr;
  (*stream)->close();
  if (!replies) co_return std::unexpected(replies.error());
  co_return read_slot_map(replies->back(), server);
}

/// One after the other; all of them share the time of a connection.
Task<Result<RedisSlotMap>> RedisCluster::ask_anybody(std::shared_ptr<RedisCluster> self) {
  const TimePoint deadline = self->loop_.now() + self->options_.connect_timeout;
  const std::vector<Endpoint> all = self->whom_to_ask();
  Error last{Errc::unavailable, "nobody to ask"};
  for (std::size_t i = 0; i < all.size() && !self->closed_; ++i) {
    const TimePoint now = self->loop_.now();
    const TimePoint end = now + (deadline - now) / static_cast<int>(all.size() - i);
    auto map = co_await ask_one(self, all[i], end);
    if (map) co_return map;
    last = std::move(map.error());
  }
  co_return std::unexpected(std::move(last));
}

/// `teller`: a server that is known to have a newer map; may be null.
Task<Result<>> RedisCluster::read_map(std::shared_ptr<RedisCluster> self, Node teller, Endpoint told_by) {
  if (self->closed_) co_return fail(Errc::unavailable, "Redis client closed");
  if (self->reading_) {
    const auto joined = self->reading_;
    co_await joined->done;
    co_return joined->result;
  }
  if (!teller && self->loop_.now() < self->retry_at_) co_return fail(Errc::unavailable, "Redis is away");
  const auto mine = std::make_shared<Reading>();
  self->reading_ = mine;
  self->doubted_ = false;
  Result<RedisSlotMap> map = fail(Errc::unavailable);
  if (teller) {
    const auto replies = co_await teller->run(slots_question());
    if (replies) map = read_slot_map(replies->front(), told_by);
  }
  if (!map) map = co_await ask_anybody(self);
  self->retry_at_ = self->loop_.now() + (map ? kMapEvery : redis_backoff(self->failures_));
  if (self->closed_) {
    mine->result = fail(Errc::unavailable, "Redis client closed");
  } else if (map) {
    self->failures_ = 0;
    mine->result = Result<>();
    self->take_map(std::move(*map));
  } else {
    ++self->failures_;
    self->doubted_ = true;
    log_redis_failure("slots", map.error());
    mine->result = std::unexpected(redis_away(map.error()));
  }
  self->reading_ = nullptr;
  mine->done.set();
  co_return mine->result;
}

void RedisCluster::take_map(RedisSlotMap map) {
  if (map_ && *map_ == map) return;
  // What has moved may have been lost on the way, if a replica took a master's place.
  if (map_) ++epoch_;
  const bool first = !map_;
  const bool others = first || map_->servers != map.servers;
  map_ = std::make_shared<const RedisSlotMap>(std::move(map));
  if (others) log::info("redis.masters", {{"count", map_->servers.size()}});
  drop_guests();
  look();
  if (first) look_later();
}

/// Reads the map anew, but not for those who fail now: they are not kept waiting.
void RedisCluster::doubt_map() {
  doubted_ = true;
  if (!closed_ && !reading_ && loop_.now() >= retry_at_) spawn(read_map_aside(shared_from_this()));
}

Task<void> RedisCluster::read_map_aside(std::shared_ptr<RedisCluster> self) {
  const auto read = co_await read_map(self, nullptr, {});
  if (!read) self->doubted_ = true;  // until the next look
}

// Looking after the servers

/// A batch notices a lost connection only to the servers that it uses, but what the caches let it leave out
/// may have been on another. So every server is polled.
void RedisCluster::look() {
  const Map map = map_;
  if (!map) return;
  for (const Endpoint& server : map->servers) spawn(look_at(shared_from_this(), node(server)));
}

void RedisCluster::look_later() {
  timer_.start(kLookEvery, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->closed_) return;
    if (self->doubted_) self->doubt_map();
    self->look();
    self->look_later();
  });
}

Task<void> RedisCluster::look_at(std::shared_ptr<RedisCluster> self, Node node) {
  RedisBatch batch;
  batch.add({"ROLE"});
  const auto answer = co_await node->run(std::move(batch));
  // A master that was demoted would say so (MOVED) only when asked for a key.
  const auto* role =
      answer && !answer->front().elements.empty() ? &answer->front().elements.front() : nullptr;
  if (!answer || (role != nullptr && role->text != "master")) self->doubt_map();
}

// Batches

Task<Result<>> RedisCluster::run_round(std::shared_ptr<RedisCluster> self, RedisRounds& rounds,
                                       std::vector<RedisRounds::Part> parts) {
  std::vector<Replies> answers(parts.size());
  std::vector<Task<void>> tasks;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    tasks.push_back(run_part(self->node(parts[i].server), std::move(parts[i].batch), answers[i]));
  }
  ++self->round_trips_;
  co_await when_all(std::move(tasks));
  Result<> result;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (answers[i]) {
      rounds.take(parts[i], std::move(*answers[i]));
    } else if (result) {
      result = std::unexpected(std::move(answers[i].error()));
    }
  }
  co_return result;
}

Task<RedisCluster::Replies> RedisCluster::run(std::shared_ptr<RedisCluster> self, RedisBatch batch) {
  if (self->closed_) co_return fail(Errc::unavailable, "Redis client closed");
  if (batch.size() == 0) co_return std::vector<RedisReply>();
  if (!self->map_) {
    const auto read = co_await read_map(self, nullptr, {});
    if (!read) {
      metrics::add(metrics::Counter::redis_failures);
      co_return std::unexpected(read.error());
    }
  }
  const TimePoint until = self->loop_.now() + self->options_.command_timeout;
  RedisRounds rounds(std::move(batch));
  for (int round = 0; round < kMostRounds && (round == 0 || self->loop_.now() < until); ++round) {
    const Map map = self->map_;
    auto parts = rounds.next(*map);
    if (!parts) {
      self->doubt_map();
      co_return std::unexpected(std::move(parts.error()));
    }
    if (parts->empty()) co_return std::move(rounds).replies();
    if (const auto done = co_await run_round(self, rounds, std::move(*parts)); !done) {
      self->doubt_map();
      co_return std::unexpected(done.error());
    }
    if (self->closed_) co_return fail(Errc::closed, "Redis client closed");
    // Another batch may have read the newer map already.
    if (!rounds.moved() || self->map_ != map) continue;
    const Endpoint teller = *rounds.moved();
    const auto read = co_await read_map(self, self->node(teller), teller);
    if (!read) co_return std::unexpected(read.error());
  }
  self->doubt_map();
  co_return fail(Errc::unavailable, "Redis: keys that keep moving");
}

Task<Result<std::vector<Endpoint>>> RedisCluster::servers(std::shared_ptr<RedisCluster> self) {
  // Even a map that nothing has contradicted may be out of date.
  self->retry_at_ = {};
  if (const auto read = co_await read_map(self, nullptr, {}); !read) co_return std::unexpected(read.error());
  co_return self->map_->servers;
}

Task<RedisCluster::Replies> RedisCluster::run_at(std::shared_ptr<RedisCluster> self, Endpoint server,
                                                 RedisBatch batch) {
  if (self->closed_) co_return fail(Errc::unavailable, "Redis client closed");
  const bool known =
      self->map_ && std::ranges::find(self->map_->servers, server) != self->map_->servers.end();
  if (!known) co_return fail(Errc::unavailable, "Redis: a server that is no master any more");
  const Node node = self->node(server);
  auto replies = co_await node->run(std::move(batch));
  if (!replies) self->doubt_map();
  co_return replies;
}

void RedisCluster::close() {
  if (closed_) return;
  const auto self = shared_from_this();  // whoever waits may drop us
  closed_ = true;
  timer_.stop();
  if (asked_ != nullptr) asked_->close();
  const auto nodes = std::exchange(nodes_, {});
  for (const auto& [endpoint, node] : nodes) node->close();
}

}  // namespace kage::net
