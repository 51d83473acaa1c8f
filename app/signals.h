// Signals of the process as calls on a loop.
#pragma once

#include <functional>

#include "net/loop.h"

namespace kage::app {

/// Calls a function on the loop's thread for each arrival of one signal, until destroyed.
class SignalWatch {
 public:
  SignalWatch(net::Loop& loop, int signal, std::function<void()> call);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct Handle;
  Handle* handle_;  // owned by libuv after close
};

}  // namespace kage::app
