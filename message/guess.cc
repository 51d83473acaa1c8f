// Guessing by form: escape sequences, then which encodings the octets are well-formed in.
#include "message/guess.h"

#include <algorithm>

#include "base/text.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

/// Whether this octet can begin a two-byte character of Shift_JIS (Windows-31J), and be its second one.
constexpr bool is_lead(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x81 && byte <= 0x9F) || (byte >= 0xE0 && byte <= 0xFC);
}
constexpr bool is_trail(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x40 && byte <= 0xFC && byte != 0x7F;
}

bool is_shift_jis(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80 || (byte >= 0xA1 && byte <= 0xDF)) continue;
    if (!is_lead(text[at]) || ++at >= text.size() || !is_trail(text[at])) return false;
  }
  return true;
}

bool is_euc_jp(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) continue;
    const std::size_t more = byte == 0x8F ? 2 : 1;
    if (byte != 0x8E && byte != 0x8F && (byte < 0xA1 || byte == 0xFF)) return false;
    for (std::size_t i = 0; i < more; ++i) {
      if (++at >= text.size() || static_cast<unsigned char>(text[at]) < 0xA1 ||
          static_cast<unsigned char>(text[at]) == 0xFF) {
        return false;
      }
    }
  }
  return true;
}

/// EUC-JP text is often well-formed Shift_JIS too, as a row of half-width kana, which hardly anybody writes.
bool is_mostly_kana(std::string_view text) {
  std::size_t kana = 0;
  std::size_t pairs = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0xA1 && byte <= 0xDF) {
      ++kana;
    } else if (is_lead(text[at])) {
      ++pairs;
      ++at;
    }
  }
  return kana > pairs;
}

/// An escape sequence that begins a state and one that ends it. Without an end the octets are looked at as
/// they are, so that an address cannot hide behind a stray escape.
bool has_jis_state(std::string_view text) {
  const std::size_t begin = std::min(text.find("\x1b$"), text.find("\x1b(I"));
  return begin != std::string_view::npos && text.find("\x1b(", begin + 1) != std::string_view::npos;
}

bool is_literal(std::string_view text) {
  constexpr std::size_t kMaxLiteral = 255;
  std::string_view inside = text.substr(1, kMaxLiteral);
  inside = inside.substr(0, inside.find(']') + 1);
  return inside.ends_with(']') && inside.find_first_of(".:") != std::string_view::npos &&
         std::ranges::all_of(inside.substr(0, inside.size() - 1),
                             [](char c) { return is_alnum(c) || c == '.' || c == ':' || c == '-'; });
}

/// Several labels, a later one of letters, or an IPv4 address.
bool is_host(std::string_view name) {
  const auto is_letter = [&](std::size_t at) { return is_alpha(name[at]) || !is_ascii(name[at]); };
  for (std::size_t dot = 1; dot + 2 < name.size(); ++dot) {
    if (name[dot] == '.' && is_letter(dot + 1) && is_letter(dot + 2)) return true;
  }
  return std::ranges::count(name, '.') >= 3;
}

/// Whether a text begins with a host name in ASCII, Latin-1 or UTF-8, with an address literal, or with an
/// encoded-word, which may hold one; behind white space that may be a fold. Never looks beyond the next '@'.
bool begins_with_host(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  if (text.starts_with("=?")) return true;
  if (text.starts_with('[')) return is_literal(text);
  const auto is_high = [](char c) { return static_cast<unsigned char>(c) >= 0xC0; };
  std::size_t end = 0;
  while (end < text.size()) {
    const char c = text[end];
    if (is_alnum(c) || c == '-' || c == '_' || c == '.') {
      ++end;
    } else if (is_high(c)) {
      (void)next_code_point(text, end);
    } else {
      break;
    }
  }
  return is_host(text.substr(0, end));
}

/// Whether the character of Shift_JIS at `at` could be the last octet of a local part and an '@'.
bool may_be_sign(std::string_view text, std::size_t at) {
  return text.substr(at + 1).starts_with('@') && begins_with_host(text.substr(at + 2));
}

std::string from_shift_jis(std::string_view text) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!is_lead(text[at])) continue;
    if (may_be_sign(text, at)) {
      out += to_utf8(text.substr(done, at - done), "shift_jis");
      out.append(kReplacement).push_back('@');
      done = at + 2;
    }
    ++at;
  }
  return out + to_utf8(text.substr(done), "shift_jis");
}

}  // namespace

Guess guess_charset(std::string_view text) {
  if (all_ascii(text)) return has_jis_state(text) ? Guess::iso_2022_jp : Guess::ascii;
  if (is_valid_utf8(text)) return Guess::utf8;
  if (has_jis_state(text)) return Guess::iso_2022_jp;
  const bool euc = is_euc_jp(text);
  if (is_shift_jis(text) && !(euc && is_mostly_kana(text))) return Guess::shift_jis;
  return euc ? Guess::euc_jp : Guess::latin1;
}

std::string guess_to_utf8(std::string_view text, LastResort resort) {
  switch (guess_charset(text)) {
    case Guess::ascii:
    case Guess::utf8:
      return std::string(text);
    case Guess::iso_2022_jp:
      return to_utf8(text, "iso-2022-jp");
    case Guess::shift_jis:
      return from_shift_jis(text);
    case Guess::euc_jp:
      return to_utf8(text, "euc-jp");
    case Guess::latin1:
      break;
  }
  return from_nothing_known(text, resort);
}

TwoByteOctets::TwoByteOctets(std::string_view text)
    : text_(text), states_(text), shift_jis_(guess_charset(text) == Guess::shift_jis) {}

std::size_t TwoByteOctets::skip(std::size_t at) {
  if (!shift_jis_) return text_[at] == '\x1b' ? states_.skip(at) : at;
  return is_lead(text_[at]) && !may_be_sign(text_, at) ? at + 2 : at;
}

}  // namespace kage::message
