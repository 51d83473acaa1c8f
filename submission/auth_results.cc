// A cursor over the field body with one method for each rule of the grammar.
#include "submission/auth_results.h"

#include "base/text.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMaxBody = 16 * 1024;
constexpr std::size_t kMaxResults = 64;
constexpr std::size_t kMaxProperties = 32;
constexpr unsigned kMaxDepth = 32;

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] bool is_at(char c) const { return !at_end() && text_[at_] == c; }

  bool take(char c) {
    if (!is_at(c)) return false;
    ++at_;
    return true;
  }

  /// White space and comments. False: a comment that does not end or is nested too deep.
  bool skip_cfws() {
    while (!at_end()) {
      if (is_space(text_[at_])) {
        ++at_;
      } else if (text_[at_] == '(') {
        if (!skip_comment()) return false;
      } else {
        return true;
      }
    }
    return true;
  }

  /// Letters, digits, '-' and '_': methods, results, property types and names.
  std::string keyword() {
    std::string out;
    while (!at_end() && (is_alnum(text_[at_]) || text_[at_] == '-' || text_[at_] == '_')) {
      out.push_back(to_lower(text_[at_++]));
    }
    return out;
  }

  /// A value: runs of other characters and quoted strings, up to white space, ';' or a comment.
  std::optional<std::string> value() {
    std::string out;
    const std::size_t start = at_;
    while (!at_end()) {
      const char c = text_[at_];
      if (is_space(c) || c == ';' || c == '(') break;
      if (c == '"') {
        if (!quoted(out)) return std::nullopt;
      } else if (c == ')') {
        return std::nullopt;
      } else {
        out.push_back(c);
        ++at_;
      }
    }
    if (at_ == start) return std::nullopt;
    return out;
  }

 private:
  bool skip_comment() {
    unsigned depth = 0;
    while (!at_end()) {
      const char c = text_[at_++];
      if (c == '\\') {
        if (at_end()) return false;
        ++at_;
      } else if (c == '(') {
        if (++depth > kMaxDepth) return false;
      } else if (c == ')' && --depth == 0) {
        return true;
      }
    }
    return false;
  }

  bool quoted(std::string& out) {
    ++at_;
    while (!at_end()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (c == '\\') {
        if (at_end()) return false;
        out.push_back(text_[at_++]);
      } else if (c != '\r' && c != '\n') {
        out.push_back(c);
      }
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// ptype "." property "=" pvalue; a name without ptype ("reason", and "action" as Exchange writes it) too.
std::optional<AuthProperty> read_property(Cursor& cursor) {
  AuthProperty out;
  out.name = cursor.keyword();
  if (out.name.empty() || !cursor.skip_cfws()) return std::nullopt;
  while (cursor.take('.')) {
    if (!cursor.skip_cfws()) return std::nullopt;
    const std::string word = cursor.keyword();
    if (word.empty() || !cursor.skip_cfws()) return std::nullopt;
    out.name.append(".").append(word);
  }
  if (!cursor.take('=') || !cursor.skip_cfws()) return std::nullopt;
  // An empty value ("smtp.mailfrom=;") is what some write for the null sender.
  if (cursor.at_end() || cursor.is_at(';')) return out;
  auto value = cursor.value();
  if (!value || !cursor.skip_cfws()) return std::nullopt;
  out.value = std::move(*value);
  return out;
}

/// method ["/" version] "=" result, then properties, up to ';' or the end.
std::optional<AuthResult> read_result(Cursor& cursor) {
  AuthResult out;
  out.method = cursor.keyword();
  if (out.method.empty() || !cursor.skip_cfws()) return std::nullopt;
  if (out.method == "none" && (cursor.at_end() || cursor.is_at(';'))) return out;
  if (cursor.take('/')) {
    if (!cursor.skip_cfws() || cursor.keyword().empty() || !cursor.skip_cfws()) return std::nullopt;
  }
  if (!cursor.take('=') || !cursor.skip_cfws()) return std::nullopt;
  out.result = cursor.keyword();
  if (out.result.empty() || !cursor.skip_cfws()) return std::nullopt;
  while (!cursor.at_end() && !cursor.is_at(';')) {
    if (out.properties.size() == kMaxProperties) return std::nullopt;
    auto property = read_property(cursor);
    if (!property) return std::nullopt;
    out.properties.push_back(std::move(*property));
  }
  return out;
}

}  // namespace

std::optional<std::string_view> AuthResult::find(std::string_view name) const {
  for (const AuthProperty& property : properties) {
    if (property.name == name) return property.value;
  }
  return std::nullopt;
}

std::optional<AuthResults> parse_auth_results(std::string_view body) {
  if (body.size() > kMaxBody) return std::nullopt;
  Cursor cursor(body);
  AuthResults out;
  if (!cursor.skip_cfws()) return std::nullopt;
  auto id = cursor.value();
  if (!id || !cursor.skip_cfws()) return std::nullopt;
  out.authserv_id = std::move(*id);
  if (!cursor.at_end() && !cursor.is_at(';')) {
    const std::string version = cursor.keyword();
    if (!parse_number(version) || !cursor.skip_cfws()) return std::nullopt;
  }
  while (!cursor.at_end()) {
    if (!cursor.take(';') || !cursor.skip_cfws()) return std::nullopt;
    if (cursor.at_end()) break;  // a last ';' with nothing after it is common
    if (out.results.size() == kMaxResults) return std::nullopt;
    auto result = read_result(cursor);
    if (!result) return std::nullopt;
    if (!result->result.empty()) out.results.push_back(std::move(*result));
  }
  return out;
}

}  // namespace kage::submission
