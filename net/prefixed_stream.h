// A Stream that first gives bytes which were read from the one below too early (behind a PROXY header).
#pragma once

#include <string>
#include <utility>

#include "net/stream.h"

namespace kage::net {

class PrefixedStream final : public Stream {
 public:
  PrefixedStream(StreamPtr lower, std::string prefix)
      : lower_(std::move(lower)), prefix_(std::move(prefix)) {}

  Task<Result<std::string_view>> read() override {
    if (given_ || prefix_.empty()) {
      std::string().swap(prefix_);
      return lower_->read();
    }
    given_ = true;
    return give(prefix_);
  }
  Task<Result<>> readable() override {
    return given_ || prefix_.empty() ? lower_->readable() : Stream::readable();
  }
  Task<Result<>> write(std::string_view data) override { return lower_->write(data); }
  [[nodiscard]] bool peer_ended() const override { return lower_->peer_ended(); }
  Task<Result<>> shutdown() override { return lower_->shutdown(); }
  void close() override { lower_->close(); }
  void set_deadline(std::optional<TimePoint> at) override { lower_->set_deadline(at); }
  Loop& loop() override { return lower_->loop(); }

 private:
  static Task<Result<std::string_view>> give(std::string_view bytes) { co_return bytes; }

  StreamPtr lower_;
  std::string prefix_;
  bool given_ = false;
};

}  // namespace kage::net
