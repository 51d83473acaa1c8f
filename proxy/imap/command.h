// Commands of an IMAP client (RFC 9051 §6, §9): pure parsing of what was read, literals in place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kage::proxy {

/// Walks over the octets of a command or a response: atoms, quoted strings, literals, parentheses. Never
/// recursive; depth and count are the caller's bounds.
class ImapCursor {
 public:
  explicit ImapCursor(std::string_view text) : text_(text) {}
  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  [[nodiscard]] std::size_t offset() const { return at_; }
  /// Consumes this character when it is next.
  bool take(char c);
  bool take_space();
  /// A run of characters other than space, CTL, parentheses, '{' and '"'; 8-bit octets count. May be empty.
  std::string_view atom();
  /// The meaning of a quoted string or literal ("{3}\r\nabc", "{3+}…", "~{3}…"); nothing and no move when
  /// there is none, or a broken one.
  std::optional<std::string> string();
  /// Moves behind a string without reading its meaning.
  bool skip_string();
  /// atom or string.
  std::optional<std::string> astring();
  /// One whole value: atom, string, or balanced list up to `max_depth`; the octets as they stand. Nothing
  /// when broken.
  std::optional<std::string_view> value(std::size_t max_depth = 64);

 private:
  /// The octets of a string as they stand, and what it means when `meaning` is given. Empty: none is next.
  std::string_view string_at(std::size_t at, std::string* meaning) const;
  std::string_view quoted_at(std::size_t at, std::string* meaning) const;
  std::string_view literal_at(std::size_t at, std::string* meaning) const;

  std::string_view text_;
  std::size_t at_ = 0;
};

/// A string as a client or server may get it: quoted where it can be (ASCII without CR, LF and NUL), else a
/// literal; `non_sync`: "{3+}".
std::string imap_string(std::string_view text, bool non_sync = false);

struct ImapCommand {
  std::string tag;
  std::string name;  ///< upper case; "UID FETCH" for the UID forms
  std::string rest;  ///< what follows, as it came, literals in place, without the line end
  [[nodiscard]] bool uid() const { return name.starts_with("UID "); }
};

/// Splits a complete command. What it accepts holds CR, LF and NUL in literals only, and every quoted string
/// and literal in it is whole, but for a literal that is announced at its very end (APPEND) and not part of
/// it yet: so nothing in it can begin a second command. Errc::invalid otherwise, or without a tag or a name;
/// the tag, when it could be read, is in the detail.
Result<ImapCommand> parse_command(std::string text);

/// Whether a line that was read ends with a literal's announcement, and how long it is.
struct LiteralMark {
  std::uint64_t size = 0;  ///< UINT64_MAX also when the number is too large
  bool non_sync = false;   ///< "{5+}" (RFC 7888)
};
std::optional<LiteralMark> literal_mark(std::string_view line);

/// RFC 9051 §9.
bool is_atom(std::string_view text);
/// "1:5,7,*" with numbers above 0 and at most `max_ranges` ranges.
bool is_sequence_set(std::string_view text, std::size_t max_ranges = 100'000);
/// "1:5,7" of numbers in rising order without repeats.
std::string write_set(const std::vector<std::uint32_t>& numbers);

}  // namespace kage::proxy
