// Character classes, case, base32 and base64, constant-time comparison: small pure helpers on bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kage {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_alnum(char c) {
  return is_alpha(c) || is_digit(c);
}
constexpr bool is_wsp(char c) {
  return c == ' ' || c == '\t';
}
/// White space and the octets of line ends.
constexpr bool is_space(char c) {
  return is_wsp(c) || c == '\r' || c == '\n';
}
/// The control octets of ASCII, TAB and DEL among them.
constexpr bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
constexpr bool is_ascii(char c) {
  return static_cast<unsigned char>(c) < 0x80;
}
constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
constexpr char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}
/// 0 to 15, either case; -1 when it is no hexadecimal digit.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char l = to_lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}
/// The octet that two hexadecimal digits at the front stand for; nothing when there are not two.
constexpr std::optional<unsigned char> hex_octet(std::string_view text) {
  if (text.size() < 2 || hex_value(text[0]) < 0 || hex_value(text[1]) < 0) return std::nullopt;
  return static_cast<unsigned char>(hex_value(text[0]) * 16 + hex_value(text[1]));
}
/// RFC 5322 §3.2.3 atext, ASCII only.
constexpr bool is_atext(char c) {
  return is_alnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

std::string lower(std::string_view text);                    ///< ASCII
std::string upper(std::string_view text);                    ///< ASCII
bool equals_nocase(std::string_view a, std::string_view b);  ///< ASCII
bool starts_with_nocase(std::string_view text, std::string_view prefix);
std::string_view trim(std::string_view text);  ///< space, tab, CR, LF at both ends
void trim_in_place(std::string& text);         ///< the same
bool all_ascii(std::string_view text);

/// Lower-case base32 without the look-alikes i, l, o, u (Crockford's alphabet), no padding (contract R4.1).
std::string base32(std::string_view bytes);
/// Reads either case; nothing if a character is not of the alphabet or the last bits are not zero.
std::optional<std::string> base32_decode(std::string_view text);

std::string base64(std::string_view bytes);                          ///< RFC 4648 §4, padded
std::optional<std::string> base64_decode(std::string_view text);     ///< strict, padded
std::string base64url(std::string_view bytes);                       ///< RFC 4648 §5, no padding
void append_base64url(std::string& out, std::string_view bytes);     ///< the same behind `out`
std::optional<std::string> base64url_decode(std::string_view text);  ///< strict, no padding, canonical
std::string hex(std::string_view bytes);

/// Compares secrets in a time that depends on their length only.
bool equals_secret(std::string_view a, std::string_view b);

/// Unsigned decimal number, whole text, no sign; nothing on overflow or when above `max`.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max = UINT64_MAX);

}  // namespace kage
