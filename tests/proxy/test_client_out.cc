// The way out to the client: nothing is written whose phantoms are not stored (contract R4.4).
#include "proxy/client_out.h"

#include <catch2/catch.hpp>

#include "../mapping/store_world.h"
#include "../net/test_streams.h"

using namespace kage;
using namespace kage::mapping::test;

TEST_CASE("what could not be stored is not written by a later flush", "[R4.4][R3.8]") {
  const RedisServer server;
  const KeyFile key;
  Client tool(server);
  REQUIRE(tool.apply(small_spec()));
  Node node(server, key);
  mapping::Routes routes = node.recover();
  const auto transcript = std::make_shared<net::testing::Transcript>(node.loop);
  net::testing::MemoryStream client(transcript);
  proxy::ClientOut out(client, node.directory);
  const auto show = [&](std::string_view spelling, std::size_t octets) {
    const mapping::Member* member = routes->find_address("office@school.example")->members[0];
    const std::string local = phantom_local(*member, parse(spelling).canonical());
    out.need(routes, {{member, local, std::string(spelling)}});
    out.add(std::string(octets, 'x') + local);
    return local;
  };

  for (const std::size_t octets : {0UL, 200'000UL}) {
    REQUIRE_FALSE(tool.command({"CONFIG", "SET", "maxmemory", "1"}).is_error());
    out.begin_answer();
    show("s@x.example", octets);
    const auto refused = await(node.loop, out.flush());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::unavailable);
    CHECK(out.lacks_mapping());
    CHECK_FALSE(out.within_answer());
    REQUIRE_FALSE(tool.command({"CONFIG", "SET", "maxmemory", "0"}).is_error());
    CHECK(await(node.loop, out.flush()));
    CHECK(transcript->output.empty());
  }
  routes = node.recover();
  const std::string local = show("t@x.example", 3);
  REQUIRE(await(node.loop, out.flush()));
  CHECK(transcript->output == "xxx" + local);
  CHECK(tool.command({"EXISTS", "kage:p:" + local}).integer == 1);
}

TEST_CASE("an answer that was begun and cannot be stored to its end stays begun", "[R3.8]") {
  const RedisServer server;
  const KeyFile key;
  Client tool(server);
  REQUIRE(tool.apply(small_spec()));
  Node node(server, key);
  const mapping::Routes routes = node.recover();
  const auto transcript = std::make_shared<net::testing::Transcript>(node.loop);
  net::testing::MemoryStream client(transcript);
  proxy::ClientOut out(client, node.directory);
  out.begin_answer();
  out.add(std::string(100'000, 'x'));
  REQUIRE(await(node.loop, out.flush_blocks()));
  const std::size_t written = transcript->output.size();
  CHECK(written > 0);
  REQUIRE_FALSE(tool.command({"CONFIG", "SET", "maxmemory", "1"}).is_error());
  const mapping::Member* member = routes->find_address("office@school.example")->members[0];
  out.need(routes, {{member, phantom_local(*member, parse("u@x.example").canonical()), "u@x.example"}});
  CHECK_FALSE(await(node.loop, out.flush()));
  CHECK(out.lacks_mapping());
  CHECK(await(node.loop, out.flush()));
  CHECK(out.within_answer());
  CHECK(transcript->output.size() == written);
}
