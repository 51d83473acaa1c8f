// Which copies a message needs, whom each is for and how its header is written. Those of a member's message
// for people inside are in plan_inside.cc and plan_share.cc.
#include "submission/plan.h"

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "message/address_list.h"
#include "message/encoded_word.h"
#include "submission/bounce_report.h"

namespace kage::submission {
namespace {

using mapping::Member;
using mapping::ParsedHeader;
using mapping::RouteTable;

constexpr std::int64_t kDaySeconds = 86400;

std::string octets_of(mapping::MemberId id) {
  std::string out(sizeof id, '\0');
  std::memcpy(out.data(), &id, sizeof id);
  return out;
}

template <class Tag>
Tag tag_of(const RouteTable& routes, std::string_view text) {
  Tag tag{};
  const mapping::Mac hash = mapping::hmac_sha256(routes.master().index_key(), text);
  std::copy_n(hash.octets.begin(), tag.size(), tag.begin());
  return tag;
}

/// What the header's first From field lists, with display names as written.
std::vector<message::ListItem> from_items(const ParsedHeader& header) {
  auto items = message::parse_address_list(header.body_of("From"));
  if (!items) return {};
  return std::move(*items);
}

/// Whether no person wrote it to the public address: an automatic answer (RFC 3834 §5), or what a list sends
/// to all (RFC 2919, RFC 2369).
bool is_automatic(const ParsedHeader& header) {
  const std::string_view submitted = trim(header.body_of("Auto-Submitted"));
  if (!submitted.empty() && !equals_nocase(submitted.substr(0, submitted.find_first_of(";( \t\r\n")), "no"))
    return true;
  const std::string_view precedence = trim(header.body_of("Precedence"));
  return equals_nocase(precedence, "bulk") || equals_nocase(precedence, "list") ||
         std::ranges::any_of(header.fields(), [](const message::Field& field) {
           return equals_nocase(field.name, "List-Id") || equals_nocase(field.name, "List-Unsubscribe");
         });
}

/// The login's members, those first whose phantoms are among the recipients: where nothing else tells a
/// person's members apart, direct recipients are written to by the same.
std::vector<const Member*> members_of(const RouteTable& routes, const ClientEnvelope& envelope,
                                      std::string_view login) {
  std::vector<const Member*> mine;
  for (const bool addressed : {true, false}) {
    for (const Member* member : routes.find_login(login)) {
      const bool is = std::ranges::any_of(envelope.recipients,
                                          [member](const Recipient& to) { return to.member == member->id; });
      if (is == addressed) mine.push_back(member);
    }
  }
  return mine;
}

/// The member whose public address, or else whose mailbox, is the author; else the first.
const Member* find_writer(const std::vector<const Member*>& mine,
                          const std::vector<message::ListItem>& from) {
  for (const bool by_public_address : {true, false}) {
    for (const message::ListItem& item : from) {
      if (!item.address) continue;
      const std::string canonical = item.address->canonical();
      for (const Member* member : mine) {
        if (canonical == (by_public_address ? member->address->canonical : member->mailbox_canonical))
          return member;
      }
    }
  }
  return mine.empty() ? nullptr : mine.front();
}

/// Of a plain reply: the member whose phantom it is for, or at least names.
const Member* find_replier(const RouteTable& routes, const ClientEnvelope& envelope) {
  for (const auto* phantoms : {&envelope.recipients, &envelope.mentioned}) {
    for (const Recipient& to : *phantoms) {
      const Member* member = to.kind == Recipient::Kind::phantom ? routes.find_member(to.member) : nullptr;
      if (member != nullptr) return member;
    }
  }
  return nullptr;
}

/// Whether another transaction brings the rest of a member's reply to all.
bool is_part(const ParsedHeader& header, const ClientEnvelope& envelope) {
  return !envelope.mentioned.empty() ||
         !named_elsewhere(header, envelope, Recipient::Kind::public_address).empty();
}

/// A report of success or delay tells the real address, in words that no header holds: nobody who writes to a
/// phantom may ask for one (contract R3.1).
std::string failures_only(const std::string& notify) {
  if (notify.empty()) return {};
  return notify.find("FAILURE") == std::string::npos ? "NEVER" : "FAILURE";
}

bool has_field(std::string_view block, std::string_view name) {
  while (!block.empty()) {
    if (message::read_field(message::cut_field(block)).is(name)) return true;
  }
  return false;
}

}  // namespace

std::expected<Plan, Answer> Plan::make(const ParsedHeader& header, const ClientEnvelope& envelope,
                                       const Origin& origin, std::int64_t now) {
  Plan plan;
  plan.routes_ = envelope.routes;
  plan.face_ = origin.face;
  plan.now_ = now;
  if (origin.face == Face::inbound) {
    // Colleagues see phantoms of their own in a plain reply that also goes to a public address.
    plan.writer_ = find_replier(*plan.routes_, envelope);
  } else {
    plan.writer_ = find_writer(members_of(*plan.routes_, envelope, origin.login), from_items(header));
    if (plan.writer_ == nullptr) return std::unexpected(Answer::auth_required);
  }
  if (const auto refusal = plan.add_recipients(envelope)) return std::unexpected(*refusal);
  plan.add_mentioned(envelope);
  plan.named_ = named_elsewhere(header, envelope, Recipient::Kind::phantom).size();
  plan.drop_duplicates();
  if (const auto refusal = plan.judge_bounce(header)) return std::unexpected(*refusal);
  plan.choose_ids(header);
  plan.remembered_ =
      !header.message_id().empty() || (plan.face_ == Face::inbound && plan.writer_ != nullptr &&
                                       !header.body_of("Date").empty() && is_part(header, envelope));
  if (!plan.add_shares(header)) return std::unexpected(Answer::header_too_large);
  if (!plan.add_inside(header, envelope)) return std::unexpected(Answer::header_too_large);
  plan.add_phantoms(header, envelope);
  plan.add_tags();
  for (const mapping::PublicAddress* address : plan.public_) {
    plan.anonymity_.push_back(mapping::anonymity_of(header, address->spec).rule);
  }
  return plan;
}

/// A bounce comes for one member. Its body is not the others'.
std::optional<Answer> Plan::judge_bounce(const ParsedHeader& header) {
  const auto bounce = std::ranges::find(copies_, true, &PlannedCopy::is_bounce);
  if (bounce == copies_.end()) return std::nullopt;
  if (copies_.size() > 1) return Answer::no_such_user;
  if (!is_delivery_report(header)) return std::nullopt;
  bounced_to_ = bounce->member;
  if (!set_bounce_kind(header, BounceReport::Kind::failed)) return Answer::header_too_large;
  return std::nullopt;
}

bool Plan::set_bounce_kind(const ParsedHeader& header, BounceReport::Kind kind) {
  auto ours = header.derive(bounce_header(header, *routes_, *bounced_to_, kind));
  if (!ours) return false;
  bounce_header_.emplace(std::move(*ours));
  return true;
}

std::optional<Answer> Plan::add_recipients(const ClientEnvelope& envelope) {
  for (std::size_t i = 0; i < envelope.recipients.size(); ++i) {
    const std::size_t before = copies_.size();
    if (const auto refusal = add_recipient(envelope.recipients[i])) return refusal;
    for (std::size_t copy = before; copy < copies_.size(); ++copy) copies_[copy].position = i;
  }
  return std::nullopt;
}

/// They read in each copy as they would, were they recipients of this transaction.
void Plan::add_mentioned(const ClientEnvelope& envelope) {
  for (const Recipient& phantom : envelope.mentioned) {
    if (writer_ == nullptr || phantom.member != writer_->id || !phantom.correspondent) continue;
    if (resolved_[writer_->id].try_emplace(phantom.key, *phantom.correspondent).second)
      mentioned_.push_back(*phantom.correspondent);
  }
}

std::optional<Answer> Plan::add_recipient(const Recipient& recipient) {
  switch (recipient.kind) {
    case Recipient::Kind::public_address: {
      const auto* address = routes_->find_address(recipient.key);
      if (address == nullptr) return Answer::no_such_user;
      if (address->members.empty()) return Answer::nobody_behind;
      shown_.push_back(address->canonical);
      has_public_ = true;
      for (const Member* member : address->members) add_inward_copy(*member, recipient.notify);
      if (writer_ == nullptr) public_.push_back(address);
      return std::nullopt;
    }
    case Recipient::Kind::phantom: {
      const Member* member = routes_->find_member(recipient.member);
      if (member == nullptr || !recipient.correspondent) return Answer::no_such_user;
      resolved_[member->id].insert_or_assign(recipient.key, *recipient.correspondent);
      add_outward_copy(*member, *recipient.correspondent, recipient.key, recipient.notify);
      return std::nullopt;
    }
    case Recipient::Kind::bounce: {
      const Member* member = routes_->find_member(recipient.member);
      if (member == nullptr) return Answer::no_such_user;
      if (recipient.discard) {
        discarded_ = member;
      } else {
        add_inward_copy(*member, {});
        copies_.back().is_bounce = true;
      }
      return std::nullopt;
    }
    case Recipient::Kind::direct:
      if (!writer_->address->spec.direct) return Answer::phantoms_only;
      add_outward_copy(*writer_, recipient.address, {}, recipient.notify);
      return std::nullopt;
  }
  return Answer::no_such_user;
}

std::string Plan::copy_name(bool inward, mapping::MemberId member, const std::string& key) {
  std::string name(inward ? "i" : "o");
  name.append(octets_of(member)).append(key);
  return name;
}

void Plan::add_inward_copy(const Member& member, const std::string& notify) {
  if (!seen_.insert(copy_name(true, member.id, {})).second) return;
  PlannedCopy copy;
  copy.inward = true;
  copy.member = &member;
  copy.recipient = member.spec.mailbox;
  copy.recipient_key = member.mailbox_canonical;
  copy.notify = notify;
  copies_.push_back(std::move(copy));
}

void Plan::add_outward_copy(const Member& member, const message::Address& correspondent,
                            const std::string& phantom, const std::string& notify) {
  std::string key = correspondent.canonical();
  if (!seen_.insert(copy_name(false, member.id, key)).second) return;
  shown_.push_back(key);
  PlannedCopy copy;
  copy.member = &member;
  copy.recipient = correspondent;
  copy.recipient_key = std::move(key);
  copy.phantom = phantom;
  copy.notify = notify;
  copies_.push_back(std::move(copy));
  ++correspondents_;
}

/// Who gets an outward copy, if it is a colleague of the writer's. A copy by the public address is the same
/// entry of the ledger: when a reply to all names both, and they are in two transactions, one arrives.
const Member* Plan::colleague(const PlannedCopy& copy) const {
  for (const Member* member : routes_->find_mailbox(copy.recipient_key)) {
    if (member->address == copy.member->address) return member;
  }
  return nullptr;
}

/// A colleague who gets the message by the public address does not get it as a correspondent too, as answers
/// to all would have it.
void Plan::drop_duplicates() {
  if (!has_public_) return;
  const std::size_t left_out = std::erase_if(copies_, [this](const PlannedCopy& copy) {
    const Member* member = copy.inward ? nullptr : colleague(copy);
    return member != nullptr && seen_.contains(copy_name(true, member->id, {}));
  });
  correspondents_ -= left_out;
}

std::optional<mapping::Sighting> Plan::sighting(const ParsedHeader& header, const Member& member) const {
  const mapping::AddressSpec& address = member.address->spec;
  if (!address.collect) return std::nullopt;
  mapping::Sighting seen;
  seen.first = seen.last = static_cast<std::uint16_t>(now_ / kDaySeconds);
  const auto from = from_items(header);
  if (address.name == mapping::NamePolicy::keep && !from.empty()) {
    seen.name = mapping::kept_name(message::decode_words(from.front().phrase, true));
  }
  return seen;
}

const ParsedHeader& Plan::header_for(const PlannedCopy& copy, const ParsedHeader& header) const {
  if (copy.writer != nullptr) return shared_.at(copy.writer->id);
  if (bounce_header_) return *bounce_header_;
  if (!copy.inward) return header;
  const auto outside = outside_.find(copy.member->address);
  if (outside != outside_.end()) return outside->second;
  return inside_ ? *inside_ : header;
}

void Plan::add_phantoms(const ParsedHeader& header, const ClientEnvelope& envelope) {
  const auto sender = face_ == Face::inbound ? envelope.sender : std::nullopt;
  std::unordered_map<std::string_view, const std::string*, SipHash, std::equal_to<>> spellings;
  const auto learn = [&spellings](const ParsedHeader& from) {
    for (const auto& found : from.addresses())
      spellings.try_emplace(found.canonical, &found.address.spelling);
  };
  const std::string sender_key = sender ? sender->canonical() : std::string();
  // Who writes to a public address; others are only mentioned.
  const bool person = writer_ == nullptr && envelope.sender && !is_automatic(header);
  const auto author = person ? header.author() : std::nullopt;
  const std::string author_key = author ? author->canonical() : std::string();
  learn(header);
  if (inside_) learn(*inside_);
  for (const auto& [address, outside] : outside_) learn(outside);
  for (const auto& [writer, shared] : shared_) learn(shared);
  if (sender) spellings.try_emplace(sender_key, &sender->spelling);
  for (const PlannedCopy& copy : copies_) {
    if (!copy.inward) continue;
    auto map = mapping::derive_phantoms(header_for(copy, header), *routes_, *copy.member,
                                        copy.writer != nullptr ? std::nullopt : sender);
    for (const auto& [canonical, local] : map) {
      const auto known = spellings.find(canonical);
      request_.phantoms.push_back({copy.member, local, known == spellings.end() ? canonical : *known->second,
                                   canonical == author_key ? sighting(header, *copy.member) : std::nullopt});
    }
    phantoms_.insert_or_assign(copy.member->id, std::move(map));
  }
}

void Plan::choose_ids(const ParsedHeader& header) {
  std::string named("message\0", 8);
  named.append(header.identity());
  request_.message = tag_of<mapping::MessageTag>(*routes_, named);
  // Inbound the ids are equal in a retry; a submission's retry cannot be told from a second message.
  if (!header.message_id().empty()) return;
  id_seed_ = face_ == Face::inbound ? std::string(request_.message.begin(), request_.message.end())
                                    : random_bytes(16);
}

void Plan::add_tags() {
  const std::string message(request_.message.begin(), request_.message.end());
  for (PlannedCopy& copy : copies_) {
    const Member* inside = copy.inward ? copy.member : colleague(copy);
    const std::string what = message + (inside != nullptr ? "member" : "correspondent") +
                             octets_of((inside != nullptr ? inside : copy.member)->id) + copy.recipient_key;
    copy.tag = tag_of<mapping::CopyTag>(*routes_, what);
    request_.copies.push_back(copy.tag);
  }
  if (!reportable()) return;
  // Each part of a message that comes in several transactions has a report of its own.
  auto copies = request_.copies;
  std::ranges::sort(copies);
  std::string report = message + "report" + octets_of(writer_->id);
  for (const mapping::CopyTag& tag : copies) report.append(tag.begin(), tag.end());
  request_.copies.push_back(tag_of<mapping::CopyTag>(*routes_, report));
}

const Member* Plan::logged_member() const {
  if (writer_ != nullptr) return writer_;
  return copies_.empty() ? discarded_ : copies_.front().member;
}

std::string Plan::new_id(bool inward, const Member& member) const {
  if (id_seed_.empty()) return {};
  const mapping::DomainSpec& domain = *member.address->domain;
  const std::string seed = "message-id" + id_seed_ + (inward ? "m" : "c") + octets_of(member.id);
  const mapping::Mac hash = mapping::hmac_sha256(routes_->master().index_key(), seed);
  std::string made = base32(hash.first(15)) + "@" + domain.name;
  if (!inward) return made;
  // As if the stranger had made it: mapping::is_loop() knows it when a mailbox forwards the message back.
  return mapping::seal_msg_id(routes_->master(), member, made, domain.phantom_domain);
}

const Plan::Resolved& Plan::resolved_of(const Member& member) const {
  static const Resolved kNone;
  const auto resolved = resolved_.find(member.id);
  return resolved == resolved_.end() ? kNone : resolved->second;
}

Copy Plan::write(std::size_t index, const ParsedHeader& header, const ClientEnvelope& envelope,
                 std::string_view received) const {
  const PlannedCopy& planned = copies_[index];
  const Member& member = *planned.member;
  const mapping::DomainSpec& domain = *member.address->domain;
  const std::string id = new_id(planned.inward, member);
  const std::string date = rfc5322_date(now_);
  Copy copy;
  copy.recipient = planned.recipient;
  copy.notify = planned.inward ? planned.notify : failures_only(planned.notify);
  copy.ret = envelope.ret;
  const auto of = planned.inward ? mapping::BounceOf::to_member : mapping::BounceOf::to_correspondent;
  copy.mail_from = mapping::bounce_local(routes_->master(), of, member, now_) + "@" + domain.phantom_domain;
  if (planned.inward) {
    const bool shared = planned.writer != nullptr;
    const auto sender = face_ == Face::inbound && !shared ? envelope.sender : std::nullopt;
    const ParsedHeader& source = header_for(planned, header);
    copy.header = mapping::rewrite_inward(source, {.routes = *routes_,
                                                   .member = member,
                                                   .phantoms = phantoms_.at(member.id),
                                                   .envelope_from = sender,
                                                   .received = received,
                                                   .message_id = id,
                                                   .date = date,
                                                   .shared = shared,
                                                   .inside = inside_ && &source == &*inside_,
                                                   .hides_author = planned.is_bounce || writer_ != nullptr,
                                                   .now = now_});
  } else {
    copy.header = mapping::rewrite_outward(header, {.routes = *routes_,
                                                    .member = member,
                                                    .correspondent = planned.recipient,
                                                    .phantom = planned.phantom,
                                                    .resolved = resolved_of(member),
                                                    .recipients = shown_,
                                                    .several = correspondents_ + named_ > 1,
                                                    .received = received,
                                                    .message_id = id,
                                                    .date = date});
  }
  // The null sender, which kept automatic answers from being answered, is ours now.
  if (!envelope.sender && !has_field(copy.header, "Auto-Submitted"))
    message::write_field(copy.header, "Auto-Submitted", "auto-replied");  // RFC 3834 §5
  return copy;
}

}  // namespace kage::submission
