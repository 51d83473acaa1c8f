// Text scanning: decoding, a second look through percent-encoding and its like, and the widening of what
// find_addresses() found, so that no half of an address stays behind.
#include "mapping/rewrite_scan.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"
#include "message/encoded_word.h"
#include "message/header.h"

namespace kage::mapping {
namespace {

constexpr char kEscape = '\x1b';

/// Cheap and never wrong when it says no: without one of these octets nothing decodes to an '@'.
bool may_hold_address(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c == '@' || c == kEscape || !is_ascii(c); }) ||
         text.find("=?") != std::string_view::npos || text.find("%40") != std::string_view::npos ||
         text.find("=40") != std::string_view::npos || text.find("&#") != std::string_view::npos;
}

std::optional<unsigned> hex_pair(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  unsigned value = 0;
  for (const char c : text.substr(0, 2)) {
    const char l = to_lower(c);
    if (!is_digit(c) && (l < 'a' || l > 'f')) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(is_digit(c) ? c - '0' : l - 'a' + 10);
  }
  return value;
}

/// Text with percent-encoding ("%40"), leftovers of quoted-printable ("=40") and character references
/// ("&#64;") of printable ASCII decoded, and for each octet where it came from.
struct Unescaped {
  std::string text;
  std::vector<std::size_t> origin;  ///< one more than octets: the last is the end

  explicit Unescaped(std::string_view source) {
    text.reserve(source.size());
    origin.reserve(source.size() + 1);
    for (std::size_t at = 0; at < source.size();) {
      const auto [c, length] = next(source.substr(at));
      text.push_back(c);
      origin.push_back(at);
      at += length;
    }
    origin.push_back(source.size());
  }

  static bool needed(std::string_view source) {
    return source.find("%40") != std::string_view::npos || source.find("=40") != std::string_view::npos ||
           source.find("&#") != std::string_view::npos;
  }

 private:
  static std::pair<char, std::size_t> next(std::string_view source) {
    if (source[0] == '%' || source[0] == '=') {
      const auto value = hex_pair(source.substr(1));
      if (value && *value > 0x20 && *value < 0x7f) return {static_cast<char>(*value), 3};
    }
    if (source[0] == '&') {
      for (const std::string_view form : {"&#64;", "&#x40;", "&#X40;"}) {
        if (source.starts_with(form)) return {'@', form.size()};
      }
    }
    return {source[0], 1};
  }
};

struct Hit {
  std::size_t begin;
  std::size_t end;
  message::Address address;
};

bool ends_word(char c) {
  return is_wsp(c) || c == ',' || c == ';' || c == '<' || c == '>' || c == '(' || c == ')' || c == '"' ||
         c == '[' || c == ']' || static_cast<unsigned char>(c) < 0x20;
}

std::size_t word_begin(std::string_view text, std::size_t at) {
  while (at > 0 && !ends_word(text[at - 1])) --at;
  return at;
}

std::size_t word_end(std::string_view text, std::size_t at) {
  while (at < text.size() && !ends_word(text[at])) ++at;
  return at;
}

/// Stands for what reads as an address and is none: nobody's, so it never stays as it is.
message::Address unreadable() {
  return {.local = "unreadable", .domain = "invalid", .spelling = "unreadable@invalid"};
}

/// "a@b.example@c.example" is found as one address and a rest; the rest belongs to it.
void widen(std::string_view text, std::vector<Hit>& hits) {
  for (Hit& hit : hits) {
    const bool before = hit.begin > 0 && text[hit.begin - 1] == '@';
    const bool behind = hit.end < text.size() && text[hit.end] == '@';
    if (before) hit.begin = word_begin(text, hit.begin - 1);
    if (behind) hit.end = word_end(text, hit.end);
    if (before || behind) hit.address = unreadable();
  }
}

bool covered(const std::vector<Hit>& hits, std::size_t& hint, std::size_t at) {
  while (hint < hits.size() && hits[hint].end <= at) ++hint;
  return hint < hits.size() && hits[hint].begin <= at;
}

/// Words with an '@' inside that find_addresses() took for no address: they count when `strict`, or when an
/// address field of this message has that very address ("root@mailhost").
std::vector<Hit> odd_words(std::string_view text, const std::vector<Hit>& hits, bool strict,
                           const AddressIndex& index) {
  std::vector<Hit> odd;
  std::size_t hint = 0;
  for (std::size_t at = text.find('@'); at != std::string_view::npos; at = text.find('@', at + 1)) {
    if (covered(hits, hint, at)) continue;
    const std::size_t begin = word_begin(text, at);
    const std::size_t end = word_end(text, at);
    if (begin == at || end == at + 1) continue;
    auto address = message::parse_address(text.substr(begin, end - begin));
    const bool known = address && index.find(address->canonical()) != kNoAddress;
    if (known || strict) {
      odd.push_back({begin, end, address ? std::move(*address) : unreadable()});
    }
    at = end - 1;
  }
  return odd;
}

std::vector<Hit> find_hits(std::string_view text, bool strict, const AddressIndex& index) {
  std::vector<Hit> hits;
  for (message::TextAddress& hit : message::find_addresses(text)) {
    hits.push_back({hit.offset, hit.offset + hit.length, std::move(hit.address)});
  }
  const auto by_begin = [](const Hit& a, const Hit& b) { return a.begin < b.begin; };
  std::ranges::sort(hits, by_begin);
  widen(text, hits);
  std::vector<Hit> odd = odd_words(text, hits, strict, index);
  std::ranges::move(odd, std::back_inserter(hits));
  std::ranges::sort(hits, by_begin);
  return hits;
}

/// In the middle of an escape there is no text: a place moves to the edge of what it came from.
void map_back(const Unescaped& unescaped, std::vector<Hit>& hits) {
  for (Hit& hit : hits) {
    hit.begin = unescaped.origin[hit.begin];
    hit.end = unescaped.origin[hit.end];
  }
}

bool is_utf8(std::string_view text) {
  return message::to_utf8(text, "utf-8").find("\xEF\xBF\xBD") == std::string::npos;
}

}  // namespace

std::size_t AddressIndex::add(message::Address address) {
  std::string canonical = address.canonical();
  const auto [place, fresh] = numbers_.try_emplace(std::move(canonical), found_.size());
  if (fresh) {
    if (full()) {  // bounded here, refused by the caller
      numbers_.erase(place);
      return kMax;
    }
    found_.push_back({std::move(address), place->first});
  }
  return place->second;
}

std::size_t AddressIndex::find(std::string_view canonical) const {
  const auto place = numbers_.find(std::string(canonical));
  return place == numbers_.end() ? kNoAddress : place->second;
}

std::string flat(std::string_view body) {
  if (body.find(kEscape) == std::string_view::npos) return message::unfold(body);
  std::string closed;
  closed.reserve(body.size() + 16);
  bool two_byte = false;
  for (std::size_t at = 0; at < body.size(); ++at) {
    if (body[at] == kEscape && at + 1 < body.size()) two_byte = body[at + 1] == '$';
    if (body[at] == '\n' && two_byte) {
      closed += "\x1b(B";
      two_byte = false;
    }
    closed.push_back(body[at]);
  }
  return message::unfold(closed);
}

ScannedText scan_decoded(std::string utf8, bool strict, AddressIndex& index) {
  std::vector<Hit> hits;
  if (Unescaped::needed(utf8)) {
    const Unescaped unescaped(utf8);
    hits = find_hits(unescaped.text, strict, index);
    map_back(unescaped, hits);
  } else {
    hits = find_hits(utf8, strict, index);
  }
  ScannedText result;
  if (hits.empty()) return result;
  for (Hit& hit : hits) {
    if (!result.spans.empty()) {
      ScannedText::Span& last = result.spans.back();
      if (hit.begin < last.offset + last.length) {
        last.length = std::max(last.offset + last.length, hit.end) - last.offset;
        last.found = index.add(unreadable());
        continue;
      }
    }
    result.spans.push_back({hit.begin, hit.end - hit.begin, index.add(std::move(hit.address))});
  }
  result.decoded = std::move(utf8);
  return result;
}

ScannedText scan_text(std::string_view written, bool phrase, bool strict, AddressIndex& index) {
  if (!may_hold_address(written)) return {};
  ScannedText result = scan_decoded(message::decode_words(written, phrase), strict, index);
  const bool unclear =
      !all_ascii(written) && written.find('@') != std::string_view::npos && !is_utf8(written);
  if (!result.harmless() || !unclear) return result;
  // Octets of no known charset: a guess can swallow an '@' as the second half of a character.
  return scan_decoded(message::to_utf8(written, "iso-8859-1"), false, index);
}

bool all_stay(const ScannedText& text, const StandIns& stand_ins) {
  return std::ranges::all_of(text.spans, [&](const ScannedText::Span& span) {
    return stand_ins[span.found].action == StandIn::Action::keep;
  });
}

std::string replaced(const ScannedText& text, const StandIns& stand_ins) {
  std::string out;
  std::size_t at = 0;
  for (const ScannedText::Span& span : text.spans) {
    out.append(text.decoded, at, span.offset - at);
    const StandIn& stand_in = stand_ins[span.found];
    if (stand_in.action == StandIn::Action::keep) out.append(text.decoded, span.offset, span.length);
    if (stand_in.action == StandIn::Action::replace) out += stand_in.text;
    at = span.offset + span.length;
  }
  out.append(text.decoded, at);
  return out;
}

}  // namespace kage::mapping
