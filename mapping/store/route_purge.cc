// What deleting a member leaves behind, and how it goes: orphaned phantoms, and the keys that Redis' own
// files still hold (contract R3.5).
#include <chrono>
#include <optional>
#include <utility>

#include "base/text.h"
#include "mapping/store/phantom_scan.h"
#include "mapping/store/route_codec.h"
#include "mapping/store/route_store.h"

namespace kage::mapping {
namespace {

constexpr net::Millis kPollEvery{50};
constexpr net::Millis kRewriteWithin{60000};
constexpr int kRewriteAttempts = 5;
constexpr net::Millis kReplicasWithin{1000};

/// A number of INFO ("name:123"); nothing when it is not there.
std::optional<std::uint64_t> info_number(std::string_view info, std::string_view name) {
  const std::string line = "\n" + std::string(name) + ":";
  const std::size_t at = info.find(line);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = info.substr(at + line.size());
  return parse_number(trim(rest.substr(0, rest.find('\n'))));
}

bool info_is(std::string_view info, std::string_view name, std::uint64_t value) {
  return info_number(info, name) == value;
}

bool info_says_ok(std::string_view info, std::string_view name) {
  return info.find("\n" + std::string(name) + ":ok") != std::string_view::npos;
}

/// What is done at each server that holds keys.
struct Server {
  net::Redis& redis;
  net::Endpoint at;

  [[nodiscard]] net::Task<Result<Replies>> run(net::RedisBatch batch) const {
    return redis.run_at(at, std::move(batch));
  }
};

void problem(PurgeReport& report, std::string_view text) {
  if (!report.problem.empty()) report.problem.append("; ");
  report.problem.append(text);
}

void problem(PurgeReport& report, const Server& server, std::string_view text) {
  const std::string name =
      server.redis.is_cluster() ? net::format_endpoint(server.at.host, server.at.port) + ": " : "";
  problem(report, name + std::string(text));
}

/// Takes the phantoms of nobody out of what a scan finds.
class Sweeper {
 public:
  Sweeper(net::Redis& redis, std::shared_ptr<const MasterKeys> master)
      : redis_(redis), master_(std::move(master)) {}

  net::Task<Result<>> load() {
    auto routes = co_await load_routes(redis_, master_);
    if (!routes) co_return std::unexpected(routes.error());
    routes_ = std::move(*routes);
    co_return Result<>();
  }

  /// What deletes those of the page that nobody has.
  net::Task<Result<net::RedisBatch>> remove(PhantomScan::Page page) {
    // Newer routes have all members of these values, if they exist.
    if (page.generation != routes_->generation()) {
      if (auto loaded = co_await load(); !loaded) co_return std::unexpected(loaded.error());
    }
    net::RedisBatch batch;
    for (const auto& phantom : page.phantoms) {
      if (phantom.owner && routes_->find_member(*phantom.owner) != nullptr) continue;
      // One by one: in a cluster each lies elsewhere.
      batch.add({"UNLINK", phantom.key});
    }
    co_return batch;
  }

 private:
  net::Redis& redis_;
  std::shared_ptr<const MasterKeys> master_;
  Routes routes_;
};

net::Task<Result<>> delete_phantoms(net::Redis& redis, net::Loop& loop,
                                    std::shared_ptr<const MasterKeys> master, PurgeReport& report,
                                    std::function<void(std::uint64_t, std::uint64_t)> progress) {
  Sweeper sweeper(redis, std::move(master));
  if (auto loaded = co_await sweeper.load(); !loaded) co_return loaded;
  PhantomScan scan(redis, loop);
  net::RedisBatch deletions;
  while (!scan.ended()) {
    // What one step found goes with the next one's first trip.
    auto page = co_await scan.next(std::exchange(deletions, {}));
    if (!page) co_return std::unexpected(page.error());
    report.phantoms_deleted += page->removed;
    if (progress) progress(scan.seen(), scan.total());
    auto found = co_await sweeper.remove(std::move(*page));
    if (!found) co_return std::unexpected(found.error());
    deletions = std::move(*found);
  }
  if (deletions.size() > 0) {
    const auto done = co_await run_all(redis, std::move(deletions));
    if (!done) co_return std::unexpected(done.error());
    for (const auto& reply : *done) report.phantoms_deleted += reply.integer > 0 ? 1 : 0;
  }
  const auto missed = co_await scan.missed();
  if (!missed) co_return std::unexpected(missed.error());
  if (*missed) {
    problem(report,
            "keys moved from one server of the cluster to another, and dead phantoms may be left: run "
            "apply again when they are at rest");
  }
  co_return Result<>();
}

net::Task<Result<std::string>> read_info(const Server& server) {
  net::RedisBatch batch;
  batch.add({"INFO", "persistence"});
  auto replies = co_await run_all_at(server.redis, server.at, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return std::move(replies->front().text);
}

/// Waits until Redis writes neither file: a rewrite that began before our deletion does not count.
net::Task<Result<std::string>> wait_until_idle(const Server& server, net::Loop& loop) {
  const net::TimePoint until = loop.now() + kRewriteWithin;
  for (;;) {
    auto info = co_await read_info(server);
    if (!info) co_return info;
    const bool busy = info_is(*info, "aof_rewrite_in_progress", 1) ||
                      info_is(*info, "aof_rewrite_scheduled", 1) ||
                      info_is(*info, "rdb_bgsave_in_progress", 1);
    if (!busy) co_return info;
    if (loop.now() >= until) co_return fail(Errc::timed_out, "Redis is still writing its files");
    co_await loop.sleep(kPollEvery);
  }
}

/// Starts one of the two rewrites when Redis is idle, and waits for it. The text is what stands in the way;
/// empty when done.
net::Task<Result<std::string>> rewrite(const Server& server, net::Loop& loop, std::string_view command,
                                       std::string_view status) {
  for (int attempt = 1;; ++attempt) {
    if (auto idle = co_await wait_until_idle(server, loop); !idle) co_return idle;
    net::RedisBatch batch;
    batch.add({command});
    const auto replies = co_await server.run(std::move(batch));
    if (!replies) co_return std::unexpected(replies.error());
    if (!replies->front().is_error()) break;
    // Somebody else's rewrite may have begun a moment before, and with it the refusal.
    if (attempt < kRewriteAttempts) continue;
    co_return std::string(command) + ": " + reply_error(replies->front()).detail + "; run it by hand";
  }
  const auto info = co_await wait_until_idle(server, loop);
  if (!info) co_return info;
  if (!info_says_ok(*info, status)) co_return std::string(command) + " failed; see Redis' log";
  co_return std::string();
}

/// Whether there may be a dump file that still holds what was deleted.
net::Task<Result<bool>> keeps_dumps(const Server& server, PurgeReport& report, bool has_aof,
                                    const std::string& info) {
  const bool saved = info_number(info, "rdb_saves").value_or(1) > 0;
  const bool loaded = !has_aof && info_number(info, "rdb_last_load_keys_loaded").value_or(1) > 0;
  if (saved || loaded) co_return true;
  net::RedisBatch batch;
  batch.add({"CONFIG", "GET", "save"});
  const auto replies = co_await server.run(std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  const net::RedisReply& reply = replies->front();
  if (reply.is_error()) {
    problem(report, server, "CONFIG GET save is refused: where Redis keeps dumps, run BGSAVE by hand");
    co_return false;
  }
  co_return reply.elements.size() == 2 && !reply.elements[1].text.empty();
}

net::Task<Result<>> rewrite_files(const Server& server, net::Loop& loop, PurgeReport& report) {
  auto info = co_await read_info(server);
  if (!info && info.error().code == Errc::refused) {
    problem(report, server, "INFO is refused: run BGREWRITEAOF, and BGSAVE where Redis keeps dumps");
    co_return Result<>();
  }
  if (!info) co_return std::unexpected(info.error());
  const bool has_aof = info_is(*info, "aof_enabled", 1);
  if (has_aof) {
    const auto obstacle = co_await rewrite(server, loop, "BGREWRITEAOF", "aof_last_bgrewrite_status");
    if (!obstacle) co_return std::unexpected(obstacle.error());
    report.aof_rewritten |= obstacle->empty();
    if (!obstacle->empty()) problem(report, server, *obstacle);
  }
  const auto dumps = co_await keeps_dumps(server, report, has_aof, *info);
  if (!dumps) co_return std::unexpected(dumps.error());
  if (*dumps) {
    const auto obstacle = co_await rewrite(server, loop, "BGSAVE", "rdb_last_bgsave_status");
    if (!obstacle) co_return std::unexpected(obstacle.error());
    report.dump_rewritten |= obstacle->empty();
    if (!obstacle->empty()) problem(report, server, *obstacle);
  }
  co_return Result<>();
}

/// Replicas have what was deleted until they are told, and one of them may be the master of tomorrow.
net::Task<Result<>> check_replicas(const Server& server, std::uint64_t replicas, PurgeReport& report) {
  if (replicas == 0) co_return Result<>();
  net::RedisBatch batch;
  const net::Millis patience = std::min(kReplicasWithin, server.redis.options().command_timeout / 2);
  batch.add({"WAIT", std::to_string(replicas), std::to_string(patience.count())});
  const auto replies = co_await server.run(std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  const net::RedisReply& told = replies->front();
  if (told.is_error()) {
    problem(report, server, "WAIT is refused: whether replicas know is not known");
  } else if (told.integer < static_cast<std::int64_t>(replicas)) {
    problem(report, server,
            "of " + std::to_string(replicas) + " replicas " + std::to_string(told.integer) +
                " know what was deleted: another one, made the master now, would bring it back");
  }
  problem(report, server, "replicas keep files of their own: run BGREWRITEAOF or BGSAVE on each");
  co_return Result<>();
}

/// Other places where Redis keeps what it was told.
net::Task<Result<>> check_elsewhere(const Server& server, PurgeReport& report) {
  net::RedisBatch batch;
  batch.add({"SLOWLOG", "RESET"});  // it shows the arguments of slow commands
  batch.add({"INFO", "replication"});
  const auto replies = co_await server.run(std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  if ((*replies)[0].is_error()) problem(report, server, "SLOWLOG RESET is refused: run it by hand");
  co_return co_await check_replicas(server, info_number((*replies)[1].text, "connected_slaves").value_or(0),
                                    report);
}

}  // namespace

net::Task<Result<PurgeReport>> purge(net::Redis& redis, net::Loop& loop,
                                     std::shared_ptr<const MasterKeys> master,
                                     std::function<void(std::uint64_t, std::uint64_t)> progress) {
  PurgeReport report;
  if (auto done = co_await delete_phantoms(redis, loop, std::move(master), report, std::move(progress));
      !done) {
    co_return std::unexpected(done.error());
  }
  const auto servers = co_await redis.servers();
  if (!servers) co_return std::unexpected(servers.error());
  for (const net::Endpoint& at : *servers) {
    const Server server{redis, at};
    if (auto done = co_await check_elsewhere(server, report); !done) co_return std::unexpected(done.error());
    if (auto done = co_await rewrite_files(server, loop, report); !done)
      co_return std::unexpected(done.error());
  }
  co_return report;
}

}  // namespace kage::mapping
