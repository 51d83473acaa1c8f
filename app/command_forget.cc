// `kagemusha forget`: one member, or a public address with all of them, at once and for good (contract R3.5).
#include <fmt/format.h>

#include "app/command_session.h"
#include "app/commands.h"
#include "app/terminal.h"
#include "message/address.h"

namespace kage::app {
namespace {

/// What would be forgotten, in words; empty when there is no such thing.
std::string describe_target(const mapping::RouteTable& routes, const Command& command) {
  const auto wanted = message::parse_address(command.address);
  const auto* address = wanted ? routes.find_address(wanted->canonical()) : nullptr;
  if (address == nullptr) return {};
  if (command.mailbox.empty()) {
    return fmt::format("{} and its {}", printable(address->spec.address.spelling),
                       count_of(address->members.size(), "member"));
  }
  const auto mailbox = message::parse_address(command.mailbox);
  for (const mapping::Member* member : address->members) {
    if (mailbox && member->mailbox_canonical == mailbox->canonical()) {
      return fmt::format("{} behind {}", printable(member->spec.mailbox.spelling),
                         printable(address->spec.address.spelling));
    }
  }
  return {};
}

bool may_forget(const std::string& target, const Command& command) {
  if (command.yes) return true;
  if (!input_is_terminal()) {
    print_error("kagemusha: nothing was changed. Say --yes to forget for good.\n");
    return false;
  }
  if (confirm(fmt::format("Forget {} for good?", target))) return true;
  print("Nothing was changed.\n");
  return false;
}

net::Task<int> forget_target(CommandSession& session, const Command& command) {
  const std::string target = describe_target(*session.routes, command);
  if (target.empty()) {
    print_error(command.mailbox.empty() ? "kagemusha: there is no such public address\n"
                                        : "kagemusha: there is no such member\n");
    co_return 1;
  }
  if (!may_forget(target, command)) co_return 1;
  auto done = remember_purge(session.config);
  if (done) done = co_await mapping::forget(session.redis, session.routes, command.address, command.mailbox);
  if (!done) {
    print_error(
        fmt::format("kagemusha: {}\n", done.error().code == Errc::conflict
                                           ? "somebody else changed the routes at the same time; run it again"
                                           : printable(done.error().detail)));
    co_return 1;
  }
  print(fmt::format("Forgot {}. The phantoms are dead.\n", target));
  co_return co_await purge_forgotten(session) ? 0 : 1;
}

}  // namespace

int forget(const Config& config, const Command& command) {
  return run_command(config, "forget", false,
                     [&](CommandSession& session) { return forget_target(session, command); });
}

}  // namespace kage::app
