// The uv handle lives until libuv has closed it, which is after its SignalWatch or its Loop has gone.
#include "app/signals.h"

#include <uv.h>

#include <utility>

namespace kage::app {

struct SignalWatch::Handle final : net::HandleOwner {
  uv_signal_t signal{};
  std::function<void()> call;
  Handle** owner = nullptr;  // where the SignalWatch points to this

  void close_handle() override {
    if (owner != nullptr) *std::exchange(owner, nullptr) = nullptr;
    auto* handle = reinterpret_cast<uv_handle_t*>(&signal);
    if (uv_is_closing(handle) != 0) return;
    uv_close(handle, [](uv_handle_t* closed) {
      delete static_cast<Handle*>(static_cast<net::HandleOwner*>(closed->data));
    });
  }
};

SignalWatch::SignalWatch(net::Loop& loop, int signal, std::function<void()> call) : handle_(new Handle) {
  handle_->call = std::move(call);
  handle_->owner = &handle_;
  uv_signal_init(loop.uv(), &handle_->signal);
  handle_->signal.data = static_cast<net::HandleOwner*>(handle_);
  uv_signal_start(
      &handle_->signal,
      [](uv_signal_t* arrived, int) {
        // A copy: the call may destroy the watch.
        const auto function = static_cast<Handle*>(static_cast<net::HandleOwner*>(arrived->data))->call;
        function();
      },
      signal);
}

SignalWatch::~SignalWatch() {
  if (handle_ != nullptr) handle_->close_handle();
}

}  // namespace kage::app
