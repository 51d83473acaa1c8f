// Charsets inside this folder: guessing what raw octets are. to_utf8 itself is declared in encoded_word.h.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kage::message {

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
  /// it; `at` when there is none, or when nothing ends it. Linear over all calls with growing `at`.
  std::size_t skip(std::size_t at);

 private:
  std::string_view text_;
  bool unended_ = false;
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
