// A wait for time to pass that something else may end.
#pragma once

#include "net/loop.h"
#include "net/task.h"

namespace kage::submission {

struct Pause {
  explicit Pause(net::Loop& loop) : timer(loop) {}
  net::Timer timer;
  net::Event over;
};

}  // namespace kage::submission
