// Being told of changed keys, by a real redis-server.
#include "net/redis_tracking.h"

#include <catch2/catch.hpp>

#include "net/listener.h"
#include "tests/net/real_redis.h"
#include "tests/net/test_streams.h"

namespace kage::net {
namespace {

using testing::RealRedis;
using testing::run_on_loop;

Task<void> command(Redis& redis, std::vector<std::string_view> words) {
  RedisBatch batch;
  batch.add(words);
  const auto replies = co_await redis.run(std::move(batch));
  REQUIRE(replies);
  REQUIRE_FALSE(replies->front().is_error());
}

/// A tracking that runs, and what it told.
struct Tracked {
  explicit Tracked(Loop& l, RedisOptions options) : loop(l), tracking(l, std::move(options), "watched:") {
    spawn(run(*this));
  }
  static Task<void> run(Tracked& self) {
    self.end = co_await self.tracking.run([&self] { self.count(); });
    self.event.set();
  }
  void count() {
    ++told;
    event.set();
  }
  /// Waits until something was told `times` times, or it ended.
  static Task<void> until(Tracked& self, int times) {
    while (self.told < times && !self.end) {
      self.event.reset();
      co_await self.event;
    }
  }
  int wait(int times) {
    run_on_loop(loop, until(*this, times));
    return told;
  }
  Error wait_end() {
    run_on_loop(loop, until(*this, INT32_MAX));
    return *end;
  }

  Loop& loop;
  RedisTracking tracking;
  Event event;
  int told = 0;
  std::optional<Error> end;
};

Task<void> silent(StreamPtr stream, std::string answer) {
  const auto bytes = co_await stream->read();
  if (!answer.empty()) (void)co_await stream->write(answer);
  if (bytes) (void)co_await stream->read();
}

}  // namespace

TEST_CASE("every change of a key with the prefix is told, and of no other") {
  const RealRedis server;
  Loop loop;
  Redis redis(loop, server.options());
  Tracked tracked(loop, server.options());
  REQUIRE(tracked.wait(1) == 1);  // telling has begun
  run_on_loop(loop, command(redis, {"SET", "other", "1"}));
  run_on_loop(loop, command(redis, {"SET", "watched:a", "1"}));
  REQUIRE(tracked.wait(2) == 2);
  run_on_loop(loop, command(redis, {"SET", "watched:a", "2"}));  // again, though nobody read it between
  REQUIRE(tracked.wait(3) == 3);
  run_on_loop(loop, command(redis, {"EVAL", "redis.call('INCR', KEYS[1])", "1", "watched:b"}));
  REQUIRE(tracked.wait(4) == 4);
  run_on_loop(loop, command(redis, {"DEL", "watched:a", "watched:b"}));
  REQUIRE(tracked.wait(5) >= 5);
  const int before = tracked.told;
  run_on_loop(loop, command(redis, {"FLUSHALL"}));
  CHECK(tracked.wait(before + 1) > before);
  tracked.tracking.close();
  CHECK(tracked.wait_end().code == Errc::closed);
}

TEST_CASE("over TCP with a user, and what an ACL forbids is said") {
  RealRedis server(
      RealRedis::Listen::tcp,
      {"--user", "allowed", "on",    ">word",           "~*",    "&*",     "+@all",  "--user", "plain",
       "on",     ">word",   "~*",    "resetchannels",   "+@all", "--user", "narrow", "on",     ">word",
       "~*",     "&*",      "+@all", "-client|tracking"});
  for (const std::string name : {"allowed", "plain", "narrow"}) {
    Loop loop;
    RedisOptions options = server.options();
    options.username = name;
    options.password = "word";
    Tracked tracked(loop, options);
    tracked.wait(1);
    if (name == "allowed") {
      CHECK(tracked.told == 1);
      tracked.tracking.close();
    } else {
      const Error end = tracked.wait_end();
      CHECK(end.code == Errc::denied);
      CHECK(end.detail == "Redis: NOPERM");
      CHECK(tracked.told == 0);
    }
    (void)tracked.wait_end();
  }
}

TEST_CASE("the end of the connection is the end") {
  RealRedis server;
  Loop loop;
  Tracked tracked(loop, server.options());
  REQUIRE(tracked.wait(1) == 1);
  server.kill();
  CHECK(tracked.wait_end().code != Errc::denied);
  Tracked late(loop, server.options());  // nobody is there
  CHECK(late.wait_end().code != Errc::denied);
  CHECK(late.told == 0);
  late.tracking.close();
}

TEST_CASE("a peer that hangs, refuses or talks nonsense tells nothing") {
  for (const std::string answer :
       {"", "-ERR unknown command\r\n", "nonsense\r\n", ":7\r\n-ERR unknown subcommand\r\n"}) {
    Loop loop;
    const auto listener = Listener::open(loop, "127.0.0.1", 0, [&](StreamPtr stream, PeerAddress) {
      spawn(silent(std::move(stream), answer));
    });
    REQUIRE(listener);
    RedisOptions options;
    options.host = "127.0.0.1";
    options.port = (*listener)->bound_port();
    options.connect_timeout = Millis(200);
    Tracked tracked(loop, options);
    const Error end = tracked.wait_end();
    CHECK(tracked.told == 0);
    CHECK((end.code == Errc::denied) == (answer.find("-ERR") != std::string::npos));
  }
}

TEST_CASE("closing before, while and after it begins") {
  const RealRedis server;
  for (int turns = 0; turns < 8; ++turns) {
    Loop loop;
    Tracked tracked(loop, server.options());
    for (int i = 0; i < turns; ++i) run_on_loop(loop, loop.sleep(Millis(0)));
    tracked.tracking.close();
    const int told = tracked.told;
    CHECK(tracked.wait_end().code == Errc::closed);
    CHECK(tracked.told == told);
  }
}

}  // namespace kage::net
