// Correspondent → member: every outside address becomes this member's phantom for it (contract R5.1).
#include <algorithm>

#include "base/text.h"
#include "mapping/rewrite/ids.h"
#include "mapping/rewrite/rewrite.h"
#include "mapping/rewrite/writer.h"
#include "message/encoded_word.h"

namespace kage::mapping {
namespace {

using Kind = message::ListItem::Kind;

/// Whether an address crosses inward as it is: a public address of ours, or the member's own mailbox.
bool stays_inward(const RouteTable& routes, const Member& member, const std::string& canonical) {
  return canonical == member.mailbox_canonical || routes.find_address(canonical) != nullptr;
}

/// Whether an address is at a phantom domain of ours. It never gets a phantom, which could not be answered,
/// and vanishes, whether it exists or not: nobody may learn which (contract R3.3).
bool is_phantom_side(const RouteTable& routes, std::string_view canonical) {
  const std::size_t at = canonical.rfind('@');
  return at != std::string_view::npos && routes.find_phantom_domain(canonical.substr(at + 1)) != nullptr;
}

/// The body of the first Subject.
std::string_view subject_of(const ParsedHeader::Impl& header) {
  for (const ScannedField& field : header.scanned) {
    if (field.rule->name == "subject") return field.field->body;
  }
  return {};
}

Anonymity anonymity_of(const ParsedHeader::Impl& header, const AddressSpec& address) {
  return judge_anonymity(address, subject_to_judge(subject_of(header)));
}

class InwardCopy {
 public:
  InwardCopy(const ParsedHeader::Impl& header, const Inward& to) : header_(header), to_(to) {
    stand_ins_.reserve(header.index.all().size());
    for (const ParsedHeader::Found& found : header.index.all())
      stand_ins_.push_back(stand_in(found.canonical));
    // What a member writes is no message to the public address: no marker is looked for.
    if (!to.shared) anonymity_ = anonymity_of(header, to.member.address->spec);
    if (anonymity_.shows_author && header.author && may_be_shown())
      shown_author_ = header.author->canonical();
  }

  std::string write() {
    out_.reserve(header_.block.size() + 1024);
    if (!to_.received.empty()) message::write_field(out_, "Received", to_.received);
    if (!has_readable_from()) write_made_from();
    for (const ScannedField& field : header_.scanned) {
      if (field.rule->towards_member != FieldClass::drop) write_one(field);
    }
    write_missing(out_, header_, to_.message_id, to_.date);
    return std::move(out_);
  }

 private:
  using Action = StandIn::Action;

  [[nodiscard]] StandIn stand_in(const std::string& canonical) const {
    if (stays_inward(to_.routes, to_.member, canonical)) return {Action::keep, {}};
    const auto phantom = to_.phantoms.find(canonical);
    // Without a phantom nothing can stand for it: it vanishes (contract R3.8).
    if (phantom == to_.phantoms.end()) return {Action::remove, {}};
    return {Action::replace, phantom->second + "@" + to_.member.address->domain->phantom_domain};
  }

  [[nodiscard]] bool hides(const ScannedField& field, const AddressItem& item) const {
    return hides_name(to_.routes, to_.member, field, item, header_.index);
  }

  [[nodiscard]] bool has_readable_from() const {
    const AddressScan* from = header_.addresses_of("from");
    if (from == nullptr) return false;
    for (const AddressItem& item : from->items) {
      if (item.found != kNoAddress && stand_ins_[item.found].action != Action::remove) return true;
    }
    return false;
  }

  void write_made_from() {
    std::string address = "postmaster@" + to_.member.address->domain->name;
    if (to_.envelope_from) {
      const std::string canonical = to_.envelope_from->canonical();
      const StandIn sender = stand_in(canonical);
      if (sender.action == Action::replace) address = sender.text;
      if (sender.action == Action::keep) {
        const PublicAddress* known = to_.routes.find_address(canonical);
        address = (known != nullptr ? known : to_.member.address)->spec.address.spelling;
      }
    }
    ListWriter list;
    list.mailbox({}, address, {});
    list.write(out_, "From");
  }

  void write_one(const ScannedField& field) {
    if (const auto* addresses = std::get_if<AddressScan>(&field.scan)) {
      if (field.rule->name != "from" || has_readable_from()) write_addresses(field, *addresses);
    } else if (const auto* ids = std::get_if<IdScan>(&field.scan)) {
      write_ids_of(field, *ids);
    } else if (field.rule->name == "subject" && anonymity_.marker_size > 0) {
      write_subject(field);
    } else {
      write_other(out_, field, stand_ins_);
    }
  }

  void write_ids_of(const ScannedField& field, const IdScan& scan) {
    std::vector<std::string> ids;
    ids.reserve(scan.ids.size());
    for (const std::string& id : scan.ids) ids.push_back(shown_id(field, id));
    write_id_field(out_, field, scan, std::move(ids));
  }

  [[nodiscard]] std::string shown_id(const ScannedField& field, std::string_view id) const {
    const bool message_id = field.rule->name == "message-id";
    const bool sealed =
        message_id ? to_.shared || to_.inside : to_.inside && !is_made_by(to_.routes, to_.member, id);
    if (!sealed) return id_towards_member(to_.routes, to_.member, id);
    return seal_msg_id(to_.routes.master(), to_.member, id, to_.member.address->domain->phantom_domain);
  }

  void write_subject(const ScannedField& field) {
    const std::string decoded = message::decode_words(flat(field.field->body));
    const std::string subject =
        subject_without_marker(anonymity_, std::get_if<TextScan>(&field.scan), stand_ins_, decoded);
    if (!subject.empty()) message::write_field(out_, field.field->name, message::encode_words(subject));
  }

  [[nodiscard]] bool may_be_shown() const {
    return !to_.hides_author && !to_.routes.stands_behind(*to_.member.address, header_.author->canonical());
  }

  /// The header From has to be of our domains (contract R5.4): a member's own mailbox there is shown as the
  /// public address.
  [[nodiscard]] bool is_own_author(const ScannedField& field, const AddressItem& item) const {
    return field.rule->name == "from" && item.found != kNoAddress &&
           header_.index.all()[item.found].canonical == to_.member.mailbox_canonical &&
           to_.routes.find_address(to_.member.mailbox_canonical) == nullptr;
  }

  [[nodiscard]] bool stays(const ScannedField& field, const AddressScan& scan) const {
    return scan.faithful && !scan.items.empty() &&
           std::ranges::all_of(scan.items, [&](const AddressItem& item) {
             return !is_own_author(field, item) && item_stays(item, stand_ins_, hides(field, item));
           });
  }

  /// Automatic answers name whom they are for by the address that we sent from (RFC 3834 §4): whoever reads
  /// one means the public address. Not so in fields that answers go to.
  [[nodiscard]] const PublicAddress* written_to(const ScannedField& field, const AddressItem& item) const {
    if (field.rule->name != "to" && field.rule->name != "cc") return nullptr;
    const std::string& canonical = header_.index.all()[item.found].canonical;
    if (!is_phantom_side(to_.routes, canonical)) return nullptr;
    const auto bounce = open_bounce(to_.routes, canonical.substr(0, canonical.rfind('@')), to_.now);
    return bounce ? bounce->member->address : nullptr;
  }

  void write_addresses(const ScannedField& field, const AddressScan& scan) {
    if (stays(field, scan)) return write_as_it_came(out_, *field.field);
    ListWriter list;
    const bool groups = field.rule->name != "from";  // readers of From expect an address (RFC 6854 §4)
    for (const AddressItem& item : scan.items) {
      if (!groups && item.kind != Kind::mailbox) continue;
      switch (item.kind) {
        case Kind::mailbox:
          write_mailbox(list, field, item);
          break;
        case Kind::group_start:
          list.group_start(hides(field, item) ? "" : shown_phrase(item.phrase, stand_ins_));
          break;
        case Kind::group_end:
          list.group_end();
          break;
        case Kind::junk:
          break;
      }
    }
    list.write(out_, field.field->name);
  }

  void write_mailbox(ListWriter& list, const ScannedField& field, const AddressItem& item) const {
    const StandIn& stand_in = stand_ins_[item.found];
    if (stand_in.action == Action::remove) {
      const PublicAddress* ours = written_to(field, item);
      if (ours != nullptr)
        add_mailbox(list, item, ours->spec.address.spelling, stand_ins_, !hides(field, item));
      return;
    }
    std::string_view address =
        stand_in.action == Action::keep ? item.spelling : std::string_view(stand_in.text);
    if (is_own_author(field, item)) address = to_.member.address->spec.address.spelling;
    if (is_shown_author(field, item, stand_ins_, header_.index, shown_author_)) {
      return list.mailbox(author_phrase(item, header_.author->spelling, !hides(field, item)), address, {});
    }
    add_mailbox(list, item, address, stand_ins_, !hides(field, item));
  }

  const ParsedHeader::Impl& header_;
  const Inward& to_;
  StandIns stand_ins_;
  Anonymity anonymity_;
  std::string shown_author_;  ///< canonical; empty: nobody's address is shown (contract R7.2)
  std::string out_;
};

}  // namespace

Anonymity anonymity_of(const ParsedHeader& header, const AddressSpec& address) {
  return anonymity_of(header.impl(), address);
}

PhantomMap derive_phantoms(const ParsedHeader& header, const RouteTable& routes, const Member& member,
                           const std::optional<message::Address>& envelope_from) {
  PhantomMap phantoms;
  const auto derive = [&](const std::string& canonical) {
    if (!stays_inward(routes, member, canonical) && !is_phantom_side(routes, canonical))
      phantoms.try_emplace(canonical, phantom_local(member, canonical));
  };
  for (const ParsedHeader::Found& found : header.addresses()) derive(found.canonical);
  if (envelope_from) derive(envelope_from->canonical());
  return phantoms;
}

std::string rewrite_inward(const ParsedHeader& header, const Inward& to) {
  return InwardCopy(header.impl(), to).write();
}

}  // namespace kage::mapping
