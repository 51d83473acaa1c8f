// Reads what stands before the keys of SEARCH, SORT and THREAD.
#include "proxy/search/request.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxSortKeys = 20;

ImapStatus bad(std::string text) {
  return {"BAD", std::move(text)};
}

/// Those that mail uses and message::to_utf8 reads.
bool is_known_charset(std::string_view charset) {
  constexpr std::array<std::string_view, 18> kKnown = {
      "us-ascii",     "utf-8",        "iso-2022-jp", "shift_jis",  "sjis",        "windows-31j",
      "cp932",        "euc-jp",       "iso-8859-1",  "iso-8859-2", "iso-8859-15", "windows-1250",
      "windows-1251", "windows-1252", "koi8-r",      "gb2312",     "big5",        "euc-kr"};
  return std::ranges::find(kKnown, charset) != kKnown.end();
}

std::unexpected<ImapStatus> bad_charset() {
  return std::unexpected(ImapStatus{"NO", "[BADCHARSET (US-ASCII UTF-8 ISO-2022-JP)] unknown charset"});
}

constexpr std::array<std::pair<std::string_view, SortKey::By>, 9> kSortKeys = {{
    {"ARRIVAL", SortKey::By::arrival},
    {"CC", SortKey::By::cc},
    {"DATE", SortKey::By::date},
    {"FROM", SortKey::By::from},
    {"SIZE", SortKey::By::size},
    {"SUBJECT", SortKey::By::subject},
    {"TO", SortKey::By::to},
    {"DISPLAYFROM", SortKey::By::display_from},  // RFC 5957
    {"DISPLAYTO", SortKey::By::display_to},
}};

/// Words of a list in parentheses, in capitals.
std::optional<std::vector<std::string>> read_words(ImapCursor& cursor, std::size_t max) {
  std::vector<std::string> words;
  if (!cursor.take('(')) return std::nullopt;
  while (!cursor.take(')')) {
    if (!words.empty() && !cursor.take_space()) return std::nullopt;
    const auto word = cursor.atom();
    if (!is_atom(word) || words.size() == max) return std::nullopt;
    words.push_back(upper(word));
  }
  return words;
}

/// RFC 4731 §3.1, RFC 5182 §2.
std::optional<std::string> read_returns(ImapCursor& cursor) {
  if (!cursor.take_space()) return std::nullopt;
  const auto words = read_words(cursor, 5);
  if (!words) return std::nullopt;
  std::string out;
  for (const std::string& word : *words) {
    constexpr std::array<std::string_view, 5> kKnown = {"MIN", "MAX", "ALL", "COUNT", "SAVE"};
    if (std::ranges::find(kKnown, word) == kKnown.end()) return std::nullopt;
    out.append(out.empty() ? "" : " ").append(word);
  }
  return out;
}

std::optional<std::vector<SortKey>> read_sort(ImapCursor& cursor) {
  const auto words = read_words(cursor, kMaxSortKeys);
  if (!words || words->empty()) return std::nullopt;
  std::vector<SortKey> sort;
  bool reverse = false;
  for (const std::string& word : *words) {
    if (word == "REVERSE" && !std::exchange(reverse, true)) continue;
    const auto* known = std::ranges::find(kSortKeys, word, &decltype(kSortKeys)::value_type::first);
    if (known == kSortKeys.end()) return std::nullopt;
    sort.push_back({known->second, std::exchange(reverse, false)});
  }
  if (reverse) return std::nullopt;
  return sort;
}

/// Moves behind this word and its space, in any case, when they are next.
bool take_word(ImapCursor& cursor, std::string_view word) {
  if (!starts_with_nocase(cursor.rest(), word)) return false;
  ImapCursor ahead = cursor;
  if (!equals_nocase(ahead.atom(), word)) return false;
  cursor = ahead;
  return true;
}

std::expected<std::string, ImapStatus> read_charset(ImapCursor& cursor) {
  const auto charset = cursor.astring();
  if (!charset || !cursor.take_space()) return std::unexpected(bad("a charset is missing"));
  const std::string name = lower(*charset);
  if (!is_known_charset(name)) return bad_charset();
  return name;
}

/// What stands before the keys; moves to the first key. Nothing: refused with `error`.
std::optional<std::string> read_head(ImapCursor& cursor, SearchRequest& request, ImapStatus& error) {
  using Verb = SearchRequest::Verb;
  if (request.verb == Verb::search) {
    if (take_word(cursor, "RETURN")) {
      request.returns = read_returns(cursor);
      if (!request.returns || !cursor.take_space()) {
        error = bad("RETURN has wrong options");
        return std::nullopt;
      }
    }
    if (!take_word(cursor, "CHARSET")) return std::string();
  } else if (request.verb == Verb::sort) {
    auto sort = read_sort(cursor);
    if (!sort) error = bad("unknown sort criteria");
    if (!sort) return std::nullopt;
    request.sort = std::move(*sort);
  } else {
    request.algorithm = upper(cursor.atom());
    constexpr std::array<std::string_view, 3> kKnown = {"ORDEREDSUBJECT", "REFERENCES", "REFS"};
    if (std::ranges::find(kKnown, request.algorithm) == kKnown.end()) error = bad("unknown thread algorithm");
    if (!error.name.empty()) return std::nullopt;
  }
  if (!cursor.take_space()) error = bad("a charset is missing");
  if (!error.name.empty()) return std::nullopt;
  auto charset = read_charset(cursor);
  if (charset) return std::move(*charset);
  error = std::move(charset.error());
  return std::nullopt;
}

}  // namespace

std::expected<SearchRequest, ImapStatus> parse_search(const ImapCommand& command, SearchDialect dialect) {
  SearchRequest request;
  request.uid = command.uid();
  const std::string_view verb = std::string_view(command.name).substr(request.uid ? 4 : 0);
  if (verb == "SORT")
    request.verb = SearchRequest::Verb::sort;
  else if (verb == "THREAD")
    request.verb = SearchRequest::Verb::thread;
  else if (verb != "SEARCH")
    return std::unexpected(bad("unknown command"));
  ImapCursor cursor(command.rest);
  ImapStatus error;
  auto charset = read_head(cursor, request, error);
  if (!charset) return std::unexpected(std::move(error));
  auto keys = parse_keys(cursor, std::move(*charset), dialect);
  if (!keys) return std::unexpected(std::move(keys.error()));
  request.keys = std::move(*keys);
  return request;
}

bool wants_saved(const ImapCommand& command) {
  if (!command.name.ends_with("SEARCH")) return false;
  ImapCursor cursor(command.rest);
  if (!take_word(cursor, "RETURN")) return false;
  const auto returns = read_returns(cursor);
  return returns && returns->contains("SAVE");
}

std::string write_sort(const std::vector<SortKey>& sort) {
  std::string out;
  for (const SortKey& key : sort) {
    const auto* known = std::ranges::find(kSortKeys, key.by, &decltype(kSortKeys)::value_type::second);
    out.append(out.empty() ? "" : " ").append(key.reverse ? "REVERSE " : "").append(known->first);
  }
  return out;
}

}  // namespace kage::proxy
