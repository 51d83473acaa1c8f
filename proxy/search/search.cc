// SEARCH, SORT and THREAD: sensitive keys are resolved first, then the upstream answers the rest natively.
#include "proxy/search/search.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/text.h"
#include "proxy/imap/command.h"
#include "proxy/imap/session_send.h"
#include "proxy/search/ask.h"
#include "proxy/search/leaves.h"
#include "proxy/search/local.h"
#include "proxy/search/request.h"
#include "proxy/search/sort.h"

namespace kage::proxy {

namespace {

using Verb = SearchRequest::Verb;

/// Octets of a search's keys, with room for what stands before them.
constexpr std::size_t kMaxKeys = kMaxCommandLine - 500;
/// The same for what only the upstream can answer: most take as much as this, and others say BAD.
constexpr std::size_t kMaxKeysTried = 60'000;
/// Octets of all sets that message numbers of one search become.
constexpr std::size_t kMaxFixed = 8U << 20;

/// What a result may consist of: numbers, sets, parentheses, names of ESEARCH.
bool is_result(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return is_alnum(c) || c == ' ' || c == '(' || c == ')' || c == ':' || c == ',' || c == '*';
  });
}

/// RFC 4731 §3.1: the correlator names the command that the client knows.
std::string_view behind_correlator(std::string_view text) {
  ImapCursor cursor(text);
  cursor.take_space();
  if (cursor.peek() == '(') cursor.value();
  cursor.take_space();
  return cursor.rest();
}

/// Passes what the upstream found; true when the response was such.
bool pass_result(ImapCore& core, std::string_view tag, const ImapResponse& response) {
  const bool esearch = response.name == "ESEARCH";
  if (!esearch && response.name != "SEARCH") return false;
  const auto text = esearch ? behind_correlator(response.text) : trim(response.text);
  if (!is_result(text)) return true;
  core.out.add("* " + response.name);
  if (esearch) core.out.add(" (TAG " + imap_string(tag) + ")");
  if (!text.empty()) core.out.add(" ");
  core.out.add(text);
  core.out.add("\r\n");
  return true;
}

/// The final SEARCH but its keys.
std::string head(const SearchRequest& request) {
  std::string out = request.uid ? "UID SEARCH " : "SEARCH ";
  if (request.returns) out += "RETURN (" + *request.returns + ") ";
  return out;
}

/// THREAD. Messages whose subjects hold addresses stand alone: the upstream would put them beside one of the
/// member's making that guesses the address right (RFC 5256 §3, both algorithms group by subject).
net::Task<Result<ImapStatus>> run_thread(ImapCore& core, const SearchRequest& request, std::string keys) {
  auto alone = co_await ask_subjects(core, request.uid, keys, texts_of_addresses());
  if (!alone) co_return std::unexpected(std::move(alone.error()));
  if (alone->status.name != "OK") co_return std::move(alone->status);
  std::ranges::sort(alone->numbers);
  if (!alone->numbers.empty()) keys += (request.uid ? " NOT UID " : " NOT ") + write_set(alone->numbers);
  if (keys.size() > kMaxKeysTried)
    co_return ImapStatus{"NO", "[LIMIT] too many messages match; ask for less at once"};
  std::string line = "* THREAD ";
  ImapWatch watch = [&line](const ImapResponse& response) {
    if (response.name != "THREAD") return false;
    if (is_result(trim(response.text))) line += trim(response.text);
    return true;
  };
  const std::string verb = (request.uid ? "UID THREAD " : "THREAD ") + request.algorithm + " UTF-8 ";
  auto status = co_await ask(core, verb + keys, &watch);
  if (!status || status->name != "OK") co_return status;
  for (const std::uint32_t number : alone->numbers) line += "(" + std::to_string(number) + ")";
  if (line.ends_with(' ')) line.pop_back();
  core.out.add(line + "\r\n");
  co_return status;
}

net::Task<Result<ImapStatus>> run(ImapCore& core, std::string tag, const SearchRequest& request,
                                  std::string keys) {
  if (request.verb == Verb::sort) co_return co_await run_sort(core, request, std::move(keys));
  if (request.verb == Verb::thread) co_return co_await run_thread(core, request, std::move(keys));
  ImapWatch watch = [&core, &tag](const ImapResponse& response) { return pass_result(core, tag, response); };
  co_return co_await ask(core, head(request) + keys, &watch);
}

/// Message numbers in a UID command mean what they mean now: while its keys are resolved, EXPUNGE may come
/// (RFC 9051 §7.5.1). A status: the answer to give instead.
///
/// One set of a few octets can become one of a megabyte, and a command has room for a thousand.
net::Task<Result<std::optional<ImapStatus>>> fix_numbers(ImapCore& core, SearchRequest& request) {
  const auto is_numbers = [](const SearchKey& key) {
    return key.kind == SearchKey::Kind::plain && is_sequence_set(key.written);
  };
  const ImapStatus too_many{"NO", "[LIMIT] too many message sets; ask for less at once"};
  if (std::ranges::count_if(request.keys, is_numbers) > static_cast<std::ptrdiff_t>(kMaxQuestions))
    co_return too_many;
  std::unordered_map<std::string, std::string> fixed;
  std::size_t octets = 0;
  for (SearchKey& key : request.keys) {
    if (!is_numbers(key)) continue;
    const auto [known, fresh] = fixed.try_emplace(key.written);
    if (fresh) {
      auto found = co_await ask_numbers(core, "UID SEARCH " + key.written);
      if (!found) co_return std::unexpected(std::move(found.error()));
      if (found->status.name != "OK") co_return std::move(found->status);
      std::ranges::sort(found->numbers);
      known->second = found->numbers.empty() ? kNoMessage : "UID " + write_set(found->numbers);
    }
    octets += known->second.size();
    if (octets > kMaxFixed) co_return too_many;
    key.written = known->second;
  }
  co_return std::nullopt;
}

net::Task<Result<ImapStatus>> answer_search(ImapCore& core, ImapCommand command) {
  auto parsed = parse_search(command, {.gmail = core.gmail});
  if (!parsed) co_return std::move(parsed.error());
  if (!core.selected) co_return ImapStatus{"BAD", "no mailbox is open"};
  const auto request = std::make_unique<SearchRequest>(std::move(*parsed));
  std::string keys;
  if (std::ranges::any_of(request->keys, &SearchKey::sensitive)) {
    if (request->uid) {
      auto answer = co_await fix_numbers(core, *request);
      if (!answer) co_return std::unexpected(std::move(answer.error()));
      if (*answer) co_return std::move(**answer);
    }
    const auto leaves = std::make_unique<SearchLeaves>(core, *request);
    auto outcome = co_await leaves->resolve();
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    if (outcome->status) co_return std::move(*outcome->status);
    keys = write_keys(request->keys, 0, outcome->instead);
    if (keys.size() > (can_answer_here(*request) ? kMaxKeys : kMaxKeysTried)) {
      MatchesOf matches = [&leaves](std::size_t key) -> const auto& { return leaves->matches(key); };
      co_return co_await answer_here(core, std::move(command.tag), *request, std::move(matches));
    }
  } else {
    keys = write_keys(request->keys, 0);
  }
  co_return co_await run(core, std::move(command.tag), *request, std::move(keys));
}

}  // namespace

net::Task<Result<ImapStatus>> run_search(ImapCore& core, ImapCommand command) {
  const bool saves = wants_saved(command);
  auto status = co_await answer_search(core, std::move(command));
  if (!saves || !core.selected || !status || status->name != "NO") co_return status;
  // A refused search leaves nothing saved (RFC 5182 §2.1); the upstream may not have seen it.
  const auto emptied = co_await ask(core, std::string("SEARCH RETURN (SAVE) ") + kNoMessage, nullptr);
  if (!emptied) co_return std::unexpected(emptied.error());
  co_return status;
}

}  // namespace kage::proxy
