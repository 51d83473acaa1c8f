// What passes to the client of the upstream's own words: an allow-list (contract R8.4).
#include "proxy/imap/core.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "provider/imap_text.h"
#include "proxy/human_text.h"
#include "proxy/imap/capability.h"

namespace kage::proxy {
namespace {

/// Stands for human text that might name a person or the upstream's machines.
constexpr std::string_view kWithheld = "The mail server's words are withheld";

/// RFC 9051 §7.1, RFC 5530 and what the passed extensions add. CAPABILITY is the session's to tell; REFERRAL
/// (RFC 2221) names another server.
constexpr std::array kResponseCodes = std::to_array<std::string_view>({
    "ALERT",
    "PARSE",
    "READ-ONLY",
    "READ-WRITE",
    "TRYCREATE",
    "UIDNEXT",
    "UIDVALIDITY",
    "UNSEEN",
    "PERMANENTFLAGS",
    "APPENDUID",
    "COPYUID",
    "UIDNOTSTICKY",
    "HIGHESTMODSEQ",
    "NOMODSEQ",
    "MODIFIED",
    "CLOSED",
    "AUTHENTICATIONFAILED",
    "AUTHORIZATIONFAILED",
    "EXPIRED",
    "PRIVACYREQUIRED",
    "CONTACTADMIN",
    "NOPERM",
    "INUSE",
    "EXPUNGEISSUED",
    "CORRUPTION",
    "SERVERBUG",
    "CLIENTBUG",
    "CANNOT",
    "LIMIT",
    "OVERQUOTA",
    "ALREADYEXISTS",
    "NONEXISTENT",
    "UNAVAILABLE",
    "NOTSAVED",
    "HASCHILDREN",
    "UNKNOWN-CTE",
    "BADCHARSET",
    "MAILBOXID",
    "COMPRESSIONACTIVE",
    "TOOBIG",
});

enum class Form : std::uint8_t { status, exists, expunge, number, vanished, enabled, data };
struct Untagged {
  std::string_view name;
  Form form;
};
constexpr std::array kUntagged = std::to_array<Untagged>({
    {"OK", Form::status},         {"NO", Form::status},       {"BAD", Form::status},
    {"EXISTS", Form::exists},     {"EXPUNGE", Form::expunge}, {"RECENT", Form::number},
    {"VANISHED", Form::vanished}, {"LIST", Form::data},       {"LSUB", Form::data},
    {"XLIST", Form::data},        {"STATUS", Form::data},     {"SEARCH", Form::data},
    {"ESEARCH", Form::data},      {"SORT", Form::data},       {"THREAD", Form::data},
    {"FLAGS", Form::data},        {"QUOTA", Form::data},      {"QUOTAROOT", Form::data},
    {"NAMESPACE", Form::data},    {"ENABLED", Form::enabled},
});

/// Items of FETCH that say nothing about people.
constexpr std::array<std::string_view, 8> kPlainItems = {
    "FLAGS", "UID", "MODSEQ", "EMAILID", "THREADID", "SAVEDATE", "INTERNALDATE", "RFC822.SIZE",
};
constexpr std::array<std::string_view, 3> kGmailItems = {"X-GM-MSGID", "X-GM-THRID", "X-GM-LABELS"};

bool any_equals(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::any_of(names, [&](std::string_view known) { return equals_nocase(known, name); });
}

/// The code with its arguments, without brackets; empty when it may not pass.
std::string_view known_code(std::string_view code) {
  const std::string_view name = code.substr(0, code.find(' '));
  if (!any_equals(kResponseCodes, name)) return {};
  if (std::ranges::any_of(code, [](char c) { return c < ' ' || c == 0x7f; })) return {};
  // Keywords are what the member's own clients made up.
  if (code.find('@') != std::string_view::npos && !equals_nocase(name, "PERMANENTFLAGS")) return {};
  return code;
}

/// How many messages a set names (RFC 7162 §3.2.10: no "*").
std::uint64_t set_size(std::string_view set) {
  std::uint64_t count = 0;
  while (!set.empty()) {
    const std::size_t comma = std::min(set.find(','), set.size());
    const std::string_view range = set.substr(0, comma);
    const std::size_t colon = std::min(range.find(':'), range.size());
    const std::uint64_t low = parse_number(range.substr(0, colon), UINT32_MAX).value_or(0);
    const std::uint64_t high =
        colon < range.size() ? parse_number(range.substr(colon + 1), UINT32_MAX).value_or(0) : low;
    count += low > high ? low - high + 1 : high - low + 1;
    set.remove_prefix(std::min(comma + 1, set.size()));
  }
  return count;
}

void count_vanished(ImapCore& core, std::string_view text) {
  // "(EARLIER)": what went before the mailbox was opened, and is not counted in EXISTS.
  if (text.starts_with('(')) return;
  ++core.renumbered;
  core.exists -= static_cast<std::uint32_t>(std::min<std::uint64_t>(core.exists, set_size(text)));
}

void add_line(ImapCore& core, const ImapResponse& response, bool numbered) {
  core.out.add("* ");
  if (numbered) {
    core.out.add(std::to_string(response.number));
    core.out.add(" ");
  }
  core.out.add(response.name);
  if (!response.text.empty()) {
    core.out.add(" ");
    core.out.add(response.text);
  }
  core.out.add("\r\n");
}

/// Extensions that are not offered cannot be enabled either.
void add_enabled(ImapCore& core, std::string_view text) {
  const std::string names = provider::normal_capabilities(text);  // " A B "
  core.out.add("* ENABLED");
  for (std::size_t at = 1; at < names.size();) {
    const std::size_t space = names.find(' ', at);
    const std::string_view name = std::string_view(names).substr(at, space - at);
    if (passes(name, core.capabilities, core.gmail)) {
      core.out.add(" ");
      core.out.add(name);
    }
    at = space + 1;
  }
  core.out.add("\r\n");
}

}  // namespace

std::string pass_status_text(std::string_view text) {
  std::string out;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::string(kWithheld);
    const std::string_view code = known_code(text.substr(1, end - 1));
    if (!code.empty()) out.append("[").append(code).append("] ");
    text.remove_prefix(end + 1);
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  out += is_neutral(text) ? text : kWithheld;
  return out;
}

void pass_untagged(ImapCore& core, const ImapResponse& response) {
  const auto row = std::ranges::find(kUntagged, response.name, &Untagged::name);
  if (row == kUntagged.end()) return;
  switch (row->form) {
    case Form::status:
      core.out.add("* ");
      core.out.add(response.name);
      core.out.add(" ");
      core.out.add(pass_status_text(response.text));
      core.out.add("\r\n");
      return;
    case Form::exists:
      core.exists = response.number;
      break;
    case Form::expunge:
      if (response.number == 0 || response.number > core.exists) return;
      --core.exists;
      ++core.renumbered;
      break;
    case Form::vanished:
      count_vanished(core, response.text);
      add_line(core, response, false);
      return;
    case Form::enabled:
      add_enabled(core, response.text);
      return;
    case Form::data:
      add_line(core, response, false);
      return;
    case Form::number:
      break;
  }
  core.out.add("* ");
  core.out.add(std::to_string(response.number));
  core.out.add(" ");
  core.out.add(response.name);
  core.out.add("\r\n");
}

bool is_plain_fetch_item(bool gmail, std::string_view name) {
  return any_equals(kPlainItems, name) || (gmail && any_equals(kGmailItems, name));
}

net::Task<Result<>> flush_if_due(ImapCore& core) {
  if (core.in.has_more() && !core.out.full()) co_return Result<>();
  co_return co_await core.out.flush();
}

net::Task<Result<>> pass_unsolicited_fetch(ImapCore& core, std::uint32_t number) {
  std::string items;
  ImapFetchItem item;
  while (true) {
    expect_answer(core);
    const auto more = co_await core.in.next_item(item);
    if (!more) co_return std::unexpected(more.error());
    if (!*more) break;
    if (!item.has_value() || !is_plain_fetch_item(core.gmail, item.name)) continue;
    if (!items.empty()) items += ' ';
    items.append(item.name).append(" ").append(item.value);
  }
  if (!items.empty()) core.out.add("* " + std::to_string(number) + " FETCH (" + items + ")\r\n");
  co_return Result<>();
}

net::Prompt<Result<>> pass_response(ImapCore& core, const ImapResponse& response) {
  if (response.name == "FETCH") return pass_unsolicited_fetch(core, response.number);
  if (response.name == "BYE") return Result<>(fail(Errc::closed, "the upstream said BYE"));
  pass_untagged(core, response);
  return Result<>();
}

Result<std::optional<ImapStatus>> end_of_command(const ImapResponse& response, std::string_view tag) {
  if (response.kind == ImapResponse::Kind::continuation) return fail(Errc::protocol, "continuation");
  if (response.kind != ImapResponse::Kind::tagged) return std::nullopt;
  if (response.tag != tag) return fail(Errc::protocol, "a tag of another command");
  return ImapStatus{response.name, pass_status_text(response.text)};
}

net::Task<Result<ImapStatus>> relay(ImapCore& core, std::string tag, ImapWatch* watch) {
  while (true) {
    expect_answer(core);
    const auto response = co_await core.in.next();
    if (!response) co_return std::unexpected(response.error());
    auto ended = end_of_command(*response, tag);
    if (!ended) co_return std::unexpected(ended.error());
    if (*ended) co_return std::move(**ended);
    const bool watched = watch != nullptr && response->name != "FETCH";
    if (!watched || !(*watch)(*response)) {
      const auto passed = co_await pass_response(core, *response);
      if (!passed) co_return std::unexpected(passed.error());
    }
    const auto flushed = co_await flush_if_due(core);
    if (!flushed) co_return std::unexpected(flushed.error());
  }
}

}  // namespace kage::proxy
