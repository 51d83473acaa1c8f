// Quoting, and lists of capabilities.
#include "provider/imap_text.h"

#include <algorithm>

#include "base/text.h"
#include "message/lexical.h"

namespace kage::provider {

bool is_imap_quotable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c != '\r' && c != '\n' && c != '\0' && is_ascii(c); });
}

std::string imap_quoted(std::string_view text) {
  std::string out;
  out.reserve(2 * text.size() + 2);
  message::append_quoted(out, text);
  return out;
}

std::string normal_capabilities(std::string_view text) {
  std::string out = " ";
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t';
    if (space && out.back() == ' ') continue;
    out += space ? ' ' : to_upper(c);
  }
  if (out.back() != ' ') out += ' ';
  return out;
}

}  // namespace kage::provider
