// Nothing in clear at rest (contract R3.6), and nothing of a forgotten member in any file (contract R3.5).
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

#include "mapping/store/phantom_scan.h"
#include "mapping/store/route_codec.h"
#include "store_world.h"
#include "tests/net/real_redis.h"

using namespace kage;
using namespace kage::mapping;
using namespace kage::mapping::test;

namespace {

/// Stores a phantom of each correspondent for each member, as a node does.
void store_phantoms(Node& node, const Routes& routes, const std::vector<std::string>& correspondents) {
  BeginRequest request;
  for (const auto& address : routes->addresses()) {
    for (const Member* member : address->members) {
      for (const std::string& spelling : correspondents) {
        const std::string local = phantom_local(*member, parse(spelling).canonical());
        request.phantoms.push_back({member, local, spelling});
      }
    }
  }
  request.copies.push_back({'c'});
  const auto transaction = node.begin(routes, request);
  REQUIRE(transaction);
  REQUIRE(await(node.loop, node.directory.served(*transaction, {'c'}, {'d'})));
  REQUIRE(await(node.loop, node.directory.finish(*transaction, false)));
}

PurgeReport run_purge(Client& client) {
  return await(client.loop, purge(client.redis, client.loop, master_keys(), {})).value();
}

std::size_t phantoms_stored(Client& client) {
  return client.command({"KEYS", "kage:p:*"}).elements.size();
}

/// How often a command was carried out, by INFO commandstats.
std::uint64_t calls_of(std::string_view stats, std::string_view command) {
  const std::string name = "cmdstat_" + std::string(command) + ":calls=";
  const std::size_t at = stats.find(name);
  if (at == std::string_view::npos) return 0;
  const std::string_view rest = stats.substr(at + name.size());
  return parse_number(rest.substr(0, rest.find(','))).value();
}

MemberId member_of(const Routes& routes, std::string_view address, std::string_view mailbox) {
  for (const Member* member : routes->find_address(address)->members) {
    if (member->mailbox_canonical == mailbox) return member->id;
  }
  return 0;
}

const std::vector<std::string> kCorrespondents = {"Hanako.Canary@stranger-canary.example",
                                                  "a..b@docomo-canary.example"};

/// Addresses of so many correspondents.
std::vector<std::string> people(int count) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) out.push_back("person" + std::to_string(i) + "@outside.example");
  return out;
}

}  // namespace

TEST_CASE("neither Redis nor its files hold an address in clear", "[R3.6]") {
  const RedisServer server;
  const KeyFile key;
  Client client(server);
  RouteSpec spec = small_spec();
  spec.addresses[0].display_name = "Display-canary";
  spec.addresses[0].members[0].name = "Name-canary";
  spec.addresses[0].members[0].password_hash = "$scrypt$hash-canary";
  REQUIRE(client.apply(spec));
  Node node(server, key);
  store_phantoms(node, node.recover(), kCorrespondents);
  REQUIRE(phantoms_stored(client) == 6);
  REQUIRE_FALSE(client.command({"SAVE"}).is_error());

  const std::string files = server.files();
  REQUIRE(files.find("kage:p:") != std::string::npos);
  std::string keys;
  for (const auto& name : client.command({"KEYS", "*"}).elements) keys += name.text + "\n";
  for (const std::string_view secret :
       {"anary", "school", "pta", "officer", "Officer", "gmail", "aro@", "docomo", "office", "scrypt"}) {
    INFO(secret);
    CHECK(files.find(secret) == std::string::npos);
    CHECK(keys.find(secret) == std::string::npos);
  }
  CHECK(files.find(std::string(32, 'k')) == std::string::npos);  // the master key
  CHECK(lower(files).find(hex(std::string(32, 'k'))) == std::string::npos);
}

TEST_CASE("what was known through a forgotten member is in no file afterwards", "[R3.5]") {
  const bool with_dumps = GENERATE(false, true);
  const RedisServer server(with_dumps ? std::vector<std::string>{"--save", "3600 1"}
                                      : std::vector<std::string>{});
  const KeyFile key;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  Node node(server, key);
  const Routes before = node.recover();
  store_phantoms(node, before, kCorrespondents);
  if (with_dumps) REQUIRE_FALSE(client.command({"SAVE"}).is_error());

  const auto members = before->find_address("pta@school.example")->members;
  const Member* forgotten =
      members[0]->mailbox_canonical == "officer@gmail.example" ? members[0] : members[1];
  std::vector<std::string> remains = {client.command({"HGET", kRoutesKey, key_field(forgotten->id)}).text,
                                      client.command({"HGET", kRoutesKey, member_field(forgotten->id)}).text,
                                      key_field(forgotten->id)};
  std::vector<std::string> dead;
  for (const std::string& spelling : kCorrespondents) {
    dead.push_back(phantom_local(*forgotten, parse(spelling).canonical()));
    remains.push_back(dead.back());
    remains.push_back(client.command({"GET", std::string(kPhantomPrefix) + dead.back()}).text);
  }
  const std::string full = server.files();
  for (const std::string& bytes : remains) {
    REQUIRE(bytes.size() >= 16);
    REQUIRE(full.find(bytes) != std::string::npos);
  }

  REQUIRE(client.forget_member("pta@school.example", "officer@gmail.example"));
  // At once: another node's next trip finds nothing, though the values are still stored.
  const auto resolved = node.resolve(dead);
  REQUIRE(resolved);
  for (const auto& value : resolved->values) CHECK_FALSE(value);

  const PurgeReport report = run_purge(client);
  CHECK(report.phantoms_deleted == kCorrespondents.size());
  CHECK(report.aof_rewritten);
  CHECK(report.dump_rewritten == with_dumps);
  CHECK(report.problem.empty());
  CHECK(phantoms_stored(client) == 4);
  const std::string left = server.files();
  for (const std::string& bytes : remains) CHECK(left.find(bytes) == std::string::npos);
  CHECK(left.find(key_field(before->find_address("office@school.example")->members[0]->id)) !=
        std::string::npos);
  CHECK(run_purge(client).phantoms_deleted == 0);
}

TEST_CASE("two purges at once both have the files rewritten", "[R3.5]") {
  const RedisServer server;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  // On one connection they ask at the same moment whether Redis is idle, and then both start it.
  std::array<std::optional<Result<PurgeReport>>, 2> reports;
  std::vector<net::Task<void>> both;
  for (auto& report : reports) {
    both.push_back(keep_result(purge(client.redis, client.loop, master_keys(), {}), report));
  }
  net::testing::run_on_loop(client.loop, net::when_all(std::move(both)));
  for (const auto& report : reports) {
    REQUIRE(*report);
    CHECK((*report)->problem.empty());
    CHECK((*report)->aof_rewritten);
  }
  CHECK(calls_of(client.command({"INFO", "commandstats"}).text, "bgrewriteaof") > 2);
}

TEST_CASE("a purge finds the orphans among many phantoms") {
  const RedisServer server;
  const KeyFile key;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  Node node(server, key);
  const std::vector<std::string> many = people(2000);
  store_phantoms(node, node.recover(), many);
  client.command({"SET", "kage:p:0000000000000000", "no value of ours"});
  REQUIRE(client.forget_member("office@school.example", ""));
  client.command({"RPUSH", "kage:p:1111111111111111", "somebody's list"});
  const auto keys = static_cast<std::uint64_t>(client.command({"DBSIZE"}).integer);
  client.command({"CONFIG", "RESETSTAT"});
  std::uint64_t told = 0, of = 0;
  const auto report = await(client.loop, purge(client.redis, client.loop, master_keys(),
                                               [&](std::uint64_t done, std::uint64_t total) {
                                                 told = done;
                                                 of = total;
                                               }));
  REQUIRE(report);
  CHECK(report->phantoms_deleted == 2001);
  CHECK(told >= keys);
  CHECK(of == keys);
  // In small steps, so that nobody waits long behind one: no command that touches everything.
  const std::string stats = client.command({"INFO", "commandstats"}).text;
  CHECK(calls_of(stats, "scan") >= keys / PhantomScan::kStep);
  CHECK(calls_of(stats, "unlink") == 2001);
  for (const std::string_view heavy : {"keys", "eval", "flushall", "del"}) {
    INFO(heavy);
    CHECK(calls_of(stats, heavy) == 0);
  }
  CHECK(phantoms_stored(client) == 4001);
}

TEST_CASE("what an ACL forbids is told to the operator") {
  const RedisServer server;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  REQUIRE_FALSE(client
                    .command({"ACL", "SETUSER", "kage", "on", ">secret", "~*", "+@all", "-bgrewriteaof",
                              "-slowlog", "-config"})
                    .is_error());
  net::RedisOptions options = server.options();
  options.username = "kage";
  options.password = "secret";
  Client limited(options);
  const PurgeReport report = run_purge(limited);
  CHECK_FALSE(report.aof_rewritten);
  CHECK(report.problem ==
        "SLOWLOG RESET is refused: run it by hand; BGREWRITEAOF: Redis answered NOPERM; run it by hand; "
        "CONFIG GET "
        "save is refused: where Redis keeps dumps, run BGSAVE by hand");
}

TEST_CASE("a replica that does not know is told to the operator") {
  using net::testing::RealRedis;
  const RealRedis server(RealRedis::Listen::tcp, {"--repl-diskless-sync-delay", "0"});
  RealRedis replica(RealRedis::Listen::unix_socket,
                    {"--replicaof", "127.0.0.1 " + std::to_string(server.port())});
  Client client(Client::patient(server.options()));
  REQUIRE(client.apply(small_spec()));
  // Returns when the replica has all of it.
  REQUIRE(client.command({"WAIT", "1", "20000"}).integer == 1);
  CHECK(run_purge(client).problem == "replicas keep files of their own: run BGREWRITEAOF or BGSAVE on each");
  replica.pause();
  REQUIRE_FALSE(client.command({"SET", "something", "else"}).is_error());
  CHECK(run_purge(client).problem ==
        "of 1 replicas 0 know what was deleted: another one, made the master now, would bring it back; "
        "replicas keep files of their own: run BGREWRITEAOF or BGSAVE on each");
  replica.go_on();
}

TEST_CASE("a purge under another master key deletes nothing") {
  const RedisServer server;
  const KeyFile key;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  Node node(server, key);
  store_phantoms(node, node.recover(), kCorrespondents);
  const auto report = await(client.loop, purge(client.redis, client.loop, master_keys('x'), {}));
  REQUIRE_FALSE(report);
  CHECK(report.error().code == Errc::corrupt);
  CHECK(phantoms_stored(client) == 6);
}

TEST_CASE("a purge that stopped in the middle is ended by the next one", "[R3.5]") {
  const RedisServer server;
  const KeyFile key;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  Node node(server, key);
  const std::vector<std::string> many = people(1500);
  const Routes before = node.recover();
  store_phantoms(node, before, many);
  const Member& forgotten = *before->find_address("office@school.example")->members.front();
  REQUIRE(client.forget_member("office@school.example", ""));
  // Its connection ends as that of a process that died; the first steps are done by then.
  std::size_t steps = 0;
  const auto stopped =
      await(client.loop, purge(client.redis, client.loop, master_keys(), [&](std::uint64_t, std::uint64_t) {
              if (++steps == 3) client.redis.close();
            }));
  REQUIRE_FALSE(stopped);
  Client second(server);
  const std::size_t left = phantoms_stored(second);
  CHECK(left < 4500);
  CHECK(left > 3000);
  // What is left is dead already.
  std::vector<std::string> dead;
  for (const std::string& spelling : many)
    dead.push_back(phantom_local(forgotten, parse(spelling).canonical()));
  const auto resolved = node.resolve(dead);
  REQUIRE(resolved);
  CHECK(std::ranges::none_of(resolved->values, [](const auto& value) { return value.has_value(); }));
  CHECK(run_purge(second).phantoms_deleted == left - 3000);
  CHECK(phantoms_stored(second) == 3000);
}

TEST_CASE("phantoms are counted by member, exactly or as a sample tells") {
  const RedisServer server;
  const KeyFile key;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  Node node(server, key);
  const std::vector<std::string> many = people(3000);
  const Routes routes = node.recover();
  store_phantoms(node, routes, many);
  const MemberId officer = member_of(routes, "pta@school.example", "officer@gmail.example");
  const MemberId office = member_of(routes, "office@school.example", "officer@gmail.example");
  const MemberId nobody = 1;

  const auto exact = await(client.loop, count_phantoms(client.redis, client.loop, {officer, nobody}, {}));
  REQUIRE(exact);
  CHECK(exact->exact);
  CHECK(exact->counts.at(officer) == 3000);
  CHECK_FALSE(exact->counts.contains(office));
  CHECK_FALSE(exact->counts.contains(nobody));

  std::uint64_t told = 0;
  const auto about = await(
      client.loop, count_phantoms(client.redis, client.loop, {officer, office, nobody},
                                  [&told](std::uint64_t done, std::uint64_t) { told = done; }, {5000, 3000}));
  REQUIRE(about);
  CHECK_FALSE(about->exact);
  CHECK(told < 6000);
  for (const MemberId member : {officer, office}) {
    CHECK(about->counts.at(member) > 2400);
    CHECK(about->counts.at(member) < 3600);
  }
  CHECK(about->resolution > 1);
  CHECK(about->resolution < 20);

  const auto none = client.redis.round_trips();
  CHECK(await(client.loop, count_phantoms(client.redis, client.loop, {}, {}))->counts.empty());
  CHECK(client.redis.round_trips() == none);
}
