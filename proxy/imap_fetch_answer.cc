// What is asked of the upstream for a FETCH, in which commands.
#include <algorithm>
#include <memory>

#include "proxy/imap_command.h"
#include "proxy/imap_fetch_answerer.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kSlice = 200;  // messages that are asked for again in one command

/// The items that are asked for again when there was no room to hold them.
std::vector<FetchItem> structure_items(const std::vector<FetchItem>& items, bool with_uid) {
  std::vector<FetchItem> some;
  for (const FetchItem& item : items) {
    const bool structure = item.kind == FetchKind::structure || item.kind == FetchKind::envelope;
    if (structure || (with_uid && item.ask == "UID")) some.push_back(item);
  }
  return some;
}

/// What goes upstream: ENVELOPE and the header's fields are told from the whole header.
std::string items_to_ask(const std::vector<FetchItem>& items, bool with_uid) {
  std::vector<FetchItem> asked = items;
  if (std::ranges::any_of(items, [](const FetchItem& i) { return i.kind == FetchKind::envelope; })) {
    FetchItem header;
    header.kind = FetchKind::header;
    header.ask = "BODY[HEADER]";
    asked.push_back(std::move(header));
  }
  return upstream_items(asked, with_uid);
}

}  // namespace

net::Task<Result<ImapStatus>> answer_items(ImapCore& core, FetchMemory::State& memory,
                                           const FetchRequest& request, std::vector<FetchItem> items,
                                           const FactTable& facts, bool uid) {
  std::string modifiers;
  if (request.has_changed_since) {
    modifiers =
        " (CHANGEDSINCE " + std::to_string(request.changed_since) + (request.vanished ? " VANISHED)" : ")");
  }
  const bool with_uid = uid || !facts.messages.empty();
  const bool single = single_number(request.set) != 0;
  const std::vector<FetchItem> repeated = structure_items(items, true);
  std::vector<std::string> commands;
  commands.push_back(fetch_command(uid, request.set, items_to_ask(items, with_uid), modifiers));

  auto answerer = std::make_unique<Answerer>(core, memory, std::move(items), facts, uid, single);
  auto status = co_await run_upstream(core, std::move(commands), *answerer);
  std::vector<std::uint32_t> again;
  std::size_t at = 0;
  bool missed = false;
  while (status) {
    if (!answerer->held.empty()) {
      auto resolved = co_await answerer->held.resolve(core, uid, answerer->missed);
      if (!resolved) co_return resolved;
    }
    missed = missed || answerer->missed;
    again.insert(again.end(), answerer->again.begin(), answerer->again.end());
    if (at == again.size()) break;
    // Slices hold at least one structure each, so this ends.
    const std::size_t count = std::min(kSlice, again.size() - at);
    std::vector<std::uint32_t> slice(again.begin() + static_cast<std::ptrdiff_t>(at),
                                     again.begin() + static_cast<std::ptrdiff_t>(at + count));
    at += count;
    std::ranges::sort(slice);
    commands.assign(1, fetch_command(uid, write_set(slice), items_to_ask(repeated, uid)));
    answerer = std::make_unique<Answerer>(core, memory, repeated, facts, uid, false);
    auto more = co_await run_upstream(core, std::move(commands), *answerer);
    if (!more) co_return more;
  }
  if (status && missed && status->name == "OK") {
    status = ImapStatus{"NO", "[SERVERBUG] Some structures cannot be told"};
  }
  co_return status;
}

}  // namespace kage::proxy
