// Internet addresses: RFC 5322 §3.4 with the obsolete syntax of §4.4, RFC 6532 UTF-8, and the local parts
// that old Japanese carriers gave out (contract R4.5).
//
// Pure functions over bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kage::message {

/// Of an address that is read: RFC 5321 §4.5.3.1 wants 64 octets of local part, old carriers had more.
inline constexpr std::size_t kMaxLocalPart = 256;
inline constexpr std::size_t kMaxDomain = 255;  ///< RFC 5321 §4.5.3.1.2

/// One addr-spec. `local` is the meaning, without quotes and escapes; `spelling` is what was written.
struct Address {
  std::string local;  ///< unquoted, case kept
  /// As written, comments and white space removed; may be a literal "[192.0.2.1]". Of parse_address(): dots
  /// of other kinds are '.', none at the end.
  std::string domain;
  /// local@domain as it was written; comments and white space around '@' and dots removed, quotes kept.
  std::string spelling;

  /// The form that is compared (contract R4.2): local part composed and in lower case, character by
  /// character, domain as lower-case A-labels (IDNA 2008); a domain that IDNA refuses keeps its octets, ASCII
  /// in lower case. The local part is unquoted: "a..b"@x and a..b@x are one person.
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

}  // namespace kage::message
