// One value of an IMAP response as a tree: atoms, strings and lists, for ENVELOPE and BODYSTRUCTURE (RFC 9051
// §7.5.2). Pure.
//
// Parsed with a stack of its own, never recursive. Nodes hold views of the text that was parsed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kage::proxy {

struct ImapValueLimits {
  std::size_t max_octets = 4u << 20;
  std::size_t max_depth = 300;  ///< of parentheses: a MIME level takes up to three
  std::size_t max_nodes = 200'000;
};

class ImapValue {
 public:
  enum class Kind : std::uint8_t { atom, quoted, literal, list };
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Node {
    Kind kind = Kind::atom;
    std::uint32_t children = 0;  ///< of a list
    std::uint32_t first = kNone;
    std::uint32_t next = kNone;
    std::uint32_t begin = 0;    ///< offset of the whole value as it stands
    std::uint32_t size = 0;     ///< its octets
    std::uint32_t content = 0;  ///< offset of what stands in a literal
  };

  /// Errc::protocol: not one balanced value; Errc::limit: beyond a bound. `text` must outlive the result.
  static Result<ImapValue> parse(std::string_view text, const ImapValueLimits& limits = {});

  /// Nodes stand in the order of the text: what is in a list comes right behind it.
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size()); }
  [[nodiscard]] const Node& node(std::uint32_t index) const { return nodes_[index]; }
  /// The octets of a value as they stand.
  [[nodiscard]] std::string_view raw(std::uint32_t index) const {
    return text_.substr(nodes_[index].begin, nodes_[index].size);
  }
  /// The meaning of a string or an atom; empty for NIL and lists.
  [[nodiscard]] std::string text(std::uint32_t index) const;
  [[nodiscard]] bool is_list(std::uint32_t index) const { return nodes_[index].kind == Kind::list; }
  [[nodiscard]] bool is_nil(std::uint32_t index) const;
  /// The indexes of a list's elements, in order.
  [[nodiscard]] std::vector<std::uint32_t> elements(std::uint32_t index) const;

  static constexpr std::uint32_t kRoot = 0;

 private:
  struct Parser;
  explicit ImapValue(std::string_view text) : text_(text) {}

  std::string_view text_;
  std::vector<Node> nodes_;
};

/// The place behind the quote that ends a quoted string; `at`: behind the one that began it. npos: it has no
/// end.
std::size_t quoted_end(std::string_view text, std::size_t at);

/// A string for a client: quoted where it can be, else a literal. UTF-8 is quoted with `utf8` only (RFC 9051
/// §4.3). CR, LF and NUL are dropped: none belongs into a header's value.
void append_value_string(std::string& out, std::string_view text, bool utf8);
/// The same, and NIL for nothing.
void append_nstring(std::string& out, std::string_view text, bool utf8);
std::string imap_value_string(std::string_view text, bool utf8);

}  // namespace kage::proxy
