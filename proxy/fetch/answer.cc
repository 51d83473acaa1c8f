// What is asked of the upstream for a FETCH, in which commands.
#include "proxy/fetch/answer.h"

#include <algorithm>
#include <memory>

#include "mapping/routes/anonymity.h"
#include "proxy/fetch/answerer.h"
#include "proxy/fetch/run.h"
#include "proxy/imap/command.h"
#include "proxy/imap/session_send.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kSlice = 200;       // messages of one command that asks for their structure again
constexpr std::size_t kWholeSlices = 20;  // commands at once that ask for whole headers

/// Fields do for what clients ask to list messages: ENVELOPE, named fields, and what is plain.
HeaderSource source_of(const ImapCore& core, const std::vector<FetchItem>& items) {
  const auto suits = [](const FetchItem& item) {
    if (item.kind != FetchKind::header)
      return item.kind == FetchKind::plain || item.kind == FetchKind::envelope;
    return item.fields && !item.without && item.peek && std::ranges::none_of(item.names, mapping::is_filler);
  };
  const auto shows_authors = [](const mapping::Member* member) {
    return mapping::may_show_authors(member->address->spec);
  };
  const bool fields =
      std::ranges::all_of(items, suits) && std::ranges::none_of(core.audience.members, shows_authors);
  return fields ? HeaderSource::fields : HeaderSource::whole;
}

/// The items that are asked for again when there was no room to hold them.
std::vector<FetchItem> structure_items(const std::vector<FetchItem>& items, bool with_uid) {
  std::vector<FetchItem> some;
  for (const FetchItem& item : items) {
    const bool structure = item.kind == FetchKind::structure || item.kind == FetchKind::envelope;
    if (structure || (with_uid && item.ask == "UID")) some.push_back(item);
  }
  return some;
}

/// What goes upstream: ENVELOPE and the header's fields are told from the header.
std::string items_to_ask(const ImapCore& core, const std::vector<FetchItem>& items, bool with_uid,
                         HeaderSource source) {
  FetchItem header;
  header.kind = FetchKind::header;
  header.ask = "BODY[HEADER]";
  if (source == HeaderSource::fields) {
    header.ask = "BODY[HEADER.FIELDS (" + mapping::deciding_fields(core.audience.members.size() > 1) + ")]";
  }
  std::vector<FetchItem> asked;
  bool tells_header = false;
  for (const FetchItem& item : items) {
    tells_header = tells_header || item.kind == FetchKind::header || item.kind == FetchKind::envelope;
    if (item.kind != FetchKind::header || source == HeaderSource::whole) asked.push_back(item);
  }
  if (tells_header) asked.push_back(std::move(header));
  return upstream_items(asked, with_uid);
}

/// The commands for the next of the messages that are asked for again, and how many these are.
struct Again {
  std::vector<std::string> commands;
  std::size_t count = 0;
};

Again ask_again(const std::vector<std::uint32_t>& keys, std::size_t from, bool uid, const std::string& items,
                HeaderSource first) {
  // Structures are held until their blocks come: slices hold at least one each, so this ends.
  const std::size_t slice = first == HeaderSource::fields ? kMaxSetMessages : kSlice;
  const std::size_t slices = first == HeaderSource::fields ? kWholeSlices : 1;
  Again again;
  while (again.commands.size() < slices && from + again.count < keys.size()) {
    const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(from + again.count);
    const std::size_t count = std::min(slice, keys.size() - from - again.count);
    std::vector<std::uint32_t> some(begin, begin + static_cast<std::ptrdiff_t>(count));
    std::ranges::sort(some);
    again.commands.push_back(fetch_command(uid, write_set(some), items));
    again.count += count;
  }
  return again;
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
  const HeaderSource source = source_of(core, items);
  const std::vector<FetchItem> repeated =
      source == HeaderSource::fields ? items : structure_items(items, true);
  std::vector<std::string> commands;
  commands.push_back(fetch_command(uid, request.set, items_to_ask(core, items, with_uid, source), modifiers));

  auto answerer = std::make_unique<Answerer>(core, memory, std::move(items), facts, uid, single, source);
  auto status = co_await run_upstream(core, std::move(commands), *answerer);
  std::vector<std::uint32_t> again;
  std::size_t at = 0;
  bool missed = false;
  while (status) {
    if (!answerer->held.empty()) {
      auto resolved = co_await answerer->held.resolve(core, uid, answerer->missed);
      if (!resolved) co_return resolved;
      if (status->name == "OK") status = std::move(resolved);
    }
    missed = missed || answerer->missed;
    again.insert(again.end(), answerer->again.begin(), answerer->again.end());
    if (at == again.size()) break;
    auto next = ask_again(again, at, uid, items_to_ask(core, repeated, uid, HeaderSource::whole), source);
    at += next.count;
    const bool alone = single && source == HeaderSource::fields;
    answerer = std::make_unique<Answerer>(core, memory, repeated, facts, uid, alone, HeaderSource::whole);
    auto more = co_await run_upstream(core, std::move(next.commands), *answerer);
    if (!more) co_return more;
    if (status->name == "OK") status = std::move(more);
  }
  if (status && missed && status->name == "OK") {
    status = ImapStatus{"NO", "[SERVERBUG] Some structures cannot be told"};
  }
  co_return status;
}

}  // namespace kage::proxy
