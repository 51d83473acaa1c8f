// `kagemusha apply`: shows the difference between a routes file and Redis, then makes Redis match it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "app/command_session.h"
#include "app/commands.h"
#include "app/routes_file.h"
#include "app/terminal.h"

namespace kage::app {
namespace {

using Kind = mapping::RouteChange::Kind;

struct Counts {
  std::size_t added = 0, removed = 0, changed = 0, members_removed = 0, domains_changed = 0;
};

/// The phantoms that a step takes from people.
struct Dying {
  mapping::PhantomCensus forgotten;  ///< of members who are removed
  mapping::PhantomCensus moved;      ///< of members who stay, in phantom domains that change
};

std::string_view what_of(Kind kind) {
  switch (kind) {
    case Kind::add_domain:
    case Kind::remove_domain:
    case Kind::change_domain:
      return "domain";
    case Kind::add_address:
    case Kind::remove_address:
    case Kind::change_address:
      return "address";
    default:
      return "member";
  }
}

Colour colour_of(Kind kind) {
  switch (kind) {
    case Kind::add_domain:
    case Kind::add_address:
    case Kind::add_member:
      return Colour::green;
    case Kind::remove_domain:
    case Kind::remove_address:
    case Kind::remove_member:
      return Colour::red;
    default:
      return Colour::yellow;
  }
}

std::string line_of(const mapping::RouteChange& change, const Dying& dying) {
  const Colour colour = colour_of(change.kind);
  const char sign = colour == Colour::green ? '+' : colour == Colour::red ? '-' : '~';
  const bool member = !change.mailbox.empty();
  std::string text = fmt::format("{}{} {} {}", member ? "    " : "  ", sign, what_of(change.kind),
                                 member ? change.mailbox : change.public_address);
  if (!change.detail.empty()) text += "  (" + change.detail + ")";
  if (change.kind == Kind::remove_member) text += "  (" + phantoms_of(dying.forgotten, change.member) + ")";
  return coloured(colour, printable(text)) + "\n";
}

Counts count(const std::vector<mapping::RouteChange>& changes) {
  Counts counts;
  for (const auto& change : changes) {
    const Colour colour = colour_of(change.kind);
    ++(colour == Colour::green ? counts.added : colour == Colour::red ? counts.removed : counts.changed);
    if (change.kind == Kind::remove_member) ++counts.members_removed;
    if (change.kind == Kind::change_domain) ++counts.domains_changed;
  }
  return counts;
}

void print_changes(const std::vector<mapping::RouteChange>& changes, const Dying& dying) {
  std::string_view address;
  for (const auto& change : changes) {
    // A member's line stands under its address, which may have no line of its own.
    if (!change.mailbox.empty() && change.public_address != address) {
      print(fmt::format("  {}\n", printable(change.public_address)));
    }
    address = change.public_address;
    print(line_of(change, dying));
  }
}

std::string totals(const mapping::RouteSpec& spec) {
  std::size_t members = 0;
  for (const auto& address : spec.addresses) members += address.members.size();
  return fmt::format("{}, {}, {}", count_of(spec.domains.size(), "domain"),
                     count_of(spec.addresses.size(), "public address"), count_of(members, "member"));
}

/// What a step takes from people, in words.
struct Loss {
  std::string forgotten, moved;
  [[nodiscard]] bool empty() const { return forgotten.empty() && moved.empty(); }
  /// `verb`: "would" or "will".
  [[nodiscard]] std::string in_words(std::string_view verb) const {
    std::string out = forgotten.empty() ? "" : fmt::format("{} {} be forgotten for good", forgotten, verb);
    if (moved.empty()) return out;
    if (!out.empty()) out += ", and ";
    return out + fmt::format("{} {} find nobody", moved, verb);
  }
};

/// Tells all that a step would do, and returns what it takes.
Loss tell(const std::vector<mapping::RouteChange>& changes, const Dying& dying,
          const mapping::RouteSpec& spec) {
  const Counts counts = count(changes);
  print_changes(changes, dying);
  if (changes.empty()) {
    print(fmt::format("Nothing to change: {}.\n", totals(spec)));
  } else {
    print(fmt::format("{} added, {} removed, {} changed; then {}.\n", counts.added, counts.removed,
                      counts.changed, totals(spec)));
  }
  Loss loss;
  if (counts.members_removed > 0) {
    loss.forgotten = fmt::format("{} with {}", count_of(counts.members_removed, "member"),
                                 phantoms_of_all(dying.forgotten));
    print(fmt::format("To be forgotten for good: {}. Phantoms die for everybody who knows them.\n",
                      loss.forgotten));
  }
  if (counts.domains_changed > 0 && !(dying.moved.exact && dying.moved.counts.empty())) {
    loss.moved = fmt::format("{} in {}", phantoms_of_all(dying.moved),
                             counts.domains_changed == 1 ? "the old phantom domain" : "old phantom domains");
    print(fmt::format("No longer to be reached: {}. Who knows them has to be told the new ones.\n",
                      loss.moved));
  }
  return loss;
}

net::Task<Result<Dying>> count_all_dying(CommandSession& session,
                                         const std::vector<mapping::RouteChange>& changes) {
  std::vector<mapping::MemberId> removed, moved;
  std::set<std::string_view> domains;
  for (const auto& change : changes) {
    if (change.kind == Kind::remove_member) removed.push_back(change.member);
    if (change.kind == Kind::change_domain) domains.insert(change.public_address);
  }
  std::ranges::sort(removed);
  for (const auto& address : session.routes->addresses()) {
    if (!domains.contains(address->domain->name)) continue;
    for (const mapping::Member* member : address->members) {
      if (!std::ranges::binary_search(removed, member->id)) moved.push_back(member->id);
    }
  }
  Dying dying;
  auto forgotten = co_await count_dying(session, std::move(removed));
  if (!forgotten) co_return std::unexpected(forgotten.error());
  dying.forgotten = std::move(*forgotten);
  auto others = co_await count_dying(session, std::move(moved));
  if (!others) co_return std::unexpected(others.error());
  dying.moved = std::move(*others);
  co_return dying;
}

net::Task<int> apply_spec(CommandSession& session, const Command& command, const mapping::RouteSpec& spec) {
  const auto changes = mapping::diff_routes(*session.routes, spec);
  const auto dying = co_await count_all_dying(session, changes);
  if (!dying) {
    print_failure(dying.error());
    co_return 1;
  }
  const Loss loss = tell(changes, *dying, spec);
  if (command.dry_run) {
    if (!changes.empty()) print("Nothing was changed (--dry-run).\n");
    co_return 0;
  }
  if (!loss.empty()) {
    const std::string question = loss.in_words("will") + ". Go on?";
    if (!may_lose(loss.in_words("would"), question, command.yes)) co_return kNotConfirmed;
  }
  if (!loss.forgotten.empty()) {
    if (auto noted = remember_purge(session.config); !noted) {
      print_failure(noted.error());
      co_return 1;
    }
  }
  if (!changes.empty() || session.routes->generation() == 0) {
    auto progress = std::make_unique<Progress>("rows written");
    const auto done = co_await mapping::apply_routes(
        session.redis, session.routes, spec,
        [&progress](std::size_t now, std::size_t all) { progress->update(now, all); });
    progress.reset();
    if (!done) {
      print_change_failure(done.error());
      co_return 1;
    }
    print("Done.\n");
  }
  if (purge_pending(session.config) && !co_await purge_forgotten(session)) co_return 1;
  co_return 0;
}

}  // namespace

int apply(const Config& config, const Command& command) {
  Problems problems(command.routes);
  auto file =
      load_routes_file(command.routes, provider_names(config), problems, routes_encoding(command.encoding));
  if (!file) {
    print_error(problems.text() + "\n");
    return 2;
  }
  mapping::RouteSpec spec;  // outlives what run_command() waits for
  return run_command(config, "apply", !command.dry_run, [&](CommandSession& session) {
    spec = complete(std::move(*file), *session.routes);
    return apply_spec(session, command, spec);
  });
}

}  // namespace kage::app
