// Slots, idle connections, and one probe at a time for a next hop that is down.
#include "submission/hop_pool.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/metrics.h"

namespace kage::submission {
namespace {

/// How long a failure to connect stands for everybody. Short: the next hop is tried again as soon as it may
/// be back, and a message that fails meanwhile is the sender's to retry.
constexpr net::Millis kBackOff{200};
/// How long we believe that a next hop takes no more connections than it had when it refused one. Postfix
/// lets a client have 50, and other workers and nodes use them too.
constexpr net::Millis kCapTime{5000};

struct WaitAwaiter {
  Hop::Waiter& waiter;
  bool await_ready() const { return waiter.state != Hop::Waiter::State::waiting; }
  void await_suspend(std::coroutine_handle<> handle) const { waiter.handle = handle; }
  void await_resume() const {}
};

}  // namespace

Hop::Slot::~Slot() {
  if (!hop_) return;
  if (connection_) hop_->put_back(std::move(connection_));
  hop_->release();
}

net::Task<std::optional<ConnectFailure>> Hop::Slot::connect(bool fresh, std::optional<net::TimePoint> limit) {
  connection_ = fresh ? nullptr : hop_->take_idle();
  if (connection_) {
    connection_->set_limit(limit);
    co_return std::nullopt;
  }
  connection_ = std::make_unique<SmtpConnection>(hop_->loop_, hop_->settings_);
  connection_->set_limit(limit);
  auto failure = co_await hop_->open(*connection_);
  if (failure) connection_.reset();
  co_return failure;
}

Hop::Hop(net::Loop& loop, HopSettings settings)
    : loop_(loop), settings_(std::make_shared<const HopSettings>(std::move(settings))), idle_timer_(loop) {}

Hop::~Hop() = default;

std::size_t Hop::connected() const {
  return static_cast<std::size_t>(connected_.use_count()) - 1;
}

bool Hop::crowded() const {
  return loop_.now() < cap_until_ && connected() > 0;
}

std::size_t Hop::limit() const {
  const std::size_t most = std::max<std::size_t>(settings_->options.max_connections, 1);
  return loop_.now() < cap_until_ ? std::min(most, std::max<std::size_t>(cap_, 1)) : most;
}

std::size_t Hop::available() const {
  const std::size_t all = limit();
  return contended() || in_use_ >= all ? 0 : all - in_use_;
}

std::optional<Hop::Slot> Hop::try_acquire() {
  if (available() == 0) return std::nullopt;
  ++in_use_;
  return Slot(shared_from_this());
}

net::Task<std::optional<Hop::Slot>> Hop::acquire(std::shared_ptr<Waiter> waiter,
                                                 std::optional<net::TimePoint> deadline) {
  const auto self = shared_from_this();
  if (auto slot = try_acquire()) co_return slot;
  if (waiter->state == Waiter::State::waiting) {
    waiting_.push_back(waiter);
    if (deadline) waiter->timer.start(*deadline - loop_.now(), [this, waiter] { cancel(waiter); });
    co_await WaitAwaiter{*waiter};
    waiter->timer.stop();
  }
  if (waiter->state != Waiter::State::granted) co_return std::nullopt;
  co_return Slot(self);
}

void Hop::cancel(const std::shared_ptr<Waiter>& waiter) {
  if (std::erase(waiting_, waiter) > 0) {
    wake(waiter, Waiter::State::cancelled);
  } else if (waiter->state == Waiter::State::waiting) {
    waiter->state = Waiter::State::cancelled;  // it has not begun to wait
  }
}

void Hop::cancel_all() {
  for (auto& waiter : std::exchange(waiting_, {})) wake(std::move(waiter), Waiter::State::cancelled);
}

void Hop::wake(std::shared_ptr<Waiter> waiter, Waiter::State state) {
  waiter->state = state;
  // Deferred: who gives a Slot back must not run all that waited for one inside itself.
  loop_.defer([waiter = std::move(waiter)] { waiter->handle.resume(); });
}

void Hop::release() {
  --in_use_;
  for (const std::size_t most = limit(); in_use_ < most && !waiting_.empty(); ++in_use_) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    wake(std::move(next), Waiter::State::granted);
  }
}

std::unique_ptr<SmtpConnection> Hop::take_idle() {
  while (!idle_.empty()) {
    auto connection = std::move(idle_.back().connection);
    idle_.pop_back();
    if (connection->usable()) return connection;
  }
  return nullptr;
}

void Hop::put_back(std::unique_ptr<SmtpConnection> connection) {
  if (!connection->usable()) return;
  if (closed_) {
    net::spawn(SmtpConnection::quit(std::move(connection)));
    return;
  }
  idle_.push_back({std::move(connection), loop_.now()});
  if (idle_.size() == 1) expire_idle();
}

void Hop::expire_idle() {
  const auto timeout = settings_->options.idle_timeout;
  const auto fresh =
      std::ranges::find_if(idle_, [&](const Idle& idle) { return loop_.now() < idle.since + timeout; });
  for (auto old = idle_.begin(); old != fresh; ++old)
    net::spawn(SmtpConnection::quit(std::move(old->connection)));
  idle_.erase(idle_.begin(), fresh);
  if (!idle_.empty()) {
    idle_timer_.start(idle_.front().since + timeout - loop_.now(), [this] { expire_idle(); });
  }
}

void Hop::close() {
  closed_ = true;
  idle_timer_.stop();
  for (auto& idle : std::exchange(idle_, {})) net::spawn(SmtpConnection::quit(std::move(idle.connection)));
}

net::Task<std::optional<ConnectFailure>> Hop::open(SmtpConnection& connection) {
  if (down_ && probe_) {
    const auto probe = probe_;
    co_await *probe;
  }
  if (down_ && (probe_ || loop_.now() < retry_at_)) co_return down_;
  std::shared_ptr<net::Event> probe;
  if (down_) probe = probe_ = std::make_shared<net::Event>();
  metrics::add(metrics::Counter::next_hop_connections);
  auto failure = co_await connection.connect();
  if (!failure) connection.count_in(connected_);
  note(failure);
  if (probe) {
    probe_.reset();
    probe->set();
  }
  co_return failure;
}

void Hop::note(const std::optional<ConnectFailure>& failure) {
  // Any other failure while older connections still stand is a next hop that went wrong, and no reason to
  // wait.
  if (failure && failure->crowded && connected() > 0) {
    cap_ = connected();
    cap_until_ = loop_.now() + kCapTime;
    return;
  }
  if (failure && !down_) {
    log::warn("hop.down", {{"hop", std::string_view(options().name)}, {"reason", failure->reason}});
  } else if (!failure && down_) {
    log::info("hop.up", {{"hop", std::string_view(options().name)}});
  }
  down_ = failure;
  if (failure) retry_at_ = loop_.now() + kBackOff;
}

}  // namespace kage::submission
