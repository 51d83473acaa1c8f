// The client of a cluster against a redis-server that is one by itself, and against peers that mislead it.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "net/listener.h"
#include "net/redis.h"
#include "net/redis_protocol.h"
#include "net/redis_slots.h"
#include "tests/net/real_redis.h"
#include "tests/net/test_streams.h"

namespace kage::net {
namespace {

using testing::RealRedis;
using testing::run_on_loop;
using Replies = Result<std::vector<RedisReply>>;

template <class T>
Task<void> keep(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await std::move(task));
}

template <class T>
T await(Loop& loop, Task<T> task) {
  std::optional<T> out;
  run_on_loop(loop, keep(std::move(task), out));
  return std::move(*out);
}

RedisBatch one(std::initializer_list<std::string_view> words) {
  RedisBatch batch;
  batch.add(words);
  return batch;
}

Replies ask(Loop& loop, Redis& redis, std::initializer_list<std::string_view> words) {
  return await(loop, redis.run(one(words)));
}

std::uint16_t free_port(Loop& loop) {
  const auto listener = Listener::open(loop, "127.0.0.1", 0, [](StreamPtr, PeerAddress) {});
  REQUIRE(listener);
  return (*listener)->bound_port();
}

/// A cluster of one server, which has all slots.
struct OneServer {
  Loop loop;
  RealRedis server{RealRedis::Listen::tcp,
                   {"--cluster-enabled", "yes", "--cluster-port", std::to_string(free_port(loop))}};

  OneServer() {
    Redis redis(loop, server.options());
    REQUIRE_FALSE(ask(loop, redis, {"CLUSTER", "ADDSLOTSRANGE", "0", "16383"})->front().is_error());
    while (ask(loop, redis, {"SET", "probe", "1"})->front().is_error())
      run_on_loop(loop, loop.sleep(Millis(5)));
  }
  [[nodiscard]] RedisOptions options() const {
    RedisOptions options;
    options.cluster = {{"127.0.0.1", server.port()}};
    return options;
  }
};

/// A peer that is all of a cluster, or says so, and answers every command about a key with `answer`.
struct Peer {
  explicit Peer(Loop& loop) {
    auto opened = Listener::open(loop, "127.0.0.1", 0, [this](StreamPtr stream, PeerAddress) {
      spawn(serve(*this, std::move(stream)));
    });
    REQUIRE(opened);
    listener = std::move(*opened);
    map = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:" + port() + "\r\n";
  }
  static Task<void> serve(Peer& self, StreamPtr stream) {
    RedisParser parser;  // commands look like replies
    for (;;) {
      const auto bytes = co_await stream->read();
      if (!bytes || bytes->empty() || !parser.feed(*bytes)) co_return;
      std::string answers;
      for (auto command = parser.next(); command && *command; command = parser.next()) {
        const std::string& name = (*command)->elements.at(0).text;
        if (name == "CLUSTER") ++self.maps;
        if (name == "GET") ++self.asked;
        answers += name == "CLUSTER" ? self.map : name == "GET" ? self.answer : "+OK\r\n";
      }
      if (const auto written = co_await stream->write(answers); !written) co_return;
    }
  }
  [[nodiscard]] std::string port() const { return std::to_string(listener->bound_port()); }
  [[nodiscard]] RedisOptions options() const {
    RedisOptions options;
    options.cluster = {{"127.0.0.1", listener->bound_port()}};
    return options;
  }

  std::unique_ptr<Listener> listener;
  std::string map;
  std::string answer;
  int asked = 0;
  int maps = 0;
};

}  // namespace

TEST_CASE("slots are what redis-server says") {
  OneServer cluster;
  Redis redis(cluster.loop, cluster.server.options());
  RedisBatch batch;
  std::vector<std::string> keys = {"",   "{}",    "{}x",    "a{b}c",   "{a",        "a}",
                                   "}{", "{{a}}", "{a}{b}", "x{a}{b}", "{kage}:gen"};
  for (int i = 0; i < 500; ++i) keys.push_back(random_bytes(static_cast<std::size_t>(i) % 40));
  for (const std::string& key : keys) batch.add({"CLUSTER", "KEYSLOT", key});
  const auto replies = await(cluster.loop, redis.run(std::move(batch)));
  REQUIRE(replies);
  for (std::size_t i = 0; i < keys.size(); ++i) CHECK((*replies)[i].integer == redis_slot(keys[i]));
}

TEST_CASE("a cluster is used by keys and by server") {
  OneServer cluster;
  Loop& loop = cluster.loop;
  Redis redis(loop, cluster.options());
  CHECK(redis.is_cluster());
  REQUIRE(ask(loop, redis, {"SET", "key", "value"}));
  CHECK(ask(loop, redis, {"GET", "key"})->front().text == "value");
  CHECK(redis.round_trips() == 2);
  const auto servers = await(loop, redis.servers());
  REQUIRE(servers);
  REQUIRE(servers->size() == 1);
  CHECK(servers->front().port == cluster.server.port());
  CHECK(await(loop, redis.run_at(servers->front(), one({"DBSIZE"})))->front().integer == 2);
  CHECK_FALSE(await(loop, redis.run_at({"127.0.0.1", 1}, one({"DBSIZE"}))));
  const RedisOptions options = redis.options_for("key");
  CHECK(options.cluster.empty());
  CHECK(options.port == cluster.server.port());
  CHECK(await(loop, redis.run({}))->empty());
}

TEST_CASE("a connection that is lost and one that is made are noticed, without a batch") {
  OneServer cluster;
  Loop& loop = cluster.loop;
  Redis redis(loop, cluster.options());
  REQUIRE(ask(loop, redis, {"GET", "key"}));
  const std::uint64_t before = redis.connection_epoch();
  cluster.server.kill();
  while (redis.connection_epoch() == before) run_on_loop(loop, loop.sleep(Millis(5)));
  const std::uint64_t lost = redis.connection_epoch();
  REQUIRE_FALSE(ask(loop, redis, {"GET", "key"}));
  cluster.server.start();
  while (redis.connection_epoch() == lost) run_on_loop(loop, loop.sleep(Millis(5)));
}

TEST_CASE("a server that hangs is noticed, without a batch") {
  OneServer cluster;
  Loop& loop = cluster.loop;
  RedisOptions options = cluster.options();
  options.command_timeout = Millis(200);
  Redis redis(loop, options);
  REQUIRE(ask(loop, redis, {"GET", "key"}));
  const std::uint64_t before = redis.connection_epoch();
  cluster.server.pause();
  while (redis.connection_epoch() == before) run_on_loop(loop, loop.sleep(Millis(5)));
  cluster.server.go_on();
}

TEST_CASE("closing and destroying a cluster fail what waits") {
  OneServer cluster;
  Loop& loop = cluster.loop;
  auto redis = std::make_unique<Redis>(loop, cluster.options());
  REQUIRE(ask(loop, *redis, {"GET", "key"}));
  cluster.server.pause();
  loop.post([&] { redis->close(); });
  CHECK(ask(loop, *redis, {"GET", "key"}).error().code == Errc::closed);
  CHECK(ask(loop, *redis, {"GET", "key"}).error().code == Errc::unavailable);
  redis = std::make_unique<Redis>(loop, cluster.options());  // waits for the map
  loop.post([&] { redis.reset(); });
  CHECK_FALSE(ask(loop, *redis, {"GET", "key"}));
  {
    Loop other;
    Redis left(other, cluster.options());
    spawn([](Redis& of) -> Task<void> { (void)co_await of.run(one({"GET", "key"})); }(left));
    other.post([&] { other.stop(); });
    other.run();
  }
  cluster.server.go_on();
}

TEST_CASE("a server that is no cluster") {
  const RealRedis server(RealRedis::Listen::tcp);
  Loop loop;
  RedisOptions options;
  options.cluster = {{"127.0.0.1", server.port()}};
  Redis redis(loop, options);
  const auto refused = ask(loop, redis, {"GET", "key"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::denied);
  CHECK(refused.error().detail == "Redis: ERR");
  CHECK_FALSE(ask(loop, redis, {"GET", "key"}));
}

TEST_CASE("a peer that sends on for ever is left") {
  Loop loop;
  for (const std::string_view kind : {"MOVED", "ASK"}) {
    INFO(kind);
    Peer peer(loop);
    peer.answer = "-" + std::string(kind) + " 12182 127.0.0.1:" + peer.port() + "\r\n";
    Redis redis(loop, peer.options());
    const auto replies = ask(loop, redis, {"GET", "foo"});
    REQUIRE_FALSE(replies);
    CHECK(replies.error().code == Errc::unavailable);
    CHECK(peer.asked < 10);
    CHECK(peer.maps < 15);
  }
}

TEST_CASE("a peer that names a new server each time is left") {
  Loop loop;
  Peer peer(loop);
  Redis redis(loop, peer.options());
  for (int i = 1; i < 2000; ++i) {
    peer.answer = "-ASK 12182 127.0.0.1:" + std::to_string(i) + "\r\n";
    CHECK_FALSE(ask(loop, redis, {"GET", "foo"}));
  }
}

TEST_CASE("maps that cannot be used") {
  Loop loop;
  for (const std::string_view map :
       {"*0\r\n", "+OK\r\n", "*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$1\r\na\r\n:1\r\n", "-ERR no\r\n",
        "nonsense\r\n"}) {
    INFO(map);
    Peer peer(loop);
    peer.map = map;
    Redis redis(loop, peer.options());
    REQUIRE_FALSE(ask(loop, redis, {"GET", "foo"}));
    CHECK_FALSE(await(loop, redis.servers()));
  }
}

TEST_CASE("a map with a server that is away fails only what needs it") {
  Loop loop;
  const std::string away = std::to_string(free_port(loop));
  Peer peer(loop);
  peer.answer = "$4\r\nhigh\r\n";
  peer.map = "*2\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + away +
             "\r\n*3\r\n:8192\r\n:16383\r\n*2\r\n$0\r\n\r\n:" + peer.port() + "\r\n";
  Redis redis(loop, peer.options());
  CHECK_FALSE(ask(loop, redis, {"GET", "bar"}));
  const auto high = ask(loop, redis, {"GET", "foo"});
  REQUIRE(high);
  CHECK(high->front().text == "high");
  RedisBatch both;
  both.add({"GET", "foo"});
  both.add({"GET", "bar"});
  const auto failed = await(loop, redis.run(std::move(both)));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Errc::unavailable);
}

}  // namespace kage::net
