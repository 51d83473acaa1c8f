// Text without a label, as old programs write it into headers: what charset it probably is in, and which of
// its octets mean something (contract R5.5). A guess never hides an address (contract R3.1).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "message/charset.h"
#include "message/iso_2022_jp.h"

namespace kage::message {

enum class Guess : unsigned char { ascii, iso_2022_jp, utf8, shift_jis, euc_jp, latin1 };

Guess guess_charset(std::string_view text);

/// As UTF-8. In Shift_JIS, an '@' that may be half of a character stays an '@', behind U+FFFD, where a host
/// name follows: a reader who takes the text for another charset finds an address there.
std::string guess_to_utf8(std::string_view text, LastResort resort = LastResort::latin1);

/// Octets that are halves of two-byte characters, in ISO-2022-JP or Shift_JIS, and mean nothing else.
class TwoByteOctets {
 public:
  explicit TwoByteOctets(std::string_view text);
  /// The place behind the two-byte state, or the character, that begins at `at`; `at` when none does. Ask
  /// from the text's beginning on, and go on where the answer says.
  std::size_t skip(std::size_t at);

 private:
  std::string_view text_;
  TwoByteStates states_;
  bool shift_jis_;
};

}  // namespace kage::message
