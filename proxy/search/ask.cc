// Questions to the upstream: sending with literals, reading numbers, reading blocks.
#include "proxy/search/ask.h"

#include <algorithm>

#include "base/text.h"
#include "proxy/imap/command.h"
#include "proxy/imap/session_send.h"

namespace kage::proxy {

namespace {

/// More messages than any mailbox has: an upstream that names more is out of its mind.
constexpr std::size_t kMaxNumbers = 5'000'000;

bool takes_non_sync(const ImapCore& core, std::size_t size) {
  if (core.upstream_can("LITERAL+")) return true;
  // RFC 7888 §5: at most 4,096 octets.
  return size <= 4096 && (core.upstream_can("LITERAL-") || core.upstream_can("IMAP4REV2"));
}

/// What an answer may name, so that a provider out of its mind costs no more than its mailbox does.
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

/// Puts the parts of the command behind each other on the wire. A status: the upstream refused one.
net::Task<Result<std::optional<ImapStatus>>> send(ImapCore& core, std::string tag, UpstreamCommand command) {
  const std::string text = tag + " " + command.text() + "\r\n";
  std::size_t begin = 0;
  for (const std::size_t wait : command.waits()) {
    const std::size_t end = wait + tag.size() + 1;
    expect_answer(core);
    const auto written = co_await core.upstream->write(std::string_view(text).substr(begin, end - begin));
    if (!written) co_return std::unexpected(written.error());
    begin = end;
    auto refused = co_await await_continuation(core, tag);
    if (!refused || *refused) co_return refused;
  }
  expect_answer(core);
  const auto written = co_await core.upstream->write(std::string_view(text).substr(begin));
  if (!written) co_return std::unexpected(written.error());
  co_return std::nullopt;
}

}  // namespace

void UpstreamCommand::add_string(const ImapCore& core, std::string_view text) {
  const bool non_sync = takes_non_sync(core, text.size());
  const std::string written = imap_string(text, non_sync);
  if (written.starts_with('{') && !non_sync) waits_.push_back(text_.size() + written.find('\n') + 1);
  text_ += written;
}

net::Task<Result<ImapStatus>> ask(ImapCore& core, UpstreamCommand command, ImapWatch* watch) {
  const std::string tag = core.new_tag();
  auto refused = co_await send(core, tag, std::move(command));
  if (!refused) co_return std::unexpected(std::move(refused.error()));
  if (*refused) co_return std::move(**refused);
  co_return co_await relay(core, tag, watch);
}

net::Task<Result<FoundNumbers>> ask_numbers(ImapCore& core, UpstreamCommand command) {
  FoundNumbers found;
  NumberBounds bounds{.count = core.exists};
  const bool uid = command.text().starts_with("UID ");
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

/// One FETCH response of look().
struct Looked {
  std::optional<std::uint32_t> uid;
  std::optional<std::string> octets;
  std::string plain;  // items for the client
  bool flags = false;
};

net::Task<Result<>> look_item(ImapCore& core, const ImapFetchItem& item, std::size_t max, Looked& looked) {
  if (starts_with_nocase(item.name, "BODY[")) {
    looked.octets.emplace();
    if (!item.streams) {
      ImapCursor cursor(item.value);
      if (auto text = cursor.string()) looked.octets = text->substr(0, max);
      co_return Result<>();
    }
    while (true) {
      expect_answer(core);
      const auto chunk = co_await core.in.chunk();
      if (!chunk) co_return std::unexpected(chunk.error());
      if (chunk->empty()) co_return Result<>();
      looked.octets->append(chunk->substr(0, max - std::min(max, looked.octets->size())));
    }
  }
  if (!item.has_value() || !is_plain_fetch_item(core, item.name)) co_return Result<>();
  if (equals_nocase(item.name, "UID")) {
    const auto uid = parse_number(item.value, UINT32_MAX);
    if (uid) looked.uid = static_cast<std::uint32_t>(*uid);
  }
  looked.flags = looked.flags || equals_nocase(item.name, "FLAGS");
  if (!looked.plain.empty()) looked.plain += ' ';
  looked.plain.append(item.name).append(" ").append(item.value);
  co_return Result<>();
}

net::Task<Result<Looked>> look_response(ImapCore& core, std::size_t max) {
  Looked looked;
  ImapFetchItem item;
  while (true) {
    expect_answer(core);
    const auto more = co_await core.in.next_item(item);
    if (!more) co_return std::unexpected(more.error());
    if (!*more) co_return looked;
    const auto read = co_await look_item(core, item, max, looked);
    if (!read) co_return std::unexpected(read.error());
  }
}

/// Reads the answer to one FETCH of look().
net::Task<Result<>> look_answer(ImapCore& core, std::string tag, bool uid, std::size_t max,
                                SeenOctets* seen) {
  while (true) {
    expect_answer(core);
    const auto response = co_await core.in.next();
    if (!response) co_return std::unexpected(response.error());
    if (response->kind == ImapResponse::Kind::continuation) co_return fail(Errc::protocol, "continuation");
    if (response->kind == ImapResponse::Kind::tagged) {
      if (response->tag != tag) co_return fail(Errc::protocol, "a tag of another command");
      // NO: some of the messages are gone by now.
      co_return Result<>();
    }
    if (response->name == "FETCH") {
      auto looked = co_await look_response(core, max);
      if (!looked) co_return std::unexpected(looked.error());
      if (!looked->plain.empty() && (looked->flags || !looked->octets)) {
        core.out.add("* " + std::to_string(response->number) + " FETCH (" + looked->plain + ")\r\n");
      }
      const auto number = uid ? looked->uid : std::optional(response->number);
      if (looked->octets && number) (*seen)(*number, std::move(*looked->octets));
    } else {
      if (response->name == "BYE") co_return fail(Errc::closed, "the upstream said BYE");
      pass_untagged(core, *response);
    }
    const auto flushed = co_await flush_if_due(core);
    if (!flushed) co_return std::unexpected(flushed.error());
  }
}

}  // namespace

net::Task<Result<>> look(ImapCore& core, bool uid, const std::vector<std::uint32_t>& numbers,
                         std::string item, std::size_t max, SeenOctets* seen) {
  for (std::size_t begin = 0; begin < numbers.size(); begin += kMaxSetMessages) {
    const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kMaxSetMessages, numbers.size() - begin));
    const std::string tag = core.new_tag();
    const std::string set = write_set({first, first + count});
    auto refused =
        co_await send(core, tag, UpstreamCommand((uid ? "UID FETCH " : "FETCH ") + set + " (" + item + ")"));
    if (!refused) co_return std::unexpected(std::move(refused.error()));
    const auto read = co_await look_answer(core, tag, uid, max, seen);
    if (!read) co_return std::unexpected(read.error());
  }
  co_return Result<>();
}

}  // namespace kage::proxy
