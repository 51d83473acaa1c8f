// Commands run one coroutine on a loop of the main thread.
#include "app/command_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "app/process.h"
#include "app/terminal.h"
#include "base/log.h"
#include "message/address.h"

namespace kage::app {
namespace {

constexpr std::size_t kQuietKeys = 20'000;

std::string pending_file(const Config& config) {
  return config.state_dir + "/purge-pending";
}

struct Run {
  net::Loop loop;
  const Config& config;
  std::string name;
  bool may_create;
  CommandBody body;
  int exit_code = 1;
  bool ended = false;
};

net::Task<Result<>> run_session(Run& run, CommandRedis& access) {
  if (auto opened = co_await access.open(); !opened) co_return opened;
  auto master = co_await open_master_key(access.redis(), run.config.master_key, run.may_create);
  if (!master) co_return std::unexpected(master.error());
  if (master->created) {
    print_error(
        fmt::format("Made the key file {}. Keep a copy of it in a safe place.\n", run.config.master_key));
  }
  auto routes = co_await mapping::load_routes(access.redis(), master->keys);
  if (!routes) co_return std::unexpected(routes.error());
  CommandSession session{run.loop, run.config, access.redis(), std::move(*master), std::move(*routes)};
  run.exit_code = co_await run.body(session);
  co_return Result<>();
}

net::Task<void> run_all(Run& run) {
  CommandRedis access(run.loop, run.config.redis, run.name);
  if (const auto done = co_await run_session(run, access); !done) print_failure(done.error());
  co_await access.close();
  run.ended = true;
  run.loop.stop();
}

}  // namespace

int run_command(const Config& config, std::string name, bool may_create, CommandBody body) {
  // A command speaks for itself; only what went wrong below it is worth a log line.
  log::configure(log::Level::error);
  ignore_broken_pipes();
  protect_memory();
  if (auto made = make_private_folder(config.state_dir); !made) {
    print_failure(made.error());
    return 1;
  }
  Run run{.loop = {},
          .config = config,
          .name = std::move(name),
          .may_create = may_create,
          .body = std::move(body)};
  net::spawn(run_all(run));
  while (!run.ended) run.loop.run();
  return run.exit_code;
}

void print_failure(const Error& error) {
  const std::string_view detail =
      error.detail.empty() ? to_string(error.code) : std::string_view(error.detail);
  print_error(fmt::format("kagemusha: {}\n", printable(detail)));
}

void print_change_failure(const Error& error) {
  if (error.code != Errc::conflict) return print_failure(error);
  print_error("kagemusha: somebody else changed the routes at the same time; run it again\n");
}

const mapping::PublicAddress* find_address(const mapping::RouteTable& routes, const std::string& text) {
  const auto wanted = message::parse_address(text);
  const auto* found = wanted ? routes.find_address(wanted->canonical()) : nullptr;
  if (found == nullptr) print_error(fmt::format("kagemusha: no public address {}\n", printable(text)));
  return found;
}

const mapping::Member* find_member(const mapping::PublicAddress& address, const std::string& text) {
  const auto wanted = message::parse_address(text);
  const std::string canonical = wanted ? wanted->canonical() : std::string();
  const auto found = std::ranges::find(address.members, canonical, &mapping::Member::mailbox_canonical);
  if (found != address.members.end()) return *found;
  print_error(fmt::format("kagemusha: no member {} behind {}\n", printable(text),
                          printable(address.spec.address.spelling)));
  return nullptr;
}

bool may_lose(std::string_view loss, const std::string& question, bool yes) {
  if (yes) return true;
  if (!input_is_terminal()) {
    print_error(fmt::format("kagemusha: {}; nothing was changed. Say --yes to allow it.\n", loss));
    return false;
  }
  if (confirm(question)) return true;
  print("Nothing was changed.\n");
  return false;
}

std::vector<std::string> provider_names(const Config& config) {
  std::vector<std::string> names;
  for (const auto& provider : config.providers) names.push_back(provider.name);
  return names;
}

Result<> remember_purge(const Config& config) {
  return write_file_durably(pending_file(config),
                            "Forgotten members' data may be left in Redis or its files.\n");
}

bool purge_pending(const Config& config) {
  return ::access(pending_file(config).c_str(), F_OK) == 0;
}

net::Task<Result<mapping::PhantomCensus>> count_dying(CommandSession& session,
                                                      std::vector<mapping::MemberId> members) {
  auto progress = std::make_unique<Progress>("keys looked at", kQuietKeys);
  co_return co_await mapping::count_phantoms(session.redis, session.loop, std::move(members),
                                             [&progress](std::uint64_t done, std::uint64_t total) {
                                               progress->update(std::min(done, total), total);
                                             });
}

std::string phantoms_of(const mapping::PhantomCensus& census, mapping::MemberId member) {
  const auto found = census.counts.find(member);
  if (found == census.counts.end()) {
    return census.exact ? "no phantoms" : "fewer than " + count_of(census.resolution, "phantom");
  }
  return (census.exact ? "" : "about ") + count_of(found->second, "phantom");
}

std::string phantoms_of_all(const mapping::PhantomCensus& census) {
  std::uint64_t sum = 0;
  for (const auto& [member, count] : census.counts) sum += count;
  if (sum == 0) return phantoms_of(census, 0);
  return (census.exact ? "" : "about ") + count_of(sum, "phantom");
}

net::Task<bool> purge_forgotten(CommandSession& session) {
  auto progress = std::make_unique<Progress>("keys looked at for dead phantoms", kQuietKeys);
  std::fflush(stdout);  // what was forgotten is told before this takes its time
  const auto report = co_await mapping::purge(session.redis, session.loop, session.master.keys,
                                              [&progress](std::uint64_t done, std::uint64_t total) {
                                                progress->update(std::min(done, total), total);
                                              });
  progress.reset();
  if (!report) {
    print_error(
        fmt::format("Forgotten, but not everything that is left of it could be deleted yet: {}.\n"
                    "It cannot be opened any more. The next apply or forget tries again.\n",
                    printable(report.error().detail)));
    co_return false;
  }
  print(fmt::format("Deleted {}; Redis {} its files.\n", count_of(report->phantoms_deleted, "dead phantom"),
                    report->aof_rewritten || report->dump_rewritten ? "rewrote" : "did not rewrite"));
  if (!report->problem.empty()) {
    print_error(fmt::format("To be done by hand: {}\n", printable(report->problem)));
    co_return false;
  }
  ::unlink(pending_file(session.config).c_str());
  co_return true;
}

}  // namespace kage::app
