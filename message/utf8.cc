// UTF-8: the small helpers, on ICU's macros (no ICU data is touched).
#include "message/utf8.h"

#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>

namespace kage::message {

std::int32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t lead = bytes[at];
  if (lead < 0x80) {
    ++at;
    return lead;
  }
  // U8_NEXT would skip a truncated sequence as one; here each bad octet counts by itself.
  const auto length = static_cast<std::int32_t>(std::min<std::size_t>(text.size() - at, 4));
  std::int32_t offset = 0;
  UChar32 c = U_SENTINEL;
  U8_NEXT(bytes + at, offset, length, c);
  at += c < 0 ? 1 : static_cast<std::size_t>(offset);
  return c;
}

bool is_valid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (next_code_point(text, at) < 0) return false;
  }
  return true;
}

std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    if (next_code_point(text, at) < 0) {
      out += kReplacement;
    } else {
      out += text.substr(begin, at - begin);
    }
  }
  return out;
}

std::size_t utf8_floor(std::string_view text, std::size_t at) {
  if (at >= text.size()) return text.size();
  for (std::size_t back = 0; back < 4 && back < at; ++back) {
    if ((static_cast<unsigned char>(text[at - back]) & 0xC0) != 0x80) return at - back;
  }
  return at;
}

void append_utf8(std::string& out, std::int32_t code_point) {
  char bytes[4];
  std::int32_t length = 0;
  U8_APPEND_UNSAFE(reinterpret_cast<std::uint8_t*>(bytes), length, code_point);
  out.append(bytes, static_cast<std::size_t>(length));
}

std::string from_utf16(std::u16string_view text) {
  std::string out;
  out.reserve(text.size() * 3);
  for (std::size_t at = 0; at < text.size();) {
    UChar32 c = 0;
    U16_NEXT(text.data(), at, text.size(), c);
    append_utf8(out, U_IS_SURROGATE(c) ? 0xFFFD : c);
  }
  return out;
}

}  // namespace kage::message
