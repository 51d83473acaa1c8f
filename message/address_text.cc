// Addresses in free text, as people type them and as machines glue them together.
//
// Finds too much rather than too little: what is found is replaced, what is missed is a leak (contract R3.1,
// R3.2, R5.2). Every '@' looks left and right once, never across another hit, so the work is linear.
#include "message/address_text.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <cstdint>

#include "base/text.h"
#include "message/address_lexer.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

constexpr std::size_t kMaxLiteral = 255;
constexpr std::size_t kMaxQuoted = 256;
constexpr std::int32_t kPercentDot = 0x110001;  // "%2E": a dot in a domain, itself in a local part

/// A character of the text with its full-width form folded to ASCII.
struct Char {
  std::int32_t code = 0;
  std::uint32_t begin = 0;
  std::uint32_t length = 0;
};

bool is_at(const Char& c) {
  return c.code == '@';
}
bool is_control(std::int32_t c) {
  return c < 0x20 || c == 0x7F;
}
bool is_ascii_atext(std::int32_t c) {
  return c > 0 && c < 0x80 && is_atext(static_cast<char>(c));
}
bool is_ascii_label(std::int32_t c) {
  return c > 0 && c < 0x80 && (is_alnum(static_cast<char>(c)) || c == '-' || c == '_');
}
bool is_dot(std::int32_t c) {
  return c == '.' || c == kPercentDot;
}
bool is_ideographic_stop(std::int32_t c) {
  return c == 0x3002 || c == 0xFF61;
}
bool is_any_dot(std::int32_t c) {
  return is_dot(c) || is_ideographic_stop(c);
}

/// Characters that nobody sees; they are part of what they stand in.
bool is_invisible(std::int32_t c) {
  return c == 0xAD || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x2064) || c == 0xFEFF || (c >= 0xFE00 && c <= 0xFE0F);
}

/// Non-ASCII that can stand in a local part or an IDN label: letters, marks, digits, symbols; no white space,
/// no brackets, no punctuation but the two middle dots that IDNA 2008 allows (RFC 5892 A.3, A.7).
bool is_wide(std::int32_t c) {
  if (c < 0x80 || c > 0x10FFFF) return false;
  if (c == 0xB7 || c == 0x30FB || is_invisible(c)) return true;
  const std::uint32_t mask = U_GET_GC_MASK(c);
  return (mask & (U_GC_Z_MASK | U_GC_P_MASK | U_GC_CC_MASK | U_GC_CS_MASK)) == 0;
}
bool is_label(std::int32_t c) {
  return is_ascii_label(c) || is_wide(c);
}

std::vector<Char> read_chars(std::string_view text) {
  std::vector<Char> chars;
  chars.reserve(text.size());
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    std::int32_t code = next_code_point(text, at);
    if (code < 0) {
      code = 0xFFFD;
    } else if (code >= 0xFF01 && code <= 0xFF5E) {
      code -= 0xFEE0;  // full-width ASCII
    } else if (code == 0xFE6B) {
      code = '@';
    } else if (code == 0xFE52) {
      code = '.';
    } else if (code == '%' && text.size() - at >= 2) {
      const std::string_view hex = text.substr(at, 2);
      if (hex == "40") code = '@';
      if (hex == "2E" || hex == "2e") code = kPercentDot;
      if (code != '%') at += 2;
    }
    chars.push_back({.code = code,
                     .begin = static_cast<std::uint32_t>(begin),
                     .length = static_cast<std::uint32_t>(at - begin)});
  }
  return chars;
}

/// Cheap first look: most texts hold no address.
bool may_hold_address(std::string_view text) {
  return text.find('@') != std::string_view::npos || text.find("%40") != std::string_view::npos ||
         text.find("\xEF\xBC\xA0") != std::string_view::npos ||
         text.find("\xEF\xB9\xAB") != std::string_view::npos;
}

class Finder {
 public:
  explicit Finder(std::string_view text) : text_(text), chars_(read_chars(text)) {}

  std::vector<TextAddress> find() {
    for (std::size_t i = 0; i < chars_.size();) {
      i = is_at(chars_[i]) ? look(i) : i + 1;
    }
    return std::move(found_);
  }

 private:
  std::size_t look(std::size_t at_sign);
  std::size_t left_of(std::size_t at_sign);
  std::size_t quoted_left_of(std::size_t at_sign) const;
  std::size_t run_left_of(std::size_t at_sign) const;
  std::size_t domain_end(std::size_t begin) const;
  std::size_t literal_end(std::size_t begin) const;
  [[nodiscard]] std::size_t without_url(std::size_t begin, std::size_t at_sign) const;
  [[nodiscard]] std::size_t without_marker(std::size_t begin, std::size_t at_sign, std::size_t end) const;
  [[nodiscard]] std::string local_part(std::size_t begin, std::size_t at_sign) const;
  [[nodiscard]] std::string domain(std::size_t begin, std::size_t end) const;
  [[nodiscard]] std::int32_t code(std::size_t i) const { return i < chars_.size() ? chars_[i].code : 0; }

  std::string_view text_;
  std::vector<Char> chars_;
  std::vector<TextAddress> found_;
  std::size_t floor_ = 0;      ///< nothing before this is looked at again
  std::size_t last_sign_ = 0;  ///< the '@' that was looked at before, and where its local part began
  std::size_t last_begin_ = 0;
};

/// Looks at one '@'. Returns where to go on.
std::size_t Finder::look(std::size_t at_sign) {
  std::size_t begin = left_of(at_sign);
  if (begin == at_sign) return at_sign + 1;
  std::size_t end = code(at_sign + 1) == '[' ? literal_end(at_sign + 1) : domain_end(at_sign + 1);
  if (end == at_sign + 1) return at_sign + 1;
  // "a@b.example@c.example": one hit, the last sign parts it, or a domain would be left over.
  while (code(end) == '@') {
    const std::size_t next = code(end + 1) == '[' ? literal_end(end + 1) : domain_end(end + 1);
    if (next == end + 1) break;
    at_sign = end;
    end = next;
  }
  begin = without_marker(without_url(begin, at_sign), at_sign, end);
  TextAddress hit;
  hit.offset = chars_[begin].begin;
  hit.length = chars_[end - 1].begin + chars_[end - 1].length - hit.offset;
  const std::string local = local_part(begin, at_sign);
  const bool quoted = local.size() > 2 && local.starts_with('"') && local.ends_with('"');
  hit.address.local = quoted ? unquote(local) : local;
  hit.address.domain = domain(at_sign + 1, end);
  if (hit.address.local.empty() || local == "\"\"") return end;
  hit.address.spelling = local + "@" + hit.address.domain;
  found_.push_back(std::move(hit));
  floor_ = end;
  return end;
}

/// Where the local part begins; `at_sign` when there is none.
std::size_t Finder::left_of(std::size_t at_sign) {
  std::size_t begin = at_sign;
  if (at_sign > floor_ && code(at_sign - 1) == '"') begin = quoted_left_of(at_sign);
  if (begin == at_sign) begin = run_left_of(at_sign);
  // A sign further left that found no domain of its own belongs to this one: "a@b@c.example".
  if (begin < at_sign && begin > floor_ && begin - 1 == last_sign_ && last_begin_ < last_sign_)
    begin = last_begin_;
  last_sign_ = at_sign;
  last_begin_ = begin;
  return begin;
}

std::size_t Finder::quoted_left_of(std::size_t at_sign) const {
  const std::size_t close = at_sign - 1;
  const std::size_t bound = std::max(floor_, close > kMaxQuoted ? close - kMaxQuoted : 0);
  for (std::size_t i = close; i > bound; --i) {
    if (code(i - 1) != '"') continue;
    std::size_t slashes = 0;
    while (i - 1 - slashes > bound && code(i - 2 - slashes) == '\\') ++slashes;
    if (slashes % 2 == 0) return i < close ? i - 1 : at_sign;
    i -= slashes;
  }
  return at_sign;
}

/// RFC 5322 atext and dots; when the nearest character is not ASCII, letters of any script as well.
std::size_t Finder::run_left_of(std::size_t at_sign) const {
  if (at_sign == floor_) return at_sign;
  std::size_t begin = at_sign;
  while (begin > floor_ && is_invisible(code(begin - 1))) --begin;
  const bool wide = begin > floor_ && is_wide(code(begin - 1));
  while (begin > floor_) {
    const std::int32_t c = code(begin - 1);
    if (!is_ascii_atext(c) && !is_dot(c) && !is_invisible(c) && !(wide && is_wide(c))) break;
    --begin;
  }
  const auto first = chars_.begin() + static_cast<std::ptrdiff_t>(begin);
  const auto last = chars_.begin() + static_cast<std::ptrdiff_t>(at_sign);
  if (std::all_of(first, last, [](const Char& c) { return is_invisible(c.code); })) return at_sign;
  // One dot may lead (old carriers); an ellipsis before an address is not of it.
  if (code(begin) == '.' && code(begin + 1) == '.') {
    std::size_t dots = begin;
    while (dots < at_sign && code(dots) == '.') ++dots;
    if (dots < at_sign) begin = dots;
  }
  return begin;
}

/// In a URL, '/', '?', '&' and the '=' of a query part what would be atext elsewhere.
std::size_t Finder::without_url(std::size_t begin, std::size_t at_sign) const {
  const bool percent = chars_[at_sign].length == 3 && text_[chars_[at_sign].begin] == '%';
  const bool url = begin > 0 && code(begin - 1) == ':' && code(begin) == '/' && code(begin + 1) == '/';
  const bool in_query = code(begin) == '?' || code(begin) == '&';  // mailto:a@b.example?cc=c@d.example
  if (!percent && !url && !in_query) return begin;
  std::size_t cut = begin;
  bool query = false;
  for (std::size_t i = begin; i < at_sign; ++i) {
    const std::int32_t c = code(i);
    const bool ends_part = c == '/' || c == '?' || c == '&' || (c == '=' && query);
    if (ends_part) cut = i + 1;
    if (ends_part) query = c == '?' || c == '&';
  }
  return cut < at_sign ? cut : begin;
}

/// 'a@b.example' in quotes or stars: the mark that also stands behind is not of the local part.
std::size_t Finder::without_marker(std::size_t begin, std::size_t at_sign, std::size_t end) const {
  const std::int32_t first = code(begin);
  const std::int32_t behind = code(end);
  const bool pair = (first == '{' && behind == '}') ||
                    (first == behind && (first == '\'' || first == '*' || first == '`' || first == '|' ||
                                         first == '/' || first == '_' || first == '~'));
  return pair && begin + 1 < at_sign ? begin + 1 : begin;
}

std::size_t Finder::literal_end(std::size_t begin) const {
  const std::size_t bound = std::min(chars_.size(), begin + kMaxLiteral);
  for (std::size_t i = begin + 1; i < bound; ++i) {
    const std::int32_t c = code(i);
    if (c == ']') return i > begin + 1 ? i + 1 : begin;
    if (!is_ascii_label(c) && !is_dot(c) && c != ':') return begin;
  }
  return begin;
}

/// Where the domain that begins at `begin` ends: at least two labels, or `begin`.
std::size_t Finder::domain_end(std::size_t begin) const {
  std::size_t labels = 0;
  bool ascii = true;  // all labels so far
  std::size_t end = begin;
  std::size_t at = begin;
  while (is_label(code(at))) {
    std::size_t stop = at;
    while (is_ascii_label(code(stop)) || (is_invisible(code(stop)) && is_ascii_label(code(stop + 1)))) ++stop;
    const std::size_t ascii_stop = stop;
    while (is_label(code(stop))) ++stop;
    if (stop > ascii_stop && labels > 0) {
      const bool more = is_dot(code(stop)) && is_label(code(stop + 1));
      if (ascii_stop > at && !more) {  // "example.jpまで": text goes on behind the domain
        ++labels;
        end = ascii_stop;
        break;
      }
      if (ascii_stop == at && ascii && !more && !is_dot(code(at - 1)))
        break;  // "example.jp。次": a sentence ends
    }
    ascii = ascii && stop == ascii_stop;
    ++labels;
    end = stop;
    if (!is_any_dot(code(stop))) break;
    at = stop + 1;
  }
  while (end > begin && (code(end - 1) == '-' || code(end - 1) == '_')) --end;
  return labels >= 2 ? end : begin;
}

std::string Finder::local_part(std::size_t begin, std::size_t at_sign) const {
  std::string local;
  for (std::size_t i = begin; i < at_sign; ++i) {
    if (chars_[i].code == kPercentDot) {
      local += text_.substr(chars_[i].begin, chars_[i].length);
    } else if (!is_invisible(chars_[i].code) && !is_control(chars_[i].code)) {
      append_utf8(local, chars_[i].code);
    }
  }
  return local;
}

std::string Finder::domain(std::size_t begin, std::size_t end) const {
  std::string name;
  for (std::size_t i = begin; i < end; ++i) {
    if (is_any_dot(chars_[i].code)) {
      name.push_back('.');
    } else if (!is_invisible(chars_[i].code)) {
      append_utf8(name, chars_[i].code);
    }
  }
  return name;
}

}  // namespace

std::vector<TextAddress> find_addresses(std::string_view text) {
  if (!may_hold_address(text)) return {};
  return Finder(text).find();
}

}  // namespace kage::message
