// The loop, its inbox for other threads, and timers.
//
// Every handle is a heap object that libuv gives back in its close callback; nothing here is freed earlier.
#include "net/loop.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "base/log.h"

namespace kage::net {
namespace {

constexpr std::size_t kBufferSize = 64UL * 1024;
/// Rounds of closing in ~Loop. Each lets what was woken open new things, which the next one closes.
constexpr int kCloseRounds = 1000;

void delete_owner(uv_handle_t* handle) {
  delete owner_of<HandleOwner>(handle);
}

void must(int status, std::string_view what) {
  if (status == 0) return;
  log::error("loop.failed", {{"what", what}, {"reason", uv_err_name(status)}});
  std::abort();
}

/// libuv writes without MSG_NOSIGNAL: a peer that went away must be an error, not the end of the process.
void ignore_broken_pipes() {
  static const bool once = [] {
    struct sigaction action{};
    action.sa_handler = SIG_IGN;
    return sigaction(SIGPIPE, &action, nullptr) == 0;
  }();
  must(once ? 0 : UV_EINVAL, "sigaction");
}

void close_open_handle(uv_handle_t* handle, void* /*unused*/) {
  if (uv_is_closing(handle) == 0) owner_of<HandleOwner>(handle)->close_handle();
}

struct SleepHandle final : HandleOwner {
  uv_timer_t timer{};
  std::coroutine_handle<> waiter;

  void close_handle() override {
    uv_close(reinterpret_cast<uv_handle_t*>(&timer), [](uv_handle_t* handle) {
      const auto early = owner_of<SleepHandle>(handle)->waiter;
      delete_owner(handle);
      if (early) early.resume();
    });
  }
  void fire() {
    const auto due = std::exchange(waiter, nullptr);
    close_handle();
    due.resume();
  }
};

struct SleepAwaiter {
  Loop& loop;
  Millis duration;
  bool never;  // the loop is being destroyed: a periodic task ends here instead of spinning

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const {
    if (never) return;
    auto* sleep = new SleepHandle;
    sleep->waiter = waiter;
    uv_timer_init(loop.uv(), &sleep->timer);
    sleep->timer.data = static_cast<HandleOwner*>(sleep);
    const auto delay = static_cast<std::uint64_t>(std::max<Millis::rep>(duration.count(), 0));
    uv_timer_start(&sleep->timer, [](uv_timer_t* timer) { owner_of<SleepHandle>(timer)->fire(); }, delay, 0);
  }
  void await_resume() const noexcept {}
};

struct OffloadAwaiter {
  Loop& loop;
  std::move_only_function<void()>& work;
  uv_work_t request{};
  std::coroutine_handle<> waiter;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter = handle;
    request.data = this;
    must(uv_queue_work(
             loop.uv(), &request, [](uv_work_t* work) { static_cast<OffloadAwaiter*>(work->data)->work(); },
             [](uv_work_t* work, int /*status*/) {
               static_cast<OffloadAwaiter*>(work->data)->waiter.resume();
             }),
         "uv_queue_work");
  }
  void await_resume() const noexcept {}
};

}  // namespace

struct Loop::Inbox final : HandleOwner {
  uv_async_t async{};
  std::mutex mutex;
  std::vector<std::move_only_function<void()>> posted;

  void drain() {
    std::vector<std::move_only_function<void()>> taken;
    {
      const std::lock_guard lock(mutex);
      taken.swap(posted);
    }
    for (auto& work : taken) work();
  }
  void drop() {
    const std::lock_guard lock(mutex);
    posted.clear();
  }
  void close_handle() override { uv_close(reinterpret_cast<uv_handle_t*>(&async), delete_owner); }
};

struct Loop::Deferred final : HandleOwner {
  uv_idle_t idle{};
  std::vector<std::move_only_function<void()>> waiting;

  void drain() {
    std::vector<std::move_only_function<void()>> taken;
    taken.swap(waiting);
    for (auto& work : taken) work();
    if (waiting.empty()) uv_idle_stop(&idle);
  }
  void close_handle() override { uv_close(reinterpret_cast<uv_handle_t*>(&idle), delete_owner); }
};

Loop::Loop()
    : inbox_(new Inbox), deferred_(new Deferred), read_buffer_(kBufferSize), plain_buffer_(kBufferSize) {
  ignore_broken_pipes();
  must(uv_loop_init(&loop_), "uv_loop_init");
  must(uv_async_init(&loop_, &inbox_->async, [](uv_async_t* async) { owner_of<Inbox>(async)->drain(); }),
       "uv_async_init");
  inbox_->async.data = static_cast<HandleOwner*>(inbox_);
  must(uv_idle_init(&loop_, &deferred_->idle), "uv_idle_init");
  deferred_->idle.data = static_cast<HandleOwner*>(deferred_);
}

Loop::~Loop() {
  closing_ = true;
  inbox_->drop();
  for (int round = 0; round < kCloseRounds; ++round) {
    // What close callbacks wake may still defer, so the handle for it goes last.
    deferred_->drain();
    bool open = false;
    uv_walk(
        &loop_,
        [](uv_handle_t* handle, void* found) {
          if (handle->type == UV_ASYNC || handle->type == UV_IDLE) return;
          *static_cast<bool*>(found) = true;
          close_open_handle(handle, nullptr);
        },
        &open);
    uv_unref(reinterpret_cast<uv_handle_t*>(&inbox_->async));
    uv_run(&loop_, UV_RUN_DEFAULT);
    if (!open && deferred_->waiting.empty()) break;
  }
  uv_walk(&loop_, close_open_handle, nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  if (uv_loop_close(&loop_) != 0) log::error("loop.left_open");
}

void Loop::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void Loop::stop() {
  uv_stop(&loop_);
}

void Loop::post(std::move_only_function<void()> work) {
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->posted.push_back(std::move(work));
  }
  uv_async_send(&inbox_->async);
}

void Loop::defer(std::move_only_function<void()> work) {
  deferred_->waiting.push_back(std::move(work));
  uv_idle_start(&deferred_->idle, [](uv_idle_t* idle) { owner_of<Deferred>(idle)->drain(); });
}

TimePoint Loop::now() const {
  return TimePoint(Millis(static_cast<Millis::rep>(uv_now(&loop_))));
}

Task<void> Loop::sleep(Millis duration) {
  co_await SleepAwaiter{*this, duration, closing_};
}

Task<void> Loop::offload(std::move_only_function<void()> work) {
  co_await OffloadAwaiter{*this, work, {}, {}};
}

struct Timer::Handle final : HandleOwner {
  uv_timer_t timer{};
  Timer* owner = nullptr;
  std::move_only_function<void()> fire;

  void close_handle() override {
    if (owner != nullptr) owner->handle_ = nullptr;
    owner = nullptr;
    fire = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&timer), delete_owner);
  }
};

Timer::Timer(Loop& loop) : handle_(new Handle) {
  uv_timer_init(loop.uv(), &handle_->timer);
  handle_->timer.data = static_cast<HandleOwner*>(handle_);
  handle_->owner = this;
}

Timer::~Timer() {
  if (handle_ != nullptr) handle_->close_handle();
}

void Timer::start(Millis delay, std::move_only_function<void()> fire) {
  if (handle_ == nullptr) return;  // the loop is being destroyed
  handle_->fire = std::move(fire);
  const auto wait = static_cast<std::uint64_t>(std::max<Millis::rep>(delay.count(), 0));
  uv_timer_start(
      &handle_->timer,
      [](uv_timer_t* timer) {
        // Moved out first: what it calls may start the timer anew or destroy it.
        auto call = std::exchange(owner_of<Handle>(timer)->fire, nullptr);
        if (call) call();
      },
      wait, 0);
}

void Timer::stop() {
  if (handle_ == nullptr) return;
  uv_timer_stop(&handle_->timer);
  handle_->fire = nullptr;
}

}  // namespace kage::net
