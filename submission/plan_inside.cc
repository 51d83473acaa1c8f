// What a member writes to a public address: delivered inside, with phantoms for colleagues as for everybody
// else (contract R6.2, R6.3). To the people behind an address of another organisation, which is another
// domain, the writer is the public address, as to any correspondent (contract R3.2, R5.3).
#include <algorithm>

#include "mapping/rewrite/ids.h"
#include "mapping/rewrite/writer.h"
#include "message/address_list.h"
#include "message/header.h"
#include "message/msg_id.h"
#include "submission/plan.h"

namespace kage::submission {
namespace {

using mapping::Member;
using mapping::ParsedHeader;
using mapping::RouteTable;
using message::ListItem;

/// Address as the writer knows it (canonical) → real one.
using Meant = std::unordered_map<std::string, message::Address>;

std::string author_phrase(const ParsedHeader& header) {
  const auto items = message::parse_address_list(header.body_of("From"));
  if (!items) return {};
  for (const ListItem& item : *items) {
    if (item.address && !item.phrase.empty()) return item.phrase;
  }
  return {};
}

/// The ids of a field as correspondents know them. Each colleague sees them sealed, finds the thread, and in
/// an answer tells correspondents what those know: nothing of the writer's provider (contract R3.2, R4.6).
std::vector<std::string> known_ids(const RouteTable& routes, const Member& writer, std::string_view body) {
  const mapping::IdAudience everybody{.routes = routes, .member = writer, .domain = {}, .only_own = false};
  std::vector<std::string> ids;
  for (const std::string_view id : message::find_msg_ids(body))
    ids.push_back(mapping::id_towards_correspondent(everybody, id));
  return ids;
}

/// A list with real addresses. Only what is an address is replaced: text put in the place of text could be
/// read as something else.
void write_list(std::string& out, const message::Field& field, const Meant& meant) {
  const auto items = message::parse_address_list(field.body);
  if (!items) {
    out.append(field.raw);
    return;
  }
  mapping::ListWriter list;
  for (const ListItem& item : *items) {
    if (item.kind == ListItem::Kind::group_start) list.group_start(item.phrase);
    if (item.kind == ListItem::Kind::group_end) list.group_end();
    if (item.kind != ListItem::Kind::mailbox || !item.address) continue;
    const auto real = meant.find(item.address->canonical());
    list.mailbox(item.phrase, real == meant.end() ? item.address->spelling : real->second.quoted(),
                 item.comments);
  }
  list.write(out, field.name);
}

/// What the header would be had the writer sent from the mailbox to real addresses: other members then see
/// phantoms of their own in it.
std::string header_from_mailbox(const ParsedHeader& header, const RouteTable& routes, const Member& writer,
                                const Meant& meant) {
  std::string out;
  mapping::ListWriter from;
  from.mailbox(author_phrase(header), writer.spec.mailbox.quoted(), {});
  from.write(out, "From");
  for (const message::Field& field : header.fields()) {
    if (field.is("From") || field.is("Sender")) continue;
    if (field.is("To") || field.is("Cc")) {
      write_list(out, field, meant);
    } else if (field.is("Message-ID") || field.is("In-Reply-To") || field.is("References")) {
      mapping::write_ids(out, field.name, known_ids(routes, writer, field.body));
    } else {
      out.append(field.raw);
    }
  }
  return out;
}

/// The header as the writer made it, but for real addresses in To and Cc.
std::string header_to_real(const ParsedHeader& header, const Meant& meant) {
  std::string out;
  for (const message::Field& field : header.fields()) {
    if (field.is("To") || field.is("Cc")) {
      write_list(out, field, meant);
    } else {
      out.append(field.raw);
    }
  }
  return out;
}

}  // namespace

Plan::Meant Plan::meant_by(const ClientEnvelope& envelope) const {
  Meant meant;
  for (const auto* phantoms : {&envelope.recipients, &envelope.mentioned}) {
    for (const Recipient& to : *phantoms) {
      const Member* member = routes_->find_member(to.member);
      if (to.kind != Recipient::Kind::phantom || member == nullptr || !to.correspondent) continue;
      meant.insert_or_assign(to.key + "@" + member->address->domain->phantom_domain, *to.correspondent);
    }
  }
  return meant;
}

bool Plan::is_outsider_to(const mapping::PublicAddress& address) const {
  return address.domain != writer_->address->domain &&
         !routes_->stands_behind(address, writer_->mailbox_canonical);
}

bool Plan::add_inside(const ParsedHeader& header, const ClientEnvelope& envelope) {
  if (writer_ == nullptr || !has_public_) return true;
  const Meant meant = meant_by(envelope);
  for (const PlannedCopy& copy : copies_) {
    if (!copy.inward || copy.writer != nullptr) continue;
    if (is_outsider_to(*copy.member->address)) {
      if (!outside_.contains(copy.member->address) && !add_outside(header, *copy.member->address, meant))
        return false;
    } else if (!inside_) {
      auto inside = header.derive(header_from_mailbox(header, *routes_, *writer_, meant));
      if (!inside) return false;
      inside_.emplace(std::move(*inside));
    }
  }
  return true;
}

/// What a correspondent with this public address would see, with everybody in it whom the writer addressed
/// and who is no member of anything here. Each reader then sees phantoms of their own.
bool Plan::add_outside(const ParsedHeader& header, const mapping::PublicAddress& address,
                       const Meant& meant) {
  const auto real = header.derive(header_to_real(header, meant));
  if (!real) return false;
  std::vector<std::string> named = shown_;
  for (const auto& [phantom, correspondent] : meant) named.push_back(correspondent.canonical());
  std::erase_if(named, [this](const std::string& who) { return !routes_->find_mailbox(who).empty(); });
  const std::string id = new_id(false, *writer_);
  auto outside = header.derive(mapping::rewrite_outward(*real, {.routes = *routes_,
                                                                .member = *writer_,
                                                                .correspondent = address.spec.address,
                                                                .phantom = {},
                                                                .resolved = {},
                                                                .recipients = named,
                                                                .several = false,
                                                                .received = {},
                                                                .message_id = id,
                                                                .for_colleagues = true}));
  if (!outside) return false;
  outside_.emplace(&address, std::move(*outside));
  return true;
}

}  // namespace kage::submission
