// `kagemusha forget`: one member, or a public address with all of them, at once and for good (contract R3.5).
#include <fmt/format.h>

#include <optional>

#include "app/command_session.h"
#include "app/commands.h"
#include "app/terminal.h"

namespace kage::app {
namespace {

/// What would be forgotten.
struct Target {
  std::string words;
  std::vector<mapping::MemberId> members;
  std::string deserted;  ///< the public address that nobody would stand behind; empty: somebody does
};

/// Nothing, and a line that says so, when there is no such thing.
std::optional<Target> find_target(const mapping::RouteTable& routes, const Command& command) {
  const auto* address = find_address(routes, command.address);
  if (address == nullptr) return std::nullopt;
  const std::string shown = printable(address->spec.address.spelling);
  if (!command.mailbox.empty()) {
    const auto* member = find_member(*address, command.mailbox);
    if (member == nullptr) return std::nullopt;
    return Target{.words = fmt::format("{} behind {}", printable(member->spec.mailbox.spelling), shown),
                  .members = {member->id},
                  .deserted = address->members.size() == 1 ? shown : ""};
  }
  Target target{.words = fmt::format("{} and its {}", shown, count_of(address->members.size(), "member")),
                .members = {},
                .deserted = {}};
  for (const mapping::Member* member : address->members) target.members.push_back(member->id);
  return target;
}

net::Task<int> forget_target(CommandSession& session, const Command& command) {
  const auto target = find_target(*session.routes, command);
  if (!target) co_return 1;
  // Scripts that say --yes want it dead now, not counted first.
  if (!command.yes) {
    const auto dying = co_await count_dying(session, target->members);
    if (!dying) {
      print_failure(dying.error());
      co_return 1;
    }
    const std::string loss = fmt::format("{}, with {},", target->words, phantoms_of_all(*dying));
    if (!may_lose(loss + " would be forgotten for good", fmt::format("Forget {} for good?", loss),
                  command.yes)) {
      co_return kNotConfirmed;
    }
  }
  auto done = remember_purge(session.config);
  if (done) done = co_await mapping::forget(session.redis, session.routes, command.address, command.mailbox);
  if (!done) {
    print_change_failure(done.error());
    co_return 1;
  }
  print(fmt::format("Forgot {}. The phantoms are dead.\n", target->words));
  if (!target->deserted.empty()) {
    print(fmt::format("Nobody stands behind {} now: who writes to it is told to try again later (450).\n",
                      target->deserted));
  }
  co_return co_await purge_forgotten(session) ? 0 : 1;
}

}  // namespace

int forget(const Config& config, const Command& command) {
  return run_command(config, "forget", false,
                     [&](CommandSession& session) { return forget_target(session, command); });
}

}  // namespace kage::app
