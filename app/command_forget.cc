// `kagemusha forget`: one member, or a public address with all of them, at once and for good (contract R3.5).
#include <fmt/format.h>

#include "app/command_session.h"
#include "app/commands.h"
#include "app/terminal.h"
#include "message/address.h"

namespace kage::app {
namespace {

/// What would be forgotten.
struct Target {
  std::string words;  ///< empty: there is no such thing
  std::vector<mapping::MemberId> members;
  std::string deserted;  ///< the public address that nobody would stand behind; empty: somebody does
};

Target find_target(const mapping::RouteTable& routes, const Command& command) {
  const auto wanted = message::parse_address(command.address);
  const auto* address = wanted ? routes.find_address(wanted->canonical()) : nullptr;
  Target target;
  if (address == nullptr) return target;
  const std::string shown = printable(address->spec.address.spelling);
  if (command.mailbox.empty()) {
    target.words = fmt::format("{} and its {}", shown, count_of(address->members.size(), "member"));
    for (const mapping::Member* member : address->members) target.members.push_back(member->id);
    return target;
  }
  const auto mailbox = message::parse_address(command.mailbox);
  for (const mapping::Member* member : address->members) {
    if (mailbox && member->mailbox_canonical == mailbox->canonical()) {
      return {fmt::format("{} behind {}", printable(member->spec.mailbox.spelling), shown),
              {member->id},
              address->members.size() == 1 ? shown : ""};
    }
  }
  return target;
}

bool may_forget(const std::string& loss, const Command& command) {
  if (command.yes) return true;
  if (!input_is_terminal()) {
    print_error(fmt::format(
        "kagemusha: {} would be forgotten for good; nothing was changed. Say --yes to allow it.\n", loss));
    return false;
  }
  if (confirm(fmt::format("Forget {} for good?", loss))) return true;
  print("Nothing was changed.\n");
  return false;
}

net::Task<int> forget_target(CommandSession& session, const Command& command) {
  const Target target = find_target(*session.routes, command);
  if (target.words.empty()) {
    print_error(command.mailbox.empty() ? "kagemusha: there is no such public address\n"
                                        : "kagemusha: there is no such member\n");
    co_return 1;
  }
  // Scripts that say --yes want it dead now, not counted first.
  if (!command.yes) {
    const auto dying = co_await count_dying(session, target.members);
    if (!dying) {
      print_error(fmt::format("kagemusha: {}\n", printable(dying.error().detail)));
      co_return 1;
    }
    if (!may_forget(fmt::format("{}, with {},", target.words, phantoms_of_all(*dying)), command)) {
      co_return kNotConfirmed;
    }
  }
  auto done = remember_purge(session.config);
  if (done) done = co_await mapping::forget(session.redis, session.routes, command.address, command.mailbox);
  if (!done) {
    print_error(
        fmt::format("kagemusha: {}\n", done.error().code == Errc::conflict
                                           ? "somebody else changed the routes at the same time; run it again"
                                           : printable(done.error().detail)));
    co_return 1;
  }
  print(fmt::format("Forgot {}. The phantoms are dead.\n", target.words));
  if (!target.deserted.empty()) {
    print(fmt::format("Nobody stands behind {} now: who writes to it is told to try again later (450).\n",
                      target.deserted));
  }
  co_return co_await purge_forgotten(session) ? 0 : 1;
}

}  // namespace

int forget(const Config& config, const Command& command) {
  return run_command(config, "forget", false,
                     [&](CommandSession& session) { return forget_target(session, command); });
}

}  // namespace kage::app
