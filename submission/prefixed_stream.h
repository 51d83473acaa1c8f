// A Stream that first gives bytes which were read from the one below too early (behind a PROXY header).
#pragma once

#include <string>
#include <utility>

#include "net/stream.h"

namespace kage::submission {

class PrefixedStream final : public net::Stream {
 public:
  PrefixedStream(net::StreamPtr lower, std::string prefix)
      : lower_(std::move(lower)), prefix_(std::move(prefix)) {}

  net::Task<Result<std::string_view>> read() override {
    if (given_ || prefix_.empty()) return lower_->read();
    given_ = true;
    return give(prefix_);
  }
  net::Task<Result<>> write(std::string_view data) override { return lower_->write(data); }
  net::Task<Result<>> shutdown() override { return lower_->shutdown(); }
  void close() override { lower_->close(); }
  void set_deadline(std::optional<net::TimePoint> at) override { lower_->set_deadline(at); }
  net::Loop& loop() override { return lower_->loop(); }

 private:
  static net::Task<Result<std::string_view>> give(std::string_view bytes) { co_return bytes; }

  net::StreamPtr lower_;
  std::string prefix_;
  bool given_ = false;
};

}  // namespace kage::submission
