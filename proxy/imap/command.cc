// The syntax of IMAP commands. Linear in the size of the input, no recursion.
#include "proxy/imap/command.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "provider/imap_text.h"

namespace kage::proxy {

namespace {

/// What ends an atom here: wider than RFC 9051's atom-specials allow, since list wildcards, flags and
/// sections are read the same way; what may stand in a value is its reader's to check.
constexpr auto kAtomOctets = [] {
  std::array<bool, 256> table{};
  for (std::size_t i = 0x21; i < 256; ++i) table[i] = true;
  for (const char c : std::string_view("(){\"\x7f")) table[static_cast<unsigned char>(c)] = false;
  return table;
}();

constexpr bool is_atom_octet(char c) {
  return kAtomOctets[static_cast<unsigned char>(c)];
}

constexpr bool is_forbidden(char c) {
  return c == '\r' || c == '\n' || c == '\0';
}

/// RFC 9051 §9: tag = 1*<any ASTRING-CHAR except "+">.
bool is_tag(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_ascii(c) && is_atom_octet(c) && std::string_view("%*\\+").find(c) == std::string_view::npos;
  });
}

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-'; });
}

/// Whether strings are whole and nothing in between could end a line.
bool is_one_command(std::string_view rest) {
  ImapCursor cursor(rest);
  while (!cursor.at_end()) {
    const char c = cursor.peek();
    if (c == '"' || c == '{') {
      const std::string_view left = cursor.rest();
      if (cursor.skip_string()) continue;
      const auto mark = literal_mark(left);
      // The literal that is still to come, and nothing before it on this line.
      return mark && left.rfind('{') == 0 && left.find('\n') == std::string_view::npos;
    }
    if (is_forbidden(c)) return false;
    cursor.take(c);
  }
  return true;
}

}  // namespace

bool ImapCursor::take(char c) {
  if (at_end() || text_[at_] != c) return false;
  ++at_;
  return true;
}

bool ImapCursor::take_space() {
  return take(' ');
}

std::string_view ImapCursor::atom() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && is_atom_octet(text_[at_])) ++at_;
  return text_.substr(begin, at_ - begin);
}

std::string_view ImapCursor::quoted_at(std::size_t at, std::string* meaning) const {
  std::size_t i = at + 1;
  std::size_t begin = i;
  for (; i < text_.size() && text_[i] != '"'; ++i) {
    if (is_forbidden(text_[i])) return {};
    if (text_[i] != '\\') continue;
    // Only '"' and '\' need it; some servers quote more.
    if (i + 1 >= text_.size() || is_forbidden(text_[i + 1])) return {};
    if (meaning) meaning->append(text_.substr(begin, i - begin));
    begin = ++i;
  }
  if (i >= text_.size()) return {};
  if (meaning) meaning->append(text_.substr(begin, i - begin));
  return text_.substr(at, i + 1 - at);
}

std::string_view ImapCursor::literal_at(std::size_t at, std::string* meaning) const {
  const std::size_t open = text_[at] == '~' ? at + 1 : at;
  std::size_t i = open + 1;
  std::uint64_t size = 0;
  while (i < text_.size() && is_digit(text_[i])) {
    size = size * 10 + static_cast<std::uint64_t>(text_[i++] - '0');
    if (size > text_.size()) return {};
  }
  if (i == open + 1) return {};
  if (i < text_.size() && text_[i] == '+') ++i;
  if (!text_.substr(i).starts_with("}\r\n")) return {};
  i += 3;
  if (text_.size() - i < size) return {};
  if (meaning) meaning->assign(text_.substr(i, size));
  return text_.substr(at, i + size - at);
}

std::string_view ImapCursor::string_at(std::size_t at, std::string* meaning) const {
  if (at >= text_.size()) return {};
  if (text_[at] == '"') return quoted_at(at, meaning);
  if (text_[at] == '{' || text_.substr(at).starts_with("~{")) return literal_at(at, meaning);
  return {};
}

bool ImapCursor::skip_string() {
  const auto raw = string_at(at_, nullptr);
  at_ += raw.size();
  return !raw.empty();
}

std::optional<std::string> ImapCursor::string() {
  std::string meaning;
  const auto raw = string_at(at_, &meaning);
  if (raw.empty()) return std::nullopt;
  at_ += raw.size();
  return meaning;
}

std::optional<std::string> ImapCursor::astring() {
  if (auto text = string()) return text;
  if (rest().starts_with("~{")) return std::nullopt;
  const auto word = atom();
  if (word.empty()) return std::nullopt;
  return std::string(word);
}

std::optional<std::string_view> ImapCursor::value(std::size_t max_depth) {
  const std::size_t begin = at_;
  std::size_t depth = 0;
  do {
    while (depth > 0 && take_space()) {
    }
    if (take('(')) {
      if (++depth > max_depth) break;
    } else if (depth > 0 && take(')')) {
      --depth;
    } else if (!skip_string() && (rest().starts_with("~{") || atom().empty())) {
      break;
    }
    if (depth == 0) return text_.substr(begin, at_ - begin);
  } while (!at_end());
  at_ = begin;
  return std::nullopt;
}

std::string imap_string(std::string_view text, bool non_sync) {
  if (provider::is_imap_quotable(text)) return provider::imap_quoted(text);
  std::string out = "{" + std::to_string(text.size()) + (non_sync ? "+}\r\n" : "}\r\n");
  return out.append(text);
}

Result<ImapCommand> parse_command(std::string text) {
  ImapCommand command;
  ImapCursor cursor(text);
  const auto tag = cursor.atom();
  if (!is_tag(tag)) return fail(Errc::invalid);
  command.tag = tag;
  const auto name = [&] { return cursor.take_space() ? cursor.atom() : std::string_view(); };
  auto word = name();
  if (!is_name(word)) return fail(Errc::invalid, command.tag);
  command.name = upper(word);
  if (command.name == "UID") {
    word = name();
    if (!is_name(word)) return fail(Errc::invalid, command.tag);
    command.name += " " + upper(word);
  }
  if (!cursor.at_end() && !cursor.take_space()) return fail(Errc::invalid, command.tag);
  if (!is_one_command(cursor.rest())) return fail(Errc::invalid, command.tag);
  text.erase(0, cursor.offset());
  command.rest = std::move(text);
  return command;
}

std::optional<LiteralMark> literal_mark(std::string_view line) {
  if (!line.ends_with('}')) return std::nullopt;
  line.remove_suffix(1);
  LiteralMark mark;
  if (line.ends_with('+')) {
    mark.non_sync = true;
    line.remove_suffix(1);
  }
  std::size_t begin = line.size();
  while (begin > 0 && is_digit(line[begin - 1])) --begin;
  const auto digits = line.substr(begin);
  if (digits.empty() || begin == 0 || line[begin - 1] != '{') return std::nullopt;
  mark.size = parse_number(digits).value_or(UINT64_MAX);
  return mark;
}

bool is_atom(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < '\x7f' && std::string_view("(){%*\"\\]").find(c) == std::string_view::npos;
  });
}

bool is_sequence_set(std::string_view text, std::size_t max_ranges) {
  // RFC 9051 §9: seq-number = nz-number / "*", 32 bits.
  const auto is_number = [](std::string_view word) {
    if (word == "*") return true;
    const auto number = parse_number(word, UINT32_MAX);
    return number && *number > 0;
  };
  for (std::size_t ranges = 1;; ++ranges) {
    const std::size_t comma = text.find(',');
    const auto range = text.substr(0, comma);
    const std::size_t colon = range.find(':');
    if (ranges > max_ranges || !is_number(range.substr(0, colon))) return false;
    if (colon != std::string_view::npos && !is_number(range.substr(colon + 1))) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

std::string write_set(const std::vector<std::uint32_t>& numbers) {
  std::string out;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!out.empty()) out += ',';
    out += std::to_string(numbers[i]);
    if (last > i) out += ':' + std::to_string(numbers[last]);
    i = last + 1;
  }
  return out;
}

}  // namespace kage::proxy
