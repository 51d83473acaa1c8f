// Address lists (RFC 5322 §3.4, §4.4): the bodies of From, To and their kin.
//
// Parsing never fails as a whole: what cannot be read as an address is reported as junk, so that a caller can
// drop it (default-deny).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "message/address.h"

namespace kage::message {

/// One element of an address list in its order.
struct ListItem {
  enum class Kind { mailbox, group_start, group_end, junk };
  Kind kind = Kind::mailbox;
  /// The octets of this element, without the separating ',' and outer white space; ends of line may be
  /// inside. Empty for the end of a group that nothing ends.
  std::string_view raw;
  /// Display name or group name as written: words joined by their white space, unfolded, quotes and
  /// encoded-words kept. Of junk: all its words.
  std::string phrase;
  std::vector<std::string> comments;  ///< contents of the comments in it, without outer parentheses, unfolded
  std::optional<Address> address;     ///< mailbox only
  /// `raw` is well-formed and holds nothing but phrase, comments and address. Else it has to be written anew:
  /// what stands in none of them (an obsolete route, text after an address) must not pass.
  bool intact = true;
};

struct AddressLimits {
  std::size_t max_items = 5000;
  std::size_t max_comment_depth = 32;  ///< deeper is junk
};

/// Parses the body of an address field. Groups give group_start, their members, group_end. Obsolete routes
/// ("<@a,@b:c@d>") are dropped and the address kept. Raw ISO-2022-JP in a phrase is opaque: '@', '"', '<',
/// ',' inside its two-byte state mean nothing. Broken input ("Broken <a@b", missing '>') still yields the
/// address where one can be read; the remainder is junk. Errc::limit when there are more than max_items.
Result<std::vector<ListItem>> parse_address_list(std::string_view body, const AddressLimits& limits = {});

}  // namespace kage::message
