// Characters that a person who reads an address does not see: what copying from a web page or a chat brings
// along, and what makes two addresses look alike. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kage::message {

/// Nothing is drawn for it: control and format characters (categories Cc and Cf), line and paragraph
/// separators, and what Unicode calls default ignorable. Not white space.
bool is_invisible(std::int32_t code_point);

/// White space of any kind, the no-break and the ideographic space too.
bool is_white(std::int32_t code_point);

/// Without white space of any kind at either end.
std::string_view trim_white(std::string_view utf8);

/// The first character that is_invisible() or is white space beyond ASCII; -1 when there is none.
std::int32_t find_unseen(std::string_view utf8);
/// Without those.
std::string without_unseen(std::string_view utf8);

/// Whether there is nothing to be seen at all: only white space and what is_invisible().
bool is_blank(std::string_view utf8);

/// Full-width forms of ASCII (U+FF01 to U+FF5E) as what they stand for: an input method was left on.
std::string half_width(std::string_view utf8);

}  // namespace kage::message
