// Questions to the upstream: sending with literals, reading numbers, reading blocks.
#include "proxy/search/ask.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "proxy/fetch/run.h"
#include "proxy/imap/command.h"
#include "proxy/imap/session_send.h"

namespace kage::proxy {

namespace {

/// More messages than any mailbox has: an upstream that names more is broken.
constexpr std::size_t kMaxNumbers = 5'000'000;

/// What an answer may name, so that a broken provider costs no more than its mailbox does.
struct NumberBounds {
  std::size_t count = 0;
  std::uint32_t highest = 0;
};

/// Numbers of "1:3,7".
void add_set(std::string_view set, const NumberBounds& bounds, std::vector<std::uint32_t>& numbers) {
  while (!set.empty()) {
    const std::size_t comma = std::min(set.find(','), set.size());
    const auto range = set.substr(0, comma);
    const std::size_t colon = range.find(':');
    const auto first = parse_number(range.substr(0, colon), UINT32_MAX);
    const auto last = colon == range.npos ? first : parse_number(range.substr(colon + 1), UINT32_MAX);
    if (!first || !last || *first == 0 || *last == 0) return;
    const std::uint64_t high = std::min<std::uint64_t>(std::max(*first, *last), bounds.highest);
    for (std::uint64_t n = std::min(*first, *last); n <= high && numbers.size() < bounds.count; ++n)
      numbers.push_back(static_cast<std::uint32_t>(n));
    set.remove_prefix(std::min(comma + 1, set.size()));
  }
}

/// RFC 9051 §7.3.4: the correlator, UID, then names and values.
void read_esearch(std::string_view text, const NumberBounds& bounds, FoundNumbers& found) {
  ImapCursor cursor(text);
  cursor.take_space();
  if (cursor.peek() == '(') cursor.value();
  while (!cursor.at_end()) {
    if (cursor.take_space()) continue;
    const auto name = cursor.atom();
    if (name.empty()) return;
    if (equals_nocase(name, "UID")) continue;
    cursor.take_space();
    const auto value = cursor.value();
    if (!value) return;
    if (equals_nocase(name, "ALL")) add_set(*value, bounds, found.numbers);
    if (equals_nocase(name, "MODSEQ") && parse_number(*value)) found.modseq = *value;
  }
}

/// What a SEARCH, SORT or ESEARCH response says, added to `found`. False: it is none.
bool read_numbers(const ImapResponse& response, const NumberBounds& bounds, FoundNumbers& found) {
  if (response.name == "ESEARCH") {
    read_esearch(response.text, bounds, found);
    found.esearch = true;
    return true;
  }
  if (response.name != "SEARCH" && response.name != "SORT") return false;
  ImapCursor cursor(response.text);
  while (!cursor.at_end()) {
    if (cursor.take_space()) continue;
    if (cursor.take('(')) {  // RFC 7162 §3.1.5: (MODSEQ 917)
      cursor.atom();
      cursor.take_space();
      const auto modseq = cursor.atom();
      if (parse_number(modseq)) found.modseq = modseq;
      break;
    }
    const auto number = parse_number(cursor.atom(), UINT32_MAX);
    if (!number || *number == 0 || found.numbers.size() >= bounds.count) break;
    if (*number > bounds.highest) continue;
    found.numbers.push_back(static_cast<std::uint32_t>(*number));
  }
  return true;
}

}  // namespace

net::Task<Result<ImapStatus>> ask(ImapCore& core, std::string command, ImapWatch* watch) {
  const std::string tag = core.new_tag();
  auto early = co_await send_command(core, tag, std::move(command));
  if (!early) co_return std::unexpected(std::move(early.error()));
  if (*early) co_return std::move(**early);
  co_return co_await relay(core, tag, watch);
}

net::Task<Result<FoundNumbers>> ask_numbers(ImapCore& core, std::string command) {
  FoundNumbers found;
  NumberBounds bounds{.count = core.exists};
  const bool uid = command.starts_with("UID ");
  ImapWatch watch = [&](const ImapResponse& response) {
    // Messages may come and go while the upstream looks.
    bounds.count = std::min<std::size_t>(std::max<std::size_t>(bounds.count, core.exists), kMaxNumbers);
    bounds.highest = uid ? UINT32_MAX : static_cast<std::uint32_t>(bounds.count);
    return read_numbers(response, bounds, found);
  };
  auto status = co_await ask(core, std::move(command), &watch);
  if (!status) co_return std::unexpected(std::move(status.error()));
  found.status = std::move(*status);
  co_return found;
}

namespace {

/// Brings one item of each message.
class Looker final : public ItemSink {
 public:
  Looker(ImapCore& core, bool uid, std::size_t max, SeenOctets& seen)
      : ItemSink(core), uid_(uid), max_(max), seen_(seen) {}

 protected:
  net::Prompt<Result<bool>> take(const std::string& name, ImapFetchItem& item) override {
    if (!name.starts_with("BODY[")) return Result<bool>(false);
    return take_octets(item);
  }
  void end(std::uint32_t number, std::uint32_t uid) override {
    const std::uint32_t key = uid_ ? uid : number;
    auto octets = std::exchange(octets_, std::nullopt);
    if (octets && key != 0) seen_(key, std::move(*octets));
  }

 private:
  net::Task<Result<bool>> take_octets(ImapFetchItem& item) {
    auto text = co_await read_text(core_, item, max_);
    if (!text) co_return std::unexpected(text.error());
    octets_ = std::move(text->text);
    co_return true;
  }

  bool uid_;
  std::size_t max_;
  SeenOctets& seen_;
  std::optional<std::string> octets_;
};

}  // namespace

net::Task<Result<>> look(ImapCore& core, bool uid, const std::vector<std::uint32_t>& numbers,
                         std::string item, std::size_t max, SeenOctets* seen) {
  Looker looker(core, uid, max, *seen);
  for (std::size_t begin = 0; begin < numbers.size(); begin += kMaxSetMessages) {
    const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kMaxSetMessages, numbers.size() - begin));
    std::vector<std::string> commands;
    commands.push_back(fetch_command(uid, write_set({first, first + count}), item));
    // A NO counts as an OK: some of the messages are gone by now.
    const auto status = co_await run_upstream(core, std::move(commands), looker);
    if (!status) co_return std::unexpected(status.error());
  }
  co_return Result<>();
}

}  // namespace kage::proxy
