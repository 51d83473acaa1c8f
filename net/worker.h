// A thread with its own Loop.
#pragma once

#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "net/loop.h"

namespace kage::net {

class Worker {
 public:
  Worker() = default;
  ~Worker();  ///< stops and joins
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Starts the thread, runs `begin` on it and then the loop, until stop(). Returns when `begin` has
  /// returned. What `begin` makes for the loop's sessions must be gone, or held by coroutines, when the loop
  /// ends.
  void start(std::function<void(Loop&)> begin);

  /// Asks the loop to stop. Safe from any thread; idempotent.
  void stop();

  /// Waits for the thread to end.
  void join();

  /// Queues a function on the worker's loop; nothing happens when the worker has ended or did not start.
  void post(std::move_only_function<void(Loop&)> work);

 private:
  void run(const std::function<void(Loop&)>& begin, std::promise<void>& started);

  std::mutex mutex_;
  Loop* loop_ = nullptr;  // while the thread's loop lives
  std::jthread thread_;
};

}  // namespace kage::net
