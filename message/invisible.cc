// By ICU's tables.
#include "message/invisible.h"

#include <unicode/uchar.h>

#include "message/utf8.h"

namespace kage::message {
namespace {

constexpr std::int32_t kAsciiEnd = 0x80;

bool is_unseen(std::int32_t point) {
  return is_invisible(point) || (point >= kAsciiEnd && is_white(point));
}

}  // namespace

bool is_invisible(std::int32_t code_point) {
  if (code_point < 0) return false;
  switch (u_charType(code_point)) {
    case U_CONTROL_CHAR:
      return u_isUWhiteSpace(code_point) == 0;
    case U_FORMAT_CHAR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
      return true;
    default:
      return u_hasBinaryProperty(code_point, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) != 0;
  }
}

bool is_white(std::int32_t code_point) {
  return code_point >= 0 && u_isUWhiteSpace(code_point) != 0;
}

std::string_view trim_white(std::string_view utf8) {
  std::size_t begin = utf8.size(), end = 0;
  for (std::size_t at = 0; at < utf8.size();) {
    const std::size_t here = at;
    if (is_white(next_code_point(utf8, at))) continue;
    if (begin == utf8.size()) begin = here;
    end = at;
  }
  return begin < end ? utf8.substr(begin, end - begin) : std::string_view();
}

std::int32_t find_unseen(std::string_view utf8) {
  for (std::size_t at = 0; at < utf8.size();) {
    const std::int32_t point = next_code_point(utf8, at);
    if (is_unseen(point)) return point;
  }
  return -1;
}

std::string without_unseen(std::string_view utf8) {
  std::string out;
  for (std::size_t at = 0; at < utf8.size();) {
    const std::size_t begin = at;
    if (!is_unseen(next_code_point(utf8, at))) out += utf8.substr(begin, at - begin);
  }
  return out;
}

bool is_blank(std::string_view utf8) {
  for (std::size_t at = 0; at < utf8.size();) {
    const std::int32_t point = next_code_point(utf8, at);
    if (!is_white(point) && !is_invisible(point)) return false;
  }
  return true;
}

std::string half_width(std::string_view utf8) {
  std::string out;
  for (std::size_t at = 0; at < utf8.size();) {
    const std::size_t begin = at;
    const std::int32_t point = next_code_point(utf8, at);
    if (point >= 0xFF01 && point <= 0xFF5E) {
      out += static_cast<char>(point - 0xFEE0);
    } else {
      out += utf8.substr(begin, at - begin);
    }
  }
  return out;
}

}  // namespace kage::message
