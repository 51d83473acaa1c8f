// Charsets: octets with a label as UTF-8, and guessing what octets without one are (contract R5.5).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kage::message {

/// Octets in a charset (IANA name or an alias that mail uses, any case) as UTF-8. ISO-2022-JP is read as
/// CP50221 (NEC and IBM extensions, half-width kana by SI/SO, ESC ( I and 8-bit), Shift_JIS as Windows-31J,
/// EUC-JP as CP51932, ISO-8859-1 as windows-1252, an unknown charset as UTF-8 where valid, else Latin-1.
/// Invalid sequences become U+FFFD.
std::string to_utf8(std::string_view bytes, std::string_view charset);

enum class CharsetFamily : unsigned char {
  utf8,      ///< US-ASCII too
  japanese,  ///< ISO-2022-JP, Shift_JIS, EUC-JP
  other,
};
/// By the names that to_utf8() knows.
CharsetFamily family_of(std::string_view charset);

/// What text without a label probably is.
enum class Guess : unsigned char { ascii, iso_2022_jp, utf8, shift_jis, euc_jp, latin1 };

Guess guess_charset(std::string_view text);

/// Text without a label as UTF-8.
std::string guess_to_utf8(std::string_view text);

/// The two-byte states of raw ISO-2022-JP in a text: octets in them are halves of characters and mean nothing
/// else.
class TwoByteStates {
 public:
  explicit TwoByteStates(std::string_view text) : text_(text) {}
  /// If an escape sequence that begins a two-byte state stands at `at`, the place behind the one that ends
  /// it; `at` when there is none, or when nothing ends it. Linear over all calls whose `at` grows, and the
  /// answer is the same in whatever order they come.
  std::size_t skip(std::size_t at);

 private:
  std::string_view text_;
  std::size_t unended_from_ = std::string_view::npos;  ///< a state that nothing ends begins here
};

/// Whether this octet can begin a two-byte character of Shift_JIS (Windows-31J), and be its second one.
constexpr bool is_shift_jis_lead(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x81 && byte <= 0x9F) || (byte >= 0xE0 && byte <= 0xFC);
}
constexpr bool is_shift_jis_trail(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x40 && byte <= 0xFC && byte != 0x7F;
}

}  // namespace kage::message
