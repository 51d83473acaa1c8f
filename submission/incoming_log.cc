// What operators learn of a message: how far it is, how it ended, which policy applied. Nobody is named
// (contract R9.5).
#include <algorithm>

#include "base/log.h"
#include "base/metrics.h"
#include "submission/hop_pool.h"
#include "submission/incoming.h"

namespace kage::submission {
namespace {

/// A message with so many copies tells how far it is.
constexpr std::size_t kManyCopies = 100;
constexpr net::Millis kProgressEvery{10'000};

/// Which rule decided whether an author is shown (contract R7.1), for operators.
void count_anonymity(const std::vector<mapping::AnonymityRule>& rules) {
  using metrics::Counter;
  using enum mapping::AnonymityRule;
  for (const mapping::AnonymityRule rule : rules) {
    metrics::add(rule == always       ? Counter::authors_hidden_always
                 : rule == asked_184  ? Counter::authors_hidden_184
                 : rule == never      ? Counter::authors_shown_never
                 : rule == plain      ? Counter::authors_shown_plain
                 : rule == lifted_186 ? Counter::authors_shown_186
                                      : Counter::authors_hidden_unreadable);
  }
}

/// "hidden: 184", one for each public address; "-" for what no stranger wrote.
std::string named(const std::vector<mapping::AnonymityRule>& rules) {
  std::string out;
  for (const mapping::AnonymityRule rule : rules) {
    if (!out.empty()) out += ", ";
    out.append(mapping::shows_author(rule) ? "shown: " : "hidden: ").append(mapping::name_of(rule));
  }
  return out.empty() ? "-" : out;
}

}  // namespace

std::string Incoming::logged_member_tag() const {
  const mapping::Member* member = plan_ ? plan_->logged_member() : nullptr;
  if (member == nullptr) return "-";
  return plan_->routes()->master().log_tag(member->mailbox_canonical);
}

/// How far a long broadcast is.
void Incoming::log_progress(net::TimePoint now) {
  if (!delivery_ || sent_.size() < kManyCopies) return;
  const auto progress = delivery_->progress();
  const bool due = progress.all() >= progress_logged_ + kManyCopies ||
                   (progress.all() > progress_logged_ && now >= progress_at_ + kProgressEvery);
  if (!due || progress.all() >= sent_.size()) return;
  progress_logged_ = progress.all();
  progress_at_ = now;
  const std::string tag = logged_member_tag();
  log::info("message.progress", {{"member", std::string_view(tag)},
                                 {"copies", sent_.size()},
                                 {"delivered", progress.delivered},
                                 {"deferred", progress.deferred},
                                 {"refused", progress.refused},
                                 {"ms", (now - started_).count()}});
}

/// Whose mailbox takes no mail: the event `message` names one member, and there may be several copies.
void Incoming::log_refusals(const std::vector<CopyResult>& results) const {
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].outcome != Outcome::refused) continue;
    const PlannedCopy& copy = plan_->copies()[sent_[i]];
    log_refusal(*copy.member, copy.inward, copy.recipient, results[i].status);
  }
}

void Incoming::log_refusal(const mapping::Member& member, bool inward, const message::Address& recipient,
                           std::string_view status) const {
  const std::string tag = plan_->routes()->master().log_tag(member.mailbox_canonical);
  const Hop* const hop = services_.hops.find(recipient.canonical_domain());
  log::warn("copy.refused", {{"member", std::string_view(tag)},
                             {"towards", inward ? "member" : "correspondent"},
                             {"status", refused_status(status)},
                             {"hop", hop != nullptr ? std::string_view(hop->options().name) : "-"}});
}

void Incoming::log_end(std::string_view answer, const std::vector<CopyResult>& results) const {
  const auto count = [&results](Outcome outcome) {
    return std::ranges::count(results, outcome, &CopyResult::outcome);
  };
  using metrics::Counter;
  metrics::add(answer[0] == '2'   ? Counter::messages_accepted
               : answer[0] == '4' ? Counter::messages_deferred
                                  : Counter::messages_refused);
  const bool inbound = origin_.face == Face::inbound;
  const std::string tag = logged_member_tag();
  if (plan_ && plan_->discards()) {
    metrics::add(Counter::bounces_dropped);
    log::info("bounce.dropped", {{"member", std::string_view(tag)}});
  } else if (answer[0] == '2') {
    metrics::add(!inbound         ? Counter::crossed_submitted
                 : has_phantoms() ? Counter::crossed_reply
                                  : Counter::crossed_inward);
  }
  metrics::observe(inbound ? metrics::Histogram::message_inbound : metrics::Histogram::message_submission,
                   services_.loop.now() - started_);
  if (plan_) count_anonymity(plan_->anonymity());
  const std::string author = plan_ ? named(plan_->anonymity()) : std::string("-");
  const std::string_view face = !origin_.how.empty() ? "form" : inbound ? "inbound" : "submission";
  log::info("message", {{"face", face},
                        {"answer", answer},
                        {"member", std::string_view(tag)},
                        {"author", std::string_view(author)},
                        {"copies", plan_ ? plan_->copies().size() : 0},
                        {"delivered", count(Outcome::delivered)},
                        {"deferred", count(Outcome::deferred)},
                        {"refused", count(Outcome::refused)},
                        {"reported", reported_ ? 1 : 0},
                        {"octets", octets_},
                        {"ms", (services_.loop.now() - started_).count()}});
}

}  // namespace kage::submission
