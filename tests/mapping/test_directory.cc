// The door to Redis as nodes use it: round trips, phantoms, the ledger and the lock, and two nodes on one
// Redis.
#include <catch2/catch.hpp>

#include "mapping/store/route_codec.h"
#include "store_world.h"

using namespace kage;
using namespace kage::mapping;
using namespace kage::mapping::test;

namespace {

const MessageTag kMessage{'m', 'e', 's', 's', 'a', 'g', 'e'};
const CopyTag kFirst{'1'};
const CopyTag kSecond{'2'};
const Digest kDigest{'d', 'i', 'g', 'e', 's', 't', 0, 1, 2};

const Member* member_of(const Routes& routes, std::string_view address, std::string_view mailbox) {
  for (const Member* member : routes->find_address(address)->members) {
    if (member->mailbox_canonical == mailbox) return member;
  }
  return nullptr;
}

PhantomWrite phantom(const Member* member, std::string_view spelling) {
  return {member, phantom_local(*member, parse(spelling).canonical()), std::string(spelling)};
}

std::string ledger_key() {
  return "kage:l:{" + hex(std::string_view(kMessage.data(), kMessage.size())) + "}";
}
std::string lock_key() {
  return "kage:k:{" + hex(std::string_view(kMessage.data(), kMessage.size())) + "}";
}

/// A Redis with small_spec() and one node that is ready.
struct World {
  World() : client(server), node(server, key) {
    REQUIRE(client.apply(small_spec()));
    routes = node.recover();
    officer = member_of(routes, "pta@school.example", "officer@gmail.example");
    taro = member_of(routes, "pta@school.example", "taro@docomo.example");
  }

  /// Other routes. Returns who the officer is in them.
  const Member* change(const RouteSpec& spec) {
    REQUIRE(client.apply(spec));
    routes = node.recover();
    return member_of(routes, "pta@school.example", "officer@gmail.example");
  }
  BeginRequest request(std::vector<PhantomWrite> phantoms, std::vector<CopyTag> copies = {}) const {
    return {std::move(phantoms), kMessage, std::move(copies)};
  }
  Result<> finish(const Transaction& transaction, bool forget_entries = false) {
    return await(node.loop, node.directory.finish(transaction, forget_entries));
  }
  Result<> served(const Transaction& transaction, CopyTag copy, Digest digest = kDigest) {
    return await(node.loop, node.directory.served(transaction, copy, digest));
  }

  RedisServer server;
  KeyFile key;
  Client client;
  Node node;
  Routes routes;
  const Member* officer;
  const Member* taro;
};

}  // namespace

TEST_CASE("nothing is known before the first look") {
  const RedisServer server;
  const KeyFile key;
  Node node(server, key);
  const auto known = node.directory.known_routes();
  REQUIRE_FALSE(known);
  CHECK(known.error().code == Errc::unavailable);
  CHECK_FALSE(await(node.loop, node.directory.routes()));
  CHECK_FALSE(node.resolve({"0000000000000000"}));
}

TEST_CASE("a phantom is stored and resolved in one round trip each, however many", "[R4.4]") {
  World world;
  BeginRequest request = world.request({});
  std::vector<std::string> locals;
  for (int i = 0; i < 300; ++i) {
    request.phantoms.push_back(phantom(world.taro, "Person" + std::to_string(i) + "@Outside.example"));
    locals.push_back(request.phantoms.back().local);
  }
  for (int i = 0; i < 200; ++i) request.copies.push_back({'c', static_cast<char>(i)});
  std::uint64_t trips = world.node.redis.round_trips();
  const auto transaction = world.node.begin(world.routes, request);
  REQUIRE(transaction);
  CHECK(world.node.redis.round_trips() == trips + 1);
  CHECK(transaction->served.size() == 200);

  trips = world.node.redis.round_trips();
  const auto resolved = world.node.resolve(locals);
  REQUIRE(resolved);
  CHECK(world.node.redis.round_trips() == trips + 1);
  CHECK(resolved->routes == world.routes);
  for (std::size_t i = 0; i < locals.size(); ++i) {
    REQUIRE(resolved->values[i]);
    CHECK(resolved->values[i]->member == world.taro);
    CHECK(resolved->values[i]->correspondent.spelling == "Person" + std::to_string(i) + "@Outside.example");
  }
}

TEST_CASE("a phantom costs Redis less than 200 octets") {
  World world;
  const PhantomWrite write = phantom(world.taro, "hanako.yamada.1234@mail.outside.example");
  REQUIRE(world.node.begin(world.routes, world.request({write})));
  const net::RedisReply size = world.client.command({"MEMORY", "USAGE", "kage:p:" + write.local});
  CHECK(size.integer > 0);
  CHECK(size.integer < 200);
}

TEST_CASE("what is no phantom of ours resolves to nothing", "[R3.3]") {
  World world;
  const PhantomWrite known = phantom(world.taro, "s@x.example");
  REQUIRE(world.node.begin(world.routes, world.request({known})));
  std::string upper_case = known.local;
  for (char& c : upper_case) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  const auto resolved =
      world.node.resolve({"0000000000000000", "", "pta", known.local, std::string(100'000, 'a'), upper_case,
                          std::string("kage:\r\n\0", 8)});
  REQUIRE(resolved);
  REQUIRE(resolved->values.size() == 7);
  for (std::size_t i = 0; i < 7; ++i) CHECK(resolved->values[i].has_value() == (i == 3 || i == 5));
}

TEST_CASE("a phantom whose value is damaged is not gone", "[R3.8]") {
  World world;
  const PhantomWrite known = phantom(world.taro, "s@x.example");
  REQUIRE(world.node.begin(world.routes, world.request({known})));
  const std::string key = "kage:p:" + known.local;
  const std::string value = world.client.command({"GET", key}).text;
  for (const std::string& damaged :
       {std::string("rubbish"), value.substr(0, 5), value.substr(0, value.size() - 1),
        '\x09' + value.substr(1), value + "x"}) {
    world.client.command({"SET", key, damaged});
    const auto resolved = world.node.resolve({known.local});
    REQUIRE_FALSE(resolved);
    CHECK(resolved.error().code == Errc::corrupt);
  }
  // Nor does it serve under another name.
  world.client.command({"SET", "kage:p:2222222222222222", value});
  CHECK_FALSE(world.node.resolve({"2222222222222222"}));
}

TEST_CASE("the spelling last seen is the one that goes out", "[R4.2]") {
  World world;
  for (const std::string& spelling :
       {"Hanako@X.example", "hanako@x.example", "Hanako@X.example", "HANAKO@x.example"}) {
    const PhantomWrite write = phantom(world.taro, spelling);
    const auto transaction = world.node.begin(world.routes, world.request({write}));
    REQUIRE(transaction);
    REQUIRE(world.finish(*transaction));
    CHECK(world.node.resolve({write.local})->values[0]->correspondent.spelling == spelling);
  }
}

TEST_CASE("a phantom that Redis has is not written again until Redis may have lost it") {
  World world;
  const PhantomWrite write = phantom(world.taro, "s@x.example");
  const auto store = [&] {
    const auto transaction = world.node.begin(world.node.recover(), world.request({write}));
    REQUIRE(transaction);
    REQUIRE(world.finish(*transaction));
  };
  const auto exists = [&] { return world.client.command({"EXISTS", "kage:p:" + write.local}).integer == 1; };
  store();
  REQUIRE(exists());
  world.client.command({"DEL", "kage:p:" + write.local});  // behind our back
  store();
  CHECK_FALSE(exists());
  // A connection that was lost: who knows what Redis lost with it.
  world.client.command({"CLIENT", "KILL", "TYPE", "normal"});
  const auto first = world.node.begin(world.routes, world.request({write}));  // may notice the loss only now
  if (first) REQUIRE(world.finish(*first));
  world.node.recover();
  store();
  CHECK(exists());
}

TEST_CASE("two messages of one identity are one message", "[R3.7]") {
  World world;
  const auto first = world.node.begin(world.routes, world.request({}, {kFirst, kSecond}));
  REQUIRE(first);
  CHECK(first->served == std::vector<std::optional<Digest>>(2));
  const auto second = world.node.begin(world.routes, world.request({}, {kFirst, kSecond}));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::conflict);

  REQUIRE(world.served(*first, kSecond));
  REQUIRE(world.finish(*first));
  const auto retry = world.node.begin(world.routes, world.request({}, {kFirst, kSecond}));
  REQUIRE(retry);
  CHECK_FALSE(retry->served[0]);
  CHECK(retry->served[1] == kDigest);
  const auto seconds = world.client.command({"TTL", ledger_key()}).integer;
  CHECK(seconds > 431'000);
  CHECK(seconds <= 432'000);
  REQUIRE(world.finish(*retry));
}

TEST_CASE("a refusal is remembered with its status", "[R3.7]") {
  World world;
  const auto first = world.node.begin(world.routes, world.request({}, {kFirst, kSecond}));
  REQUIRE(first);
  CHECK(first->refused == std::vector<std::string>(2));
  REQUIRE(await(world.node.loop, world.node.directory.refused(*first, {{kFirst, "5.1.1"}}, kDigest)));
  REQUIRE(world.served(*first, kSecond));
  REQUIRE(world.finish(*first));
  const auto retry = world.node.begin(world.routes, world.request({}, {kFirst, kSecond}));
  REQUIRE(retry);
  CHECK(retry->served == std::vector<std::optional<Digest>>(2, kDigest));
  CHECK(retry->refused == std::vector<std::string>{"5.1.1", ""});
}

TEST_CASE("what is collected survives a mention and keeps its first day") {
  World world;
  auto spec = small_spec();
  for (AddressSpec& address : spec.addresses) address.collect = true;
  const Member* officer = world.change(spec);
  const auto store = [&](std::optional<Sighting> seen) {
    PhantomWrite write = phantom(officer, "hanako@docomo.example");
    write.seen = std::move(seen);
    REQUIRE(await(world.node.loop, world.node.directory.store(world.routes, {write})));
    const auto resolved = world.node.resolve({write.local});
    REQUIRE(resolved);
    REQUIRE(resolved->values[0]);
    return resolved->values[0]->seen;
  };
  CHECK(store(std::nullopt) == std::nullopt);
  CHECK(store(Sighting{20'000, 20'000, "Hanako"}) == Sighting{20'000, 20'000, "Hanako"});
  CHECK(store(std::nullopt) == Sighting{20'000, 20'000, "Hanako"});
  CHECK(store(Sighting{20'007, 20'007, "花子"}) == Sighting{20'000, 20'007, "花子"});
  CHECK(store(Sighting{20'008, 20'008, ""}) == Sighting{20'000, 20'008, "花子"});
  const auto bytes =
      world.client.command({"MEMORY", "USAGE", "kage:p:" + phantom(officer, "hanako@docomo.example").local});
  CHECK(bytes.integer < 200);

  for (AddressSpec& address : spec.addresses) address.collect = false;
  officer = world.change(spec);
  CHECK(store(std::nullopt) == Sighting{20'000, 20'008, "花子"});
  PhantomWrite spelled = phantom(officer, "hanako@docomo.example");
  spelled.spelling = "Hanako@docomo.example";
  REQUIRE(await(world.node.loop, world.node.directory.store(world.routes, {spelled})));
  const auto resolved = world.node.resolve({spelled.local});
  REQUIRE((resolved && resolved->values[0]));
  CHECK(resolved->values[0]->correspondent.spelling == "Hanako@docomo.example");
  CHECK(resolved->values[0]->seen == Sighting{20'000, 20'008, "花子"});

  for (AddressSpec& address : spec.addresses) address.collect = true;
  for (AddressSpec& address : spec.addresses) address.name = NamePolicy::hide;
  officer = world.change(spec);
  CHECK(store(Sighting{20'009, 20'009, ""}) == Sighting{20'000, 20'009, ""});
}

TEST_CASE("what is collected survives a message that has to wait") {
  World world;
  auto spec = small_spec();
  for (AddressSpec& address : spec.addresses) address.collect = true;
  const Member* officer = world.change(spec);
  PhantomWrite write = phantom(officer, "hanako@docomo.example");
  write.seen = Sighting{20'000, 20'000, "Hanako"};
  REQUIRE(await(world.node.loop, world.node.directory.store(world.routes, {write})));
  const auto first = world.node.begin(world.routes, world.request({}));
  REQUIRE(first);
  write.seen = Sighting{20'001, 20'001, ""};
  const auto second = world.node.begin(world.routes, world.request({write}));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::conflict);
  const auto resolved = world.node.resolve({write.local});
  REQUIRE((resolved && resolved->values[0]));
  CHECK(resolved->values[0]->seen == Sighting{20'000, 20'001, "Hanako"});
  REQUIRE(world.finish(*first));
}

TEST_CASE("entries go when they are taken back or the message is forgotten") {
  World world;
  auto transaction = world.node.begin(world.routes, world.request({}, {kFirst, kSecond}));
  REQUIRE(transaction);
  REQUIRE(world.served(*transaction, kFirst));
  REQUIRE(world.served(*transaction, kSecond));
  REQUIRE(await(world.node.loop, world.node.directory.unserve(*transaction, {kFirst})));
  REQUIRE(await(world.node.loop, world.node.directory.unserve(*transaction, {})));
  REQUIRE(world.finish(*transaction));
  transaction = world.node.begin(world.routes, world.request({}, {kFirst, kSecond}));
  REQUIRE(transaction);
  CHECK_FALSE(transaction->served[0]);
  CHECK(transaction->served[1]);
  REQUIRE(world.finish(*transaction, true));
  CHECK(world.client.command({"EXISTS", ledger_key(), lock_key()}).integer == 0);
}

TEST_CASE("what one transaction of a message forgets is its own", "[R3.7]") {
  World world;
  auto first = world.node.begin(world.routes, world.request({}, {kFirst}));
  REQUIRE(first);
  REQUIRE(world.served(*first, kFirst));
  REQUIRE(world.finish(*first));
  auto second = world.node.begin(world.routes, world.request({}, {kSecond}));
  REQUIRE(second);
  REQUIRE(world.served(*second, kSecond));
  REQUIRE(world.finish(*second, true));
  const auto retry = world.node.begin(world.routes, world.request({}, {kFirst, kSecond}));
  REQUIRE(retry);
  CHECK(retry->served[0]);
  CHECK_FALSE(retry->served[1]);
  REQUIRE(world.finish(*retry));
}

TEST_CASE("a lock ends by itself, and only its owner may prolong or release it") {
  World world;
  const auto first = world.node.begin(world.routes, world.request({}));
  REQUIRE(first);
  const auto left = [&] { return world.client.command({"PTTL", lock_key()}).integer; };
  CHECK(left() > 100'000);
  CHECK(left() <= 120'000);
  world.client.command({"PEXPIRE", lock_key(), "50000"});
  REQUIRE(await(world.node.loop, world.node.directory.keep_alive(*first)));
  CHECK(left() > 100'000);

  world.client.command({"DEL", lock_key()});  // it expired
  const auto second = world.node.begin(world.routes, world.request({}));
  REQUIRE(second);
  const auto late = await(world.node.loop, world.node.directory.keep_alive(*first));
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Errc::conflict);
  REQUIRE(world.finish(*first));
  CHECK(world.client.command({"GET", lock_key()}).text == second->owner);
  REQUIRE(world.finish(*second));
  CHECK(world.client.command({"EXISTS", lock_key()}).integer == 0);
}

TEST_CASE("what one node stores, applies and forgets the other sees at its next trip", "[R3.3][R3.5][R9.4]") {
  World world;
  Node other(world.server, world.key);
  const Routes others = other.recover();
  const PhantomWrite write = phantom(world.officer, "s@x.example");
  REQUIRE(world.node.begin(world.routes, world.request({write})));
  const auto there = other.resolve({write.local});
  REQUIRE(there);
  REQUIRE(there->values[0]);
  CHECK(there->values[0]->member->id == world.officer->id);

  REQUIRE(world.client.forget_member("pta@school.example", "officer@gmail.example"));
  for (Node* node : {&world.node, &other}) {
    const auto gone = node->resolve({write.local});
    REQUIRE(gone);
    CHECK_FALSE(gone->values[0]);
    CHECK(gone->routes->generation() == others->generation() + 1);
    CHECK(node->directory.known_routes().value() == gone->routes);
  }
}

TEST_CASE("a message that began on old routes starts over, and holds no lock", "[R3.5]") {
  World world;
  RouteSpec more = small_spec();
  more.addresses.push_back(address_spec("club@school.example", {"one@gmail.example"}));
  REQUIRE(world.client.apply(more));
  const auto old = world.node.begin(world.routes, world.request({phantom(world.taro, "s@x.example")}));
  REQUIRE_FALSE(old);
  CHECK(old.error().code == Errc::conflict);
  const Routes now = world.node.directory.known_routes().value();
  CHECK(now->find_address("club@school.example") != nullptr);
  const auto again = world.node.begin(now, world.request({}));
  REQUIRE(again);
  CHECK(await(world.node.loop, world.node.directory.routes()).value() == now);
}

TEST_CASE("a phantom of another member in the same place is put back", "[R3.4]") {
  World world;
  PhantomWrite theirs = phantom(world.officer, "s@x.example");
  const auto transaction = world.node.begin(world.routes, world.request({theirs}));
  REQUIRE(transaction);
  REQUIRE(world.finish(*transaction));
  const std::string value = world.client.command({"GET", "kage:p:" + theirs.local}).text;
  const auto collided =
      world.node.begin(world.routes, world.request({{world.taro, theirs.local, "t@y.example"}}));
  REQUIRE_FALSE(collided);
  CHECK(collided.error().code == Errc::conflict);
  CHECK(world.client.command({"GET", "kage:p:" + theirs.local}).text == value);
  CHECK(world.node.resolve({theirs.local})->values[0]->correspondent.spelling == "s@x.example");
}

TEST_CASE("many callers share one reading of the routes") {
  World world;
  REQUIRE(world.client.forget_member("office@school.example", ""));
  const std::uint64_t before = world.node.redis.round_trips();
  std::vector<std::optional<Result<Routes>>> results(10);
  std::vector<net::Task<void>> tasks;
  for (auto& result : results) tasks.push_back(keep_result(world.node.directory.routes(), result));
  net::testing::run_on_loop(world.node.loop, net::when_all(std::move(tasks)));
  for (const auto& result : results) {
    REQUIRE(result->has_value());
    CHECK(**result == *results[0]);
  }
  CHECK(world.node.redis.round_trips() <= before + 11);
}

TEST_CASE("watch() finds the routes and ends when told") {
  World world;
  Node node(world.server, world.key);
  bool ended = false;
  net::spawn([](Node& n, bool& e) -> net::Task<void> {
    co_await n.directory.watch();
    e = true;
    n.loop.stop();
  }(node, ended));
  net::Task<void> until_ready = [](Node& n) -> net::Task<void> {
    while (!n.directory.known_routes()) co_await n.loop.sleep(net::Millis(1));
  }(node);
  net::testing::run_on_loop(node.loop, std::move(until_ready));
  CHECK(node.directory.known_routes().value()->member_count() == 3);
  // A change is noticed without anybody asking.
  REQUIRE(world.client.forget_member("office@school.example", ""));
  net::Task<void> until_changed = [](Node& n) -> net::Task<void> {
    while (n.directory.known_routes().value()->member_count() != 2) co_await n.loop.sleep(net::Millis(1));
  }(node);
  net::testing::run_on_loop(node.loop, std::move(until_changed));
  node.directory.stop();
  while (!ended) node.loop.run();
  CHECK(ended);
}
