// What is changed on one node is known on another at once: told by Redis, or asked for (contract R3.5).
#include <catch2/catch.hpp>

#include "mapping/store/route_codec.h"
#include "store_world.h"

using namespace kage;
using namespace kage::mapping;
using namespace kage::mapping::test;

namespace {

constexpr net::Millis kNever{24 * 3600 * 1000};

/// A node whose watch() runs whenever its loop does.
struct Watched {
  Watched(const net::RedisOptions& options, const KeyFile& key, net::Millis look_every)
      : redis(loop, options), shared(key.path()), directory(loop, redis, shared) {
    directory.on_change([this] { event.set(); });
    net::spawn(watch(*this, look_every));
  }
  ~Watched() {
    directory.stop();
    net::testing::run_on_loop(loop, until_ended(*this));
  }
  static net::Task<void> watch(Watched& self, net::Millis look_every) {
    co_await self.directory.watch(look_every);
    self.ended.set();
  }
  static net::Task<void> until_ended(Watched& self) { co_await self.ended; }
  static net::Task<void> until_members(Watched& self, std::size_t members) {
    for (;;) {
      const auto known = self.directory.known_routes();
      if (known && (*known)->member_count() == members) co_return;
      self.event.reset();
      co_await self.event;
    }
  }
  /// Waits until the routes have so many members, and says how long that took.
  net::Millis until(std::size_t members) {
    uv_update_time(loop.uv());
    const net::TimePoint start = loop.now();
    net::testing::run_on_loop(loop, until_members(*this, members));
    return loop.now() - start;
  }
  Result<> store(const PhantomWrite& write) {
    return await(loop, directory.store(directory.known_routes().value(), {write}));
  }

  net::Loop loop;
  net::Redis redis;
  SharedRoutes shared;
  Directory directory;
  net::Event event, ended;
};

/// How many connections are told of changes.
std::size_t told(Client& client) {
  const std::string list = client.command({"CLIENT", "LIST", "TYPE", "PUBSUB"}).text;
  std::size_t count = 0;
  for (std::size_t at = list.find(" flags="); at != std::string::npos; at = list.find(" flags=", at + 1))
    ++count;
  return count;
}

void wait_told(Watched& node, Client& client, std::size_t count) {
  while (told(client) != count) net::testing::run_on_loop(node.loop, node.loop.sleep(net::Millis(1)));
}

PhantomWrite some_phantom(const Watched& node) {
  const Member* member =
      node.directory.known_routes().value()->find_address("office@school.example")->members[0];
  return {member, phantom_local(*member, "s@x.example"), "s@x.example"};
}

RouteSpec more_spec() {
  RouteSpec spec = small_spec();
  spec.addresses.push_back(address_spec("club@school.example", {"one@gmail.example"}));
  return spec;
}

}  // namespace

TEST_CASE("a change on one node is told to another within a second, though it never asks", "[R3.5]") {
  const RedisServer server;
  const KeyFile key;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  Watched node(server.options(), key, kNever);
  node.until(3);
  wait_told(node, client, 1);
  REQUIRE(client.forget_member("pta@school.example", "officer@gmail.example"));
  CHECK(node.until(2) < net::Millis(1000));
  REQUIRE(client.apply(more_spec()));
  CHECK(node.until(4) < net::Millis(1000));
}

TEST_CASE("where Redis may not tell, a change is known within a second too", "[R3.5]") {
  const RedisServer server({"--user", "gateway", "on", ">word", "~*", "resetchannels", "+@all"});
  const KeyFile key;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  net::RedisOptions options = server.options();
  options.username = "gateway";
  options.password = "word";
  Watched node(options, key, Directory::kLookEvery);
  node.until(3);
  REQUIRE(client.forget_member("pta@school.example", "officer@gmail.example"));
  CHECK(node.until(2) < net::Millis(1000));
  CHECK(told(client) == 0);
}

TEST_CASE("when telling ends, what is remembered of Redis is forgotten, and telling begins anew") {
  const RedisServer server;
  const KeyFile key;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  Watched node(server.options(), key, net::Millis(50));
  node.until(3);
  wait_told(node, client, 1);
  const PhantomWrite write = some_phantom(node);
  REQUIRE(node.store(write));
  const std::string name = "kage:p:" + write.local;
  client.command({"DEL", name});
  REQUIRE(node.store(write));  // remembered
  REQUIRE(client.command({"EXISTS", name}).integer == 0);
  REQUIRE(client.command({"CLIENT", "KILL", "TYPE", "pubsub"}).integer == 1);
  while (client.command({"EXISTS", name}).integer == 0) {
    net::testing::run_on_loop(node.loop, node.loop.sleep(net::Millis(1)));
    REQUIRE(node.store(write));
  }
  wait_told(node, client, 1);
  REQUIRE(client.forget_member("pta@school.example", "officer@gmail.example"));
  CHECK(node.until(2) < net::Millis(1000));
}

TEST_CASE("a Redis that went and came back tells again") {
  RedisServer server;
  const KeyFile key;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  Watched node(server.options(), key, net::Millis(50));
  node.until(3);
  wait_told(node, client, 1);
  server.kill();
  while (node.directory.known_routes()) net::testing::run_on_loop(node.loop, node.loop.sleep(net::Millis(1)));
  server.start();
  node.until(3);
  Client again(server);
  wait_told(node, again, 1);
  REQUIRE(again.forget_member("pta@school.example", "officer@gmail.example"));
  CHECK(node.until(2) < net::Millis(1000));
}
