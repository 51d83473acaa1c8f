// Reading the marker before a subject, in any width.
#include "mapping/anonymity.h"

#include <array>
#include <optional>

#include "base/text.h"

namespace kage::mapping {
namespace {

/// Length of the white space at the front, the ideographic space (U+3000) and the no-break space included.
std::size_t white_space(std::string_view text) {
  std::size_t at = 0;
  for (;;) {
    const std::string_view rest = text.substr(at);
    if (!rest.empty() && (is_wsp(rest[0]) || rest[0] == '\r' || rest[0] == '\n')) {
      at += 1;
    } else if (rest.starts_with("\u3000")) {
      at += 3;
    } else if (rest.starts_with("\u00a0")) {
      at += 2;
    } else {
      return at;
    }
  }
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

/// Octets of `number` at the front, in any widths; 0 when it is not there or a digit follows it.
std::size_t number_at(std::string_view text, std::string_view number) {
  std::size_t at = 0;
  for (const char wanted : number) {
    const auto found = digit(text.substr(at));
    if (!found || found->value != wanted) return 0;
    at += found->size;
  }
  return digit(text.substr(at)) ? 0 : at;
}

constexpr std::array<std::string_view, 8> kReplies = {"re", "fw", "fwd", "aw", "sv", "返信", "転送", "ＲＥ"};

/// Octets of "Re:", "Re[2]:", "返信：" and their kin at the front, with the white space behind; 0 when there
/// is none.
std::size_t reply_prefix(std::string_view text) {
  for (const std::string_view word : kReplies) {
    if (!starts_with_nocase(text, word)) continue;
    std::size_t at = word.size();
    if (text.substr(at).starts_with('[') || text.substr(at).starts_with('^')) {
      const std::size_t begin = ++at;
      while (at < text.size() && is_digit(text[at])) ++at;
      if (at == begin) continue;
      if (text.substr(at).starts_with(']')) ++at;
    }
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
  std::size_t begin = 0;
  std::size_t size = 0;
};

Marker find_marker(std::string_view subject, std::string_view number, bool behind_replies) {
  std::size_t at = white_space(subject);
  for (;;) {
    if (const std::size_t size = number_at(subject.substr(at), number)) {
      const std::size_t behind = white_space(subject.substr(at + size));
      // White space at the very front goes with it.
      const std::size_t begin = at == white_space(subject) ? 0 : at;
      return {begin, at + size + behind - begin};
    }
    const std::size_t prefix = behind_replies ? reply_prefix(subject.substr(at)) : 0;
    if (prefix == 0) return {};
    at += prefix;
  }
}

}  // namespace

Anonymity judge_anonymity(const AddressSpec& address, std::string_view subject) {
  Anonymity result;
  Marker marker;
  if (address.anonymize == AnonymizePolicy::never) {
    result.rule = AnonymityRule::never;
    result.shows_author = true;
  } else if (address.anonymize == AnonymizePolicy::prefix) {
    marker = find_marker(subject, "184", true);
    result.rule = marker.size > 0 ? AnonymityRule::asked_184 : AnonymityRule::plain;
    result.shows_author = marker.size == 0;
  } else if (address.allow_186) {
    marker = find_marker(subject, "186", false);
    if (marker.size > 0) {
      result.rule = AnonymityRule::lifted_186;
      result.shows_author = true;
    }
  }
  if (!address.keep_marker) {
    result.marker_begin = marker.begin;
    result.marker_size = marker.size;
  }
  return result;
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
