// The plan of a FETCH: what has to be known first, what streams, what is partial.
#include "proxy/fetch/fetch.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "proxy/fetch/answer.h"
#include "proxy/fetch/blocks.h"
#include "proxy/fetch/facts.h"
#include "proxy/fetch/memory.h"
#include "proxy/fetch/partial.h"
#include "proxy/fetch/request.h"
#include "proxy/fetch/run.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxPartialMessages = 50'000;

ImapStatus too_many_messages() {
  return {"NO", "[LIMIT] Too many messages at once"};
}

/// Which messages a set names.
class Expander final : public ItemSink {
 public:
  using ItemSink::ItemSink;
  struct Found {
    std::uint32_t number;
    std::uint32_t uid;
  };
  std::vector<Found> found;
  bool too_many = false;

 protected:
  net::Prompt<Result<bool>> take(const std::string& /*name*/, ImapFetchItem& /*item*/) override {
    return Result<bool>(false);
  }
  void end(std::uint32_t number, std::uint32_t uid) override {
    if (uid == 0) return;
    too_many = too_many || found.size() == kMaxPartialMessages;
    if (!too_many) found.push_back({number, uid});
  }
};

/// The items of a request by the way they are answered.
struct Plan {
  std::vector<std::vector<FetchItem>> rounds;  ///< one command at the upstream each
  std::vector<FetchItem> partials;             ///< partial streams
  bool needs_facts = false;
};

/// What streams can be told once in a round, so BODY[] beside RFC822 takes two.
Plan make_plan(const std::vector<FetchItem>& items) {
  Plan plan;
  for (const FetchItem& item : items) {
    plan.needs_facts =
        plan.needs_facts || item.kind == FetchKind::content || item.kind == FetchKind::part_header;
    if (item.streams() && item.partial) {
      plan.partials.push_back(item);
      continue;
    }
    auto round = plan.rounds.begin();
    const auto has_it = [&](const std::vector<FetchItem>& other) {
      return std::ranges::find(other, item.ask, &FetchItem::ask) != other.end();
    };
    if (item.streams()) round = std::ranges::find_if_not(plan.rounds, has_it);
    if (round == plan.rounds.end()) round = plan.rounds.insert(round, std::vector<FetchItem>());
    const bool repeated =
        item.streams() && std::ranges::find(*round, item.label, &FetchItem::label) != round->end();
    if (!repeated) round->push_back(item);
  }
  return plan;
}

bool is_plain(const std::vector<FetchItem>& items) {
  return std::ranges::all_of(items, [](const FetchItem& i) { return i.kind == FetchKind::plain; });
}

/// One message of which partial streams are asked for.
struct Target {
  std::uint32_t key = 0;
  const MessageFacts* facts = nullptr;
};

net::Task<Result<ImapStatus>> find_targets(ImapCore& core, const FetchRequest& request, const Plan& plan,
                                           const FactTable& facts, bool uid, std::vector<Target>& targets) {
  if (plan.needs_facts) {
    for (const auto& message : facts.messages)
      targets.push_back({uid ? message.uid : message.number, &message});
    co_return ImapStatus{"OK", "Done"};
  }
  if (const std::uint32_t key = single_number(request.set)) {
    targets.push_back({key, nullptr});
    co_return ImapStatus{"OK", "Done"};
  }
  Expander expander(core);
  std::string modifiers;
  if (request.has_changed_since) modifiers = " (CHANGEDSINCE " + std::to_string(request.changed_since) + ")";
  std::vector<std::string> commands;
  commands.push_back(fetch_command(uid, request.set, "UID", modifiers));
  auto status = co_await run_upstream(core, std::move(commands), expander);
  if (status && expander.too_many) co_return too_many_messages();
  for (const auto& found : expander.found) targets.push_back({uid ? found.uid : found.number, nullptr});
  co_return status;
}

net::Task<Result<ImapStatus>> answer_partials(ImapCore& core, FetchMemory::State& memory,
                                              const FetchRequest& request, Plan plan, const FactTable& facts,
                                              bool uid) {
  std::vector<Target> targets;
  auto status = co_await find_targets(core, request, plan, facts, uid, targets);
  if (!status || status->name != "OK") co_return status;
  for (const Target& target : targets) {
    // Plain items come with the first of them.
    std::vector<FetchItem> plain;
    if (!plan.rounds.empty()) plain = plan.rounds.front();
    for (const FetchItem& item : plan.partials) {
      const auto* kind = target.facts == nullptr ? nullptr : facts.kind(*target.facts, item.ask);
      if (item.kind == FetchKind::content && kind == nullptr) continue;
      mapping::ContentKind copy;
      if (kind != nullptr) copy = *kind;
      auto answered = co_await answer_partial(core, memory, uid, target.key, item, std::exchange(plain, {}),
                                              target.facts, std::move(copy));
      if (!answered) co_return answered;
      if (status->name == "OK") status = std::move(answered);
    }
  }
  co_return status;
}

net::Task<Result<ImapStatus>> run_plan(ImapCore& core, FetchMemory::State& memory,
                                       const FetchRequest& request, bool uid) {
  Plan plan = make_plan(request.items);
  FactTable facts;
  if (plan.needs_facts) {
    auto gathered = co_await gather_facts(core, memory, request, uid);
    if (!gathered) co_return std::unexpected(gathered.error());
    if (gathered->too_many) co_return too_many_messages();
    if (gathered->table.messages.empty()) co_return gathered->status;
    facts = std::move(gathered->table);
  }
  ImapStatus status{"OK", "Done"};
  const bool with_partials = !plan.partials.empty() && plan.rounds.size() <= 1 &&
                             (plan.rounds.empty() || is_plain(plan.rounds.front()));
  if (!with_partials) {
    for (auto& round : std::exchange(plan.rounds, {})) {
      auto ran = co_await answer_items(core, memory, request, std::move(round), facts, uid);
      if (!ran || ran->name == "BAD") co_return ran;
      if (status.name == "OK") status = std::move(*ran);
    }
  }
  if (plan.partials.empty()) co_return status;
  auto ran = co_await answer_partials(core, memory, request, std::move(plan), facts, uid);
  if (ran && status.name != "OK") co_return status;
  co_return ran;
}

}  // namespace

net::Task<Result<ImapStatus>> run_fetch(ImapCore& core, FetchMemory& memory, ImapCommand command) {
  const auto request = parse_fetch(command.rest, core.gmail);
  if (!request) co_return ImapStatus{"BAD", "FETCH: " + request.error().detail};
  if (!memory.state) memory.state = std::make_unique<FetchMemory::State>();
  memory.state->renew(core);
  co_return co_await run_plan(core, *memory.state, *request, command.uid());
}

}  // namespace kage::proxy
