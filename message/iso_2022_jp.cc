// Reading the escape sequences that mail uses.
#include "message/iso_2022_jp.h"

#include <utility>

#include "base/text.h"

namespace kage::message {
namespace {

constexpr char kEscape = '\x1b';

/// The charset that an escape sequence of ISO-2022 selects, for what mail uses.
enum class Set : unsigned char { none, ascii, kana, jis, jis_supplement };

/// Reads the escape sequence at `at`; `size` is its length.
Set escape_at(std::string_view text, std::size_t at, std::size_t& size) {
  const std::string_view rest = text.substr(at, 4);
  size = 3;
  if (rest.starts_with("\x1b(B") || rest.starts_with("\x1b(J") || rest.starts_with("\x1b(H")) {
    return Set::ascii;
  }
  if (rest.starts_with("\x1b(I")) return Set::kana;
  if (rest.starts_with("\x1b$@") || rest.starts_with("\x1b$B")) return Set::jis;
  size = 4;
  if (rest.starts_with("\x1b$(D")) return Set::jis_supplement;
  if (rest.starts_with("\x1b$(@") || rest.starts_with("\x1b$(B") || rest.starts_with("\x1b$(O") ||
      rest.starts_with("\x1b$(P") || rest.starts_with("\x1b$(Q")) {
    return Set::jis;  // JIS X 0213 plane 1 is close enough for looking
  }
  if (rest.starts_with("\x1b&@\x1b")) {  // announces JIS X 0208-1990; the real sequence follows
    size = 3;
    return Set::none;
  }
  size = 1;
  return Set::none;
}

constexpr bool is_jis_byte(char c) {
  return c >= 0x21 && c <= 0x7E;
}
constexpr char high(char c) {
  return static_cast<char>(static_cast<unsigned char>(c) | 0x80U);
}
constexpr bool is_kana_byte(char c) {
  return high(c) >= static_cast<char>(0xA1) && high(c) <= static_cast<char>(0xDF);
}

/// A state ends at the end of a line (RFC 1468).
class JisReader {
 public:
  explicit JisReader(std::string_view text) : text_(text) { out_.reserve(text.size() + 16); }

  std::string read() {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

 private:
  void step() {
    const char c = text_[at_];
    if (c == kEscape) {
      std::size_t size = 0;
      const Set set = escape_at(text_, at_, size);
      if (set != Set::none) set_ = set;
      at_ += size;
    } else if (c == '\x0e' || c == '\x0f') {  // SO, SI: half-width kana of JIS X 0201
      set_ = c == '\x0e' ? Set::kana : Set::ascii;
      ++at_;
    } else if (c == '\r' || c == '\n') {
      set_ = Set::ascii;
      out_.push_back(c);
      ++at_;
    } else if (!is_ascii(c)) {
      high_byte(c);
    } else if (set_ == Set::kana && is_jis_byte(c) && is_kana_byte(c)) {
      out_.push_back('\x8e');
      out_.push_back(high(c));
      ++at_;
    } else if ((set_ == Set::jis || set_ == Set::jis_supplement) && is_jis_byte(c)) {
      pair(c);
    } else {
      out_.push_back(c);
      ++at_;
    }
  }

  void high_byte(char c) {
    if (is_kana_byte(c)) out_.push_back('\x8e');  // 8-bit half-width kana
    out_.push_back(is_kana_byte(c) ? c : '\xff');
    ++at_;
  }

  void pair(char c) {
    if (at_ + 1 >= text_.size() || !is_jis_byte(text_[at_ + 1])) {
      out_.push_back('\xff');  // a half: nothing in EUC-JP, so U+FFFD
      ++at_;
      return;
    }
    if (set_ == Set::jis_supplement) out_.push_back('\x8f');
    out_.push_back(high(c));
    out_.push_back(high(text_[at_ + 1]));
    at_ += 2;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Set set_ = Set::ascii;
  std::string out_;
};

}  // namespace

std::string iso_2022_jp_to_euc(std::string_view text) {
  return JisReader(text).read();
}

std::size_t TwoByteStates::skip(std::size_t at) {
  if (at >= unended_from_) return at;  // nothing ended the state that begins there, so nothing ends one here
  std::size_t size = 0;
  const Set set = escape_at(text_, at, size);
  if (set != Set::jis && set != Set::jis_supplement) return at;
  for (std::size_t next = at + size; (next = text_.find(kEscape, next)) != std::string_view::npos;
       next += size) {
    const Set then = escape_at(text_, next, size);
    if (then == Set::ascii || then == Set::kana) return next + size;
  }
  unended_from_ = at;
  return at;
}

}  // namespace kage::message
