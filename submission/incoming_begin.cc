// The beginning of a message, up to its lock: the header, phantoms of plain replies, the plan.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/metrics.h"
#include "submission/author.h"
#include "submission/incoming.h"

namespace kage::submission {
namespace {

constexpr net::Millis kLockPatience{30'000};
constexpr net::Millis kFirstLockPause{10};
constexpr net::Millis kLongestLockPause{1'000};

}  // namespace

std::optional<Answer> Incoming::parse_header() {
  const message::HeaderLimits limits{services_.options.max_header_size, services_.options.max_header_fields};
  auto parsed = mapping::ParsedHeader::parse(std::move(header_block_), limits);
  header_block_.clear();
  if (!parsed) return Answer::header_too_large;
  header_.emplace(std::move(*parsed));
  if (header_->hops() > services_.options.max_hops) return Answer::routing_loop;
  if (origin_.face == Face::inbound && mapping::is_loop(*header_, *envelope_.routes))
    return Answer::routing_loop;
  return std::nullopt;
}

bool Incoming::has_phantoms() const {
  return std::ranges::any_of(envelope_.recipients,
                             [](const Recipient& to) { return to.kind == Recipient::Kind::phantom; });
}

/// Asked before Redis is: who is not vouched for learns nothing of phantoms, not even by time (contract
/// R3.3).
bool Incoming::phantoms_vouched() const {
  const auto author = header_->author();
  return author && is_vouched(header_->fields(), origin_.peer, author->canonical_domain(), services_.options);
}

net::Task<std::optional<Answer>> Incoming::resolve_phantoms() {
  std::vector<std::string> locals;
  for (const Recipient& to : envelope_.recipients) {
    if (to.kind == Recipient::Kind::phantom) locals.push_back(to.key);
  }
  metrics::add(metrics::Counter::redis_waits);
  auto resolved = co_await services_.directory.resolve(std::move(locals));
  if (!resolved) co_return Answer::no_mapping;
  envelope_.routes = resolved->routes;
  auto value = resolved->values.begin();
  for (Recipient& to : envelope_.recipients) {
    if (to.kind != Recipient::Kind::phantom) continue;
    auto& found = *value++;
    if (!found || !is_at_home(to, *found->member)) co_return Answer::no_such_user;
    to.member = found->member->id;
    to.correspondent = std::move(found->correspondent);
  }
  if (!author_owns_phantoms(*envelope_.routes, envelope_, *header_->author())) co_return Answer::no_such_user;
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
