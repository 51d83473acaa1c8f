// The way out to the client: nothing is written whose phantoms are not stored (contract R4.4).
#include "proxy/client_out.h"

#include <catch2/catch.hpp>

#include "../mapping/store_world.h"
#include "../net/test_streams.h"

using namespace kage;
using namespace kage::mapping::test;

namespace {

/// The way out of one session, with a Redis that can be filled up.
struct Rig {
  Rig() : tool(server), node(server, key) {
    REQUIRE(tool.apply(small_spec()));
    routes = node.recover();
  }

  /// Writes so many octets and a phantom, which has to be stored. Returns its local part.
  std::string show(std::string_view spelling, std::size_t octets) {
    const mapping::Member* member = routes->find_address("office@school.example")->members[0];
    const std::string local = phantom_local(*member, parse(spelling).canonical());
    out.need(routes, {{member, local, std::string(spelling)}});
    out.add(std::string(octets, 'x') + local);
    return local;
  }
  void limit_memory(std::string_view octets) {
    REQUIRE_FALSE(tool.command({"CONFIG", "SET", "maxmemory", octets}).is_error());
  }
  Result<> flush() { return await(node.loop, out.flush()); }
  [[nodiscard]] const std::string& written() const { return transcript->output; }

  RedisServer server;
  KeyFile key;
  Client tool;
  Node node;
  mapping::Routes routes;
  std::shared_ptr<net::testing::Transcript> transcript =
      std::make_shared<net::testing::Transcript>(node.loop);
  net::testing::MemoryStream client{transcript};
  proxy::ClientOut out{client, node.directory};
};

}  // namespace

TEST_CASE("what could not be stored is not written by a later flush", "[R4.4][R3.8]") {
  Rig rig;
  for (const std::size_t octets : {0UL, 200'000UL}) {
    rig.limit_memory("1");
    rig.out.begin_answer();
    rig.show("s@x.example", octets);
    const auto refused = rig.flush();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::unavailable);
    CHECK(rig.out.lacks_mapping());
    CHECK_FALSE(rig.out.within_answer());
    rig.limit_memory("0");
    CHECK(rig.flush());
    CHECK(rig.written().empty());
  }
  rig.routes = rig.node.recover();
  const std::string local = rig.show("t@x.example", 3);
  REQUIRE(rig.flush());
  CHECK(rig.written() == "xxx" + local);
  CHECK(rig.tool.command({"EXISTS", "kage:p:" + local}).integer == 1);
}

TEST_CASE("an answer that was begun and cannot be stored to its end stays begun", "[R3.8]") {
  Rig rig;
  rig.out.begin_answer();
  rig.out.add(std::string(100'000, 'x'));
  REQUIRE(await(rig.node.loop, rig.out.flush_blocks()));
  const std::size_t written = rig.written().size();
  CHECK(written > 0);
  rig.limit_memory("1");
  rig.show("u@x.example", 0);
  CHECK_FALSE(rig.flush());
  CHECK(rig.out.lacks_mapping());
  CHECK(rig.flush());
  CHECK(rig.out.within_answer());
  CHECK(rig.written().size() == written);
}
