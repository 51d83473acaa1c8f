// One mail transaction: who it is from and whom it is for, sorted by the routes (contract chapter 2).
// Everything here is pure: deciding is kept apart from Redis and sockets, so that each rule can be tested.
// The copies that it needs are in plan.h.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/rewrite/rewrite.h"
#include "mapping/routes/table.h"
#include "message/address.h"
#include "net/ip.h"
#include "submission/answer.h"
#include "submission/services.h"

namespace kage::submission {

struct Recipient {
  enum class Kind : std::uint8_t {
    public_address,  ///< every member behind it gets an inward copy
    phantom,         ///< its member writes to its correspondent
    bounce,          ///< what we emitted came back; for one member, or to be dropped
    direct,          ///< a real address, on the submission faces
  };
  Kind kind = Kind::direct;
  message::Address address;      ///< as the client wrote it
  std::string key;               ///< canonical address; of a phantom its local part in lower case
  std::string notify;            ///< NOTIFY (RFC 3461)
  mapping::MemberId member = 0;  ///< bounce; phantom when it is resolved
  bool discard = false;          ///< bounce of an inward copy: nobody may be told (contract R3.2)
  std::optional<message::Address> correspondent;  ///< phantom when it is resolved
};

/// What was said before the data.
struct ClientEnvelope {
  mapping::Routes routes;                  ///< newest snapshot that this transaction has seen
  bool verified = false;                   ///< `routes` was compared with Redis in this transaction
  std::optional<message::Address> sender;  ///< nothing: <>
  std::uint64_t size = 0;
  bool body_8bit = false;
  bool smtputf8 = false;
  std::string ret;
  std::vector<Recipient> recipients;
  /// The author's own phantoms that To or Cc name and that another transaction is for: mail systems send one
  /// for each recipient domain (a public address and its phantoms are at two), some for each recipient.
  std::vector<Recipient> mentioned;
};

/// Who hands us the message, and how.
struct Origin {
  Face face = Face::inbound;
  net::PeerAddress peer;
  std::string login;  ///< submission faces: as it logged in
  bool extended = false;
  bool tls = false;
  std::string_view how{};  ///< where it did not come by SMTP: the word for it, in static storage
};

/// Sorts a recipient by the routes alone. `now`: seconds, for the age of bounce addresses. A phantom comes
/// back unresolved.
std::expected<Recipient, Answer> classify(const mapping::RouteTable& routes, Face face,
                                          const std::optional<message::Address>& sender,
                                          const message::Address& address, std::int64_t now);

/// What the visible lists, To and Cc, name and this transaction is not for: phantoms, unresolved, or public
/// addresses.
std::vector<Recipient> named_elsewhere(const mapping::ParsedHeader& header, const ClientEnvelope& envelope,
                                       Recipient::Kind kind);

/// Whether a phantom's local part belongs to the domain that it was written with: at another phantom domain
/// it never existed (contract R3.3).
bool is_at_home(const Recipient& phantom, const mapping::Member& member);

/// Whether the login's members include this one.
bool owns(const mapping::RouteTable& routes, std::string_view login, mapping::MemberId member);

/// Whether any of the login's members may write to real addresses (contract R7.4). Which of them writes is
/// known with the header only.
bool may_write_directly(const mapping::RouteTable& routes, std::string_view login);

/// Whether every phantom among the recipients belongs to a member whose mailbox is the author (contract
/// R3.3).
bool owns_phantoms(const mapping::RouteTable& routes, std::span<const Recipient> recipients,
                   const message::Address& author);

/// "by host with ESMTPS id …; date": names no client (contract R5.3).
std::string received_body(std::string_view hostname, const Origin& origin, bool smtputf8, std::int64_t now);

}  // namespace kage::submission
