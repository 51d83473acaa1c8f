// Charsets: octets with a label as UTF-8 (contract R5.5). For octets without one see guess.h.
#pragma once

#include <string>
#include <string_view>

namespace kage::message {

/// What octets above 0x7F become of which not even a guess says what they are.
enum class LastResort : unsigned char {
  latin1,       ///< for showing: most probably Western
  replacement,  ///< for judging: U+FFFD each, so that nobody takes them for something that was said
};

/// Octets in a charset (IANA name or an alias that mail uses, any case) as UTF-8. ISO-2022-JP is read as
/// CP50221 (NEC and IBM extensions, half-width kana by SI/SO, ESC ( I and 8-bit), Shift_JIS as Windows-31J,
/// EUC-JP as CP51932, ISO-8859-1 as windows-1252, an unknown charset, or none, as UTF-8 where valid, else by
/// a guess. Invalid sequences become U+FFFD.
std::string to_utf8(std::string_view bytes, std::string_view charset, LastResort resort = LastResort::latin1);

/// The last resort itself; ASCII stays.
std::string from_nothing_known(std::string_view bytes, LastResort resort);

enum class CharsetFamily : unsigned char {
  utf8,      ///< US-ASCII too
  japanese,  ///< ISO-2022-JP, Shift_JIS, EUC-JP
  other,
};
/// By the names that to_utf8() knows.
CharsetFamily family_of(std::string_view charset);

}  // namespace kage::message
