// The lexer of address fields.
#include "message/address_lexer.h"

#include "base/text.h"

namespace kage::message {
namespace {

using Kind = AddressToken::Kind;
constexpr std::size_t kMaxLiteral = 255;

constexpr bool is_special(char c) {
  return std::string_view("<>@,;:").find(c) != std::string_view::npos;
}
constexpr bool is_atom(char c) {
  return !is_control(c) && std::string_view(" ()<>[]@,;:\\\"").find(c) == std::string_view::npos;
}

}  // namespace

AddressLexer::AddressLexer(std::string_view body, std::size_t max_comment_depth)
    : body_(body), max_depth_(max_comment_depth), opaque_(body) {}

std::vector<AddressToken> AddressLexer::tokens() {
  std::vector<AddressToken> all;
  while (at_ < body_.size()) {
    std::size_t end = at_ + 1;
    const Kind kind = next(end);
    all.push_back({.kind = kind, .text = body_.substr(at_, end - at_), .begin = at_});
    at_ = end;
  }
  return all;
}

Kind AddressLexer::next(std::size_t& end) {
  const char c = body_[at_];
  if (is_space(c)) {
    while (end < body_.size() && is_space(body_[end])) ++end;
    return Kind::white;
  }
  if (const std::size_t opaque = opaque_.skip(at_); opaque > at_) {
    end = opaque;
    return Kind::opaque;
  }
  bool deep = false;
  if (c == '(' && comments_ && comment_end(end, deep)) return deep ? Kind::deep_comment : Kind::comment;
  if (c == '"' && quotes_ && quoted_end(end)) return Kind::quoted;
  if (c == '[' && literal_end(end)) return Kind::literal;
  if (is_special(c)) return Kind::special;
  if (!is_atom(c)) return Kind::other;
  atom_end(end);
  return Kind::atom;
}

bool AddressLexer::comment_end(std::size_t& end, bool& deep) {
  std::size_t depth = 0;
  std::size_t i = at_;
  while (i < body_.size()) {
    if (const std::size_t opaque = opaque_.skip(i); opaque > i) {
      i = opaque;
      continue;
    }
    const char c = body_[i++];
    if (c == '\\' && i < body_.size()) {
      ++i;
    } else if (c == '(') {
      if (++depth > max_depth_) deep = true;
    } else if (c == ')' && --depth == 0) {
      end = i;
      return true;
    }
  }
  comments_ = false;
  return false;
}

bool AddressLexer::quoted_end(std::size_t& end) {
  std::size_t i = at_ + 1;
  while (i < body_.size()) {
    if (const std::size_t opaque = opaque_.skip(i); opaque > i) {
      i = opaque;
      continue;
    }
    const char c = body_[i++];
    if (c == '\\' && i < body_.size()) {
      ++i;
    } else if (c == '"') {
      end = i;
      return true;
    }
  }
  quotes_ = false;
  return false;
}

bool AddressLexer::literal_end(std::size_t& end) const {
  const std::size_t stop = body_.substr(0, at_ + kMaxLiteral).find_first_of("[]\\\"<>@\r\n", at_ + 1);
  if (stop == std::string_view::npos || body_[stop] != ']') return false;
  end = stop + 1;
  return true;
}

void AddressLexer::atom_end(std::size_t& end) {
  while (end < body_.size() && is_atom(body_[end]) && opaque_.skip(end) == end) ++end;
}

std::string unquote(std::string_view quoted) {
  if (quoted.starts_with('"')) quoted.remove_prefix(1);
  if (quoted.ends_with('"')) quoted.remove_suffix(1);
  std::string out;
  out.reserve(quoted.size());
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] == '\r' || quoted[i] == '\n') continue;
    if (quoted[i] == '\\' && i + 1 < quoted.size()) ++i;
    out.push_back(quoted[i]);
  }
  return out;
}

}  // namespace kage::message
