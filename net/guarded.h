// A session's coroutine behind a guard: what a library throws (no memory) ends that session and not the
// process.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include "base/log.h"
#include "base/result.h"
#include "net/task.h"

namespace kage::net {

/// Awaits a task without a coroutine of its own, so that sessions, which wait for hours, hold no frame more.
template <class T>
class [[nodiscard]] Guarded {
 public:
  explicit Guarded(Task<T> task) : task_(std::move(task)) {}

  using Outcome = std::conditional_t<std::is_void_v<T>, Result<>, T>;

  struct Awaiter {
    typename Task<T>::Awaiter task;
    bool await_ready() const noexcept { return task.await_ready(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      return task.await_suspend(awaiting);
    }
    Outcome await_resume() const {
      try {
        if constexpr (std::is_void_v<T>) {
          task.await_resume();
          return {};
        } else {
          return task.await_resume();
        }
      } catch (const std::exception&) {
        log::error("session.exception");
        return fail(Errc::unavailable, "an exception");
      }
    }
  };
  Awaiter operator co_await() && noexcept { return Awaiter{task_.operator co_await()}; }

 private:
  Task<T> task_;
};

/// `co_await guarded(task)` in every coroutine that is spawned for a peer: yields the task's Result, or
/// Errc::unavailable when an exception left it, which is logged. The peer's connection then has to end.
template <class T>
Guarded<T> guarded(Task<T> task) {
  return Guarded<T>(std::move(task));
}

}  // namespace kage::net
