// Phantoms that an answer of the proxy shows: stored first, with no trip when Redis has them (contract R4.4).
#include <catch2/catch.hpp>

#include "mapping/store/route_codec.h"
#include "store_world.h"

using namespace kage;
using namespace kage::mapping;
using namespace kage::mapping::test;

namespace {

struct World {
  World() : client(server), node(server, key) {
    REQUIRE(client.apply(small_spec()));
    renew();
  }
  void renew() {
    routes = node.recover();
    member = routes->find_address("office@school.example")->members[0];
  }
  PhantomWrite phantom(std::string_view spelling) const {
    return {member, phantom_local(*member, parse(spelling).canonical()), std::string(spelling)};
  }
  Result<> store(std::vector<PhantomWrite> phantoms) { return store(routes, std::move(phantoms)); }
  Result<> store(const Routes& with, std::vector<PhantomWrite> phantoms) {
    return await(node.loop, node.directory.store(with, std::move(phantoms)));
  }
  bool exists(const PhantomWrite& write) {
    return client.command({"EXISTS", "kage:p:" + write.local}).integer == 1;
  }
  std::string spelling(const PhantomWrite& write) {
    return node.resolve({write.local})->values[0]->correspondent.spelling;
  }

  RedisServer server;
  KeyFile key;
  Client client;
  Node node;
  Routes routes;
  const Member* member = nullptr;
};

}  // namespace

TEST_CASE("phantoms are stored in one trip, and known ones cost none", "[R4.4]") {
  World world;
  std::vector<PhantomWrite> writes;
  for (int i = 0; i < 300; ++i) writes.push_back(world.phantom("p" + std::to_string(i) + "@x.example"));
  writes.push_back(writes[7]);  // shown twice
  std::uint64_t trips = world.node.redis.round_trips();
  REQUIRE(world.store(writes));
  CHECK(world.node.redis.round_trips() == trips + 1);
  for (const PhantomWrite& write : writes) CHECK(world.exists(write));
  trips = world.node.redis.round_trips();
  REQUIRE(world.store(writes));
  REQUIRE(world.store({}));
  CHECK(world.node.redis.round_trips() == trips);
  writes.push_back(world.phantom("new@x.example"));
  REQUIRE(world.store(writes));
  CHECK(world.node.redis.round_trips() == trips + 1);
  CHECK(world.exists(writes.back()));
}

TEST_CASE("of one phantom in several spellings the last one is stored", "[R4.2]") {
  World world;
  for (const auto& order : {std::vector<std::string>{"A@x.example", "a@x.example"},
                            std::vector<std::string>{"a@x.example", "z@y.example", "A@x.example"}}) {
    std::vector<PhantomWrite> writes;
    writes.reserve(order.size());
    for (const std::string& spelling : order) writes.push_back(world.phantom(spelling));
    REQUIRE(world.store(writes));
    CHECK(world.spelling(writes[0]) == order.back());
  }
}

TEST_CASE("what belongs to older routes is not stored as current", "[R3.5]") {
  World world;
  const PhantomWrite write = world.phantom("s@x.example");
  REQUIRE(world.store({write}));
  REQUIRE(world.client.forget_member("pta@school.example", "officer@gmail.example"));
  // This node did not look yet; a phantom that has to be written makes it look.
  const auto late = world.store({world.phantom("t@y.example")});
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Errc::conflict);
  // Now it knows: even what Redis has is refused, without a trip.
  const std::uint64_t trips = world.node.redis.round_trips();
  const auto known = world.store({write});
  REQUIRE_FALSE(known);
  CHECK(known.error().code == Errc::conflict);
  CHECK(world.node.redis.round_trips() == trips);
  world.renew();
  CHECK(world.store({world.phantom("t@y.example")}));
}

TEST_CASE("a shown phantom in the place of another member's is refused", "[R3.4]") {
  World world;
  const PhantomWrite mine = world.phantom("s@x.example");
  REQUIRE(world.store({mine}));
  const std::string value = world.client.command({"GET", "kage:p:" + mine.local}).text;
  const Member* other = world.routes->find_address("pta@school.example")->members[0];
  const auto collided = world.store({{other, mine.local, "t@y.example"}});
  REQUIRE_FALSE(collided);
  CHECK(collided.error().code == Errc::conflict);
  CHECK(world.client.command({"GET", "kage:p:" + mine.local}).text == value);
}

TEST_CASE("what Redis may have lost with the connection is written again") {
  World world;
  const PhantomWrite first = world.phantom("s@x.example");
  const PhantomWrite second = world.phantom("t@x.example");
  REQUIRE(world.store({first}));
  world.client.command({"DEL", "kage:p:" + first.local});
  world.client.command({"CLIENT", "KILL", "TYPE", "normal"});
  // The first batch may be the one that finds the connection gone.
  if (!world.store({first, second})) REQUIRE(world.store({first, second}));
  CHECK(world.exists(first));
  CHECK(world.exists(second));
}

TEST_CASE("without Redis or routes nothing is shown", "[R3.8]") {
  World world;
  const PhantomWrite write = world.phantom("s@x.example");
  REQUIRE(world.store({write}));
  world.server.kill();
  CHECK_FALSE(world.store({world.phantom("t@x.example")}));
  CHECK_FALSE(world.node.refresh());
  CHECK_FALSE(world.store({write}));  // though it is known
  world.server.start();
  world.renew();
  CHECK(world.store({world.phantom("s@x.example")}));
}

TEST_CASE("a change is told on the loop of every directory, once it is set") {
  World world;
  const Routes before = world.routes;
  net::Loop second_loop;
  net::Redis second_redis(second_loop, world.server.options());
  Directory second(second_loop, second_redis, world.node.shared);
  int told_first = 0;
  int told_second = 0;
  world.node.directory.on_change([&] { ++told_first; });
  second.on_change([&] {
    ++told_second;
    second_loop.stop();
  });
  {
    Directory gone(second_loop, second_redis, world.node.shared);
    gone.on_change([] { FAIL("told after its end"); });
    REQUIRE(world.client.forget_member("pta@school.example", "officer@gmail.example"));
    REQUIRE(world.node.refresh());
  }
  second_loop.run();
  CHECK(told_second == 1);
  CHECK(second.known_routes().value()->generation() == before->generation() + 1);
  net::testing::run_on_loop(world.node.loop, world.node.loop.sleep(net::Millis(0)));
  CHECK(told_first == 1);
  // Nothing changed, nothing told; a lost table is a change.
  REQUIRE(world.node.refresh());
  world.key.remove();
  CHECK_FALSE(world.node.refresh());
  second_loop.run();
  CHECK(told_second == 2);
  CHECK_FALSE(second.known_routes());
}
