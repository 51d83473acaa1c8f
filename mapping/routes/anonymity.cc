// Reading the marker before a subject, in any width.
#include "mapping/routes/anonymity.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "message/address_text.h"

namespace kage::mapping {
namespace {

/// White space that phones and word processors put in; what nobody sees counts as well.
constexpr auto kSpaces = std::to_array<std::string_view>(
    {" ", "\t", "\r", "\n", "\u3000", "\u00a0", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005",
     "\u2006", "\u2007", "\u2008", "\u2009", "\u200a", "\u200b", "\u202f", "\ufeff",
     // Joiners, directions, soft hyphen.
     "\u200c", "\u200d", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2060",
     "\u2066", "\u2067", "\u2068", "\u2069", "\u00ad"});

/// Length of the white space at the front.
std::size_t white_space(std::string_view text) {
  std::size_t at = 0;
  for (;;) {
    const auto space = std::ranges::find_if(
        kSpaces, [rest = text.substr(at)](std::string_view each) { return rest.starts_with(each); });
    if (space == kSpaces.end()) return at;
    at += space->size();
  }
}

/// The last two octets of a full-width Latin letter (U+FF21 to U+FF3A, U+FF41 to U+FF5A).
std::string full_width(char letter, unsigned lead, unsigned first) {
  return {static_cast<char>(lead), static_cast<char>(first + static_cast<unsigned>(letter - 'a'))};
}

/// Octets of `word` (lower case, or of no case) at the front, Latin letters in any width and case; 0 when it
/// is not there.
std::size_t word_at(std::string_view text, std::string_view word) {
  std::size_t at = 0;
  for (const char wanted : word) {
    const std::string_view rest = text.substr(at);
    if (!rest.empty() && to_lower(rest[0]) == wanted) {
      at += 1;
    } else if (wanted >= 'a' && wanted <= 'z' && rest.size() >= 3 && rest[0] == '\xEF' &&
               (rest.substr(1, 2) == full_width(wanted, 0xBC, 0xA1) ||
                rest.substr(1, 2) == full_width(wanted, 0xBD, 0x81))) {
      at += 3;
    } else {
      return 0;
    }
  }
  return at;
}

struct Digit {
  char value;
  std::size_t size;
};

/// The digit at the front, half-width or full-width (U+FF10 to U+FF19).
std::optional<Digit> digit(std::string_view text) {
  if (!text.empty() && is_digit(text[0])) return Digit{text[0], 1};
  if (text.size() < 3 || !text.starts_with("\xEF\xBC")) return std::nullopt;
  const auto last = static_cast<unsigned char>(text[2]);
  if (last < 0x90 || last > 0x99) return std::nullopt;
  return Digit{static_cast<char>('0' + (last - 0x90)), 3};
}

/// Octets of `number` at the front, in any widths; 0 when it is not there.
std::size_t number_at(std::string_view text, std::string_view number) {
  std::size_t at = 0;
  for (const char wanted : number) {
    const auto found = digit(text.substr(at));
    if (!found || found->value != wanted) return 0;
    at += found->size;
  }
  return at;
}

constexpr auto kReplies =
    std::to_array<std::string_view>({"re", "fwd", "fw", "aw", "antwort", "wg", "sv", "vs", "返信", "転送"});

/// Octets of "Re:", "Re[2]:", "返信：" and their kin at the front, with the white space behind; 0 when there
/// is none.
std::size_t reply_prefix(std::string_view text) {
  for (const std::string_view word : kReplies) {
    std::size_t at = word_at(text, word);
    if (at == 0) continue;
    if (text.substr(at).starts_with('[') || text.substr(at).starts_with('(') ||
        text.substr(at).starts_with('^')) {
      const std::size_t begin = ++at;
      while (at < text.size() && is_digit(text[at])) ++at;
      if (at == begin) continue;
      if (text.substr(at).starts_with(']') || text.substr(at).starts_with(')')) ++at;
    }
    at += white_space(text.substr(at));
    if (text.substr(at).starts_with(':')) {
      at += 1;
    } else if (text.substr(at).starts_with("：")) {
      at += 3;
    } else {
      continue;
    }
    return at + white_space(text.substr(at));
  }
  return 0;
}

struct Marker {
  bool found = false;
  std::size_t begin = 0;
  std::size_t size = 0;  ///< 0: a longer number or an address, of which nothing is taken away
};

/// Whether what stands at `at` is a part of an address: "184taro@corp.example".
bool is_in_address(std::string_view subject, std::size_t at) {
  return std::ranges::any_of(message::find_addresses(subject), [at](const message::TextAddress& address) {
    return address.offset <= at && at < address.offset + address.length;
  });
}

/// The marker at `at`.
Marker marker_at(std::string_view subject, std::size_t at, std::string_view number) {
  const std::size_t size = number_at(subject.substr(at), number);
  if (size == 0) return {};
  if (digit(subject.substr(at + size)) || is_in_address(subject, at)) return {.found = true};
  const std::size_t behind = white_space(subject.substr(at + size));
  // White space at the very front goes with it.
  const std::size_t begin = at == white_space(subject) ? 0 : at;
  return {true, begin, at + size + behind - begin};
}

/// The place behind white space, "Re:" and its kin.
std::size_t behind_replies(std::string_view subject) {
  std::size_t at = white_space(subject);
  while (const std::size_t prefix = reply_prefix(subject.substr(at))) at += prefix;
  return at;
}

/// Whether what stands there could not be decoded: it may be a marker.
bool is_unreadable(std::string_view text) {
  return text.starts_with("=?") || text.starts_with("\uFFFD") || text.starts_with('\x1b');
}

struct Verdict {
  AnonymityRule rule;
  Marker marker = {};
};

/// `prefix`: in doubt the author stays hidden.
Verdict judge_prefix(std::string_view subject) {
  const std::size_t at = behind_replies(subject);
  const Marker marker = marker_at(subject, at, "184");
  if (marker.found) return {AnonymityRule::asked_184, marker};
  return {is_unreadable(subject.substr(at)) ? AnonymityRule::unreadable : AnonymityRule::plain};
}

Verdict judge(const AddressSpec& address, std::string_view subject) {
  if (address.anonymize == AnonymizePolicy::never) return {AnonymityRule::never};
  if (address.anonymize == AnonymizePolicy::prefix) return judge_prefix(subject);
  if (!address.allow_186) return {AnonymityRule::always};
  const Marker marker = marker_at(subject, white_space(subject), "186");
  if (marker.size == 0) return {AnonymityRule::always};
  return {AnonymityRule::lifted_186, marker};
}

}  // namespace

Anonymity judge_anonymity(const AddressSpec& address, std::string_view subject) {
  const Verdict verdict = judge(address, subject);
  Anonymity result;
  result.rule = verdict.rule;
  result.shows_author = shows_author(verdict.rule);
  if (!address.keep_marker) {
    result.marker_begin = verdict.marker.begin;
    result.marker_size = verdict.marker.size;
  }
  return result;
}

bool shows_author(AnonymityRule rule) {
  return rule == AnonymityRule::never || rule == AnonymityRule::plain || rule == AnonymityRule::lifted_186;
}

std::string_view name_of(AnonymityRule rule) {
  constexpr std::array<std::string_view, 6> kNames = {"always", "never", "184",
                                                      "no 184", "186",   "unreadable"};
  return kNames[static_cast<std::size_t>(rule)];
}

bool may_show_authors(const AddressSpec& address) {
  return address.anonymize != AnonymizePolicy::always || address.allow_186;
}

std::string without_marker(const Anonymity& anonymity, std::string_view subject) {
  std::string out(subject);
  if (anonymity.marker_begin <= out.size()) out.erase(anonymity.marker_begin, anonymity.marker_size);
  return out;
}

std::string shown_author_name(std::string_view decoded_name, std::string_view address) {
  const std::string_view name = trim(decoded_name);
  if (name.empty()) return std::string(address);
  return std::string(name) + " (" + std::string(address) + ")";
}

}  // namespace kage::mapping
