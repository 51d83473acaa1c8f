// The Redis client against a real redis-server, and against a peer that speaks nonsense.
#include "net/redis.h"

#include <catch2/catch.hpp>

#include "net/listener.h"
#include "tests/net/real_redis.h"
#include "tests/net/test_streams.h"

namespace kage::net {
namespace {

using testing::RealRedis;
using testing::run_on_loop;
using Replies = Result<std::vector<RedisReply>>;

RedisBatch commands(std::initializer_list<std::vector<std::string_view>> list) {
  RedisBatch batch;
  for (const auto& command : list) batch.add(command);
  return batch;
}

Task<void> run(Redis& redis, RedisBatch batch, Replies& out) {
  out = co_await redis.run(std::move(batch));
}

Replies ask(Loop& loop, Redis& redis, RedisBatch batch) {
  Replies replies;
  run_on_loop(loop, run(redis, std::move(batch), replies));
  return replies;
}

Task<void> all_of(std::vector<Task<void>> tasks) {
  co_await when_all(std::move(tasks));
}

/// Asks again and again while `again(reply)`: a client spaces its attempts, and nothing tells when the next
/// is due.
template <class Again>
Replies ask_while(Loop& loop, Redis& redis, Again again) {
  for (;;) {
    auto reply = ask(loop, redis, commands({{"PING"}}));
    if (!again(reply)) return reply;
    run_on_loop(loop, loop.sleep(Millis(1)));
  }
}

Replies ask_until_answered(Loop& loop, Redis& redis) {
  return ask_while(loop, redis, [](const Replies& reply) { return !reply; });
}

}  // namespace

TEST_CASE("every kind of reply comes back as it is") {
  const RealRedis server;
  Loop loop;
  Redis redis(loop, server.options());
  const std::string binary("a\r\n\0b\xff", 6);
  const auto replies = ask(loop, redis,
                           commands({{"SET", "key", binary},
                                     {"GET", "key"},
                                     {"GET", "missing"},
                                     {"INCRBY", "number", "-42"},
                                     {"RPUSH", "list", "x", "", "y"},
                                     {"LRANGE", "list", "0", "-1"},
                                     {"LRANGE", "none", "0", "-1"},
                                     {"EVAL", "return {1,{2,{'three'}},false}", "0"},
                                     {"LPOP", "key"},
                                     {"NOSUCHCOMMAND"}}));
  REQUIRE(replies);
  REQUIRE(replies->size() == 10);
  const auto& r = *replies;
  using Type = RedisReply::Type;
  CHECK(r[0].type == Type::status);
  CHECK(r[0].text == "OK");
  CHECK(r[1].type == Type::string);
  CHECK(r[1].text == binary);
  CHECK(r[2].is_nil());
  CHECK(r[3].type == Type::integer);
  CHECK(r[3].integer == -42);
  REQUIRE(r[5].elements.size() == 3);
  CHECK(r[5].elements[1].text.empty());
  CHECK(r[5].elements[1].type == Type::string);
  CHECK(r[6].type == Type::array);
  CHECK(r[6].elements.empty());
  REQUIRE(r[7].elements.size() == 3);
  CHECK(r[7].elements[1].elements[1].elements[0].text == "three");
  CHECK(r[7].elements[2].is_nil());
  CHECK(r[8].is_error());
  CHECK(r[8].text.starts_with("WRONGTYPE"));
  CHECK(r[9].is_error());
  CHECK(redis.connection_epoch() == 1);
  CHECK(redis.round_trips() == 1);
}

TEST_CASE("a batch of ten thousand commands, and large values") {
  const RealRedis server;
  Loop loop;
  Redis redis(loop, server.options());
  RedisBatch batch;
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = "k" + std::to_string(i);
    batch.add({"SET", key, std::to_string(i * 7)});
    batch.add({"GET", key});
  }
  const auto replies = ask(loop, redis, std::move(batch));
  REQUIRE(replies);
  REQUIRE(replies->size() == 20'000);
  for (std::size_t i = 0; i < 10'000; ++i) REQUIRE((*replies)[2 * i + 1].text == std::to_string(i * 7));

  const std::string large(5'000'000, 'v');
  const auto back = ask(loop, redis, commands({{"SET", "large", large}, {"GET", "large"}}));
  REQUIRE(back);
  CHECK((*back)[1].text == large);
  CHECK(redis.round_trips() == 2);
  CHECK(ask(loop, redis, {})->empty());
}

TEST_CASE("batches of many callers share one connection and get their own replies") {
  const RealRedis server(RealRedis::Listen::tcp);
  Loop loop;
  Redis redis(loop, server.options());
  std::vector<Replies> replies(200);
  std::vector<Task<void>> tasks;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const std::string text = std::to_string(i);
    tasks.push_back(run(redis, commands({{"ECHO", text}, {"ECHO", "second"}}), replies[i]));
  }
  run_on_loop(loop, all_of(std::move(tasks)));
  for (std::size_t i = 0; i < replies.size(); ++i) {
    REQUIRE(replies[i]);
    CHECK((*replies[i])[0].text == std::to_string(i));
  }
  CHECK(redis.connection_epoch() == 1);
}

TEST_CASE("it connects again after Redis was killed and restarted") {
  RealRedis server;
  Loop loop;
  Redis redis(loop, server.options());
  REQUIRE(ask(loop, redis, commands({{"PING"}})));
  server.kill();
  const auto away = ask(loop, redis, commands({{"PING"}}));
  REQUIRE_FALSE(away);
  CHECK((away.error().code == Errc::unavailable || away.error().code == Errc::closed));
  const auto again = ask(loop, redis, commands({{"PING"}}));
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Errc::unavailable);
  server.start();
  const TimePoint started = loop.now();
  REQUIRE(ask_until_answered(loop, redis));
  CHECK(loop.now() - started < Millis(10'000));
  CHECK(redis.connection_epoch() == 2);
}

TEST_CASE("while Redis is away nothing waits, and attempts are spaced") {
  RealRedis server;
  Loop loop;
  Redis redis(loop, server.options());
  server.kill();
  const auto first = ask(loop, redis, commands({{"PING"}}));
  REQUIRE_FALSE(first);
  CHECK(first.error().detail.find("ECONNREFUSED") != std::string::npos);
  const auto second = ask(loop, redis, commands({{"PING"}}));
  REQUIRE_FALSE(second);
  CHECK(second.error().detail == "Redis is away");
  const auto third = ask_while(
      loop, redis, [](const Replies& reply) { return !reply && reply.error().detail == "Redis is away"; });
  REQUIRE_FALSE(third);
  CHECK(third.error().detail.find("ECONNREFUSED") != std::string::npos);
}

TEST_CASE("a Redis that hangs fails all that wait, in time, and is used again afterwards") {
  RealRedis server;
  Loop loop;
  RedisOptions options = server.options();
  options.command_timeout = Millis(100);
  Redis redis(loop, options);
  REQUIRE(ask(loop, redis, commands({{"PING"}})));
  server.pause();
  std::vector<Replies> replies(3);
  std::vector<Task<void>> tasks;
  for (auto& reply : replies) tasks.push_back(run(redis, commands({{"PING"}}), reply));
  const TimePoint before = loop.now();
  run_on_loop(loop, all_of(std::move(tasks)));
  CHECK(loop.now() - before >= Millis(100));
  CHECK(loop.now() - before < Millis(10'000));
  for (const auto& reply : replies) {
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == Errc::timed_out);
  }
  server.go_on();
  REQUIRE(ask_until_answered(loop, redis));
  CHECK(redis.connection_epoch() == 2);
}

TEST_CASE("passwords, ACL users and databases") {
  const RealRedis server(RealRedis::Listen::tcp, {"--requirepass", "secret word", "--user", "gateway", "on",
                                                  ">other", "~*", "+@all"});
  Loop loop;
  RedisOptions options = server.options();
  {
    Redis redis(loop, options);
    const auto replies = ask(loop, redis, commands({{"PING"}}));
    REQUIRE(replies);
    CHECK((*replies)[0].text.starts_with("NOAUTH"));
  }
  options.password = "wrong";
  {
    Redis redis(loop, options);
    const auto replies = ask(loop, redis, commands({{"PING"}}));
    REQUIRE_FALSE(replies);
    CHECK(replies.error().code == Errc::denied);
    CHECK(replies.error().detail == "Redis: WRONGPASS");
  }
  options.password = "secret word";
  options.database = 3;
  {
    Redis redis(loop, options);
    const auto replies = ask(loop, redis, commands({{"SET", "in-three", "x"}, {"ACL", "WHOAMI"}}));
    REQUIRE(replies);
    CHECK((*replies)[1].text == "default");
  }
  options.username = "gateway";
  options.password = "other";
  options.database = 0;
  {
    Redis redis(loop, options);
    const auto replies =
        ask(loop, redis,
            commands({{"EXISTS", "in-three"}, {"ACL", "WHOAMI"}, {"SELECT", "3"}, {"EXISTS", "in-three"}}));
    REQUIRE(replies);
    CHECK((*replies)[0].integer == 0);
    CHECK((*replies)[1].text == "gateway");
    CHECK((*replies)[3].integer == 1);
  }
}

TEST_CASE("errors that Redis answers are replies, and the connection goes on") {
  const RealRedis server(RealRedis::Listen::unix_socket,
                         {"--maxmemory", "1mb", "--maxmemory-policy", "noeviction"});
  Loop loop;
  Redis redis(loop, server.options());
  const std::string value(100'000, 'x');
  RedisBatch batch;
  for (int i = 0; i < 20; ++i) batch.add({"SET", "k" + std::to_string(i), value});
  const auto replies = ask(loop, redis, std::move(batch));
  REQUIRE(replies);
  CHECK(replies->back().is_error());
  CHECK(replies->back().text.starts_with("OOM"));
  CHECK(ask(loop, redis, commands({{"PING"}})));
  CHECK(redis.connection_epoch() == 1);
}

TEST_CASE("closing and destroying fail what waits") {
  RealRedis server;
  Loop loop;
  auto redis = std::make_unique<Redis>(loop, server.options());
  REQUIRE(ask(loop, *redis, commands({{"PING"}})));
  server.pause();
  Replies reply;
  loop.post([&] { redis->close(); });
  run_on_loop(loop, run(*redis, commands({{"PING"}}), reply));
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Errc::closed);
  const auto after = ask(loop, *redis, commands({{"PING"}}));
  REQUIRE_FALSE(after);
  CHECK(after.error().code == Errc::unavailable);

  redis = std::make_unique<Redis>(loop, server.options());
  loop.post([&] { redis.reset(); });
  run_on_loop(loop, run(*redis, commands({{"PING"}}), reply));
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Errc::closed);
}

TEST_CASE("a loop that ends with batches in flight leaves nothing behind") {
  RealRedis server;
  Replies reply = fail(Errc::io);
  {
    Loop loop;
    Redis redis(loop, server.options());
    REQUIRE(ask(loop, redis, commands({{"PING"}})));
    server.pause();
    spawn(run(redis, commands({{"PING"}}), reply));
    loop.post([&] { loop.stop(); });
    loop.run();
  }
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Errc::closed);
}

namespace {

/// Answers whatever comes first with `answer`, and then ends or waits.
Task<void> serve(StreamPtr stream, std::string answer, bool end) {
  const auto bytes = co_await stream->read();
  if (!bytes) co_return;
  (void)co_await stream->write(answer);
  if (!end) (void)co_await stream->read();
}

}  // namespace

TEST_CASE("a peer that does not speak RESP is left") {
  struct Case {
    std::string answer;
    bool end;
    Errc error;
  };
  const Case cases[] = {
      {"SMTP ready\r\n", false, Errc::protocol},
      {"*2000000000\r\n", false, Errc::limit},
      {"$99999999999999999999\r\n", false, Errc::protocol},
      {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", false, Errc::protocol},
      {"+PO", true, Errc::closed},
      {"$5\r\nabc", true, Errc::closed},
      {"", true, Errc::closed},
  };
  for (const Case& c : cases) {
    INFO(c.answer);
    Loop loop;
    const auto listener = Listener::open(loop, "127.0.0.1", 0, [&](StreamPtr stream, PeerAddress) {
      spawn(serve(std::move(stream), c.answer, c.end));
    });
    REQUIRE(listener);
    RedisOptions options;
    options.host = "127.0.0.1";
    options.port = (*listener)->bound_port();
    Redis redis(loop, options);
    const auto reply = ask(loop, redis, commands({{"PING"}}));
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == c.error);
  }
}

TEST_CASE("a sentinel that names no server is not believed") {
  for (const std::string host : {"", "a b", "127.0.0.1/x", "a\r\nb", "\xe3\x81\x82", "[::1]"}) {
    CAPTURE(host);
    const std::string answer = "*2\r\n$" + std::to_string(host.size()) + "\r\n" + host + "\r\n$1\r\n1\r\n";
    Loop loop;
    const auto listener = Listener::open(loop, "127.0.0.1", 0, [&](StreamPtr stream, PeerAddress) {
      spawn(serve(std::move(stream), answer, false));
    });
    REQUIRE(listener);
    RedisOptions options;
    options.sentinels = {{{"127.0.0.1", (*listener)->bound_port()}}, "main", {}, {}};
    Redis redis(loop, options);
    const auto reply = ask(loop, redis, commands({{"PING"}}));
    REQUIRE_FALSE(reply);
    CHECK(reply.error().detail == "Redis: a sentinel's answer is not understood");
  }
}

TEST_CASE("an answer to nothing ends the connection after the answers that count") {
  Loop loop;
  const auto listener = Listener::open(loop, "127.0.0.1", 0, [&](StreamPtr stream, PeerAddress) {
    spawn(serve(std::move(stream), "+PONG\r\n+UNASKED\r\n", false));
  });
  REQUIRE(listener);
  RedisOptions options;
  options.host = "127.0.0.1";
  options.port = (*listener)->bound_port();
  Redis redis(loop, options);
  const auto reply = ask(loop, redis, commands({{"PING"}}));
  REQUIRE(reply);
  CHECK((*reply)[0].text == "PONG");
  CHECK(redis.connection_epoch() == 1);
  const auto next = ask_until_answered(loop, redis);
  CHECK((*next)[0].text == "PONG");
  CHECK(redis.connection_epoch() == 2);
}

TEST_CASE("a server that became a replica is left") {
  const RealRedis server;
  const RealRedis other(RealRedis::Listen::tcp);
  Loop loop;
  Redis redis(loop, server.options());
  REQUIRE(ask(loop, redis, commands({{"SET", "key", "1"}})));
  const std::uint64_t before = redis.connection_epoch();
  const std::string port = std::to_string(other.port());
  REQUIRE(ask(loop, redis, commands({{"REPLICAOF", "127.0.0.1", port}})));
  CHECK(redis.connection_epoch() == before);
  // Told to who asked, and the next one finds another connection.
  const auto refused = ask(loop, redis, commands({{"GET", "key"}, {"SET", "key", "2"}}));
  if (refused) {
    CHECK((*refused)[1].text.starts_with("READONLY"));
  } else {
    CHECK(refused.error().code == Errc::closed);  // its own reason to close: it gets another's data
  }
  REQUIRE(ask(loop, redis, commands({{"PING"}})));
  CHECK(redis.connection_epoch() == before + 1);
}

TEST_CASE("servers are named with or without a port") {
  CHECK(parse_endpoint("redis.example", 1) == Endpoint{"redis.example", 1});
  CHECK(parse_endpoint("redis.example:65535", 1) == Endpoint{"redis.example", 65535});
  CHECK(parse_endpoint("192.0.2.1:2", 1) == Endpoint{"192.0.2.1", 2});
  CHECK(parse_endpoint("2001:db8::1", 1) == Endpoint{"2001:db8::1", 1});
  CHECK(parse_endpoint("[2001:db8::1]", 1) == Endpoint{"2001:db8::1", 1});
  CHECK(parse_endpoint("[2001:db8::1]:2", 1) == Endpoint{"2001:db8::1", 2});
  for (const std::string_view wrong :
       {"", ":", ":1", "host:", "host:0", "host:65536", "host:x", "[::1", "[::1]1", "[]:1"}) {
    INFO(wrong);
    CHECK_FALSE(parse_endpoint(wrong, 1));
  }
}

}  // namespace kage::net
