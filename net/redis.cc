// The Redis connection: one coroutine reads replies, one writes what was queued, callers wait in between.
//
// A Link is one connection's life. What was sent on a Link is answered by it or fails with it; nothing moves
// to another Link, since a batch whose answer was lost may have been carried out.
#include "net/redis.h"

#include <algorithm>
#include <chrono>
#include <deque>

#include "base/log.h"
#include "base/metrics.h"
#include "net/redis_cluster.h"
#include "net/redis_connect.h"
#include "net/redis_protocol.h"

namespace kage::net {
namespace {

/// A batch and the coroutine that waits for it. Lives in that coroutine's frame.
struct Waiting {
  RedisBatch batch;
  std::vector<RedisReply> replies;
  std::optional<Error> error;
  TimePoint sent{};
  std::coroutine_handle<> waiter;
  std::chrono::steady_clock::time_point measured{};  // finer than the loop's cached time
};

struct Link {
  std::unique_ptr<Stream> stream;
  RedisParser parser;
  std::deque<Waiting*> sent;  // oldest first
  bool writing = false;
  bool answered = false;        // a reply came on this link
  bool refuses_writes = false;  // nothing more is sent
};

}  // namespace

struct Redis::Connection : std::enable_shared_from_this<Redis::Connection> {
  Connection(Loop& l, RedisOptions o) : loop(l), options(std::move(o)) {}

  Loop& loop;
  RedisOptions options;
  std::shared_ptr<Link> link;   // null unless connected and logged in
  Stream* greeting = nullptr;   // the stream that is logging in
  std::deque<Waiting*> queued;  // not sent yet
  bool connecting = false;
  bool flush_planned = false;
  bool closed = false;
  TimePoint retry_at{};  // before it, run() fails at once
  int failures = 0;      // connections in a row that gave nothing
  std::uint64_t epoch = 0;
  std::uint64_t round_trips = 0;
  std::function<void()> on_link;  // may be empty

  static Task<Result<std::vector<RedisReply>>> run(std::shared_ptr<Connection> self, RedisBatch batch);
  static Task<void> connect(std::shared_ptr<Connection> self);
  static Task<void> read(std::shared_ptr<Connection> self, std::shared_ptr<Link> link);
  static Task<void> write(std::shared_ptr<Connection> self, std::shared_ptr<Link> link);

  void enqueue(Waiting& waiting);
  void plan_flush();
  void failed(const Error& error, std::string_view stage);
  void drop(const std::shared_ptr<Link>& lost, const Error& error, std::string_view stage);
  void fail_later(std::deque<Waiting*>& waiting, const Error& error);
  void deliver(Link& from, RedisReply reply);
  void set_deadline(Link& on) const;
};

namespace {

struct BatchAwaiter {
  Waiting& waiting;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const { waiting.waiter = handle; }
  void await_resume() const noexcept {}
};

}  // namespace

Task<Result<std::vector<RedisReply>>> Redis::Connection::run(std::shared_ptr<Connection> self,
                                                             RedisBatch batch) {
  if (self->closed) co_return fail(Errc::unavailable, "Redis client closed");
  if (batch.size() == 0) co_return std::vector<RedisReply>();
  if (!self->link && !self->connecting && self->loop.now() < self->retry_at) {
    metrics::add(metrics::Counter::redis_failures);
    co_return fail(Errc::unavailable, "Redis is away");
  }
  Waiting waiting{std::move(batch), {}, {}, {}, {}};
  self->enqueue(waiting);
  co_await BatchAwaiter{waiting};
  if (waiting.error) {
    metrics::add(metrics::Counter::redis_failures);
    co_return std::unexpected(std::move(*waiting.error));
  }
  co_return std::move(waiting.replies);
}

/// Whoever waits is resumed from the loop later, never from in here: the waiter is not set yet.
void Redis::Connection::enqueue(Waiting& waiting) {
  queued.push_back(&waiting);
  if (link) {
    plan_flush();
  } else if (!connecting) {
    connecting = true;
    loop.defer([self = shared_from_this()] { spawn(connect(self)); });
  }
}

/// One write for everything that this iteration of the loop queues.
void Redis::Connection::plan_flush() {
  if (flush_planned || !link || link->writing) return;
  flush_planned = true;
  loop.defer([self = shared_from_this()] {
    self->flush_planned = false;
    if (self->link && !self->link->writing && !self->queued.empty()) spawn(write(self, self->link));
  });
}

void Redis::Connection::fail_later(std::deque<Waiting*>& waiting, const Error& error) {
  if (waiting.empty()) return;
  for (Waiting* one : waiting) one->error = error;
  loop.defer([list = std::exchange(waiting, {})] {
    for (const Waiting* one : list) one->waiter.resume();
  });
}

void Redis::Connection::failed(const Error& error, std::string_view stage) {
  retry_at = loop.now() + redis_backoff(failures++);
  log_redis_failure(stage, error);
}

/// Ends a link: what it owes fails with its error, and so does what waited behind it.
void Redis::Connection::drop(const std::shared_ptr<Link>& lost, const Error& error, std::string_view stage) {
  // A server that was restarted is asked again at once; one that hangs or gave nothing has to wait.
  if (!closed && (error.code != Errc::closed || !lost->answered)) {
    failed(error, stage);
  } else if (!closed) {
    log::info("redis.disconnected");
  }
  lost->stream->close();
  fail_later(lost->sent, error);
  if (link != lost) return;
  link = nullptr;
  if (on_link) on_link();
  fail_later(queued, error);
}

Task<void> Redis::Connection::connect(std::shared_ptr<Connection> self) {
  const TimePoint deadline = self->loop.now() + self->options.connect_timeout;
  auto made = std::make_shared<Link>();
  auto stream = co_await open_redis(self->loop, self->options, deadline);
  Result<> ready;
  if (!stream) {
    ready = std::unexpected(stream.error());
  } else {
    made->stream = std::move(*stream);
    made->stream->set_deadline(deadline);
    self->greeting = made->stream.get();
    if (self->closed) made->stream->close();
    ready = co_await greet_redis(*made->stream, made->parser, self->options);
    self->greeting = nullptr;
  }
  self->connecting = false;
  if (ready && self->closed) ready = fail(Errc::unavailable, "Redis client closed");
  if (!ready) {
    if (made->stream) made->stream->close();
    if (!self->closed) self->failed(ready.error(), "connect");
    self->fail_later(self->queued, redis_away(ready.error()));
    co_return;
  }
  made->stream->set_deadline(std::nullopt);
  ++self->epoch;
  self->link = made;
  if (self->on_link) self->on_link();
  log::debug("redis.connected", {{"epoch", self->epoch}});
  self->plan_flush();
  co_await read(self, made);
}

void Redis::Connection::set_deadline(Link& on) const {
  on.stream->set_deadline(on.sent.empty() ? std::nullopt
                                          : std::optional(on.sent.front()->sent + options.command_timeout));
}

Task<void> Redis::Connection::write(std::shared_ptr<Connection> self, std::shared_ptr<Link> link) {
  link->writing = true;
  while (self->link == link && !self->queued.empty() && !link->refuses_writes) {
    std::string bytes;
    for (Waiting* waiting : self->queued) {
      bytes.append(waiting->batch.encoded());
      waiting->sent = self->loop.now();
      waiting->measured = std::chrono::steady_clock::now();
      link->sent.push_back(waiting);
      ++self->round_trips;
      metrics::add(metrics::Counter::redis_round_trips);
    }
    self->queued.clear();
    self->set_deadline(*link);
    const auto written = co_await link->stream->write(bytes);
    if (!written) {
      // The reader ends too and finds the link gone.
      if (self->link == link) {
        self->drop(link, written.error(), "write");
      }
      break;
    }
  }
  link->writing = false;
}

void Redis::Connection::deliver(Link& from, RedisReply reply) {
  Waiting& oldest = *from.sent.front();
  oldest.replies.push_back(std::move(reply));
  if (oldest.replies.size() < oldest.batch.size()) return;
  from.sent.pop_front();
  metrics::observe(metrics::Histogram::redis, std::chrono::duration_cast<std::chrono::microseconds>(
                                                  std::chrono::steady_clock::now() - oldest.measured));
  set_deadline(from);
  oldest.waiter.resume();
}

Task<void> Redis::Connection::read(std::shared_ptr<Connection> self, std::shared_ptr<Link> link) {
  Error error{Errc::closed, "Redis closed the connection"};
  while (self->link == link) {
    const auto bytes = co_await link->stream->read();
    if (!bytes) error = bytes.error();
    if (!bytes || bytes->empty()) break;
    const auto fed = link->parser.feed(*bytes);
    if (!fed) {
      error = fed.error();
      break;
    }
    auto reply = link->parser.next();
    for (; reply && *reply && self->link == link && !link->sent.empty(); reply = link->parser.next()) {
      link->refuses_writes =
          link->refuses_writes || ((*reply)->is_error() && (*reply)->text.starts_with("READONLY"));
      link->answered = true;
      self->failures = 0;
      self->deliver(*link, std::move(**reply));
      // Whoever waited has all answers; the next one finds the master of now.
      if (link->refuses_writes && link->sent.empty() && self->link == link)
        self->drop(link, Error{Errc::closed, "Redis is no master any more"}, "read");
    }
    if (!reply) error = reply.error();
    if (reply && *reply && self->link == link)
      error = Error{Errc::protocol, "Redis answered what was not asked"};
    if (!reply || *reply) break;
  }
  if (self->link == link) self->drop(link, error, "read");
}

Redis::Redis(Loop& loop, RedisOptions options) {
  if (options.cluster.empty() || !options.unix_path.empty()) {
    connection_ = std::make_shared<Connection>(loop, std::move(options));
  } else {
    cluster_ = std::make_shared<RedisCluster>(loop, std::move(options));
  }
}

Redis::~Redis() {
  close();
}

Task<Result<std::vector<RedisReply>>> Redis::run(RedisBatch batch) {
  if (cluster_) return RedisCluster::run(cluster_, std::move(batch));
  return Connection::run(connection_, std::move(batch));
}

Task<Result<std::vector<Endpoint>>> Redis::servers() {
  if (cluster_) co_return co_await RedisCluster::servers(cluster_);
  co_return std::vector<Endpoint>{{connection_->options.host, connection_->options.port}};
}

Task<Result<std::vector<RedisReply>>> Redis::run_at(Endpoint server, RedisBatch batch) {
  if (cluster_) return RedisCluster::run_at(cluster_, std::move(server), std::move(batch));
  return Connection::run(connection_, std::move(batch));
}

std::uint64_t Redis::connection_epoch() const {
  return cluster_ ? cluster_->epoch() : connection_->epoch;
}

const RedisOptions& Redis::options() const {
  return cluster_ ? cluster_->options() : connection_->options;
}

RedisOptions Redis::options_for(std::string_view key) const {
  return cluster_ ? cluster_->options_for(key) : connection_->options;
}

std::uint64_t Redis::round_trips() const {
  return cluster_ ? cluster_->round_trips() : connection_->round_trips;
}

void Redis::on_link(std::function<void()> changed) {
  connection_->on_link = std::move(changed);
}

void Redis::close() {
  if (cluster_) {
    cluster_->close();
    return;
  }
  Connection& self = *connection_;
  if (self.closed) return;
  self.closed = true;
  const Error error{Errc::closed, "Redis client closed"};
  if (self.greeting != nullptr) self.greeting->close();
  if (self.link) self.drop(self.link, error, "close");
  self.fail_later(self.queued, error);
}

}  // namespace kage::net
