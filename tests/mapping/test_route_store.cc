// Routes in a real Redis: whole or not at all, sealed, and only for who has the master key.
#include <catch2/catch.hpp>
#include <set>

#include "mapping/store/route_codec.h"
#include "store_world.h"

using namespace kage;
using namespace kage::mapping;
using namespace kage::mapping::test;

namespace {

using Kind = RouteChange::Kind;

const Member& member_of(const Routes& routes, std::string_view address, std::string_view mailbox) {
  for (const Member* member : routes->find_address(address)->members) {
    if (member->mailbox_canonical == mailbox) return *member;
  }
  throw std::runtime_error("no such member");
}

std::vector<std::string> words(const std::vector<RouteChange>& changes) {
  std::vector<std::string> out;
  for (const auto& change : changes) {
    static constexpr std::string_view kKinds[] = {"+domain",  "-domain", "~domain", "+address", "-address",
                                                  "~address", "+member", "-member", "~member"};
    std::string line(kKinds[static_cast<std::size_t>(change.kind)]);
    for (const std::string* part : {&change.public_address, &change.mailbox, &change.detail}) {
      if (!part->empty()) line += " " + *part;
    }
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace

TEST_CASE("an empty Redis is empty, then ours, and foreign to another master key") {
  const RedisServer server;
  Client client(server);
  const auto inspect = [&client](char key) {
    return await(client.loop, inspect_store(client.redis, master_keys(key))).value();
  };
  CHECK(inspect('k') == StoreState::empty);
  CHECK(client.load()->generation() == 0);
  REQUIRE(client.apply(small_spec()));
  CHECK(inspect('k') == StoreState::ours);
  CHECK(inspect('x') == StoreState::foreign);
  const auto loaded = await(client.loop, load_routes(client.redis, master_keys('x')));
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == Errc::corrupt);
  CHECK(loaded.error().detail == "Redis is sealed under another master key");
  client.command({"DEL", kCheckKey});
  CHECK(inspect('k') == StoreState::foreign);
}

TEST_CASE("what was applied is read back whole, in one round trip") {
  const RedisServer server;
  Client client(server);
  RouteSpec spec = small_spec();
  spec.addresses[0].display_name = "ＰＴＡ委員会 \"quoted\"";
  spec.addresses[0].name = NamePolicy::hide;
  spec.addresses[0].recipients = RecipientPolicy::open;
  MemberSpec& officer = spec.addresses[0].members[0];
  officer.name = "Officer";
  officer.login = "officer";
  officer.password_hash = "$scrypt$ln=15,r=8,p=1$c2FsdA$aGFzaA";
  officer.provider = "gmail";
  REQUIRE(client.apply(spec));

  const std::uint64_t before = client.redis.round_trips();
  const Routes routes = client.load();
  CHECK(client.redis.round_trips() == before + 1);
  CHECK(routes->domains().size() == 1);
  CHECK(routes->addresses().size() == 2);
  CHECK(routes->member_count() == 3);
  const PublicAddress* pta = routes->find_address("pta@school.example");
  REQUIRE(pta != nullptr);
  CHECK(pta->spec.display_name == spec.addresses[0].display_name);
  CHECK(pta->spec.name == NamePolicy::hide);
  CHECK(pta->spec.recipients == RecipientPolicy::open);
  CHECK(pta->domain->phantom_domain == "p.school.example");
  CHECK(member_of(routes, "pta@school.example", "officer@gmail.example").spec == officer);
  CHECK(member_of(routes, "pta@school.example", "taro@docomo.example").spec.mailbox.spelling ==
        "Taro@docomo.example");
  CHECK(diff_routes(*routes, spec).empty());
}

TEST_CASE("applying twice changes nothing; members that stay keep their phantoms", "[R3.4][R9.1]") {
  const RedisServer server;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  const Routes first = client.load();
  REQUIRE(client.apply(small_spec()));
  const Routes second = client.load();
  CHECK(second->generation() == first->generation());

  RouteSpec changed = small_spec();
  changed.addresses[0].members[0].name = "New name";
  changed.addresses.push_back(address_spec("club@school.example", {"officer@gmail.example"}));
  REQUIRE(client.apply(changed));
  const Routes third = client.load();
  CHECK(third->generation() == first->generation() + 1);
  CHECK(third->member_count() == 4);
  for (const std::string_view mailbox : {"officer@gmail.example", "taro@docomo.example"}) {
    CHECK(phantom_local(member_of(third, "pta@school.example", mailbox), "s@x.example") ==
          phantom_local(member_of(first, "pta@school.example", mailbox), "s@x.example"));
  }
  CHECK(member_of(third, "pta@school.example", "officer@gmail.example").spec.name == "New name");
}

TEST_CASE("a member that is deleted and added again is another one", "[R3.5]") {
  const RedisServer server;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  const Routes before = client.load();
  const Member& old = member_of(before, "pta@school.example", "officer@gmail.example");
  const std::string local = phantom_local(old, "s@x.example");
  const std::string value = seal_phantom_value(old, local, "s@x.example");

  REQUIRE(client.forget_member("PTA@school.example", "Officer@Gmail.example"));
  const Routes without = client.load();
  CHECK(without->generation() == before->generation() + 1);
  CHECK(without->member_count() == 2);
  CHECK_FALSE(open_phantom_value(*without, local, value));

  REQUIRE(client.apply(small_spec()));
  const Routes after = client.load();
  const Member& fresh = member_of(after, "pta@school.example", "officer@gmail.example");
  CHECK(fresh.id != old.id);
  CHECK(phantom_local(fresh, "s@x.example") != local);
  CHECK_FALSE(open_phantom_value(*after, local, value));
}

TEST_CASE("forgetting an address forgets its members; what is not there is not found") {
  const RedisServer server;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  for (const auto& [address, mailbox] :
       std::vector<std::pair<std::string, std::string>>{{"nobody@school.example", ""},
                                                        {"not an address", ""},
                                                        {"", ""},
                                                        {"pta@school.example", "nobody@gmail.example"},
                                                        {"pta@school.example", "not an address"}}) {
    const auto result = client.forget_member(address, mailbox);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::not_found);
  }
  REQUIRE(client.forget_member("pta@school.example", ""));
  Routes routes = client.load();
  CHECK(routes->find_address("pta@school.example") == nullptr);
  CHECK(routes->member_count() == 1);
  REQUIRE(client.forget_member("office@school.example", ""));
  routes = client.load();
  CHECK(routes->addresses().empty());
  CHECK(routes->generation() != 0);
  CHECK(routes->find_public_domain("school.example") != nullptr);
  REQUIRE(client.apply({}));
  CHECK(client.load()->domains().empty());
}

TEST_CASE("a change made from an old state is refused whole") {
  const RedisServer server;
  Client client(server);
  const Routes nothing = client.load();
  REQUIRE(client.apply(small_spec()));
  const Routes first = client.load();
  RouteSpec bigger = small_spec();
  bigger.addresses.push_back(address_spec("club@school.example", {"one@gmail.example"}));
  for (const Routes& old : {nothing, first}) {
    if (old == first) REQUIRE(client.forget_member("office@school.example", ""));
    const Routes now = client.load();
    const auto result = await(client.loop, apply_routes(client.redis, old, bigger, {}));
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::conflict);
    CHECK(client.load()->generation() == now->generation());
    CHECK(client.load()->find_address("club@school.example") == nullptr);
  }
  const auto late = await(client.loop, forget(client.redis, first, "pta@school.example", ""));
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Errc::conflict);
}

TEST_CASE("a Redis that was emptied and filled again is never taken for the old one") {
  const RedisServer server;
  Client client(server);
  std::set<std::uint64_t> generations;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(client.apply(small_spec()));
    generations.insert(client.load()->generation());
    client.command({"FLUSHALL"});
  }
  CHECK(generations.size() == 5);
}

TEST_CASE("ten thousand members are applied in one step and tell their progress") {
  const RedisServer server;
  Client client(server);
  RouteSpec spec;
  spec.domains.push_back({"big.example", ""});
  for (int a = 0; a < 100; ++a) {
    std::vector<std::string> mailboxes;
    for (int m = 0; m < 100; ++m) {
      mailboxes.push_back("user" + std::to_string(a * 100 + m) + "@provider.example");
    }
    spec.addresses.push_back(address_spec("list" + std::to_string(a) + "@big.example", mailboxes));
  }
  const Routes now = client.load();
  std::vector<std::size_t> steps;
  const std::uint64_t before = client.redis.round_trips();
  REQUIRE(
      await(client.loop, apply_routes(client.redis, now, spec, [&steps](std::size_t done, std::size_t total) {
              CHECK(total == 10'100);
              steps.push_back(done);
            })));
  CHECK(client.redis.round_trips() == before + 1);
  CHECK(steps.size() > 10);
  CHECK(std::is_sorted(steps.begin(), steps.end()));
  CHECK(steps.back() == 10'100);
  const Routes routes = client.load();
  CHECK(routes->member_count() == 10'000);
  CHECK(diff_routes(*routes, spec).empty());

  spec.addresses.resize(1);  // and many go in one step
  REQUIRE(client.apply(spec));
  CHECK(client.load()->member_count() == 100);
  CHECK(client.command({"HLEN", kRoutesKey}).integer == 1 + 1 + 200 + 1);
}

TEST_CASE("the difference is readable and holds no password") {
  const RedisServer server;
  Client client(server);
  RouteSpec spec = small_spec();
  CHECK(words(diff_routes(*client.load(), spec)) ==
        std::vector<std::string>{
            "+domain school.example phantom_domain: \"p.school.example\"", "+address office@school.example",
            "+member office@school.example officer@gmail.example", "+address pta@school.example",
            "+member pta@school.example Taro@docomo.example",
            "+member pta@school.example officer@gmail.example"});
  REQUIRE(client.apply(spec));
  spec.domains[0].phantom_domain = "ph.school.example";
  spec.domains.push_back({"new.example", ""});
  spec.addresses[0].display_name = "PTA";
  spec.addresses[0].recipients = RecipientPolicy::open;
  spec.addresses[0].members[0].password_hash = "$scrypt$secret-hash";
  spec.addresses[0].members[0].name = "Officer";
  spec.addresses[0].members[1].mailbox = parse("taro@docomo.example");
  spec.addresses.erase(spec.addresses.begin() + 1);
  const auto changes = diff_routes(*client.load(), spec);
  CHECK(words(changes) ==
        std::vector<std::string>{
            "+domain new.example phantom_domain: \"p.new.example\"",
            "~domain school.example phantom_domain: \"p.school.example\" → \"ph.school.example\"",
            "-address office@school.example", "-member office@school.example officer@gmail.example",
            "~address pta@school.example display_name: \"\" → \"PTA\"; recipients: \"private\" → \"open\"",
            "~member pta@school.example officer@gmail.example name: \"\" → \"Officer\"; password set",
            "~member pta@school.example taro@docomo.example spelling: \"Taro@docomo.example\" → "
            "\"taro@docomo.example\""});
  REQUIRE(client.apply(spec));
  CHECK(diff_routes(*client.load(), spec).empty());
  spec.addresses[0].members[0].password_hash = "$scrypt$other-hash";
  CHECK(words(diff_routes(*client.load(), spec)) ==
        std::vector<std::string>{"~member pta@school.example officer@gmail.example password changed"});
}

TEST_CASE("a spec that is no table is not applied") {
  const RedisServer server;
  Client client(server);
  std::vector<RouteSpec> bad(4, small_spec());
  bad[0].domains.clear();
  bad[1].addresses[0].members.push_back(member_spec("officer@gmail.example"));
  bad[2].addresses[0].display_name = "name\r\nBcc: everybody@example";
  bad[3].addresses[0].members[0].name = std::string(5000, 'x');
  for (const RouteSpec& spec : bad) {
    const auto result = client.apply(spec);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::invalid);
    CHECK(client.load()->generation() == 0);
  }
}

TEST_CASE("stored routes that were damaged in any way do not open", "[R3.8]") {
  const RedisServer server;
  Client client(server);
  RouteSpec spec = small_spec();
  spec.addresses.erase(spec.addresses.begin() + 1);
  REQUIRE(client.apply(spec));
  net::RedisBatch batch;
  add_load_commands(batch);
  const auto replies = await(client.loop, client.redis.run(std::move(batch))).value();
  const auto master = master_keys();
  REQUIRE(open_routes(replies, master));
  const auto& hash = replies[2].elements;
  REQUIRE(hash.size() == 2 * (1 + 1 + 2 * 2 + 1));

  const auto refused = [&master](const std::vector<net::RedisReply>& changed) {
    const auto table = open_routes(changed, master);
    return !table && table.error().code == Errc::corrupt;
  };
  for (std::size_t i = 0; i < hash.size(); ++i) {
    auto changed = replies;
    std::string& text = changed[2].elements[i].text;
    const std::string whole = text;
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
      text = whole.substr(0, cut);
      CHECK(refused(changed));
      text = whole;
      text[cut] = static_cast<char>(text[cut] ^ 1);
      CHECK(refused(changed));
    }
  }
  for (std::size_t i = 0; i < hash.size(); i += 2) {
    auto changed = replies;
    auto& elements = changed[2].elements;
    const auto at = elements.begin() + static_cast<std::ptrdiff_t>(i);
    elements.erase(at, at + 2);  // Redis evicted a field
    CHECK(refused(changed));
    for (std::size_t j = 0; j < hash.size(); j += 2) {
      if (i == j) continue;
      auto swapped = replies;
      swapped[2].elements[i + 1].text = hash[j + 1].text;  // a value under another's name
      CHECK(refused(swapped));
    }
  }
  for (std::size_t i = 0; i < replies.size(); ++i) {
    auto changed = replies;
    changed[i] = net::RedisReply();
    CHECK(refused(changed));
  }
  auto number = replies;
  number[0].text = "12x";
  CHECK(refused(number));
}

TEST_CASE("a Redis that refuses to write leaves the routes as they were", "[R3.8]") {
  const RedisServer server;
  Client client(server);
  REQUIRE(client.apply(small_spec()));
  const Routes before = client.load();
  RouteSpec changed = small_spec();
  changed.addresses[0].display_name = "changed";
  struct Case {
    std::vector<std::string_view> on, off;
    std::string_view detail;
  };
  for (const auto& [on, off, detail] :
       {Case{{"CONFIG", "SET", "maxmemory", "1"}, {"CONFIG", "SET", "maxmemory", "0"}, "Redis answered OOM"},
        Case{{"REPLICAOF", "127.0.0.1", "1"}, {"REPLICAOF", "NO", "ONE"}, "Redis answered READONLY"}}) {
    REQUIRE_FALSE(client.command(on).is_error());
    const auto result = await(client.loop, apply_routes(client.redis, before, changed, {}));
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::refused);
    CHECK(result.error().detail == detail);
    REQUIRE_FALSE(client.command(off).is_error());
    CHECK(diff_routes(*client.load(), small_spec()).empty());
    CHECK(client.load()->generation() == before->generation());
  }
}
