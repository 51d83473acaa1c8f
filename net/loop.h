// One event loop: a thread's libuv loop with what sessions need from it.
//
// A Loop is created, run and destroyed by one thread. Only post() may be called from other threads.
#pragma once

#include <uv.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/shared_buffer.h"
#include "net/task.h"

namespace kage::net {

using Millis = std::chrono::milliseconds;
/// Monotonic time of the loop, in milliseconds since an arbitrary start.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Millis>;

/// What every libuv handle of this code points to with its `data`, so that ~Loop can close all of them. The
/// object lives until libuv has closed the handle.
class HandleOwner {
 public:
  virtual ~HandleOwner() = default;
  /// Begins to close the handle and wakes whoever waits for it.
  virtual void close_handle() = 0;
};

/// The object that owns a libuv handle of any kind. `data` is a HandleOwner*: to take it for a T* at once
/// would be undefined, since the two need not begin at the same place.
template <class T>
T* owner_of(const void* handle) {
  return static_cast<T*>(static_cast<HandleOwner*>(static_cast<const uv_handle_t*>(handle)->data));
}

class Loop {
 public:
  /// The first one also makes the process ignore SIGPIPE.
  Loop();
  /// Closes what is left open: waits on streams and timers end with Errc::closed or at once. Must not be
  /// running.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop(); may be run again afterwards.
  void run();
  /// Makes run() return after the current iteration. Same thread, or through post().
  void stop();

  /// Queues a function to run on the loop's thread. Safe from any thread. What did not run when the Loop is
  /// destroyed is dropped.
  void post(std::move_only_function<void()> work);

  /// Runs a function before the loop waits again, without a system call. Same thread only. For resuming
  /// others when the caller must not be re-entered, and for gathering what one iteration brought.
  void defer(std::move_only_function<void()> work);

  /// The loop's cached time: cheap, as old as the current iteration.
  [[nodiscard]] TimePoint now() const;

  /// Suspends for a time. For back-off and periodic work, never for waiting on something that has an event.
  /// When the Loop is destroyed a sleeper is woken early, once.
  Task<void> sleep(Millis duration);

  /// Runs blocking work (scrypt, opening routes, files) on libuv's thread pool; resumes on the loop.
  Task<void> offload(std::move_only_function<void()> work);

  /// The buffer that all reads of this loop share (64 KiB), for the one that reads into it. Its content is
  /// valid until the reader suspends, unless it settles there.
  [[nodiscard]] std::span<char> read_buffer() { return read_buffer_.take(); }
  /// A second one for decrypted bytes (TLS), same rule.
  [[nodiscard]] std::span<char> plain_buffer() { return plain_buffer_.take(); }
  /// Whether these octets lie in the second one.
  [[nodiscard]] bool is_plain(std::string_view octets) const { return plain_buffer_.holds(octets); }
  /// The one of the two that these octets lie in; null: neither.
  [[nodiscard]] SharedBuffer* buffer_of(std::string_view octets) {
    if (read_buffer_.holds(octets)) return &read_buffer_;
    return is_plain(octets) ? &plain_buffer_ : nullptr;
  }

  [[nodiscard]] uv_loop_t* uv() { return &loop_; }

 private:
  struct Inbox;
  struct Deferred;
  uv_loop_t loop_{};
  Inbox* inbox_;        // owned by libuv: freed when its handle has closed
  Deferred* deferred_;  // likewise
  bool closing_ = false;
  SharedBuffer read_buffer_;
  SharedBuffer plain_buffer_;
};

/// A restartable one-shot timer whose libuv handle outlives it until libuv has closed it.
class Timer {
 public:
  explicit Timer(Loop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Calls `fire` once after `delay`, unless stopped or started anew before.
  void start(Millis delay, std::move_only_function<void()> fire);
  void stop();

 private:
  struct Handle;
  Handle* handle_;  // owned by libuv after close
};

}  // namespace kage::net
