// Waiting for a turn, on one loop: a counting semaphore in the order of arrival.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <utility>

#include "net/loop.h"

namespace kage::net {

/// One thread. Must outlive those that wait.
class Semaphore {
 public:
  /// `permits` may be held at once; at most `max_waiting` wait, others are refused at once.
  Semaphore(Loop& loop, std::size_t permits, std::size_t max_waiting = SIZE_MAX)
      : loop_(loop), permits_(permits), max_waiting_(max_waiting) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// `if (!co_await semaphore.acquire()) …`: true with a permit, false when too many wait.
  auto acquire() {
    struct Awaiter {
      Semaphore& semaphore;
      bool granted = true;
      bool await_ready() {
        if (semaphore.permits_ > 0) {
          --semaphore.permits_;
          return true;
        }
        granted = semaphore.waiting_.size() < semaphore.max_waiting_;
        return !granted;
      }
      void await_suspend(std::coroutine_handle<> handle) const { semaphore.waiting_.push_back(handle); }
      [[nodiscard]] bool await_resume() const { return granted; }
    };
    return Awaiter{*this};
  }

  /// Gives a permit back; it goes to the one that waits longest, which goes on before the loop waits again.
  void release() {
    if (waiting_.empty()) {
      ++permits_;
      return;
    }
    const auto next = waiting_.front();
    waiting_.pop_front();
    loop_.defer([next] { next.resume(); });
  }

 private:
  Loop& loop_;
  std::size_t permits_;
  std::size_t max_waiting_;
  std::deque<std::coroutine_handle<>> waiting_;
};

/// Holds a permit that was acquired and releases it.
class Permit {
 public:
  explicit Permit(Semaphore& semaphore) : semaphore_(&semaphore) {}
  Permit(Permit&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;
  Permit& operator=(Permit&&) = delete;
  ~Permit() {
    if (semaphore_ != nullptr) semaphore_->release();
  }

 private:
  Semaphore* semaphore_;
};

}  // namespace kage::net
