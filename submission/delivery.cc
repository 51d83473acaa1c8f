// The rounds of a delivery: what is gathered, written to all lanes at once, kept for later copies, and ended.
#include "submission/delivery.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/metrics.h"
#include "submission/delivery_state.h"

namespace kage::submission {
namespace {

/// Octets are encoded in pieces of this size, and written when so many were gathered: a small message leaves
/// in one write together with its header and its final dot.
constexpr std::size_t kPiece = 16UL * 1024;
constexpr std::size_t kGather = 32UL * 1024;
/// Lanes per message-a-second of a rate-limited hop: assumes that one transaction takes up to four seconds.
constexpr std::size_t kLanesARate = 4;

void drop_ended(Group& group) {
  std::erase_if(group.lanes, [](const auto& lane) { return !lane->slot; });
}

}  // namespace

Delivery::State::State(net::Loop& the_loop, std::vector<Copy> the_copies, DeliveryOptions the_options)
    : loop(the_loop), copies(std::move(the_copies)), options(std::move(the_options)), results(copies.size()) {
  if (options.deadline != net::TimePoint{}) limit = options.deadline;
}

/// Counted as it happens, so that a long broadcast is seen to go on.
void Delivery::State::count(Outcome outcome) {
  using metrics::Counter;
  switch (outcome) {
    case Outcome::delivered:
      ++settled.delivered;
      return metrics::add(Counter::copies_delivered);
    case Outcome::deferred:
      ++settled.deferred;
      return metrics::add(Counter::copies_deferred);
    case Outcome::refused:
      ++settled.refused;
      return metrics::add(Counter::copies_refused);
  }
}

void Delivery::State::sort_out(NextHops& hops) {
  std::unordered_map<Hop*, Group*> known;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    Hop* hop = hops.find(copies[i].recipient.canonical_domain());
    if (hop == nullptr) {
      settle(i, {Outcome::deferred, "4.4.4"});  // RFC 3463 §3.5: unable to route
      continue;
    }
    Group*& group = known[hop];
    if (group == nullptr) {
      group = groups.emplace_back(std::make_unique<Group>()).get();
      group->hop = hop;
    }
    group->pending.push_back(i);
  }
}

std::optional<net::TimePoint> Delivery::State::last_start() const {
  if (limit && begin_limit) return std::min(*limit, *begin_limit);
  return limit ? limit : begin_limit;
}

bool Delivery::State::late() const {
  const auto last = last_start();
  return last && loop.now() >= *last;
}

bool Delivery::State::any_pending() const {
  return std::ranges::any_of(groups, [](const auto& group) { return !group->pending.empty(); });
}

bool Delivery::State::hopeless() const {
  return opened && active == 0 && (aborted || body_lost || !any_pending());
}

void Delivery::State::give_up(Group& group, const CopyResult& result) {
  for (const std::size_t index : std::exchange(group.pending, {})) settle(index, result);
}

void Delivery::State::add_lanes(Group& group, std::size_t most) {
  // More lanes than that would only stand in the line for turns, with connections that others could use.
  if (const auto& rate = group.hop->options().rate) {
    const std::size_t useful = kLanesARate * rate->per_second();
    most = std::min(most, useful - std::min(useful, group.live));
  }
  for (; most > 0; --most) {
    auto slot = group.hop->try_acquire();
    if (!slot) return;
    group.lanes.push_back(std::make_unique<Lane>(std::move(*slot)));
    ++group.live;
  }
}

net::Task<bool> Delivery::State::wait_for_lane(Group& group) {
  group.waiter = std::make_shared<Hop::Waiter>(loop);
  auto slot = co_await group.hop->acquire(group.waiter, last_start());
  group.waiter.reset();
  if (!slot || aborted) co_return false;
  group.lanes.push_back(std::make_unique<Lane>(std::move(*slot)));
  ++group.live;
  co_return true;
}

/// Lanes for the first round. While the client sends, at its own speed, its message holds at most half of
/// what is free, so that others find something.
net::Task<bool> Delivery::State::take_lanes() {
  Group* first = nullptr;
  std::size_t lanes = 0;
  for (auto& group : groups) {
    if (group->pending.empty()) continue;
    if (first == nullptr) first = group.get();
    std::size_t most = std::min(group->pending.size(), (group->hop->available() + 1) / 2);
    // Those that have their turn soon: the client's body waits for all of them.
    if (const auto& rate = group->hop->options().rate) most = std::min<std::size_t>(most, rate->per_second());
    add_lanes(*group, most);
    lanes += group->live;
  }
  if (lanes > 0 || first == nullptr) co_return lanes > 0;
  co_return co_await wait_for_lane(*first);
}

net::Task<void> Delivery::State::open() {
  while (active == 0 && any_pending() && !aborted && !late()) {
    if (!co_await take_lanes()) break;
    std::vector<net::Task<void>> tasks;
    for (auto& group : groups) {
      for (auto& lane : group->lanes) tasks.push_back(open_lane(*group, *lane));
    }
    co_await net::when_all(std::move(tasks));
    for (auto& group : groups) {
      const bool tried = !group->lanes.empty();
      drop_ended(*group);
      if (tried && group->lanes.empty() && !group->hop->crowded()) give_up(*group, group->failure);
    }
  }
  if (any_pending()) body = std::make_unique<BodyStore>(loop, options.spool_dir);
  opened = true;
}

net::Task<void> Delivery::State::store(std::string_view octets, bool last) {
  if (!body || body_lost) co_return;
  auto kept = co_await body->append(octets);
  if (kept && last) kept = co_await body->seal();
  body_lost = !kept;
}

net::Task<void> Delivery::State::flush() {
  std::vector<net::Task<void>> tasks;
  for (auto& group : groups) {
    for (auto& lane : group->lanes) {
      if (lane->copy) tasks.push_back(write_lane(*group, *lane, encoded));
    }
  }
  tasks.push_back(store(encoded, false));
  co_await net::when_all(std::move(tasks));
  encoded.clear();
}

net::Task<void> Delivery::State::write(std::string_view octets) {
  body_size += octets.size();
  while (!octets.empty() && !hopeless()) {
    const std::string_view piece = octets.substr(0, kPiece);
    encoder.encode(piece, encoded);
    octets.remove_prefix(piece.size());
    if (encoded.size() >= kGather) co_await flush();
  }
}

net::Task<void> Delivery::State::run_group(Group& group) {
  do {
    drop_ended(group);
    add_lanes(group, group.pending.size());
    if (group.live == 0 && !group.pending.empty()) {
      if (!co_await wait_for_lane(group)) break;
      add_lanes(group, group.pending.size() - 1);
    }
    std::vector<net::Task<void>> tasks;
    for (auto& lane : group.lanes) tasks.push_back(run_lane(group, *lane));
    co_await net::when_all(std::move(tasks));
  } while (!group.pending.empty() && !aborted && !late() && group.hop->crowded());
  give_up(group, late() ? CopyResult{Outcome::deferred, "4.4.7"} : group.failure);
}

net::Task<std::vector<CopyResult>> Delivery::State::finish() {
  encoder.finish(encoded);
  body_complete = true;
  if (any_pending()) co_await store(encoded, true);
  if (body_lost) {
    for (auto& group : groups) give_up(*group, {Outcome::deferred, "4.3.1"});
  }
  std::vector<net::Task<void>> tasks;
  for (auto& group : groups) tasks.push_back(run_group(*group));
  co_await net::when_all(std::move(tasks));
  for (std::size_t left = results.size() - settled.all(); left > 0; --left) count(Outcome::deferred);
  co_return results;
}

/// Ends a public operation. After abort() the lanes are nobody's any more.
void Delivery::State::leave() {
  if (--running > 0 || !aborted) return;
  for (auto& group : groups) group->lanes.clear();
}

void Delivery::State::abort() {
  if (aborted) return;
  aborted = true;
  ++running;
  for (auto& group : groups) {
    group->pending.clear();
    if (group->waiter) group->hop->cancel(group->waiter);
    for (auto& lane : group->lanes) {
      if (lane->slot && lane->slot->connection() != nullptr) lane->slot->connection()->close();
      if (lane->pause) loop.defer([pause = lane->pause] { pause->over.set(); });
      if (lane->noticed) loop.defer([noticed = lane->noticed] { noticed->set(); });
    }
  }
  leave();
}

namespace {

// The State outlives what runs on it, even when the Delivery is destroyed meanwhile.

net::Task<void> run_open(std::shared_ptr<Delivery::State> state) {
  ++state->running;
  co_await state->open();
  state->leave();
}

net::Task<void> run_write(std::shared_ptr<Delivery::State> state, std::string_view octets) {
  ++state->running;
  co_await state->write(octets);
  state->leave();
}

net::Task<std::vector<CopyResult>> run_finish(std::shared_ptr<Delivery::State> state) {
  ++state->running;
  auto results = co_await state->finish();
  state->leave();
  co_return results;
}

}  // namespace

Delivery::Delivery(net::Loop& loop, NextHops& hops, std::vector<Copy> copies, DeliveryOptions options,
                   std::function<net::Task<void>(std::size_t)> on_served)
    : state_(std::make_shared<State>(loop, std::move(copies), std::move(options))) {
  state_->on_served = std::move(on_served);
  state_->sort_out(hops);
}

Delivery::~Delivery() {
  state_->abort();
}

net::Task<void> Delivery::open() {
  return run_open(state_);
}

net::Task<void> Delivery::write(std::string_view octets) {
  return run_write(state_, octets);
}

net::Task<std::vector<CopyResult>> Delivery::finish() {
  return run_finish(state_);
}

bool Delivery::hopeless() const {
  return state_->hopeless();
}

void Delivery::begin_until(net::TimePoint time) {
  state_->begin_limit = time;
}

Delivery::Progress Delivery::progress() const {
  return state_->settled;
}

void Delivery::abort() {
  state_->abort();
}

}  // namespace kage::submission
