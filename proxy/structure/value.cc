// Parsing of one IMAP value into nodes, and writing of strings.
#include "proxy/structure/value.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/text.h"
#include "message/lexical.h"
#include "message/utf8.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxQuoted = 1000;

constexpr std::array<bool, 256> table_of(std::string_view octets) {
  std::array<bool, 256> table{};
  for (const char c : octets) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr auto kEndsAtom = table_of({" ()\"{\r\n\0", 8});
constexpr auto kStopsQuoted = table_of({"\"\\\r\n\0", 5});

/// What can stand in quotes as it is.
constexpr auto kSimple = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = ' '; c < 0x7f; ++c) table[c] = c != '"' && c != '\\';
  return table;
}();

bool ends_atom(char c) {
  return kEndsAtom[static_cast<unsigned char>(c)];
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
  std::optional<Error> refused = {};  // why a step gave false

  [[nodiscard]] std::string_view text() const { return value.text_; }

  bool refuse(Errc code, std::string_view why) {
    refused = Error{code, std::string(why)};
    return false;
  }

  bool run() {
    do {
      while (!open.empty() && at < text().size() && text()[at] == ' ') ++at;
      if (at >= text().size()) return refuse(Errc::protocol, "an IMAP value without its end");
      if (!(text()[at] == ')' ? close_list() : add())) return false;
    } while (!open.empty());
    return at == text().size() || refuse(Errc::protocol, "octets behind an IMAP value");
  }

  bool close_list() {
    if (open.empty()) return refuse(Errc::protocol, "an IMAP list without its begin");
    Node& list = value.nodes_[open.back().node];
    list.size = static_cast<std::uint32_t>(++at) - list.begin;
    open.pop_back();
    return true;
  }

  bool add() {
    if (value.nodes_.size() >= limits.max_nodes) return refuse(Errc::limit, "an IMAP value of many elements");
    const auto index = static_cast<std::uint32_t>(value.nodes_.size());
    Node node;
    node.begin = static_cast<std::uint32_t>(at);
    if (!scan(node)) return false;
    node.size = static_cast<std::uint32_t>(at) - node.begin;
    link(index);
    value.nodes_.push_back(node);
    if (node.kind == Kind::list) open.push_back({index, kNone});
    return true;
  }

  /// To the end of a string or an atom, and into a list.
  bool scan(Node& node) {
    const char c = text()[at];
    if (c == '(') {
      node.kind = Kind::list;
      ++at;
      return open.size() < limits.max_depth || refuse(Errc::limit, "an IMAP value nested too deep");
    }
    if (c == '"') {
      node.kind = Kind::quoted;
      at = quoted_end(text(), at + 1);
      return at != std::string_view::npos || refuse(Errc::protocol, "a quoted string without its end");
    }
    if (c == '{' || (c == '~' && at + 1 < text().size() && text()[at + 1] == '{')) {
      node.kind = Kind::literal;
      return scan_literal(node);
    }
    const std::size_t begin = at;
    while (at < text().size() && !ends_atom(text()[at])) ++at;
    return at != begin || refuse(Errc::protocol, "an octet that begins no IMAP value");
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

  bool scan_literal(Node& node) {
    const std::size_t digits = text().find('{', at) + 1;
    const std::size_t close = text().find('}', digits);
    // Twenty digits hold any 64-bit number.
    if (close == std::string_view::npos || close - digits > 21)
      return refuse(Errc::protocol, "a bad literal");
    std::string_view number = text().substr(digits, close - digits);
    if (number.ends_with('+')) number.remove_suffix(1);
    const auto size = parse_number(number, limits.max_octets);
    if (!size || text().substr(close + 1, 2) != "\r\n") return refuse(Errc::protocol, "a bad literal");
    if (text().size() - (close + 3) < *size) return refuse(Errc::protocol, "a literal without its end");
    node.content = static_cast<std::uint32_t>(close + 3);
    at = close + 3 + *size;
    return true;
  }
};

Result<ImapValue> ImapValue::parse(std::string_view text, const ImapValueLimits& limits) {
  if (text.size() > limits.max_octets) return fail(Errc::limit, "a long IMAP value");
  ImapValue value(text);
  value.nodes_.reserve(std::min<std::size_t>(text.size() / 8, 128));  // an envelope has about 60
  Parser parser{value, limits};
  if (!parser.run()) return std::unexpected(std::move(*parser.refused));
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

std::size_t quoted_end(std::string_view text, std::size_t at) {
  while (true) {
    while (at < text.size() && !kStopsQuoted[static_cast<unsigned char>(text[at])]) ++at;
    if (at >= text.size()) return std::string_view::npos;
    if (text[at] == '"') return at + 1;
    if (text[at] != '\\') return std::string_view::npos;
    at += 2;
  }
}

namespace {

/// A string that holds more than simple octets.
void append_odd_string(std::string& out, std::string_view text, bool utf8) {
  const std::string clean = message::one_line(text);
  if (clean.size() > kMaxQuoted || !(all_ascii(clean) || (utf8 && message::is_valid_utf8(clean)))) {
    out.append("{").append(std::to_string(clean.size())).append("}\r\n").append(clean);
    return;
  }
  message::append_quoted(out, clean);
}

}  // namespace

void append_value_string(std::string& out, std::string_view text, bool utf8) {
  const auto is_simple = [](char c) { return kSimple[static_cast<unsigned char>(c)]; };
  if (text.size() > kMaxQuoted || !std::ranges::all_of(text, is_simple)) {
    append_odd_string(out, text, utf8);
    return;
  }
  out.push_back('"');
  out.append(text).push_back('"');
}

void append_nstring(std::string& out, std::string_view text, bool utf8) {
  if (text.empty()) {
    out += "NIL";
  } else {
    append_value_string(out, text, utf8);
  }
}

std::string imap_value_string(std::string_view text, bool utf8) {
  std::string out;
  out.reserve(text.size() + 2);
  append_value_string(out, text, utf8);
  return out;
}

}  // namespace kage::proxy
