// Phantoms, sealed message ids and bounce addresses: the three things that we show in place of real ones.
//
// Pure functions of keys and bytes; nothing here talks to Redis.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mapping/routes/table.h"

namespace kage::mapping {

/// 16 characters of lower-case base32 (80 bits of HMAC-SHA-256 under the member's key, contract R4.1).
std::string phantom_local(const Member& member, std::string_view canonical_address);
/// local@phantom-domain for a member.
std::string phantom_address(const Member& member, std::string_view canonical_address);
/// Whether a local part has the form of a phantom (any case). Says nothing about existence.
bool looks_like_phantom(std::string_view local);

/// What is kept of a correspondent who wrote to an address with `collect`. Days count from 1970, UTC.
struct Sighting {
  std::uint16_t first = 0, last = 0;
  std::string name;  ///< made by kept_name(); empty where the address's policy hides names
  bool operator==(const Sighting&) const = default;
};
/// A display name as it is kept: one line without control characters, at most 32 octets; nothing of a name
/// that may hold an address (contract R5.2).
std::string kept_name(std::string_view utf8);

/// The value stored for a phantom: version, member, sealed spelling (contract R4.3); with a Sighting the day
/// of the first before the sealed part, in clear, so that Redis itself can keep it. The phantom is the
/// sealing's context.
std::string seal_phantom_value(const Member& member, std::string_view phantom_local,
                               std::string_view spelling, const std::optional<Sighting>& seen = {});
/// Whose value it is, from its clear part alone, the first kPhantomOwnerOctets: for counting a member's
/// phantoms and deleting what a forgotten member left.
inline constexpr std::size_t kPhantomOwnerOctets = 9;
std::optional<MemberId> phantom_value_member(std::string_view value);
struct PhantomValue {
  const Member* member = nullptr;
  message::Address correspondent;  ///< in the spelling last seen (R4.2)
  std::optional<Sighting> seen{};
};
/// Nothing when the member is gone or the value does not open: to the caller that phantom never existed.
std::optional<PhantomValue> open_phantom_value(const RouteTable& routes, std::string_view phantom_local,
                                               std::string_view value);

/// A foreign msg-id (content without brackets) as an id of ours: reversible under the member's key, showing
/// nobody which member (contract R4.6). `domain`: the phantom domain towards the member, the public domain
/// towards correspondents. Ids of more than 500 octets are replaced irreversibly.
/// The domain is part of what is sealed: an id moved to another domain does not open.
std::string seal_msg_id(const MasterKeys& master, const Member& member, std::string_view msg_id,
                        std::string_view domain);
/// The same behind `out`.
void append_sealed_msg_id(std::string& out, const MasterKeys& master, const Member& member,
                          std::string_view msg_id, std::string_view domain);
struct SealedMsgId {
  const Member* member = nullptr;
  std::string original;
};
/// The original, when `msg_id` is one of ours at `domain` whose member still exists.
std::optional<SealedMsgId> open_msg_id(const RouteTable& routes, std::string_view msg_id,
                                       std::string_view domain);

/// Envelope senders of what we emit (contract R4.7): 'b' and 26 base32 characters, one AES block under the
/// bounce key that holds direction, member and day, with randomness, so that two of one member cannot be
/// linked by anybody else.
enum class BounceOf : std::uint8_t { to_member = 1, to_correspondent = 2 };
std::string bounce_local(const MasterKeys& master, BounceOf what, const Member& member,
                         std::int64_t unix_seconds);
struct Bounce {
  BounceOf what;
  const Member* member;
};
/// Nothing when forged, older than 60 days, or of a member that is gone.
std::optional<Bounce> open_bounce(const RouteTable& routes, std::string_view local,
                                  std::int64_t unix_seconds);
bool looks_like_bounce(std::string_view local);

}  // namespace kage::mapping
