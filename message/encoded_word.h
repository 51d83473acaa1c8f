// Encoded-words (RFC 2047), parameter values (RFC 2231), and the charsets that Japanese mail uses (contract
// R5.5).
//
// Decoding is for looking, not for passing on: what is not changed leaves as it came. Each encoded-word is
// decoded by itself, since ISO-2022-JP has states; adjacent results are joined. Only UTF-8 is joined before
// it is decoded: mailers cut it inside characters.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "message/charset.h"

namespace kage::message {

/// Decodes the encoded-words of an unstructured or phrase text to UTF-8; white space between two
/// encoded-words vanishes (RFC 2047 §6.2). Raw 8-bit octets that are not UTF-8 and raw ISO-2022-JP are
/// decoded by guess (guess.h). Also reads encoded-words that are not allowed (inside quotes, glued to other
/// text, of any length, without their end, with an empty charset). With `unquote`, quoted-strings lose their
/// quotes and escapes first, as in a display name. The result may hold any character, line ends too: never
/// write it without encode_words or encode_phrase.
std::string decode_words(std::string_view text, bool unquote = false, LastResort resort = LastResort::latin1);

/// UTF-8 as encoded-words ("=?UTF-8?B?…?=", each at most 75 octets, never inside a character) separated by
/// spaces; plain ASCII that needs none is returned as it is. CR, LF and NUL are dropped.
std::string encode_words(std::string_view utf8);

/// UTF-8 as a display name: atoms where possible, else a quoted-string, else encoded-words. CR, LF and NUL
/// are dropped.
std::string encode_phrase(std::string_view utf8);

}  // namespace kage::message
