// Text scanning: decoding, and a second look where it could have hidden something.
#include "mapping/rewrite/scan.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/text.h"
#include "mapping/rewrite/hits.h"
#include "message/charset.h"
#include "message/encoded_word.h"
#include "message/guess.h"
#include "message/header.h"
#include "message/utf8.h"

namespace kage::mapping {
namespace {

constexpr char kEscape = '\x1b';
constexpr std::string_view kDoubtfulSign = "\uFFFD@";

/// Cheap and never wrong when it says no: without one of these octets nothing decodes to an '@'.
bool may_hold_address(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c == '@' || c == kEscape || !is_ascii(c); }) ||
         text.find("=?") != std::string_view::npos || text.find("%40") != std::string_view::npos ||
         text.find("=40") != std::string_view::npos || may_refer_to_sign(text);
}

/// The size of the '@' in any width (U+FF20, U+FE6B) at the front, else 0.
std::size_t sign_size(std::string_view text) {
  if (text.starts_with('@')) return 1;
  return text.starts_with("\uFF20") || text.starts_with("\uFE6B") ? 3 : 0;
}

/// How many '@' in any width, but for halves of two-byte characters.
std::size_t count_signs(std::string_view text) {
  message::TwoByteOctets opaque(text);
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const std::size_t end = opaque.skip(at); end > at) {
      at = end - 1;
    } else if (sign_size(text.substr(at)) > 0) {
      ++count;
    }
  }
  return count;
}

/// With something else in the place of each '@', which two-byte characters may have as a half too.
std::string without_signs(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = sign_size(text.substr(at));
    const bool escape = out.ends_with("\x1b$") || out.ends_with("\x1b$(") || out.ends_with("\x1b&");
    if (size == 0 || escape) {
      out.push_back(text[at++]);
    } else {
      out += size == 1 ? "~" : "\uFF5E";
      at += size;
    }
  }
  return out;
}

}  // namespace

bool loses_sign(std::string_view written, std::string_view decoded, bool phrase) {
  const std::size_t signs = count_signs(written);
  if (signs == 0) return false;
  // Those that encoded-words hold are no substitute for one that is lost.
  const std::size_t held = count_signs(message::decode_words(without_signs(written), phrase));
  return count_signs(decoded) < signs + held;
}

bool may_refer_to_sign(std::string_view text) {
  return text.find("&#") != std::string_view::npos || text.find("&commat") != std::string_view::npos;
}

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
  const auto place = numbers_.find(canonical);
  return place == numbers_.end() ? kNoAddress : place->second;
}

bool names_host(std::string_view text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = begin;
    while (end < text.size() && (is_alnum(text[end]) || text[end] == '-' || text[end] == '.')) ++end;
    std::string_view word = text.substr(begin, end - begin);
    while (word.ends_with('.')) word.remove_suffix(1);
    const std::size_t dot = word.rfind('.');
    const bool top = dot != std::string_view::npos && dot > 0 && word.size() - dot > 2 &&
                     std::ranges::all_of(word.substr(dot + 1), is_alpha);
    if (top) return true;
    begin = end + 1;
  }
  return false;
}

bool parameter_names_host(std::string_view name, std::string_view value) {
  // File names and types have dots of their own; a boundary stays whatever it holds.
  constexpr auto kOthers =
      std::to_array<std::string_view>({"name", "filename", "boundary", "charset", "type", "start",
                                       "start-info", "protocol", "micalg", "report-type", "method"});
  const std::string_view base = name.substr(0, name.find('*'));
  const bool other =
      std::ranges::any_of(kOthers, [base](std::string_view each) { return equals_nocase(base, each); });
  return !other && names_host(value);
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

std::string subject_to_judge(std::string_view body) {
  return message::decode_words(flat(body), false, message::LastResort::replacement);
}

Care care_of(std::string_view body) {
  for (std::size_t at = body.find('@'); at != std::string_view::npos; at = body.find('@', at + 1)) {
    std::size_t before = at;
    while (before > 0 && is_wsp(body[before - 1])) --before;
    std::size_t behind = at + 1;
    while (behind < body.size() && is_wsp(body[behind])) ++behind;
    const bool fold_before = before > 0 && body[before - 1] == '\n';
    const bool fold_behind = behind < body.size() && (body[behind] == '\r' || body[behind] == '\n');
    if (fold_before || fold_behind || has_folded_dot(body, at)) return Care::folded;
  }
  return Care::text;
}

ScannedText scan_decoded(std::string utf8, Care care, AddressIndex& index) {
  std::vector<Hit> hits = find_hits(utf8, care, index);
  ScannedText result;
  if (hits.empty()) return result;
  for (Hit& hit : hits) {
    if (!result.spans.empty()) {
      ScannedText::Span& last = result.spans.back();
      if (hit.begin < last.offset + last.length) {
        last.length = std::max(last.offset + last.length, hit.end) - last.offset;
        last.found = index.add(unreadable_address());
        continue;
      }
    }
    result.spans.push_back({hit.begin, hit.end - hit.begin, index.add(std::move(hit.address))});
  }
  result.decoded = std::move(utf8);
  return result;
}

ScannedText scan_text(std::string_view written, bool phrase, Care care, AddressIndex& index) {
  if (!may_hold_address(written)) return {};
  std::string decoded = message::decode_words(written, phrase);
  // What only looks like an encoded-word is read as it stands by a reader that does not decode it.
  const bool swallowed = loses_sign(written, decoded, phrase);
  // An '@' of which it is not clear whether it is half of a character (guess.h) may be one beside a fold.
  if (decoded.find(kDoubtfulSign) != std::string::npos) care = Care::strict;
  ScannedText result = scan_decoded(std::move(decoded), care, index);
  if (result.harmless() && swallowed) {
    return scan_decoded(std::string(written), Care::strict, index);
  }
  const bool unclear =
      !all_ascii(written) && written.find('@') != std::string_view::npos && !message::is_valid_utf8(written);
  if (!result.harmless() || !unclear) return result;
  // guess_to_utf8() hides no address in Shift_JIS.
  if (message::guess_charset(written) == message::Guess::shift_jis) return result;
  // Other octets of no known charset: escape sequences can swallow an '@'.
  return scan_decoded(message::to_utf8(written, "iso-8859-1"), Care::text, index);
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
