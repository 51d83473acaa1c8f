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
#include <vector>

#include "base/result.h"
#include "net/task.h"

namespace kage::net {

using Millis = std::chrono::milliseconds;
/// Monotonic time of the loop, in milliseconds since an arbitrary start.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Millis>;

class Loop {
 public:
  Loop();
  ~Loop();  ///< closes what is left open; must not be running
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop() was called and nothing more is pending, or stop_now().
  void run();
  /// Makes run() return after the current iteration. Same thread, or through post().
  void stop();

  /// Queues a function to run on the loop's thread. Safe from any thread.
  void post(std::move_only_function<void()> work);

  /// The loop's cached time: cheap, as old as the current iteration.
  [[nodiscard]] TimePoint now() const;

  /// Suspends for a time. For back-off and periodic work, never for waiting on something that has an event.
  Task<void> sleep(Millis duration);

  /// Runs blocking work (scrypt, name resolution) on libuv's thread pool; resumes on the loop.
  Task<void> offload(std::move_only_function<void()> work);

  /// The buffer that all reads of this loop share (64 KiB). Its content is valid until the reader suspends.
  [[nodiscard]] std::span<char> read_buffer() { return read_buffer_; }
  /// A second one for decrypted bytes (TLS), same rule.
  [[nodiscard]] std::span<char> plain_buffer() { return plain_buffer_; }

  [[nodiscard]] uv_loop_t* uv() { return &loop_; }

 private:
  struct Inbox;
  uv_loop_t loop_{};
  std::unique_ptr<Inbox> inbox_;
  std::vector<char> read_buffer_;
  std::vector<char> plain_buffer_;
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
