// Tokens of an address field (RFC 5322 §3.2, §4.4). Used by address_list.cc only.
//
// Every octet of the body is in exactly one token. Broken pairs (a quote, comment or literal without its end)
// become single octets of kind `other`, never an error. Linear in the size of the body, no recursion.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "message/guess.h"

namespace kage::message {

struct AddressToken {
  enum class Kind : unsigned char {
    white,         ///< white space and line ends
    comment,       ///< with its parentheses
    deep_comment,  ///< a comment nested deeper than allowed
    quoted,        ///< with its quotes
    literal,       ///< with its brackets
    atom,          ///< atext, dots and 8-bit octets
    opaque,        ///< ISO-2022-JP or Shift_JIS text whose octets mean nothing
    special,       ///< one of < > @ , ; :
    other,         ///< one octet that has no meaning where it stands
  };
  Kind kind;
  std::string_view text;
  std::size_t begin;  ///< offset in the body

  [[nodiscard]] bool is(char c) const { return kind == Kind::special && text.front() == c; }
  [[nodiscard]] bool is_space() const {
    return kind == Kind::white || kind == Kind::comment || kind == Kind::deep_comment;
  }
  [[nodiscard]] bool is_word() const { return kind == Kind::atom || kind == Kind::quoted; }
};

class AddressLexer {
 public:
  AddressLexer(std::string_view body, std::size_t max_comment_depth);
  std::vector<AddressToken> tokens();

 private:
  AddressToken::Kind next(std::size_t& end);
  bool comment_end(std::size_t& end, bool& deep);
  bool quoted_end(std::size_t& end);
  bool literal_end(std::size_t& end) const;
  void atom_end(std::size_t& end);

  std::string_view body_;
  std::size_t max_depth_;
  std::size_t at_ = 0;
  TwoByteOctets opaque_;
  bool comments_ = true;  ///< off once one has no end: looking for the next one's would be quadratic
  bool quotes_ = true;
};

/// The meaning of a quoted-string: without quotes, escapes and line ends.
std::string unquote(std::string_view quoted);

}  // namespace kage::message
