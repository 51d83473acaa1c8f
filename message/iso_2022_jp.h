// ISO-2022-JP with the habits of CP50220 and CP50221 mailers (contract R5.5).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kage::message {

/// ISO-2022-JP as EUC-JP, in which 0xFF stands for what is wrong. ICU knows neither SI/SO nor half-width kana
/// with the high bit set.
std::string iso_2022_jp_to_euc(std::string_view text);

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

}  // namespace kage::message
