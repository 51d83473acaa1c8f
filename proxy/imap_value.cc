// Parsing of one IMAP value into nodes, and writing of strings.
#include "proxy/imap_value.h"

#include <algorithm>

#include "base/text.h"
#include "message/utf8.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxQuoted = 1000;

bool ends_atom(char c) {
  return c == ' ' || c == '(' || c == ')' || c == '"' || c == '{' || c == '\r' || c == '\n' || c == '\0';
}

}  // namespace

struct ImapValue::Parser {
  ImapValue& value;
  const ImapValueLimits& limits;
  struct Open {
    std::uint32_t node;
    std::uint32_t last;  // its newest child
  };
  std::vector<Open> open = {};
  std::size_t at = 0;

  [[nodiscard]] std::string_view text() const { return value.text_; }

  Result<> run() {
    do {
      while (!open.empty() && at < text().size() && text()[at] == ' ') ++at;
      if (at >= text().size()) return fail(Errc::protocol, "an IMAP value without its end");
      if (text()[at] == ')') {
        if (auto closed = close_list(); !closed) return closed;
      } else if (auto added = add(); !added) {
        return added;
      }
    } while (!open.empty());
    if (at != text().size()) return fail(Errc::protocol, "octets behind an IMAP value");
    return {};
  }

  Result<> close_list() {
    if (open.empty()) return fail(Errc::protocol, "an IMAP list without its begin");
    Node& list = value.nodes_[open.back().node];
    list.size = static_cast<std::uint32_t>(++at) - list.begin;
    open.pop_back();
    return {};
  }

  Result<> add() {
    if (value.nodes_.size() >= limits.max_nodes) return fail(Errc::limit, "an IMAP value of many elements");
    const auto index = static_cast<std::uint32_t>(value.nodes_.size());
    Node node;
    node.begin = static_cast<std::uint32_t>(at);
    const char c = text()[at];
    Result<> scanned;
    if (c == '(') {
      node.kind = Kind::list;
      ++at;
      if (open.size() >= limits.max_depth) return fail(Errc::limit, "an IMAP value nested too deep");
    } else if (c == '"') {
      node.kind = Kind::quoted;
      scanned = scan_quoted();
    } else if (c == '{' || (c == '~' && at + 1 < text().size() && text()[at + 1] == '{')) {
      node.kind = Kind::literal;
      scanned = scan_literal(node);
    } else {
      scanned = scan_atom();
    }
    if (!scanned) return scanned;
    node.size = static_cast<std::uint32_t>(at) - node.begin;
    link(index);
    value.nodes_.push_back(node);
    if (node.kind == Kind::list) open.push_back({index, kNone});
    return {};
  }

  void link(std::uint32_t index) {
    if (open.empty()) return;
    Open& parent = open.back();
    if (parent.last == kNone) {
      value.nodes_[parent.node].first = index;
    } else {
      value.nodes_[parent.last].next = index;
    }
    ++value.nodes_[parent.node].children;
    parent.last = index;
  }

  Result<> scan_quoted() {
    for (++at; at < text().size(); ++at) {
      const char c = text()[at];
      if (c == '"') {
        ++at;
        return {};
      }
      if (c == '\r' || c == '\n' || c == '\0') break;
      if (c == '\\' && ++at >= text().size()) break;
    }
    return fail(Errc::protocol, "a quoted string without its end");
  }

  Result<> scan_literal(Node& node) {
    const std::size_t digits = text().find('{', at) + 1;
    const std::size_t close = text().find('}', digits);
    // Twenty digits hold any 64-bit number.
    if (close == std::string_view::npos || close - digits > 21) return fail(Errc::protocol, "a bad literal");
    std::string_view number = text().substr(digits, close - digits);
    if (number.ends_with('+')) number.remove_suffix(1);
    const auto size = parse_number(number, limits.max_octets);
    if (!size || text().substr(close + 1, 2) != "\r\n") return fail(Errc::protocol, "a bad literal");
    if (text().size() - (close + 3) < *size) return fail(Errc::protocol, "a literal without its end");
    node.content = static_cast<std::uint32_t>(close + 3);
    at = close + 3 + *size;
    return {};
  }

  Result<> scan_atom() {
    const std::size_t begin = at;
    while (at < text().size() && !ends_atom(text()[at])) ++at;
    if (at == begin) return fail(Errc::protocol, "an octet that begins no IMAP value");
    return {};
  }
};

Result<ImapValue> ImapValue::parse(std::string_view text, const ImapValueLimits& limits) {
  if (text.size() > limits.max_octets) return fail(Errc::limit, "a long IMAP value");
  ImapValue value(text);
  value.nodes_.reserve(std::min<std::size_t>(text.size() / 8, 128));  // an envelope has about 60
  Parser parser{value, limits};
  if (auto parsed = parser.run(); !parsed) return std::unexpected(parsed.error());
  return value;
}

std::string ImapValue::text(std::uint32_t index) const {
  const Node& node = nodes_[index];
  const std::string_view octets = raw(index);
  switch (node.kind) {
    case Kind::list:
      return {};
    case Kind::atom:
      return equals_nocase(octets, "NIL") ? std::string() : std::string(octets);
    case Kind::literal:
      return std::string(text_.substr(node.content, node.begin + node.size - node.content));
    case Kind::quoted:
      break;
  }
  std::string out;
  out.reserve(octets.size());
  for (std::size_t i = 1; i + 1 < octets.size(); ++i) {
    if (octets[i] == '\\') ++i;
    out.push_back(octets[i]);
  }
  return out;
}

bool ImapValue::is_nil(std::uint32_t index) const {
  return nodes_[index].kind == Kind::atom && equals_nocase(raw(index), "NIL");
}

std::vector<std::uint32_t> ImapValue::elements(std::uint32_t index) const {
  std::vector<std::uint32_t> out;
  out.reserve(nodes_[index].children);
  for (std::uint32_t child = nodes_[index].first; child != kNone; child = nodes_[child].next) {
    out.push_back(child);
  }
  return out;
}

std::string imap_value_string(std::string_view text, bool utf8) {
  const auto is_simple = [](char c) { return c >= ' ' && c < '\x7f' && c != '"' && c != '\\'; };
  if (text.size() <= kMaxQuoted && std::ranges::all_of(text, is_simple)) {
    std::string simple;
    simple.reserve(text.size() + 2);
    return simple.append("\"").append(text).append("\"");
  }
  std::string clean;
  bool ascii = true;
  bool plain = true;
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == '\0') continue;
    ascii = ascii && is_ascii(c);
    plain = plain && c != '"' && c != '\\';
    clean.push_back(c);
  }
  const bool quotable = clean.size() <= kMaxQuoted && (ascii || (utf8 && message::is_valid_utf8(clean)));
  if (!quotable) return "{" + std::to_string(clean.size()) + "}\r\n" + clean;
  if (plain) return "\"" + clean + "\"";
  std::string out = "\"";
  for (const char c : clean) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

std::string imap_nstring(std::string_view text, bool utf8) {
  return text.empty() ? "NIL" : imap_value_string(text, utf8);
}

}  // namespace kage::proxy
