// Internet addresses: RFC 5322 §3.4 with the obsolete syntax of §4.4, RFC 6532 UTF-8, and the local parts
// that old Japanese carriers gave out (contract R4.5).
//
// Pure functions over bytes. Parsing never fails as a whole: what cannot be read as an address is reported as
// junk, so that a caller can drop it (default-deny).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kage::message {

/// Of an address that is read: RFC 5321 §4.5.3.1 wants 64 octets of local part, old carriers had more.
inline constexpr std::size_t kMaxLocalPart = 256;
inline constexpr std::size_t kMaxDomain = 255;  ///< RFC 5321 §4.5.3.1.2

/// One addr-spec. `local` is the meaning, without quotes and escapes; `spelling` is what was written.
struct Address {
  std::string local;   ///< unquoted, case kept
  std::string domain;  ///< as written, comments and white space removed; may be a literal "[192.0.2.1]". Of
                       ///< parse_address(): dots of other kinds are '.', none at the end
  /// local@domain as it was written; comments and white space around '@' and dots removed, quotes kept.
  std::string spelling;

  /// The form that is compared (contract R4.2): local part composed and in lower case, character by
  /// character, domain as lower-case A-labels
  /// (IDNA 2008); a domain that IDNA refuses keeps its octets, ASCII in lower case. The local part is
  /// unquoted: "a..b"@x and a..b@x are one person.
  [[nodiscard]] std::string canonical() const;
  /// The domain part of canonical().
  [[nodiscard]] std::string canonical_domain() const;
  /// local@domain with the local part quoted where RFC 5321 §4.1.2 needs it (dot-atom otherwise).
  [[nodiscard]] std::string quoted() const;
  /// Whether the local part is a dot-atom (RFC 5321 Dot-string, or UTF-8 with RFC 6531).
  [[nodiscard]] bool is_dot_atom() const;
  /// Whether anything in it is not ASCII: it then needs SMTPUTF8.
  [[nodiscard]] bool needs_utf8() const;
};

/// The lower-case A-label form of a domain name without a final dot; a domain literal is lower-cased.
/// Errc::invalid when it is no domain.
Result<std::string> canonical_domain(std::string_view domain);

/// Parses exactly one addr-spec, quoted or not, e.g. a route's key or an SMTP mailbox without its brackets:
/// no comments, no white space outside quotes. Accepts old-carrier local parts. At most 64 octets of local
/// part are what RFC 5321 wants; up to 256 are accepted, 255 for the domain.
Result<Address> parse_address(std::string_view text);

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

/// The msg-ids (RFC 5322 §3.6.4) in a field body: the contents without the angle brackets. Everything between
/// '<' and
/// '>' counts, whatever its syntax, ends of line included; comments are skipped. `loose`: bare words with '@'
/// count too.
std::vector<std::string_view> find_msg_ids(std::string_view body, bool loose = true);

/// Where an address stands in decoded text.
struct TextAddress {
  std::size_t offset = 0;
  std::size_t length = 0;  ///< in octets of the text
  Address address;
};

/// Finds everything in free text (UTF-8, decoded) that a reader or a machine could take for an address:
/// local@domain.tld, quoted local parts, full-width forms ('＠' U+FF20, 'ａ', '．'), ideographic full stops,
/// '%40', IDN domains, domain literals, a trailing dot in the local part (old carriers). Prefers to find too
/// much. Hits are in the text's order and do not overlap. Linear in the size of the text.
std::vector<TextAddress> find_addresses(std::string_view text);

}  // namespace kage::message
