// Searching in what a member sees: pure functions on a header block before and after, and on message content.
//
// Two scopes. `shown`: all that is visible. `kept`: what is visible and stood there before it was rewritten.
// An upstream that narrows by a string can be believed to find all of `kept`; but whether it finds a message
// for what stands in `shown` only (a piece of a phantom, of a sealed id) depends on the hidden original by
// chance, and each such answer would tell a little of it. So `shown` is looked at only where the candidates
// do not depend on the original (contract R8.3).
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/siphash.h"
#include "message/header.h"

namespace kage::proxy {

/// Text in the form in which it is compared: i;unicode-casemap (RFC 5051), which IMAP asks for, with all
/// compatibility decompositions.
std::string casemap(std::string_view utf8);
/// The same with runs of white space as one space: folds and indentation differ between servers.
std::string search_form(std::string_view utf8);

enum class SearchScope : unsigned char { kept, shown };

/// One header block, before and after. The blocks outlive it.
class SearchedHeader {
 public:
  SearchedHeader(std::string_view original, std::string_view visible);

  /// Whether a visible field of this name (lower case) has the needle, which is in search_form() and not
  /// empty.
  [[nodiscard]] bool field_has(std::string_view name, std::string_view needle, SearchScope scope) const;
  [[nodiscard]] bool has_field(std::string_view name) const;
  /// Whether a visible field of this name has this msg-id (without brackets).
  [[nodiscard]] bool field_has_id(std::string_view name, std::string_view id) const;
  /// Whether any visible field has the needle.
  [[nodiscard]] bool has(std::string_view needle, SearchScope scope) const;
  /// Whether what is not visible, or visible in another form, has the needle.
  [[nodiscard]] bool hides(std::string_view needle) const;
  /// All fields in search_form(), for texts that several needles are looked for in.
  void texts(std::vector<std::string>& kept, std::vector<std::string>& shown) const;

 private:
  [[nodiscard]] bool unchanged(const message::Field& field) const;
  /// Pieces of a changed field that the original's fields of that name have too.
  [[nodiscard]] std::vector<std::string> kept_pieces(const message::Field& field) const;
  using Pieces = std::unordered_set<std::string>;
  [[nodiscard]] const Pieces& pieces_before(std::string_view name) const;

  std::vector<message::Field> original_, visible_;
  std::unordered_set<std::string_view, SipHash> raw_;       ///< the original's fields as they stand
  mutable std::unordered_map<std::string, Pieces> before_;  ///< pieces_before(), made when asked for
};

/// The texts of a message behind its header, in search_form().
struct SearchedBody {
  std::vector<std::string> kept;
  std::vector<std::string> shown;  ///< what is visible and not in `kept`
  [[nodiscard]] bool has(std::string_view needle, SearchScope scope) const;
};
/// `original` and `visible`: a message, or its beginning, of equal size.
SearchedBody searched_body(std::string_view original, std::string_view visible);

}  // namespace kage::proxy
