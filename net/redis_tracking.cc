// CLIENT TRACKING with itself as the connection that is told, then SUBSCRIBE, after which Redis only speaks.
#include "net/redis_tracking.h"

#include <utility>

#include "net/redis_connect.h"

namespace kage::net {
namespace {

constexpr std::string_view kChannel = "__redis__:invalidate";
constexpr Millis kPingEvery{10'000};

}  // namespace

struct RedisTracking::State : std::enable_shared_from_this<RedisTracking::State> {
  State(Loop& l, RedisOptions o, std::string p)
      : loop(l), options(std::move(o)), prefix(std::move(p)), timer(l) {}

  Loop& loop;
  RedisOptions options;
  std::string prefix;
  Timer timer;
  StreamPtr stream;
  bool heard = true;  // something came since the last PING
  bool closed = false;

  static Task<Error> run(std::shared_ptr<State> self, std::move_only_function<void()> changed);
  static Task<Result<>> begin(std::shared_ptr<State> self, std::shared_ptr<RedisParser> parser);
  static Task<void> ping(std::shared_ptr<State> self);
  void ping_later();
};

/// Everything before the first change is told.
Task<Result<>> RedisTracking::State::begin(std::shared_ptr<State> self, std::shared_ptr<RedisParser> parser) {
  const TimePoint deadline = self->loop.now() + self->options.connect_timeout;
  auto opened = co_await open_redis(self->loop, self->options, deadline);
  if (!opened) co_return std::unexpected(opened.error());
  self->stream = std::move(*opened);
  if (self->closed) co_return fail(Errc::closed);
  Stream& stream = *self->stream;
  stream.set_deadline(deadline);
  if (const auto greeted = co_await greet_redis(stream, *parser, self->options); !greeted) co_return greeted;
  RedisBatch who;
  who.add({"CLIENT", "ID"});
  const auto id = co_await ask_redis(stream, *parser, std::move(who));
  if (!id) co_return std::unexpected(id.error());
  RedisBatch batch;
  batch.add({"CLIENT", "TRACKING", "ON", "REDIRECT", std::to_string(id->front().integer), "BCAST", "PREFIX",
             self->prefix});
  batch.add({"SUBSCRIBE", kChannel});
  const auto begun = co_await ask_redis(stream, *parser, std::move(batch));
  if (!begun) co_return std::unexpected(begun.error());
  stream.set_deadline(std::nullopt);
  co_return Result<>();
}

Task<void> RedisTracking::State::ping(std::shared_ptr<State> self) {
  RedisBatch batch;
  batch.add({"PING"});
  const auto written = co_await self->stream->write(batch.encoded());
  if (!written) self->stream->close();
}

/// A peer that vanished without a word looks like one that has nothing to tell.
void RedisTracking::State::ping_later() {
  heard = false;
  timer.start(kPingEvery, [self = shared_from_this()] {
    if (!self->heard) {
      self->stream->close();
      return;
    }
    spawn(ping(self));
    self->ping_later();
  });
}

Task<Error> RedisTracking::State::run(std::shared_ptr<State> self, std::move_only_function<void()> changed) {
  if (self->closed) co_return Error{Errc::closed, "Redis client closed"};
  const auto parser = std::make_shared<RedisParser>();
  const auto begun = co_await begin(self, parser);
  Error error = begun ? Error{Errc::closed, "Redis closed the connection"} : begun.error();
  if (begun) {
    self->ping_later();
    self->heard = true;
    changed();
  }
  while (begun && !self->closed) {
    const auto bytes = co_await self->stream->read();
    if (!bytes) error = bytes.error();
    if (!bytes || bytes->empty()) break;
    self->heard = true;
    Result<std::optional<RedisReply>> reply = std::nullopt;
    if (const auto fed = parser->feed(*bytes); !fed) reply = std::unexpected(fed.error());
    bool told = false;
    for (; reply && (reply = parser->next()) && *reply;) {
      told = told || (!(*reply)->elements.empty() && (*reply)->elements.front().text == "message");
    }
    if (!reply) {
      error = reply.error();
      break;
    }
    if (told && !self->closed) changed();
  }
  self->timer.stop();
  if (self->stream) self->stream->close();
  co_return error;
}

RedisTracking::RedisTracking(Loop& loop, RedisOptions options, std::string prefix)
    : state_(std::make_shared<State>(loop, std::move(options), std::move(prefix))) {}

RedisTracking::~RedisTracking() {
  close();
}

Task<Error> RedisTracking::run(std::move_only_function<void()> changed) {
  return State::run(state_, std::move(changed));
}

void RedisTracking::close() {
  state_->closed = true;
  state_->timer.stop();
  if (state_->stream) state_->stream->close();
}

}  // namespace kage::net
