// UTF-8: validity, repair, safe places to cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kage::message {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  ///< U+FFFD

bool is_valid_utf8(std::string_view text);

/// Every octet that is in no valid sequence becomes U+FFFD.
std::string repair_utf8(std::string_view text);

/// The largest place at or below `at` that is not inside a character; `at` itself when the octets there are
/// no UTF-8. Never 0 unless `at` is.
std::size_t utf8_floor(std::string_view text, std::size_t at);

/// Reads the character at `at` and moves `at` behind it. An invalid octet is read as -1.
std::int32_t next_code_point(std::string_view text, std::size_t& at);

void append_utf8(std::string& out, std::int32_t code_point);

/// A surrogate without its other half becomes U+FFFD.
std::string from_utf16(std::u16string_view text);

}  // namespace kage::message
