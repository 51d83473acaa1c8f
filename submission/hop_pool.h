// One next hop of one worker: its connections, who may have one, and what is known of its health.
//
// A Slot is the right to one connection; there are max_connections of them, given out in the order of asking.
// The pool never queues messages and never retries one: it only hands out connections.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "net/loop.h"
#include "net/task.h"
#include "submission/smtp_client.h"

namespace kage::submission {

class Hop : public std::enable_shared_from_this<Hop> {
 public:
  /// The right to one connection, and that connection once there is one. Gives both back at its end.
  class Slot {
   public:
    explicit Slot(std::shared_ptr<Hop> hop) : hop_(std::move(hop)) {}
    Slot(Slot&&) noexcept = default;
    Slot& operator=(Slot&&) = delete;
    ~Slot();

    /// An idle connection when there is one (unless `fresh`), else a new one. Nothing: connection() is ready.
    /// While a next hop is down, connecting is tried once in 200 ms, and all others learn that result.
    net::Task<std::optional<ConnectFailure>> connect(bool fresh, std::optional<net::TimePoint> limit);

    [[nodiscard]] SmtpConnection* connection() const { return connection_.get(); }
    /// Closes the connection; the right stays. No coroutine may be waiting on it.
    void drop() { connection_.reset(); }

   private:
    std::shared_ptr<Hop> hop_;
    std::unique_ptr<SmtpConnection> connection_;
  };

  /// A place in the line for a Slot.
  struct Waiter {
    explicit Waiter(net::Loop& loop) : timer(loop) {}
    net::Timer timer;
    std::coroutine_handle<> handle;
    enum class State : unsigned char { waiting, granted, cancelled } state = State::waiting;
  };

  Hop(net::Loop& loop, HopSettings settings);
  ~Hop();
  Hop(const Hop&) = delete;
  Hop& operator=(const Hop&) = delete;

  /// How many Slots may be had without waiting: none while others wait.
  [[nodiscard]] std::size_t available() const;
  [[nodiscard]] bool contended() const { return !waiting_.empty(); }
  /// The next hop takes no more connections than we have: new ones fail, but a turn on one of those is worth
  /// waiting for.
  [[nodiscard]] bool crowded() const;
  [[nodiscard]] std::optional<Slot> try_acquire();

  /// Waits in the line. Nothing when `deadline` passed or the waiter was cancelled.
  net::Task<std::optional<Slot>> acquire(std::shared_ptr<Waiter> waiter,
                                         std::optional<net::TimePoint> deadline);
  void cancel(const std::shared_ptr<Waiter>& waiter);
  void cancel_all();

  /// Closes idle connections and keeps none from now on.
  void close();

  [[nodiscard]] const NextHopOptions& options() const { return settings_->options; }
  [[nodiscard]] std::size_t idle() const { return idle_.size(); }
  [[nodiscard]] std::size_t in_use() const { return in_use_; }

 private:
  struct Idle {
    std::unique_ptr<SmtpConnection> connection;
    net::TimePoint since;
  };

  std::unique_ptr<SmtpConnection> take_idle();
  void put_back(std::unique_ptr<SmtpConnection> connection);
  void release();
  void wake(std::shared_ptr<Waiter> waiter, Waiter::State state);
  void expire_idle();
  net::Task<std::optional<ConnectFailure>> open(SmtpConnection& connection);
  void note(const std::optional<ConnectFailure>& failure);
  [[nodiscard]] std::size_t limit() const;
  [[nodiscard]] std::size_t connected() const;

  net::Loop& loop_;
  std::shared_ptr<const HopSettings> settings_;
  std::vector<Idle> idle_;  // the newest last: it is used first, so that the rest may expire
  std::deque<std::shared_ptr<Waiter>> waiting_;
  net::Timer idle_timer_;
  std::size_t in_use_ = 0;
  bool closed_ = false;

  /// Each connection that works holds it: the use count tells how many there are.
  std::shared_ptr<const int> connected_ = std::make_shared<const int>();
  std::size_t cap_ = 0;  // how many the next hop takes, as it seems, until cap_until_
  net::TimePoint cap_until_;

  std::optional<ConnectFailure> down_;  // the last failure, while there was no success since
  net::TimePoint retry_at_;
  std::shared_ptr<net::Event> probe_;  // set while one tries for all
};

}  // namespace kage::submission
