// What a member writes to a public address: delivered inside, with phantoms for colleagues as for everybody
// else (contract R6.2, R6.3).
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
using Meant = std::unordered_map<std::string, std::string>;

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
    list.mailbox(item.phrase, real == meant.end() ? item.address->spelling : real->second, item.comments);
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

}  // namespace

bool Plan::add_inside(const ParsedHeader& header, const ClientEnvelope& envelope) {
  if (writer_ == nullptr || !has_public_) return true;
  Meant meant;
  for (const Recipient& recipient : envelope.recipients) {
    const Member* member = routes_->find_member(recipient.member);
    if (recipient.kind != Recipient::Kind::phantom || member == nullptr) continue;
    meant.insert_or_assign(recipient.key + "@" + member->address->domain->phantom_domain,
                           recipient.correspondent->quoted());
  }
  auto inside = header.derive(header_from_mailbox(header, *routes_, *writer_, meant));
  if (!inside) return false;
  inside_.emplace(std::move(*inside));
  return true;
}

}  // namespace kage::submission
