// Counts what still runs, so that a worker can wait for the last of it before it ends.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "net/task.h"

namespace kage::submission {

class Activity {
 public:
  /// Held by each thing that runs.
  class Token {
   public:
    explicit Token(std::shared_ptr<Activity> of) : of_(std::move(of)) { ++of_->running_; }
    Token(Token&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;
    Token& operator=(Token&&) = delete;
    ~Token() {
      if (of_ && --of_->running_ == 0) of_->changed_.set();
    }

   private:
    std::shared_ptr<Activity> of_;
  };

  [[nodiscard]] std::size_t running() const { return running_; }
  /// The worker ends: what it lent may be gone when something goes on from a wait.
  void cancel() { cancelled_ = true; }
  [[nodiscard]] bool cancelled() const { return cancelled_; }

  /// Set each time that nothing runs any more; reset it before waiting.
  net::Event& changed() { return changed_; }

 private:
  std::size_t running_ = 0;
  bool cancelled_ = false;
  net::Event changed_;
};

}  // namespace kage::submission
