// Set algebra over message numbers.
#include "proxy/search/local.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/text.h"
#include "proxy/imap/command.h"
#include "proxy/search/ask.h"

namespace kage::proxy {

namespace {

using Numbers = std::vector<std::uint32_t>;
using Kind = SearchKey::Kind;

Numbers joined(const Numbers& a, const Numbers& b) {
  Numbers out;
  std::ranges::set_union(a, b, std::back_inserter(out));
  return out;
}
Numbers common(const Numbers& a, const Numbers& b) {
  Numbers out;
  std::ranges::set_intersection(a, b, std::back_inserter(out));
  return out;
}
Numbers without(const Numbers& a, const Numbers& b) {
  Numbers out;
  std::ranges::set_difference(a, b, std::back_inserter(out));
  return out;
}

/// What one key matches, given what those that belong to it do.
Numbers combine(const std::vector<SearchKey>& keys, std::size_t at, const Numbers& all,
                const std::vector<Numbers>& found) {
  const SearchKey& key = keys[at];
  if (key.kind == Kind::negation) return without(all, found[at + 1]);
  if (key.kind == Kind::any_of) return joined(found[at + 1], found[keys[at + 1].end]);
  Numbers out = found[at + 1];
  for (std::size_t i = keys[at + 1].end; i < key.end; i = keys[i].end) out = common(out, found[i]);
  return out;
}

/// RFC 4731 §3.1.
std::string write_esearch(const SearchRequest& request, std::string_view tag, const Numbers& numbers) {
  std::string out = "* ESEARCH (TAG " + imap_string(tag) + ")";
  if (request.uid) out += " UID";
  const std::string wanted = " " + request.returns.value_or("") + " ";
  const auto wants = [&](std::string_view option) {
    return wanted.find(" " + std::string(option) + " ") != std::string::npos;
  };
  if (!numbers.empty()) {
    if (wants("MIN")) out += " MIN " + std::to_string(numbers.front());
    if (wants("MAX")) out += " MAX " + std::to_string(numbers.back());
    if (wants("ALL") || wanted == "  ") out += " ALL " + write_set(numbers);
  }
  if (wants("COUNT")) out += " COUNT " + std::to_string(numbers.size());
  return out + "\r\n";
}

std::string write_search(const Numbers& numbers) {
  std::string out = "* SEARCH";
  for (const std::uint32_t number : numbers) out.append(" ").append(std::to_string(number));
  return out + "\r\n";
}

/// What "UID 1:3,7" matches. Nothing: the key is no such one, or has "*".
std::optional<Numbers> match_uids(std::string_view key, const Numbers& all) {
  if (!key.starts_with("UID ")) return std::nullopt;
  key.remove_prefix(4);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  while (!key.empty()) {
    const auto range = key.substr(0, key.find(','));
    const auto first = parse_number(range.substr(0, range.find(':')), UINT32_MAX);
    const auto last = parse_number(range.substr(range.find(':') + 1), UINT32_MAX);
    if (!first || !last) return std::nullopt;
    ranges.emplace_back(std::minmax(*first, *last));
    key.remove_prefix(std::min(range.size() + 1, key.size()));
  }
  std::ranges::sort(ranges);
  Numbers out;
  auto range = ranges.begin();
  for (const std::uint32_t uid : all) {
    while (range != ranges.end() && range->second < uid) ++range;
    if (range == ranges.end()) break;
    if (range->first <= uid) out.push_back(uid);
  }
  return out;
}

net::Task<Result<FoundNumbers>> ask_key(ImapCore& core, bool uid, std::string key) {
  auto found = co_await ask_numbers(core, (uid ? "UID SEARCH " : "SEARCH ") + key);
  if (found) std::ranges::sort(found->numbers);
  co_return found;
}

}  // namespace

/// Each plain key is a question of its own.
bool can_answer_here(const SearchRequest& request) {
  if (request.verb != SearchRequest::Verb::search) return false;
  if (request.returns && request.returns->find("SAVE") != std::string::npos) return false;
  const auto modseq = [](const SearchKey& key) { return key.written.starts_with("MODSEQ"); };
  const auto plain = [](const SearchKey& key) { return key.kind == Kind::plain; };
  return std::ranges::none_of(request.keys, modseq) &&
         static_cast<std::size_t>(std::ranges::count_if(request.keys, plain)) <= kMaxQuestions;
}

net::Task<Result<ImapStatus>> answer_here(ImapCore& core, std::string tag, const SearchRequest& request,
                                          MatchesOf matches) {
  if (!can_answer_here(request))
    co_return ImapStatus{"NO", "[LIMIT] too many messages match; ask for less at once"};
  const auto& keys = request.keys;
  auto all = co_await ask_key(core, request.uid, "ALL");
  if (!all) co_return std::unexpected(std::move(all.error()));
  if (all->status.name != "OK") co_return std::move(all->status);
  std::vector<Numbers> found(keys.size());
  // What belongs to a key stands behind it.
  for (std::size_t at = keys.size(); at-- > 0;) {
    const SearchKey& key = keys[at];
    if (key.kind == Kind::plain) {
      // A set may be longer than any command line.
      auto matched = request.uid ? match_uids(key.written, all->numbers) : std::nullopt;
      if (matched) {
        found[at] = std::move(*matched);
        continue;
      }
      auto asked = co_await ask_key(core, request.uid, key.written);
      if (!asked) co_return std::unexpected(std::move(asked.error()));
      if (asked->status.name != "OK") co_return std::move(asked->status);
      found[at] = std::move(asked->numbers);
    } else if (key.sensitive()) {
      const bool any = key.kind != Kind::field && key.value.empty();
      found[at] = any ? all->numbers : matches(at);
    } else {
      found[at] = combine(keys, at, all->numbers, found);
      for (std::size_t i = at + 1; i < key.end; i = keys[i].end) Numbers().swap(found[i]);
    }
  }
  core.out.add(request.returns || all->esearch ? write_esearch(request, tag, found[0])
                                               : write_search(found[0]));
  co_return std::move(all->status);
}

}  // namespace kage::proxy
