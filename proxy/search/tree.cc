// Parsing and writing of search keys. Iterative: nesting costs no stack of ours.
#include "proxy/search/tree.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "message/charset.h"

namespace kage::proxy {

namespace {

constexpr std::size_t kMaxDepth = 50;
constexpr std::size_t kMaxKeys = 1000;

/// What follows the name of a key.
enum class Takes : std::uint8_t {
  nothing,
  keyword,
  date,
  number,
  seconds,
  object_id,
  label,
  modseq,
  uids,
  field,
  header,
  text,
  body,
  negation,
  any_of,
  raw,
};

struct KeyRule {
  std::string_view name;
  Takes takes;
  bool gmail = false;
};

constexpr std::array kKeyRules = {
    KeyRule{"ALL", Takes::nothing},
    KeyRule{"ANSWERED", Takes::nothing},
    KeyRule{"BCC", Takes::field},
    KeyRule{"BEFORE", Takes::date},
    KeyRule{"BODY", Takes::body},
    KeyRule{"CC", Takes::field},
    KeyRule{"DELETED", Takes::nothing},
    KeyRule{"DRAFT", Takes::nothing},
    KeyRule{"EMAILID", Takes::object_id},  // RFC 8474
    KeyRule{"FLAGGED", Takes::nothing},
    KeyRule{"FROM", Takes::field},
    KeyRule{"HEADER", Takes::header},
    KeyRule{"KEYWORD", Takes::keyword},
    KeyRule{"LARGER", Takes::number},
    KeyRule{"MODSEQ", Takes::modseq},  // RFC 7162
    KeyRule{"NEW", Takes::nothing},
    KeyRule{"NOT", Takes::negation},
    KeyRule{"OLD", Takes::nothing},
    KeyRule{"OLDER", Takes::seconds},  // RFC 5032
    KeyRule{"ON", Takes::date},
    KeyRule{"OR", Takes::any_of},
    KeyRule{"RECENT", Takes::nothing},
    KeyRule{"SAVEDATESUPPORTED", Takes::nothing},  // RFC 8514
    KeyRule{"SAVEDBEFORE", Takes::date},
    KeyRule{"SAVEDON", Takes::date},
    KeyRule{"SAVEDSINCE", Takes::date},
    KeyRule{"SEEN", Takes::nothing},
    KeyRule{"SENTBEFORE", Takes::date},
    KeyRule{"SENTON", Takes::date},
    KeyRule{"SENTSINCE", Takes::date},
    KeyRule{"SINCE", Takes::date},
    KeyRule{"SMALLER", Takes::number},
    KeyRule{"SUBJECT", Takes::field},
    KeyRule{"TEXT", Takes::text},
    KeyRule{"THREADID", Takes::object_id},
    KeyRule{"TO", Takes::field},
    KeyRule{"UID", Takes::uids},
    KeyRule{"UNANSWERED", Takes::nothing},
    KeyRule{"UNDELETED", Takes::nothing},
    KeyRule{"UNDRAFT", Takes::nothing},
    KeyRule{"UNFLAGGED", Takes::nothing},
    KeyRule{"UNKEYWORD", Takes::keyword},
    KeyRule{"UNSEEN", Takes::nothing},
    KeyRule{"X-GM-LABELS", Takes::label, true},
    KeyRule{"X-GM-MSGID", Takes::number, true},
    KeyRule{"X-GM-RAW", Takes::raw, true},
    KeyRule{"X-GM-THRID", Takes::number, true},
    KeyRule{"YOUNGER", Takes::seconds},
};

ImapStatus bad(std::string text) {
  return {"BAD", std::move(text)};
}

const KeyRule* find_rule(std::string_view name) {
  for (const KeyRule& rule : kKeyRules) {
    if (equals_nocase(rule.name, name)) return &rule;
  }
  return nullptr;
}

bool is_field_name(std::string_view text) {
  return !text.empty() && text.size() <= 200 &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f' && c != ':'; });
}

/// RFC 9051 §9: date-text.
bool is_date(std::string_view text) {
  constexpr std::string_view kMonths = "jan feb mar apr may jun jul aug sep oct nov dec";
  const std::size_t dash = text.find('-');
  if (dash == 0 || dash > 2 || text.size() != dash + 9 || text[dash + 4] != '-') return false;
  const auto day = parse_number(text.substr(0, dash), 31);
  return day && kMonths.find(lower(text.substr(dash + 1, 3))) % 4 == 0 && parse_number(text.substr(dash + 5));
}

/// RFC 8474 §4.
bool is_object_id(std::string_view text) {
  return !text.empty() && text.size() <= 255 &&
         std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
}

/// "$" is the saved result (RFC 5182).
bool is_set(std::string_view text) {
  return text == "$" || is_sequence_set(text);
}

/// A string of the client's as UTF-8; `charset` in lower case.
std::string in_utf8(std::string text, std::string_view charset) {
  if (all_ascii(text) && !charset.starts_with("iso-2022")) return text;
  return message::to_utf8(text, charset.empty() || charset == "us-ascii" ? "utf-8" : charset);
}

class KeyParser {
 public:
  KeyParser(ImapCursor& cursor, std::string charset, SearchDialect dialect)
      : cursor_(cursor), charset_(std::move(charset)), dialect_(dialect) {}

  std::expected<std::vector<SearchKey>, ImapStatus> parse() {
    open(SearchKey::Kind::all_of, kList);
    for (bool more = true; more && good();) {
      if (!one()) continue;
      more = close();
    }
    if (!error_.name.empty()) return std::unexpected(std::move(error_));
    return std::move(keys_);
  }

 private:
  static constexpr std::size_t kList = SIZE_MAX;
  struct Frame {
    std::size_t key;
    std::size_t missing;  // keys that it still takes; kList: up to ')'
  };

  bool good() {
    if (frames_.size() > kMaxDepth) refuse(bad("search keys are nested too deeply"));
    if (keys_.size() > kMaxKeys) refuse(bad("too many search keys"));
    return error_.name.empty();
  }
  void refuse(ImapStatus status) {
    if (error_.name.empty()) error_ = std::move(status);
  }

  SearchKey& add(SearchKey::Kind kind) {
    SearchKey& key = keys_.emplace_back();
    key.kind = kind;
    key.end = keys_.size();
    return key;
  }
  void open(SearchKey::Kind kind, std::size_t missing) {
    add(kind);
    frames_.push_back({keys_.size() - 1, missing});
  }
  bool skip_spaces() {
    bool any = false;
    while (cursor_.take_space()) any = true;
    return any;
  }
  void space() {
    if (!skip_spaces()) refuse(bad("a search key misses what belongs to it"));
  }

  /// One key; false: it began one that takes others.
  bool one() {
    if (cursor_.take('(')) {
      open(SearchKey::Kind::all_of, kList);
      return false;
    }
    const auto word = cursor_.atom();
    if (is_set(word)) {
      add(SearchKey::Kind::plain).written = word;
      return true;
    }
    const KeyRule* rule = find_rule(word);
    if (!rule || (rule->gmail && !dialect_.gmail)) {
      refuse(bad("unknown search key"));
      return true;
    }
    if (rule->takes == Takes::negation || rule->takes == Takes::any_of) {
      const bool negation = rule->takes == Takes::negation;
      open(negation ? SearchKey::Kind::negation : SearchKey::Kind::any_of, negation ? 1 : 2);
      space();
      return false;
    }
    argument(*rule);
    return true;
  }

  /// After a key: ends what it completes. False: that was all.
  bool close() {
    while (good()) {
      Frame& frame = frames_.back();
      if (frame.missing != kList) {
        if (--frame.missing > 0) return space(), true;
      } else {
        const bool spaced = skip_spaces();
        const bool ended = frames_.size() == 1 ? cursor_.at_end() : cursor_.take(')');
        if (!ended && !spaced) refuse(bad("search keys are separated by spaces"));
        if (!ended) return true;
      }
      keys_[frame.key].end = keys_.size();
      frames_.pop_back();
      if (frames_.empty()) break;
    }
    return false;
  }

  void argument(const KeyRule& rule);
  void plain(const KeyRule& rule, bool fits, std::string_view value) {
    if (!fits) return refuse(bad("a search key has a wrong argument"));
    add(SearchKey::Kind::plain).written = std::string(rule.name) + " " + std::string(value);
  }
  void modseq();
  void sensitive(SearchKey key, std::optional<std::string> value);

  ImapCursor& cursor_;
  std::string charset_;
  SearchDialect dialect_;
  std::vector<SearchKey> keys_;
  std::vector<Frame> frames_;
  ImapStatus error_;
};

void KeyParser::argument(const KeyRule& rule) {
  if (rule.takes == Takes::nothing) {
    add(SearchKey::Kind::plain).written = rule.name;
    return;
  }
  space();
  if (!good()) return;
  if (rule.takes == Takes::modseq) return modseq();
  if (rule.takes == Takes::uids || rule.takes == Takes::keyword) {
    const auto word = cursor_.atom();
    return plain(rule, rule.takes == Takes::uids ? is_set(word) : is_atom(word), word);
  }
  const auto value = cursor_.astring();
  if (!value) return refuse(bad("a search key misses its argument"));
  switch (rule.takes) {
    case Takes::date:
      return plain(rule, is_date(*value), *value);
    case Takes::number:  // RFC 9051 §9: number64
      return plain(rule, parse_number(*value, INT64_MAX).has_value(), *value);
    case Takes::seconds:
      return plain(rule, parse_number(*value, UINT32_MAX).value_or(0) > 0, *value);
    case Takes::object_id:
      return plain(rule, is_object_id(*value), *value);
    case Takes::label:
      return plain(rule, all_ascii(*value) && value->find_first_of({"\r\n\0", 3}) == std::string::npos,
                   imap_string(*value));
    case Takes::header:
      if (!is_field_name(*value)) return refuse(bad("HEADER needs the name of a field"));
      space();
      return sensitive(
          {.kind = SearchKey::Kind::field, .written = "HEADER " + imap_string(*value), .name = lower(*value)},
          cursor_.astring());
    case Takes::field:
      return sensitive(
          {.kind = SearchKey::Kind::field, .written = std::string(rule.name), .name = lower(rule.name)},
          value);
    case Takes::text:
      return sensitive({.kind = SearchKey::Kind::text, .written = "TEXT"}, value);
    case Takes::body:
      return sensitive({.kind = SearchKey::Kind::body, .written = "BODY"}, value);
    default:
      // Its syntax is the provider's own, so that nobody can tell what it asks (contract R8.3).
      return refuse({"NO", "[CANNOT] X-GM-RAW is not available here"});
  }
}

void KeyParser::sensitive(SearchKey key, std::optional<std::string> value) {
  if (!value) return refuse(bad("a search key misses its string"));
  if (value->find('\0') != std::string::npos) return refuse(bad("NUL in a search string"));
  key.value = in_utf8(std::move(*value), charset_);
  keys_.push_back(std::move(key));
  keys_.back().end = keys_.size();
}

/// RFC 7162 §3.1.5: MODSEQ [entry-name entry-type] value.
void KeyParser::modseq() {
  std::string written = "MODSEQ ";
  if (cursor_.peek() == '"') {
    const auto entry = cursor_.string();
    const bool flags = entry && entry->starts_with("/flags/") && entry->size() <= 200 &&
                       std::ranges::all_of(*entry, [](char c) { return c > ' ' && c < '\x7f'; });
    space();
    const auto type = lower(cursor_.atom());
    space();
    if (!flags || (type != "priv" && type != "shared" && type != "all")) {
      return refuse(bad("MODSEQ has a wrong argument"));
    }
    written += imap_string(*entry) + " " + type + " ";
  }
  const auto value = cursor_.atom();
  if (!parse_number(value, INT64_MAX)) return refuse(bad("MODSEQ needs a number"));
  add(SearchKey::Kind::plain).written = written.append(value);
}

}  // namespace

std::expected<std::vector<SearchKey>, ImapStatus> parse_keys(ImapCursor& cursor, std::string charset,
                                                             SearchDialect dialect) {
  return KeyParser(cursor, std::move(charset), dialect).parse();
}

std::string write_keys(const std::vector<SearchKey>& keys, std::size_t at,
                       const std::vector<std::string>& instead) {
  std::string out;
  std::vector<std::size_t> lists;  // ends of the lists that are open
  const std::size_t end = keys[at].end;
  for (std::size_t i = at; i < end; ++i) {
    const SearchKey& key = keys[i];
    if (!out.empty() && !out.ends_with('(')) out += ' ';
    switch (key.kind) {
      case SearchKey::Kind::all_of:
        if (i == 0) break;
        out += '(';
        lists.push_back(key.end);
        break;
      case SearchKey::Kind::any_of:
        out += "OR";
        break;
      case SearchKey::Kind::negation:
        out += "NOT";
        break;
      case SearchKey::Kind::plain:
        out += key.written;
        break;
      default:
        out += instead.at(i);
    }
    for (; !lists.empty() && lists.back() == i + 1; lists.pop_back()) out += ')';
  }
  return out;
}

}  // namespace kage::proxy
