// A result that is mostly there at once: awaiting it then costs no coroutine.
#pragma once

#include <coroutine>
#include <utility>
#include <variant>

#include "net/task.h"

namespace kage::net {

/// The value, or the Task that gets it. Unlike a Task's, its work begins with the call and not when it is
/// awaited: `co_await` it where it is made.
template <class T>
class [[nodiscard]] Prompt {
 public:
  // Implicit, so that a function can return either.
  Prompt(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Prompt(Task<T> task) : state_(std::in_place_index<1>, std::move(task)) {}

  [[nodiscard]] bool await_ready() const noexcept { return state_.index() == 0; }
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    return (std::get_if<1>(&state_)->operator co_await()).await_suspend(awaiting);
  }
  [[nodiscard]] T await_resume() {
    if (T* value = std::get_if<0>(&state_)) return std::move(*value);
    return (std::get_if<1>(&state_)->operator co_await()).await_resume();
  }

 private:
  std::variant<T, Task<T>> state_;
};

}  // namespace kage::net
