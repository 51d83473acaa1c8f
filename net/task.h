// The only coroutine machinery: a lazy Task, ways to start and join Tasks, and single-thread synchronisation.
//
// A Task starts when it is awaited, resumes its awaiter by symmetric transfer, and is destroyed with its
// handle. Everything here belongs to one loop's thread; nothing is thread-safe.
//
// Rules for coroutines (docs/architecture.md): parameters by value, or references to what outlives the
// coroutine; no capturing lambdas; no large locals; cancel by closing the stream that is waited for.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace kage::net {

template <class T = void>
class Task;

namespace detail {

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  std::exception_ptr exception;

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      return self.promise().continuation;
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace detail

/// A coroutine that runs when awaited and yields one T. Move-only; owns the frame.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  struct Awaiter {
    Handle handle;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      handle.promise().continuation = awaiting;
      return handle;
    }
    T await_resume() const { return handle.promise().take(); }
  };
  Awaiter operator co_await() && noexcept { return Awaiter{handle_}; }
  Awaiter operator co_await() & noexcept { return Awaiter{handle_}; }

 private:
  Handle handle_;
};

template <class T>
Task<T> detail::Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}

inline Task<void> detail::Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

namespace detail {

/// A coroutine that starts at once and destroys itself at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

inline Detached run_detached(Task<void> task) {
  co_await std::move(task);
}

}  // namespace detail

/// Starts a task now and lets it run to its end by itself. The task must not throw: an exception that
/// leaves it is a defect and ends the process. What serves a peer is awaited behind guarded()
/// (net/guarded.h).
inline void spawn(Task<void> task) {
  detail::run_detached(std::move(task));
}

/// Wakes every coroutine that waits, once set; stays set until reset(). One thread.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() {
    set_ = true;
    auto waiting = std::exchange(waiting_, {});
    for (auto handle : waiting) handle.resume();
  }
  void reset() { set_ = false; }
  [[nodiscard]] bool is_set() const { return set_; }

  auto operator co_await() noexcept {
    struct Awaiter {
      Event& event;
      bool await_ready() const noexcept { return event.set_; }
      void await_suspend(std::coroutine_handle<> handle) const { event.waiting_.push_back(handle); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 private:
  bool set_ = false;
  std::vector<std::coroutine_handle<>> waiting_;
};

namespace detail {

struct JoinState {
  std::size_t left = 0;
  Event done;
};

inline Detached run_joined(Task<void> task, JoinState& state) {
  co_await std::move(task);
  if (--state.left == 0) state.done.set();
}

}  // namespace detail

/// Runs all tasks at the same time and returns when the last has ended. The tasks must not throw.
inline Task<void> when_all(std::vector<Task<void>> tasks) {
  detail::JoinState state;
  state.left = tasks.size();
  if (tasks.empty()) co_return;
  for (auto& task : tasks) detail::run_joined(std::move(task), state);
  co_await state.done;
}

}  // namespace kage::net
