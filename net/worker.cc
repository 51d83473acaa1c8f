// The loop is made and destroyed on the worker's own thread; others reach it under the mutex only.
#include "net/worker.h"

namespace kage::net {

Worker::~Worker() {
  stop();
  join();
}

void Worker::run(const std::function<void(Loop&)>& begin, std::promise<void>& started) {
  Loop loop;
  {
    const std::lock_guard lock(mutex_);
    loop_ = &loop;
  }
  begin(loop);
  started.set_value();
  loop.run();
  const std::lock_guard lock(mutex_);
  loop_ = nullptr;
}

void Worker::start(std::function<void(Loop&)> begin) {
  auto started = std::make_shared<std::promise<void>>();
  auto ready = started->get_future();
  thread_ = std::jthread([this, &begin, started] { run(begin, *started); });
  ready.wait();
}

void Worker::stop() {
  post([](Loop& loop) { loop.stop(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::post(std::move_only_function<void(Loop&)> work) {
  const std::lock_guard lock(mutex_);
  if (loop_ == nullptr) return;
  loop_->post([loop = loop_, call = std::move(work)]() mutable { call(*loop); });
}

}  // namespace kage::net
