// What scripts/bench mapping does to Redis through the code that a node runs: stores phantoms, looks them up,
// changes the routes. Prints one line of JSON with times, counts and round trips.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "mapping/store/directory.h"
#include "mapping/store/phantom_scan.h"
#include "mapping/store/route_store.h"

using namespace kage;
using namespace kage::mapping;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kStoredTogether = 1000;
constexpr std::size_t kSideBySide = 64;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

[[noreturn]] void give_up(std::string_view what, const Error& error) {
  fmt::print(stderr, "mapping_load: {}: {} {}\n", what, to_string(error.code), error.detail);
  std::exit(1);
}

template <class T>
T need(std::string_view what, Result<T> result) {
  if (!result) give_up(what, result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

net::RedisOptions options(const std::string& socket) {
  net::RedisOptions out;
  out.unix_path = socket;
  out.command_timeout = net::Millis(60'000);
  return out;
}

struct World {
  explicit World(const std::string& socket, const std::string& key)
      : redis(loop, options(socket)),
        shared(key),
        directory(loop, redis, shared),
        master(std::make_shared<const MasterKeys>(need("key", read_master_key(key)))) {}

  net::Loop loop;
  net::Redis redis;
  SharedRoutes shared;
  Directory directory;
  std::shared_ptr<const MasterKeys> master;

  template <class T>
  T await(net::Task<T> task) {
    std::optional<T> out;
    net::spawn(keep(std::move(task), out, loop));
    while (!out) loop.run();
    return std::move(*out);
  }

 private:
  template <class T>
  static net::Task<void> keep(net::Task<T> task, std::optional<T>& out, net::Loop& loop) {
    out.emplace(co_await std::move(task));
    loop.stop();
  }
};

/// Addresses as long as people's are.
std::string person(std::size_t number) {
  static constexpr std::array<std::string_view, 5> kDomains = {"gmail.com", "docomo.ne.jp", "yahoo.co.jp",
                                                               "ezweb.ne.jp", "school.example.ac.jp"};
  return fmt::format("firstname.{}@{}", number, kDomains[number % kDomains.size()]);
}

std::string local_of(const Member& member, std::size_t number) {
  return phantom_local(member, message::parse_address(person(number))->canonical());
}

/// Phantoms `from` to `to` of one member, as a node stores them.
void seed(World& world, const Member& member, const Routes& routes, std::size_t from, std::size_t to) {
  const auto begin = Clock::now();
  const auto trips = world.redis.round_trips();
  for (std::size_t i = from; i < to;) {
    std::vector<PhantomWrite> writes;
    for (; i < to && writes.size() < kStoredTogether; ++i) {
      writes.push_back({&member, local_of(member, i), person(i)});
    }
    need("store", world.await(world.directory.store(routes, std::move(writes))));
  }
  fmt::print("{{\"stored\":{},\"seconds\":{:.3f},\"trips\":{}}}\n", to - from, since(begin),
             world.redis.round_trips() - trips);
}

struct Lookups {
  World& world;
  const Member& member;
  std::size_t count;  // phantoms there are
  std::size_t left;   // lookups still to begin
  std::size_t running = 0;
  std::vector<double> micros{};
  std::mt19937_64 random{1};
};

net::Task<void> look_up(Lookups& all) {
  while (all.left > 0) {
    --all.left;
    const std::size_t number = all.random() % all.count;
    const auto begin = Clock::now();
    const auto found =
        co_await all.world.directory.resolve(std::vector<std::string>(1, local_of(all.member, number)));
    if (!found) give_up("resolve", found.error());
    if (!found->values.front()) give_up("resolve", Error{Errc::not_found, "a phantom is not there"});
    all.micros.push_back(since(begin) * 1e6);
  }
  if (--all.running == 0) all.world.loop.stop();
}

void lookups(World& world, const Member& member, std::size_t count, std::size_t times,
             std::size_t side_by_side) {
  Lookups all{world, member, count, times};
  all.micros.reserve(times);
  const auto begin = Clock::now();
  const auto trips = world.redis.round_trips();
  all.running = side_by_side;
  for (std::size_t i = 0; i < side_by_side; ++i) net::spawn(look_up(all));
  while (all.running > 0) world.loop.run();
  const double seconds = since(begin);
  std::ranges::sort(all.micros);
  fmt::print("{{\"lookups\":{},\"rate\":{:.0f},\"trips\":{},\"p50\":{:.1f},\"p99\":{:.1f},\"max\":{:.1f}}}\n",
             times, static_cast<double>(times) / seconds, world.redis.round_trips() - trips,
             all.micros[times / 2], all.micros[times * 99 / 100], all.micros.back());
}

/// Four members behind each public address; another `year` has others.
RouteSpec spec_of(std::size_t members, std::string_view year) {
  RouteSpec spec;
  spec.domains.push_back({"school.example", ""});
  for (std::size_t i = 0; i < members; ++i) {
    if (i % 4 == 0) {
      AddressSpec address;
      address.address = *message::parse_address(fmt::format("class{}@school.example", i / 4));
      spec.addresses.push_back(std::move(address));
    }
    MemberSpec member;
    member.mailbox = *message::parse_address(fmt::format("parent{}.{}@gmail.com", i, year));
    spec.addresses.back().members.push_back(std::move(member));
  }
  return spec;
}

long peak_kilobytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

void apply(World& world, std::size_t members, std::string_view year) {
  const auto load = Clock::now();
  auto now = need("load", world.await(load_routes(world.redis, world.master)));
  const double loaded = since(load);
  const auto spec = spec_of(members, year);
  std::vector<MemberId> removed;
  for (const auto& change : diff_routes(*now, spec)) {
    if (change.kind == RouteChange::Kind::remove_member) removed.push_back(change.member);
  }
  const auto before_count = world.redis.round_trips();
  need("count", world.await(count_phantoms(world.redis, world.loop, removed, {})));
  const auto count_trips = world.redis.round_trips() - before_count;
  const auto begin = Clock::now();
  const auto trips = world.redis.round_trips();
  need("apply", world.await(apply_routes(world.redis, now, spec, {})));
  fmt::print(
      "{{\"removed\":{},\"load_seconds\":{:.3f},\"apply_seconds\":{:.3f},\"apply_trips\":{},\"count_trips\":{"
      "},"
      "\"peak_kb\":{}}}\n",
      removed.size(), loaded, since(begin), world.redis.round_trips() - trips, count_trips, peak_kilobytes());
}

void forget_all(World& world, const std::string& address) {
  const auto now = need("load", world.await(load_routes(world.redis, world.master)));
  const auto begin = Clock::now();
  const auto trips = world.redis.round_trips();
  need("forget", world.await(forget(world.redis, now, address, "")));
  const double dead = since(begin);
  const auto dead_trips = world.redis.round_trips() - trips;
  const auto purged = need("purge", world.await(purge(world.redis, world.loop, world.master, {})));
  fmt::print(
      "{{\"dead_seconds\":{:.4f},\"dead_trips\":{},\"clean_seconds\":{:.3f},\"clean_trips\":{},\"deleted\":{}"
      ","
      "\"peak_kb\":{}}}\n",
      dead, dead_trips, since(begin), world.redis.round_trips() - trips - dead_trips, purged.phantoms_deleted,
      peak_kilobytes());
}

std::size_t number(const char* text) {
  return parse_number(text).value_or(0);
}

}  // namespace

int main(int argc, char** argv) {
  log::configure(log::Level::warn);
  if (argc < 6) {
    fmt::print(stderr,
               "usage: mapping_load SOCKET KEYFILE seed ADDRESS FROM TO | lookup ADDRESS COUNT TIMES [one] | "
               "apply MEMBERS "
               "YEAR | forget ADDRESS -\n");
    return 2;
  }
  World world(argv[1], argv[2]);
  const std::string_view what = argv[3];
  if (what == "apply") {
    apply(world, number(argv[4]), argv[5]);
    return 0;
  }
  if (what == "forget") {
    forget_all(world, argv[4]);
    return 0;
  }
  const auto routes = need("routes", world.await(world.directory.refresh()));
  const PublicAddress* const address = routes->find_address(argv[4]);
  if (address == nullptr || argc < 7) return 2;
  const Member& member = *address->members.front();
  if (what == "seed") seed(world, member, routes, number(argv[5]), number(argv[6]));
  if (what == "lookup") lookups(world, member, number(argv[5]), number(argv[6]), argc > 7 ? 1 : kSideBySide);
  return 0;
}
