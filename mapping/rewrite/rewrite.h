// The rewriting of header blocks in both directions (contract chapters 3 to 6): pure, parsed once for each
// message, written once for each copy.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/siphash.h"
#include "mapping/phantom.h"
#include "mapping/routes/anonymity.h"
#include "mapping/routes/table.h"
#include "message/address.h"
#include "message/header.h"

namespace kage::mapping {

/// A message's header block, parsed once for all its copies. Owns the bytes.
class ParsedHeader {
 public:
  /// Errc::limit when a bound of HeaderLimits or AddressLimits is exceeded.
  static Result<ParsedHeader> parse(std::string block, const message::HeaderLimits& limits = {});
  /// Another header made from this one, which may be larger by what was written into it: twice the bounds
  /// that this one kept.
  [[nodiscard]] Result<ParsedHeader> derive(std::string block) const;
  ParsedHeader(ParsedHeader&&) noexcept;
  ParsedHeader& operator=(ParsedHeader&&) noexcept;
  ~ParsedHeader();

  [[nodiscard]] std::span<const message::Field> fields() const;
  /// The body of the first field of this name, folds included; empty when there is none.
  [[nodiscard]] std::string_view body_of(std::string_view name) const;
  /// The author, when the message has exactly one From field with exactly one address (RFC 5598 §2.1.1).
  [[nodiscard]] std::optional<message::Address> author() const;
  /// Every distinct address (by canonical form, in order) that rewriting may have to replace, in address
  /// fields, display names, comments, encoded-words, free text and parameters.
  struct Found {
    message::Address address;
    std::string canonical;
  };
  [[nodiscard]] std::span<const Found> addresses() const;
  /// The first Message-ID without brackets; empty when there is none that can be read.
  [[nodiscard]] std::string_view message_id() const;
  /// Number of Received fields (RFC 5321 §6.3).
  [[nodiscard]] std::size_t hops() const;
  /// Octets that tell this message from others and stay equal in a retry: Message-ID, Date, From, To, Cc,
  /// Subject as they came; not trace fields, nor what is written where the message has none.
  [[nodiscard]] std::string identity() const;

  struct Impl;
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  explicit ParsedHeader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// canonical address → phantom's local part, for one member. Strangers choose the addresses.
using PhantomMap = std::unordered_map<std::string, std::string, SipHash, std::equal_to<>>;

/// What the policy of a public address says of this message (contract R7.1).
Anonymity anonymity_of(const ParsedHeader& header, const AddressSpec& address);

/// Derives the phantoms that a copy for `member` shows (and, with `envelope_from`, one for the envelope
/// sender, which stands in when there is no From). Public addresses of this gateway and the member's own
/// mailbox get none, nor does any address at a phantom domain: nobody could answer it.
PhantomMap derive_phantoms(const ParsedHeader& header, const RouteTable& routes, const Member& member,
                           const std::optional<message::Address>& envelope_from);

/// Correspondent → member (contract R5.1). The result is the new header block, CRLF line ends, without the
/// empty line.
struct Inward {
  const RouteTable& routes;
  const Member& member;
  const PhantomMap& phantoms;
  std::optional<message::Address> envelope_from;
  std::string_view received;         ///< the body of our own Received field, which names no client
  std::string_view message_id = {};  ///< without brackets: written when the message has none
  std::string_view date = {};        ///< of its receipt: written when the message has none
  /// A copy of what another member wrote (contract R7.3): its id is sealed once more, so that no mail system
  /// folds it into a message that the member has already.
  bool shared = false;
  /// A copy of what a member wrote to a public address. Its ids are those that correspondents know, and are
  /// sealed for whoever did not make them.
  bool inside = false;
  /// Whatever the policy says: a member wrote it, or a mail system whose name would tell where somebody's
  /// mailbox is (a bounce).
  bool hides_author = false;
  std::int64_t now = 0;  ///< seconds, for the age of bounce addresses
};
std::string rewrite_inward(const ParsedHeader& header, const Inward& to);

/// Member → correspondent (contract R5.3, R6.1).
struct Outward {
  const RouteTable& routes;
  const Member& member;            ///< who writes; its public address becomes From
  message::Address correspondent;  ///< who this copy is for, in the spelling that goes out
  std::string phantom;             ///< its phantom's local part, lower-case; empty when addressed directly
  /// The member's phantoms of this message (lower-case local part → real), Bcc included.
  const std::unordered_map<std::string, message::Address>& resolved;
  /// Canonical real addresses of all envelope recipients: what `open` may show.
  const std::vector<std::string>& recipients;
  bool several;  ///< the message goes to more than one correspondent
  std::string_view received;
  std::string_view message_id = {};  ///< without brackets: written when the message has none
  std::string_view date = {};        ///< of its receipt: written when the message has none
  /// The text that other members' copies are made from (contract R7.3): all correspondents whom To and Cc
  /// name are shown, and every id is opened.
  bool for_colleagues = false;
};
std::string rewrite_outward(const ParsedHeader& header, const Outward& to);

/// Whether the message is one that this gateway already sent to a member and that came back (a mailbox that
/// forwards to the public address): its Message-ID is one of our sealed ids at a phantom domain.
bool is_loop(const ParsedHeader& header, const RouteTable& routes);

}  // namespace kage::mapping
