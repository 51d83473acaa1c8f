// The header block of a message as bytes and as fields (RFC 5322 §2.2, §3.6).
//
// The tokenizer keeps every original byte: a field that needs no change can leave exactly as it came
// (contract R5.5). It never fails on content; lines that are no field are told apart, not guessed at.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kage::message {

/// One field. All views lie in the block that was tokenized.
struct Field {
  /// The whole field, folds and final line end included; of a line that is no field, that line.
  std::string_view raw;
  /// As spelled, without the white space that obsolete syntax allows before ':'; empty: no field.
  std::string_view name;
  /// After ':' up to the last line end, folds included, leading white space included.
  std::string_view body;

  [[nodiscard]] bool is(std::string_view other) const;  ///< name comparison without case
};

inline constexpr std::size_t kMaxLine = 998;       ///< RFC 5322 §2.1.1
inline constexpr std::size_t kPreferredLine = 78;  ///< RFC 5322 §2.1.1

struct HeaderLimits {
  std::size_t max_octets = 256 * 1024;  ///< of the whole block
  std::size_t max_fields = 2000;
};

/// Splits a header block: everything before the empty line, without it. Lines end with CRLF; a bare LF is
/// taken as a line end too (the proxy reads such mail). Together the `raw`s are the block. Errc::limit when a
/// bound is exceeded.
Result<std::vector<Field>> tokenize(std::string_view block, const HeaderLimits& limits = {});

/// Takes the lines of one field, or a line that is none, off a block that is not empty: folds begin with
/// white space. A block must be cut in one way everywhere.
std::string_view cut_field(std::string_view& block);

/// What cut_field() gave.
Field read_field(std::string_view raw);

/// The body of a field as one line: folds replaced by the white space that followed them (RFC 5322 §2.2.3),
/// outer white space removed. Bare CR and NUL go too, so that one sees what write_field would write.
std::string unfold(std::string_view body);

/// Finds the end of the header block in a growing buffer. It remembers how far it looked, so that a growing
/// buffer costs no second scan.
class HeaderEnd {
 public:
  /// Looks at `buffer`, which begins with all that was seen before. Returns the size of the block with its
  /// empty line once it is complete, else npos.
  std::size_t find(std::string_view buffer);
  static constexpr std::size_t npos = std::string_view::npos;

 private:
  std::size_t scanned_ = 0;
};

/// Writes a field, folding at white space so that lines stay within 78 octets where they can and within 998
/// always (RFC 5322 §2.1.1). CR, LF and NUL in `value` are dropped, so that nothing can inject a field; of
/// `name`, what cannot be in a name, and what is above 200 octets. More than 60 octets of white space in a
/// row are cut to 60. A word longer than a line is cut into folded pieces, never inside a UTF-8 character.
void write_field(std::string& out, std::string_view name, std::string_view value);

/// As write_field, from pieces that are not broken inside, joined by one space each: for address lists and
/// ids. A piece that no line can hold is folded as text.
void write_field(std::string& out, std::string_view name, std::span<const std::string> tokens);

}  // namespace kage::message
