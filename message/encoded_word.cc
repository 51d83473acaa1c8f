// Encoded-words: decoding as far as anything can be decoded, writing only what RFC 2047 allows.
#include "message/encoded_word.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "base/text.h"
#include "message/guess.h"
#include "message/lexical.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

/// 60 of base64, with "=?UTF-8?B?" and "?=" below the 75 of RFC 2047.
constexpr std::size_t kMaxOctetsOfWord = 45;
constexpr std::size_t kMaxQuotedPhrase = 500;

struct EncodedWord {
  std::string_view charset;
  char encoding = 'b';
  std::string_view text;
  std::size_t end = 0;  ///< offset behind "?="
};

void decode_q(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto octet = text[i] == '=' ? hex_octet(text.substr(i + 1)) : std::nullopt;
    if (octet) {
      out.push_back(static_cast<char>(*octet));
      i += 2;
    } else {
      out.push_back(text[i] == '_' ? ' ' : text[i]);
    }
  }
}

constexpr std::uint8_t kNoSextet = 0xff;

/// Both alphabets of RFC 4648.
constexpr auto kSextets = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(kNoSextet);
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kDigits.size(); ++i) {
    table[static_cast<unsigned char>(kDigits[i])] = static_cast<std::uint8_t>(i);
  }
  table['-'] = 62;
  table['_'] = 63;
  return table;
}();

/// Takes whole groups of sextets off the front, up to one with anything else in it.
void decode_groups(std::string_view& text, std::string& out) {
  std::size_t at = 0;
  for (; text.size() - at >= 4; at += 4) {
    std::uint32_t bits = 0;
    unsigned all = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const unsigned value = kSextets[static_cast<unsigned char>(text[at + i])];
      all |= value;
      bits = bits << 6U | value;
    }
    if (all >= 64) break;
    const std::array<char, 3> octets = {static_cast<char>(bits >> 16U & 0xFFU),
                                        static_cast<char>(bits >> 8U & 0xFFU),
                                        static_cast<char>(bits & 0xFFU)};
    out.append(octets.data(), octets.size());
  }
  text.remove_prefix(at);
}

/// Reads what can be read: foreign octets are skipped, padding in the middle begins a new run.
void decode_b(std::string_view text, std::string& out) {
  decode_groups(text, out);
  unsigned bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    if (c == '=') {
      count = 0;
      continue;
    }
    const std::uint8_t value = kSextets[static_cast<unsigned char>(c)];
    if (value == kNoSextet) continue;
    bits = (bits << 6U | value) & 0xFFFFFFU;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xFFU));
    }
  }
}

std::string unquoted(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  TwoByteOctets opaque(text);
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const std::size_t end = opaque.skip(i); end > i) {
      out += text.substr(i, end - i);
      i = end - 1;
    } else if (text[i] == '"') {
      inside = !inside;
    } else if (text[i] == '\\' && inside && i + 1 < text.size()) {
      out.push_back(text[++i]);
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool is_white_space(std::string_view text) {
  return std::ranges::all_of(text, is_space);
}

class Decoder {
 public:
  Decoder(std::string_view text, LastResort resort) : text_(text), resort_(resort), states_(text) {}

  std::string decode() {
    out_.reserve(text_.size());  // hardly any text becomes longer
    std::size_t at = 0;
    std::size_t raw = 0;  // begin of what is no encoded-word
    while (true) {
      while (at < text_.size() && text_[at] != '=' && text_[at] != '\x1b') ++at;
      if (at == text_.size()) break;
      if (text_[at] == '\x1b') {
        at = std::max(states_.skip(at), at + 1);
        continue;
      }
      const auto word = word_at(at);
      if (!word) {
        ++at;
        continue;
      }
      add_raw(text_.substr(raw, at - raw), true);
      add_word(*word);
      at = raw = word->end;
    }
    add_raw(text_.substr(raw), false);
    return std::move(out_);
  }

 private:
  std::optional<EncodedWord> word_at(std::size_t at) {
    if (!text_.substr(at).starts_with("=?")) return std::nullopt;
    // Programs decode words whose charset is empty or very long as if it were ASCII. The next "=?" cannot
    // begin before this '?', so that all searches together see each octet once.
    const std::size_t charset_end = text_.find('?', at + 2);
    if (charset_end == std::string_view::npos) return std::nullopt;
    if (charset_end + 2 >= text_.size() || text_[charset_end + 2] != '?') return std::nullopt;
    EncodedWord word;
    word.charset = text_.substr(at + 2, charset_end - at - 2);
    word.encoding = to_lower(text_[charset_end + 1]);
    if (word.encoding != 'b' && word.encoding != 'q') return std::nullopt;
    const std::size_t begin = charset_end + 3;
    // Kept: a search for each "=?" would be quadratic.
    if (next_end_ < begin) next_end_ = text_.find("?=", begin);
    // RFC 2047 says 75 octets; mailers write whole subjects, and what is too long for the rule is decoded
    // too.
    if (next_end_ != std::string_view::npos) {
      word.text = text_.substr(begin, next_end_ - begin);
      word.end = next_end_ + 2;
      if (word.text.find("=?") == std::string_view::npos) return word;
    }
    // No end of its own: lenient readers decode up to the next white space all the same, and see what is
    // there; others see the word that begins before it.
    // Cut at that first: the search for white space then sees each octet once.
    std::string_view rest = text_.substr(begin);
    rest = rest.substr(0, rest.find("=?"));
    word.text = rest.substr(0, rest.find_first_of(" \t\r\n<>,;()\""));
    word.end = begin + word.text.size();
    return word;
  }

  void add_raw(std::string_view raw, bool before_word) {
    // RFC 2047 §6.2: white space between two encoded-words is not text.
    if (before_word && after_word_ && is_white_space(raw)) return;
    end_utf8();
    if (all_ascii(raw) && raw.find('\x1b') == std::string_view::npos) {
      out_ += raw;
    } else {
      out_ += guess_to_utf8(raw, resort_);
    }
    utf8_ = out_.size();
    after_word_ = false;
  }

  void add_word(const EncodedWord& word) {
    const auto decode = word.encoding == 'q' ? decode_q : decode_b;
    const std::string_view charset = word.charset.substr(0, word.charset.find('*'));
    // Many mailers cut UTF-8 inside a character; joining is safe there, since UTF-8 has no states.
    if (equals_nocase(charset, "utf-8")) {
      decode(word.text, out_);
    } else {
      end_utf8();
      std::string bytes;
      decode(word.text, bytes);
      out_ += to_utf8(bytes, charset, resort_);
      utf8_ = out_.size();
    }
    after_word_ = true;
  }

  /// Looks at the octets of UTF-8 encoded-words that stood beside each other.
  void end_utf8() {
    const std::string_view octets = std::string_view(out_).substr(utf8_);
    if (!is_valid_utf8(octets)) out_.replace(utf8_, octets.size(), repair_utf8(octets));
  }

  std::string_view text_;
  LastResort resort_;
  std::string out_;
  std::size_t utf8_ = 0;  ///< from here on it is what UTF-8 encoded-words hold
  std::size_t next_end_ = 0;
  bool after_word_ = false;
  TwoByteStates states_;
};

bool is_plain(std::string_view text) {
  return text.find("=?") == std::string_view::npos &&
         std::ranges::all_of(text, [](char c) { return (c >= 32 && c < 127) || c == '\t'; });
}

std::string encode_all(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t cut = utf8_floor(text, kMaxOctetsOfWord);
    if (!out.empty()) out.push_back(' ');
    out += "=?UTF-8?B?";
    out += base64(text.substr(0, cut));
    out += "?=";
    text.remove_prefix(cut);
  }
  return out;
}

bool is_atoms(std::string_view text) {
  return is_atext(text.front()) && is_atext(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_atext(c) || c == ' '; }) &&
         text.find("  ") == std::string_view::npos;
}

}  // namespace

std::string decode_words(std::string_view text, bool unquote, LastResort resort) {
  if (!unquote) return Decoder(text, resort).decode();
  const std::string bare = unquoted(text);
  return Decoder(bare, resort).decode();
}

std::string encode_words(std::string_view utf8) {
  const std::string text = one_line(repair_utf8(utf8));
  return is_plain(text) ? text : encode_all(text);
}

std::string encode_phrase(std::string_view utf8) {
  std::string text = one_line(repair_utf8(utf8));
  if (text.empty()) return text;
  if (!is_plain(text) || text.size() > kMaxQuotedPhrase) return encode_all(text);
  if (is_atoms(text)) return text;
  std::string out;
  append_quoted(out, text);
  return out;
}

}  // namespace kage::message
