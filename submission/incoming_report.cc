// Copies that were refused for good: the refusal of a message's only copy is the answer to it; of a member's
// message with several copies (to correspondents, to colleagues) the others have theirs, and the member gets
// one report (contract R3.7).
//
// Order: refusals into the ledger, then the report, then its own entry. So a retry tries no refused copy
// again and sends no second report, except where the process died between the next hop's 250 for it and the
// entry.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "submission/incoming.h"
#include "submission/report.h"

namespace kage::submission {
namespace {

using Refusals = std::vector<std::pair<std::size_t, std::string>>;  // copy of the plan, status

/// The phantom, also of who was written to directly; of our own addresses the public one, since no member's
/// mailbox may be shown to another (contract R6.2).
std::string shown_address(const PlannedCopy& copy) {
  if (copy.inward) return copy.member->address->spec.address.quoted();
  if (copy.phantom.empty()) return mapping::phantom_address(*copy.member, copy.recipient_key);
  return copy.phantom + "@" + copy.member->address->domain->phantom_domain;
}

}  // namespace

/// The answer to the client by what became of the copies, in this attempt and in earlier ones.
net::Task<std::string> Incoming::judge(const std::vector<CopyResult>& results) {
  const auto first = [&results](Outcome outcome) {
    return std::ranges::find(results, outcome, &CopyResult::outcome);
  };
  if (const auto deferred = first(Outcome::deferred); deferred != results.end()) {
    if (plan_->reportable()) co_await remember_refusals(results);
    co_return deferred_line(deferred->status);
  }
  auto refused = refusals(results);
  if (refused.empty()) co_return std::string(line(Answer::delivered));
  all_refused_ = refused.size() == plan_->copies().size();
  if (!plan_->reportable() || all_refused_) co_return refused_line(refused.front().second);
  if (lock_->served.back()) co_return std::string(line(Answer::delivered));  // reported before
  if (!co_await remember_refusals(results)) co_return std::string(line(Answer::no_mapping));
  if (!co_await store_shown(refused)) co_return std::string(line(Answer::no_mapping));
  const bool outside =
      std::ranges::any_of(refused, [&](const auto& copy) { return !plan_->copies()[copy.first].inward; });
  const std::string status = refused.front().second;
  const CopyResult report = co_await send_report(std::move(refused));
  switch (report.outcome) {
    case Outcome::delivered:
      co_return std::string(line(Answer::delivered));
    case Outcome::deferred:
      co_return deferred_line(report.status);
    case Outcome::refused:
      break;
  }
  // Trying again would not help: the client itself has to tell its user. Not of colleagues: whom the message
  // is for has it, and would have it twice if the user sent it again.
  co_return outside ? refused_line(status) : std::string(line(Answer::delivered));
}

/// All copies that were ever refused for good, in the plan's order.
Refusals Incoming::refusals(const std::vector<CopyResult>& results) const {
  Refusals refused;
  for (std::size_t i = 0; i < plan_->copies().size(); ++i) {
    if (!lock_->refused[i].empty()) refused.emplace_back(i, refused_status(lock_->refused[i]));
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].outcome == Outcome::refused)
      refused.emplace_back(sent_[i], refused_status(results[i].status));
  }
  std::ranges::sort(refused);
  return refused;
}

net::Task<bool> Incoming::remember_refusals(const std::vector<CopyResult>& results) {
  std::vector<mapping::Directory::Refusal> entries;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].outcome != Outcome::refused) continue;
    entries.push_back({plan_->copies()[sent_[i]].tag, std::string(refused_status(results[i].status))});
  }
  if (entries.empty()) co_return true;
  const auto written = co_await services_.directory.refused(*lock_, std::move(entries), digest_);
  if (!written) log::warn("ledger.refusals", {{"reason", to_string(written.error().code)}});
  co_return written.has_value();
}

/// Who was written to directly may have no phantom yet (contract R4.4).
net::Task<bool> Incoming::store_shown(const Refusals& refused) {
  std::vector<mapping::PhantomWrite> writes;
  for (const auto& [index, status] : refused) {
    const PlannedCopy& copy = plan_->copies()[index];
    if (copy.inward || !copy.phantom.empty()) continue;
    writes.push_back(
        {copy.member, mapping::phantom_local(*copy.member, copy.recipient_key), copy.recipient.spelling});
  }
  if (writes.empty()) co_return true;
  const auto stored = co_await services_.directory.store(plan_->routes(), std::move(writes));
  co_return stored.has_value();
}

net::Task<CopyResult> Incoming::send_report(Refusals refused) {
  const mapping::Member& writer = *plan_->logged_member();
  const mapping::CopyTag tag = plan_->request().copies.back();
  Report report{.member = writer,
                .routes = *plan_->routes(),
                .hostname = services_.options.hostname,
                .seed = {tag.data(), tag.size()},
                .subject = header_->body_of("Subject"),
                .date = header_->body_of("Date"),
                .message_id = header_->message_id(),
                .recipients = envelope_.recipients.size(),
                .now = unix_seconds(),
                .refused = {}};
  for (auto& [index, status] : refused) {
    const PlannedCopy& copy = plan_->copies()[index];
    report.refused.push_back({shown_address(copy), copy.inward ? 0 : copy.position + 1, std::move(status)});
  }
  const auto mail = std::make_unique<ReportMail>(write_report(report));
  std::vector<Copy> copies(1);
  copies[0].recipient = writer.spec.mailbox;  // from <>: nobody is told of a report that fails
  copies[0].header = std::move(mail->header);
  DeliveryOptions options;
  options.size_estimate = copies[0].header.size() + mail->body.size();
  options.spool_dir = services_.options.spool_dir;
  delivery_ =
      std::make_unique<Delivery>(services_.loop, services_.hops, std::move(copies), std::move(options),
                                 [weak = weak_from_this(), tag](std::size_t) -> net::Task<void> {
                                   const auto self = weak.lock();
                                   return self ? self->on_served(tag) : nothing();
                                 });
  progress_logged_ = sent_.size();  // from here on it is the report's
  co_await delivery_->open();
  co_await delivery_->write(mail->body);
  auto results = co_await delivery_->finish();
  if (results.front().outcome == Outcome::refused)
    log_refusal(writer, true, writer.spec.mailbox, results.front().status);
  reported_ = results.front().outcome == Outcome::delivered;
  if (reported_) metrics::add(metrics::Counter::reports_sent);
  co_return std::move(results.front());
}

}  // namespace kage::submission
