// Finding msg-ids in a field body (RFC 5322 §3.6.4), whatever stands between the brackets. One pass.
#include <cstddef>

#include "base/text.h"
#include "message/address.h"

namespace kage::message {
namespace {

/// The place behind the comment at `at`; `at` when it does not end.
std::size_t skip_comment(std::string_view body, std::size_t at) {
  std::size_t depth = 0;
  for (std::size_t i = at; i < body.size(); ++i) {
    if (body[i] == '\\') {
      ++i;
    } else if (body[i] == '(') {
      ++depth;
    } else if (body[i] == ')' && --depth == 0) {
      return i + 1;
    }
  }
  return at;
}

bool ends_word(char c) {
  return is_wsp(c) || c == '\r' || c == '\n' || c == ',' || c == '<' || c == '>' || c == '(' || c == ')' ||
         c == ';';
}

}  // namespace

std::vector<std::string_view> find_msg_ids(std::string_view body, bool loose) {
  std::vector<std::string_view> ids;
  bool comments = true;  // off once a '(' has no end: what follows is then looked at as text
  bool brackets = true;
  std::size_t at = 0;
  while (at < body.size()) {
    if (body[at] == '(' && comments) {
      const std::size_t end = skip_comment(body, at);
      comments = end != at;
      at = end == at ? at + 1 : end;
      continue;
    }
    if (body[at] == '<' && brackets) {
      const std::size_t end = body.find('>', at);
      brackets = end != std::string_view::npos;
      if (brackets) {
        const std::string_view id = trim(body.substr(at + 1, end - at - 1));
        if (!id.empty()) ids.push_back(id);
        at = end + 1;
        continue;
      }
    }
    if (ends_word(body[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < body.size() && !ends_word(body[end])) ++end;
    const std::string_view word = body.substr(at, end - at);
    if (loose && word.find('@') != std::string_view::npos) ids.push_back(word);
    at = end;
  }
  return ids;
}

}  // namespace kage::message
