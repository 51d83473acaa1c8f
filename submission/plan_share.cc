// Copies of what a member writes for those who stand behind the same public address (contract R7.3).
//
// A colleague sees the message as the correspondent does, with the colleague's own phantoms for the
// correspondents, and answers to them: Reply-To names them.
#include <algorithm>

#include "base/clock.h"
#include "message/header.h"
#include "submission/plan.h"

namespace kage::submission {
namespace {

using mapping::Member;
using mapping::ParsedHeader;

bool names(const ParsedHeader& header, const std::string& canonical) {
  return std::ranges::any_of(header.addresses(), [&canonical](const ParsedHeader::Found& found) {
    return found.canonical == canonical;
  });
}

}  // namespace

bool Plan::add_shares(const ParsedHeader& header) {
  std::vector<const Member*> writers;
  for (const PlannedCopy& copy : copies_) {
    if (!copy.inward && std::ranges::find(writers, copy.member) == writers.end())
      writers.push_back(copy.member);
  }
  return std::ranges::all_of(writers, [&](const Member* writer) { return share(*writer, header); });
}

bool Plan::share(const Member& writer, const ParsedHeader& header) {
  const mapping::SharePolicy policy = writer.address->spec.share_replies;
  if (policy == mapping::SharePolicy::nobody) return true;
  const std::size_t first = copies_.size();
  for (const Member* member : writer.address->members) {
    if (member == &writer && policy != mapping::SharePolicy::everybody) continue;
    // Nor who is a correspondent of it.
    if (seen_.contains(copy_name(false, writer.id, member->mailbox_canonical))) continue;
    // Who gets the message already, since the public address is a recipient of it, gets it once.
    const std::size_t before = copies_.size();
    add_inward_copy(*member, {});
    if (copies_.size() > before) copies_.back().writer = &writer;
  }
  if (copies_.size() == first) return true;
  auto shared = shared_header(writer, header);
  if (!shared) return false;
  shared_.emplace(writer.id, std::move(*shared));
  return true;
}

std::optional<ParsedHeader> Plan::shared_header(const Member& writer, const ParsedHeader& header) const {
  const auto copy = std::ranges::find_if(
      copies_, [&writer](const PlannedCopy& each) { return !each.inward && each.member == &writer; });
  const std::string id = new_id(false, writer);
  const std::string date = rfc5322_date(now_);
  const std::string text = mapping::rewrite_outward(header, {.routes = *routes_,
                                                             .member = writer,
                                                             .correspondent = copy->recipient,
                                                             .phantom = copy->phantom,
                                                             .resolved = resolved_of(writer),
                                                             .recipients = shown_,
                                                             .several = false,
                                                             .received = {},
                                                             .message_id = id,
                                                             .date = date,
                                                             .for_colleagues = true});
  auto parsed = header.derive(text);
  if (!parsed) return std::nullopt;
  std::vector<std::string> named;  // the writer's correspondents in To and Cc, as one list
  const auto add = [&named](const message::Address& correspondent) {
    if (!named.empty()) named.back() += ",";
    named.push_back(correspondent.quoted());
  };
  for (const PlannedCopy& each : copies_) {
    if (!each.inward && each.member == &writer && names(*parsed, each.recipient_key)) add(each.recipient);
  }
  for (const message::Address& each : mentioned_) {
    if (&writer == writer_ && names(*parsed, each.canonical())) add(each);
  }
  if (named.empty()) return std::move(*parsed);
  std::string with_reply;
  message::write_field(with_reply, "Reply-To", named);
  parsed = header.derive(with_reply + text);
  if (!parsed) return std::nullopt;
  return std::move(*parsed);
}

}  // namespace kage::submission
