// Redis or the key missing or wrong: an error, nothing passes, and all is well again by itself (contract
// R3.8).
#include <catch2/catch.hpp>

#include "mapping/store/route_codec.h"
#include "store_world.h"

using namespace kage;
using namespace kage::mapping;
using namespace kage::mapping::test;

namespace {

struct World {
  explicit World(net::Millis timeout = net::Millis(30'000)) : client(server), node(server, key, timeout) {
    REQUIRE(client.apply(small_spec()));
    renew();
  }

  /// Waits until the node is ready and takes its newest routes.
  void renew() {
    routes = node.recover();
    const Member* member = routes->find_address("office@school.example")->members[0];
    write = {member, phantom_local(*member, "s@x.example"), "s@x.example"};
  }

  Result<Transaction> begin(char message) { return node.begin(routes, {{write}, {message}, {{'c'}}}); }
  /// A message passes from its beginning to its end.
  void check_works(char message) {
    const auto transaction = begin(message);
    REQUIRE(transaction);
    CHECK(await(node.loop, node.directory.served(*transaction, {'c'}, {})));
    CHECK(await(node.loop, node.directory.finish(*transaction, false)));
    const auto resolved = node.resolve({write.local});
    REQUIRE(resolved);
    CHECK(resolved->values[0]);
  }
  std::int64_t locks() {
    return static_cast<std::int64_t>(client.command({"KEYS", "kage:k:*"}).elements.size());
  }

  RedisServer server;
  KeyFile key;
  Client client;
  Node node;
  Routes routes;
  PhantomWrite write;
};

std::string reason(const Result<Routes>& routes) {
  REQUIRE_FALSE(routes);
  CHECK(routes.error().code == Errc::unavailable);
  return routes.error().detail;
}

}  // namespace

TEST_CASE("a Redis that refuses to write refuses the message and keeps no lock") {
  World world;
  struct Case {
    std::vector<std::string_view> on, off;
    std::string_view detail;
  };
  char message = 'a';
  for (const auto& [on, off, detail] :
       {Case{{"CONFIG", "SET", "maxmemory", "1"}, {"CONFIG", "SET", "maxmemory", "0"}, "Redis answered OOM"},
        Case{{"REPLICAOF", "127.0.0.1", "1"}, {"REPLICAOF", "NO", "ONE"}, "Redis answered READONLY"},
        Case{{"ACL", "SETUSER", "default", "-set"},
             {"ACL", "SETUSER", "default", "+set"},
             "Redis answered NOPERM"}}) {
    REQUIRE_FALSE(world.client.command(on).is_error());
    const auto refused = world.begin(message);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::refused);
    CHECK(refused.error().detail == detail);
    REQUIRE_FALSE(world.client.command(off).is_error());
    CHECK(world.locks() == 0);
    world.check_works(message++);
  }
}

TEST_CASE("that Redis refuses to read is told apart from a Redis that is away") {
  World world;
  REQUIRE_FALSE(world.client.command({"ACL", "SETUSER", "default", "-get"}).is_error());
  CHECK_FALSE(world.node.refresh());
  CHECK(reason(world.node.directory.known_routes()) == "Redis answered NOPERM");
  REQUIRE_FALSE(world.client.command({"ACL", "SETUSER", "default", "+get"}).is_error());
  CHECK(world.node.refresh());
  world.check_works('a');
}

TEST_CASE("a Redis that takes the lock and refuses the rest gets its lock back") {
  World world;
  // A key of the wrong type in the ledger's place.
  const std::string ledger = "kage:l:{" + hex(std::string(1, 'w') + std::string(15, '\0')) + "}";
  world.client.command({"SET", ledger, "text"});
  const auto refused = world.begin('w');
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::refused);
  world.client.command({"DEL", ledger});
  // The unlocking was sent before this, on the same connection.
  world.check_works('w');
}

TEST_CASE("a Redis that hangs is an error in time, and works again when it goes on") {
  World world(net::Millis(1000));
  world.server.pause();
  const auto refused = world.begin('a');
  REQUIRE_FALSE(refused);
  CHECK((refused.error().code == Errc::timed_out || refused.error().code == Errc::unavailable));
  CHECK_FALSE(world.node.resolve({world.write.local}));
  CHECK_FALSE(world.node.refresh());
  CHECK_FALSE(world.node.directory.known_routes());
  world.server.resume();
  world.renew();
  world.check_works('b');
}

TEST_CASE("a Redis that crashed and came back loses nothing") {
  World world;
  world.check_works('a');
  world.server.kill();
  CHECK_FALSE(world.begin('b'));
  for (int looks = 0; looks < 5; ++looks) {
    CHECK_FALSE(world.node.refresh());
    CHECK(reason(world.node.directory.known_routes()) == "Redis is not reachable");
  }
  world.server.start();
  CHECK(world.node.recover()->generation() == world.routes->generation());
  const auto again = world.begin('a');
  REQUIRE(again);
  CHECK(again->served[0]);  // the ledger remembers
  world.check_works('b');
}

TEST_CASE("a Redis that comes back empty is no reason to bounce mail", "[R3.8]") {
  World world;
  world.check_works('a');
  const bool crashed = GENERATE(false, true);
  if (crashed) {
    world.server.kill();
    world.server.remove_files();
    world.server.start();
    // The first command may be what notices the lost connection.
    Client fresh(world.server);
    REQUIRE(fresh.load()->generation() == 0);
  } else {
    world.client.command({"FLUSHALL"});
  }
  CHECK_FALSE(world.begin('b'));
  for (int looks = 0; looks < 100; ++looks) {
    const auto refreshed = world.node.refresh();
    REQUIRE_FALSE(refreshed);
    if (refreshed.error().detail == "no routes in Redis") break;
    net::testing::run_on_loop(world.node.loop, world.node.loop.sleep(net::Millis(20)));
  }
  CHECK(reason(world.node.directory.known_routes()) == "no routes in Redis");
  CHECK_FALSE(world.node.resolve({world.write.local}));
  CHECK_FALSE(await(world.node.loop, world.node.directory.routes()));

  Client fresh(world.server);
  REQUIRE(fresh.apply(small_spec()));
  const std::string before = world.write.local;
  world.renew();
  CHECK(world.write.local != before);  // another member now
  CHECK_FALSE(world.node.resolve({before})->values[0]);
  world.check_works('c');
}

TEST_CASE("routes of which Redis lost a part are not used", "[R3.8]") {
  World world;
  world.client.command({"DEL", kRoutesKey});
  world.client.command({"INCR", kGenerationKey});
  CHECK_FALSE(world.begin('a'));
  CHECK(reason(world.node.directory.known_routes()) == "a part of the routes is missing in Redis");
  CHECK_FALSE(world.node.refresh());
  const std::uint64_t before = world.node.redis.round_trips();
  CHECK_FALSE(world.node.refresh());
  CHECK_FALSE(world.node.refresh());
  CHECK(world.node.redis.round_trips() == before + 2);  // the generation only, not everything again and again
  CHECK(reason(world.node.directory.known_routes()) == "a part of the routes is missing in Redis");
}

TEST_CASE("a master key that is missing or wrong stops everything until it is right", "[R3.8]") {
  World world;
  world.key.remove();
  CHECK_FALSE(world.node.refresh());
  CHECK(reason(world.node.directory.known_routes()).ends_with("does not exist"));
  world.key.write('x');
  CHECK_FALSE(world.node.refresh());
  CHECK(reason(world.node.directory.known_routes()) == "Redis is sealed under another master key");
  CHECK_FALSE(world.node.resolve({world.write.local}));
  std::filesystem::permissions(world.key.path(), std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  CHECK_FALSE(world.node.refresh());
  CHECK(reason(world.node.directory.known_routes()).ends_with("its mode must be 0600"));
  world.key.write('k');
  REQUIRE(world.node.refresh());
  const std::string before = world.write.local;
  world.renew();
  CHECK(world.write.local == before);
  world.check_works('a');
}

TEST_CASE("a key file that appears later is found") {
  const RedisServer server;
  KeyFile key;
  key.remove();
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  Node node(server, key);
  CHECK_FALSE(node.refresh());
  key.write('k');
  REQUIRE(node.refresh());
  CHECK(node.directory.known_routes().value()->member_count() == 3);
}
