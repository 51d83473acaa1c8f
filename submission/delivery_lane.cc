// A lane: one connection that sends one copy after another.
//
// A copy is settled exactly once. A copy for which nothing can have reached the next hop goes back to the
// pending ones when the connection could not be had; one that was begun is deferred when the connection is
// lost.
#include <utility>

#include "base/text.h"
#include "submission/ascii_domains.h"
#include "submission/delivery_state.h"

namespace kage::submission {
namespace {

/// Header and first octets of the body go in one write up to this size.
constexpr std::size_t kJoin = 64UL * 1024;
/// A lane whose connections were lost so often in a row stops trying.
constexpr int kMaxLosses = 2;
const CopyResult kLost{Outcome::deferred, "4.4.2"};
const CopyResult kBodyLost{Outcome::deferred, "4.3.1"};

net::Task<void> notify(std::shared_ptr<Delivery::State> state, std::size_t index,
                       std::shared_ptr<net::Event> ended) {
  co_await state->on_served(index);
  ended->set();
}

}  // namespace

Envelope Delivery::State::envelope(std::size_t index) const {
  const Copy& copy = copies[index];
  Envelope out;
  out.mail_from = copy.mail_from;
  out.recipient = &copy.recipient;
  out.notify = copy.notify;
  out.ret = copy.ret;
  out.size = body_complete ? copy.header.size() + 2 + body_size : options.size_estimate;
  out.body_8bit = options.body_8bit;
  out.smtputf8 = options.smtputf8 || copy.smtputf8;
  out.needs_utf8 = options.smtputf8;
  return out;
}

void Delivery::State::settle(std::size_t index, CopyResult result) {
  results[index] = std::move(result);
  count(results[index].outcome);
}

void Delivery::State::conclude(Lane& lane, CopyResult result) {
  const std::size_t index = *lane.copy;
  lane.copy.reset();
  --active;
  settle(index, std::move(result));
  if (results[index].outcome != Outcome::delivered || !on_served) return;
  lane.noticed = std::make_shared<net::Event>();
  net::spawn(notify(shared_from_this(), index, lane.noticed));
}

void Delivery::State::end(Group& group, Lane& lane) {
  if (!lane.slot) return;
  lane.slot.reset();
  std::string().swap(lane.block);
  --group.live;
}

/// Nothing: no connection is to be had; the copy is as it was.
net::Task<std::optional<Begun>> Delivery::State::begin_copy(Group& group, Lane& lane, std::size_t index) {
  for (bool fresh = false;; fresh = true) {
    if (lane.slot->connection() == nullptr) {
      auto failure = co_await lane.slot->connect(fresh, limit);
      if (failure) {
        group.failure = std::move(failure->result);
        co_return std::nullopt;
      }
      if (aborted) co_return std::nullopt;
    }
    auto& connection = *lane.slot->connection();
    if (auto refusal = connection.inadmissible(envelope(index))) {
      co_return Begun{Begun::Kind::declined, std::move(*refusal)};
    }
    auto begun = co_await connection.begin(envelope(index));
    if (begun.kind != Begun::Kind::stale || aborted) co_return begun;
    lane.slot->drop();
  }
}

/// Waits for a turn by the next hop's rate. False: there is none in time.
net::Task<bool> Delivery::State::wait_turn(Group& group, Lane& lane) {
  HopRate* const rate = group.hop->options().rate.get();
  if (rate == nullptr) co_return true;
  const auto last = last_start();
  const auto turn = rate->reserve(
      HopRate::Clock::now(), last ? HopRate::Clock::time_point(*last) : HopRate::Clock::time_point::max());
  if (!turn) {
    group.failure = {Outcome::deferred, "4.4.5"};  // RFC 3463 §3.5: congestion
    co_return false;
  }
  // The loop's clock may be behind, and a timer then early.
  for (auto now = HopRate::Clock::now(); now < *turn && !aborted; now = HopRate::Clock::now()) {
    if (!lane.pause) lane.pause = std::make_shared<Pause>(loop);
    lane.pause->timer.start(std::chrono::ceil<net::Millis>(*turn - now),
                            [pause = lane.pause.get()] { pause->over.set(); });
    co_await lane.pause->over;
    lane.pause->over.reset();
  }
  lane.pause.reset();
  co_return !aborted;
}

/// Takes pending copies until one is ready for its message. False: none is left, or the lane is of no more
/// use.
net::Task<bool> Delivery::State::begin_next(Group& group, Lane& lane) {
  while (!aborted && !group.pending.empty() && !late() && lane.losses < kMaxLosses) {
    const std::size_t index = group.pending.front();
    group.pending.pop_front();
    if (!co_await wait_turn(group, lane)) {
      group.pending.push_front(index);
      co_return false;
    }
    auto begun = co_await begin_copy(group, lane, index);
    if (!begun) {
      group.pending.push_front(index);
      co_return false;
    }
    if (begun->kind == Begun::Kind::ready) {
      lane.copy = index;
      lane.header_due = true;
      ++active;
      co_return true;
    }
    if (begun->kind != Begun::Kind::declined) {
      ++lane.losses;
      group.failure = begun->result;
      lane.slot->drop();
    }
    settle(index, std::move(begun->result));
  }
  co_return false;
}

net::Task<void> Delivery::State::open_lane(Group& group, Lane& lane) {
  if (!co_await begin_next(group, lane)) end(group, lane);
}

net::Task<Result<>> Delivery::State::put(Lane& lane, std::string_view octets) {
  auto& connection = *lane.slot->connection();
  if (!std::exchange(lane.header_due, false)) co_return co_await connection.write(octets);
  std::string first;
  message::DotEncoder dots;  // a field name may begin with a dot
  const std::string& header = copies[*lane.copy].header;
  if (connection.declared_utf8() || all_ascii(header)) {
    dots.encode(header, first);
  } else {
    dots.encode(with_ascii_domains(header), first);
  }
  first.append("\r\n");
  const bool joined = first.size() + octets.size() <= kJoin;
  if (joined) first.append(octets);
  auto written = co_await connection.write(first);
  if (written && !joined) written = co_await connection.write(octets);
  co_return written;
}

net::Task<void> Delivery::State::write_lane(Group& group, Lane& lane, std::string_view octets) {
  const auto written = co_await put(lane, octets);
  if (written) co_return;
  conclude(lane, kLost);
  end(group, lane);
}

net::Task<void> Delivery::State::when_noticed(Lane& lane) {
  if (const auto before = lane.noticed) co_await *before;
}

/// The rest of the message, which ends in the final dot, and the answer to it. Where a process dies, no more
/// copies can be unknown to the ledger than there are connections.
net::Task<void> Delivery::State::complete(Lane& lane, std::string_view rest) {
  CopyResult result = kLost;
  co_await when_noticed(lane);
  const auto written = co_await put(lane, rest);
  if (written) result = co_await lane.slot->connection()->finish();
  conclude(lane, std::move(result));
  if (lane.slot->connection()->usable()) {
    lane.losses = 0;
  } else {
    ++lane.losses;
    lane.slot->drop();
  }
}

net::Task<void> Delivery::State::send_stored(Lane& lane) {
  std::uint64_t offset = 0;
  while (true) {
    const auto part = co_await body->read(offset, lane.block);
    if (!part || part->empty()) {
      lane.slot->drop();  // no final dot: the next hop delivers nothing
      conclude(lane, kBodyLost);
      co_return;
    }
    offset += part->size();
    if (offset == body->size()) {
      co_await complete(lane, *part);
      co_return;
    }
    const auto written = co_await put(lane, *part);
    if (!written) {
      conclude(lane, kLost);
      ++lane.losses;
      lane.slot->drop();
      co_return;
    }
  }
}

net::Task<void> Delivery::State::run_lane(Group& group, Lane& lane) {
  if (lane.copy) co_await complete(lane, encoded);
  // Other messages wait: all lanes but one make room for them after each copy.
  while (!(group.hop->contended() && group.live > 1)) {
    if (!co_await begin_next(group, lane)) break;
    co_await send_stored(lane);
  }
  if (!group.pending.empty()) co_await when_noticed(lane);  // another lane may get the connection
  end(group, lane);
}

}  // namespace kage::submission
