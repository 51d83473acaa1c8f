// Sorting of recipients: what an address is, by the routes alone. The plan is in plan.cc.
#include "submission/transaction.h"

#include <unordered_set>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "message/address_list.h"

namespace kage::submission {
namespace {

using mapping::RouteTable;

/// RFC 5321 §4.5.1: <postmaster> without a domain is that of the first domain of ours that has one.
const mapping::PublicAddress* find_postmaster(const RouteTable& routes) {
  for (const mapping::DomainSpec& domain : routes.domains()) {
    if (const auto* address = routes.find_address("postmaster@" + domain.name)) return address;
  }
  return nullptr;
}

/// Bounces come from the null sender; some systems give theirs a name.
bool sends_bounces(const std::optional<message::Address>& sender) {
  return !sender || equals_nocase(sender->local, "mailer-daemon") ||
         equals_nocase(sender->local, "postmaster");
}

/// Its last member may be forgotten, and the next one not there yet: the sender's queue waits (contract
/// R3.7).
std::expected<Recipient, Answer> classify_public(Recipient recipient, const mapping::PublicAddress* address) {
  if (address == nullptr) return std::unexpected(Answer::no_such_user);
  if (address->members.empty()) return std::unexpected(Answer::nobody_behind);
  recipient.kind = Recipient::Kind::public_address;
  recipient.key = address->canonical;
  return recipient;
}

std::expected<Recipient, Answer> classify_bounce(const RouteTable& routes, Recipient recipient,
                                                 std::int64_t now) {
  const auto bounce = mapping::open_bounce(routes, lower(recipient.address.local), now);
  if (!bounce) return std::unexpected(Answer::no_such_user);
  recipient.kind = Recipient::Kind::bounce;
  recipient.member = bounce->member->id;
  recipient.discard = bounce->what == mapping::BounceOf::to_member;
  return recipient;
}

}  // namespace

std::expected<Recipient, Answer> classify(const RouteTable& routes, Face face,
                                          const std::optional<message::Address>& sender,
                                          const message::Address& address, std::int64_t now) {
  Recipient recipient;
  recipient.address = address;
  if (address.domain.empty()) return classify_public(std::move(recipient), find_postmaster(routes));
  recipient.key = address.canonical();
  if (const auto* found = routes.find_address(recipient.key)) {
    return classify_public(std::move(recipient), found);
  }

  const std::string domain = address.canonical_domain();
  if (routes.find_phantom_domain(domain) != nullptr) {
    if (mapping::looks_like_phantom(address.local)) {
      recipient.kind = Recipient::Kind::phantom;
      recipient.key = lower(address.local);
      return recipient;
    }
    if (face == Face::inbound && mapping::looks_like_bounce(address.local) && sends_bounces(sender)) {
      return classify_bounce(routes, std::move(recipient), now);
    }
    return std::unexpected(Answer::no_such_user);
  }
  if (routes.find_public_domain(domain) != nullptr) return std::unexpected(Answer::no_such_user);
  if (face == Face::inbound) return std::unexpected(Answer::relaying_denied);
  recipient.kind = Recipient::Kind::direct;
  return recipient;
}

std::vector<Recipient> named_elsewhere(const mapping::ParsedHeader& header, const ClientEnvelope& envelope,
                                       Recipient::Kind kind) {
  std::vector<Recipient> named;
  std::unordered_set<std::string> known;
  for (const Recipient& recipient : envelope.recipients) {
    if (recipient.kind == kind) known.insert(recipient.key);
  }
  for (const message::Field& field : header.fields()) {
    if (!field.is("To") && !field.is("Cc")) continue;
    const auto items = message::parse_address_list(field.body);
    if (!items) continue;
    for (const message::ListItem& item : *items) {
      if (!item.address) continue;
      auto recipient = classify(*envelope.routes, Face::inbound, envelope.sender, *item.address, 0);
      if (!recipient || recipient->kind != kind || !known.insert(recipient->key).second) continue;
      named.push_back(std::move(*recipient));
    }
  }
  return named;
}

bool is_at_home(const Recipient& phantom, const mapping::Member& member) {
  return phantom.address.canonical_domain() == member.address->domain->phantom_domain;
}

bool owns(const RouteTable& routes, std::string_view login, mapping::MemberId member) {
  for (const mapping::Member* mine : routes.find_login(login)) {
    if (mine->id == member) return true;
  }
  return false;
}

bool may_write_directly(const RouteTable& routes, std::string_view login) {
  for (const mapping::Member* mine : routes.find_login(login)) {
    if (mine->address->spec.direct) return true;
  }
  return false;
}

bool owns_phantoms(const RouteTable& routes, std::span<const Recipient> recipients,
                   const message::Address& author) {
  const std::string canonical = author.canonical();
  for (const Recipient& recipient : recipients) {
    if (recipient.kind != Recipient::Kind::phantom) continue;
    const mapping::Member* member = routes.find_member(recipient.member);
    if (member == nullptr || member->mailbox_canonical != canonical) return false;
  }
  return true;
}

std::string received_body(std::string_view hostname, const Origin& origin, bool smtputf8, std::int64_t now) {
  std::string out = "by ";
  out.append(hostname).append(" with ");
  if (!origin.how.empty()) {
    out.append(origin.how);
  } else if (!origin.extended) {
    out.append("SMTP");
  } else {
    // RFC 3848, RFC 6531 §4.3.
    out.append(smtputf8 ? "UTF8SMTP" : "ESMTP");
    if (origin.tls) out.append("S");
    if (!origin.login.empty()) out.append("A");
  }
  out.append(" id ").append(base32(random_bytes(10))).append("; ").append(rfc5322_date(now));
  return out;
}

}  // namespace kage::submission
