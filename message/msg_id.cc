// Finding msg-ids in a field body (RFC 5322 §3.6.4), whatever stands between the brackets. One pass.
#include "message/msg_id.h"

#include <cstddef>

#include "base/text.h"
#include "message/lexical.h"

namespace kage::message {
namespace {

bool ends_word(char c) {
  return is_space(c) || c == ',' || c == '<' || c == '>' || c == '(' || c == ')' || c == ';';
}

}  // namespace

std::vector<std::string_view> find_msg_ids(std::string_view body) {
  std::vector<std::string_view> ids;
  bool comments = true;  // off once a '(' has no end: what follows is then looked at as text
  bool brackets = true;
  std::size_t at = 0;
  while (at < body.size()) {
    if (body[at] == '(' && comments) {
      const std::size_t end = comment_end(body, at);
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
    if (word.find('@') != std::string_view::npos) ids.push_back(word);
    at = end;
  }
  return ids;
}

}  // namespace kage::message
