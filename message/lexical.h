// Lexical helpers that readers and writers of fields share (RFC 5322 §3.2).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kage::message {

/// The place behind the comment that begins at `at`, with those inside it (RFC 5322 §3.2.2); `at` when it has
/// no end.
std::size_t comment_end(std::string_view text, std::size_t at);

/// Writes a quoted-string (RFC 5322 §3.2.4). Line ends are the caller's business.
void append_quoted(std::string& out, std::string_view text);

/// Without CR, LF and NUL, so that nothing can inject a line.
std::string one_line(std::string text);
inline std::string one_line(std::string_view text) {
  return one_line(std::string(text));
}

/// "%40" becomes '@'; a '%' without two hexadecimal digits stays.
std::string percent_decode(std::string_view text);

}  // namespace kage::message
