// The beginning of a message, up to its lock: the header, phantoms of plain replies, the plan.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/text.h"
#include "submission/author.h"
#include "submission/incoming.h"

namespace kage::submission {
namespace {

constexpr net::Millis kLockPatience{30'000};
constexpr net::Millis kFirstLockPause{10};
constexpr net::Millis kLongestLockPause{200};

/// A member's mailbox forwards what we sent it, with our envelope sender: ids do not tell that of everything
/// (what comes from another organisation's address has an id for correspondents).
bool was_for_member(const ClientEnvelope& envelope) {
  const auto& sender = envelope.sender;
  if (!sender || envelope.routes->find_phantom_domain(sender->canonical_domain()) == nullptr) return false;
  const auto bounce = mapping::open_bounce(*envelope.routes, lower(sender->local), unix_seconds());
  return bounce && bounce->what == mapping::BounceOf::to_member;
}

}  // namespace

std::optional<Answer> Incoming::parse_header() {
  const message::HeaderLimits limits{services_.options.max_header_size, services_.options.max_header_fields};
  auto parsed = mapping::ParsedHeader::parse(std::move(header_block_), limits);
  header_block_.clear();
  if (!parsed) return Answer::header_too_large;
  header_.emplace(std::move(*parsed));
  if (header_->hops() > services_.options.max_hops) return Answer::routing_loop;
  const bool loops = origin_.face == Face::inbound &&
                     (mapping::is_loop(*header_, *envelope_.routes) || was_for_member(envelope_));
  if (loops) return Answer::routing_loop;
  return std::nullopt;
}

bool Incoming::has_phantoms() const {
  return std::ranges::any_of(envelope_.recipients,
                             [](const Recipient& to) { return to.kind == Recipient::Kind::phantom; });
}

bool Incoming::author_vouched() const {
  const auto author = header_->author();
  return author && is_vouched(header_->fields(), origin_.peer, author->canonical_domain(), services_.options);
}

/// Asked before Redis is: who is not vouched for learns nothing of phantoms, not even by time, be they
/// recipients or named in a list (contract R3.3).
net::Task<std::optional<Answer>> Incoming::judge_phantoms() {
  if (has_phantoms() && !author_vouched()) co_return Answer::no_such_user;
  find_mentioned();
  if (!has_phantoms() && envelope_.mentioned.empty()) co_return std::nullopt;
  co_return co_await resolve_phantoms();
}

/// A member's reply to several: mail systems cut it by the domain of its recipients, some by recipient. What
/// goes to the public address then comes without the phantoms, and one phantom without the others; the lists
/// name them.
void Incoming::find_mentioned() {
  const auto author = header_->author();
  if (!author || envelope_.routes->find_mailbox(author->canonical()).empty()) return;
  const bool to_public = std::ranges::any_of(
      envelope_.recipients, [](const Recipient& to) { return to.kind == Recipient::Kind::public_address; });
  if (!to_public && !has_phantoms()) return;
  auto named = named_elsewhere(*header_, envelope_, Recipient::Kind::phantom);
  if (named.empty() || named.size() > services_.options.max_recipients || !author_vouched()) return;
  envelope_.mentioned = std::move(named);
}

net::Task<std::optional<Answer>> Incoming::resolve_phantoms() {
  std::vector<Recipient*> phantoms;
  std::vector<std::string> locals;
  for (auto* list : {&envelope_.recipients, &envelope_.mentioned}) {
    for (Recipient& to : *list) {
      if (to.kind != Recipient::Kind::phantom) continue;
      phantoms.push_back(&to);
      locals.push_back(to.key);
    }
  }
  metrics::add(metrics::Counter::redis_waits);
  auto resolved = co_await services_.directory.resolve(std::move(locals));
  if (!resolved) co_return Answer::no_mapping;
  envelope_.routes = resolved->routes;
  for (std::size_t i = 0; i < phantoms.size(); ++i) {
    auto& found = resolved->values[i];
    if (!found || !is_at_home(*phantoms[i], *found->member)) continue;
    phantoms[i]->member = found->member->id;
    phantoms[i]->correspondent = std::move(found->correspondent);
  }
  const message::Address author = *header_->author();
  if (!owns_phantoms(*envelope_.routes, envelope_.recipients, author)) co_return Answer::no_such_user;
  std::erase_if(envelope_.mentioned, [&](const Recipient& phantom) {
    return !owns_phantoms(*envelope_.routes, {&phantom, 1}, author);
  });
  co_return std::nullopt;
}

/// The other attempt may be a part of the same message for other recipients, which a sender's queue sends at
/// the same time, and may take as long as the slowest next hop. Clients wait ten minutes after the data (RFC
/// 5321 §4.5.3.2.6); who is answered 451 instead comes back after as long or longer. Half a minute is more
/// than a next hop in order needs, and short enough not to keep sessions where one is not in order.
net::Task<std::optional<Answer>> Incoming::plan_and_lock() {
  const net::TimePoint until = services_.loop.now() + kLockPatience;
  lock_pause_ = kFirstLockPause;
  for (;;) {
    auto refusal = co_await try_lock();
    if (refusal != Answer::try_again) co_return refusal;
    auto known = services_.directory.known_routes();
    if (!known) co_return Answer::no_mapping;
    if ((*known)->generation() != envelope_.routes->generation()) {
      // Redis knew newer routes than we did: once more with those.
      if (services_.loop.now() >= until) co_return refusal;
      plan_.reset();
      if (const auto changed = sort_again(std::move(*known))) co_return changed;
    } else if (!co_await wait_for_lock(until)) {
      co_return refusal;
    }
  }
}

/// A pause before the next try, each longer than the one before. False: no more tries make sense.
net::Task<bool> Incoming::wait_for_lock(net::TimePoint until) {
  if (refusal_ || activity_->cancelled() || services_.loop.now() + lock_pause_ > until) co_return false;
  if (client_left_ && client_left_()) co_return false;
  pausing_.emplace(services_.loop);
  pausing_->timer.start(lock_pause_, [this] { pausing_->over.set(); });
  co_await pausing_->over;
  pausing_.reset();
  lock_pause_ = std::min(lock_pause_ * 2, kLongestLockPause);
  co_return !refusal_ && !activity_->cancelled();
}

net::Task<std::optional<Answer>> Incoming::try_lock() {
  if (!plan_) {
    auto plan = Plan::make(*header_, envelope_, origin_, unix_seconds());
    if (!plan) co_return plan.error();
    plan_.emplace(std::move(*plan));
  }
  metrics::add(metrics::Counter::redis_waits);
  auto lock = co_await services_.directory.begin(plan_->routes(), plan_->request());
  if (!lock) co_return lock.error().code == Errc::conflict ? Answer::try_again : Answer::no_mapping;
  lock_.emplace(std::move(*lock));
  lock_kept_ = services_.loop.now();
  co_return std::nullopt;
}

std::optional<Answer> Incoming::sort_again(mapping::Routes routes) {
  envelope_.routes = std::move(routes);
  for (Recipient& to : envelope_.recipients) {
    auto again = classify(*envelope_.routes, origin_.face, envelope_.sender, to.address, unix_seconds());
    if (!again) return again.error();
    if (again->kind != to.kind) return Answer::try_again;
    again->notify = std::move(to.notify);
    if (to.kind == Recipient::Kind::phantom) {
      again->member = to.member;
      again->correspondent = std::move(to.correspondent);
    }
    to = std::move(*again);
  }
  return std::nullopt;
}

}  // namespace kage::submission
