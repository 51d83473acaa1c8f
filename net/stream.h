// A byte stream with deadlines: TCP, Unix socket, TLS, or a test's memory.
//
// One coroutine reads and one writes at a time. Closing is how a wait is cancelled: what waits then ends with
// Errc::closed. After an error the stream is good for close() only, except that after a read that timed out a
// last word may be written under a new deadline.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "net/loop.h"
#include "net/task.h"

namespace kage::net {

class Stream {
 public:
  virtual ~Stream() = default;

  /// Reads what there is, at least one byte. An empty view is the end of the stream. The view is valid until
  /// the caller next suspends: it lies in a buffer that the whole loop shares.
  virtual Task<Result<std::string_view>> read() = 0;

  /// Waits until a read is likely to give something (octets, the end, an error), and costs less memory than a
  /// read that waits: for peers that are idle for long. May return early: some streams never wait here.
  virtual Task<Result<>> readable();

  /// Writes all of `data`, which must stay valid until the task ends. Returning is the backpressure: the
  /// bytes are then the kernel's.
  virtual Task<Result<>> write(std::string_view data) = 0;

  /// Whether the peer will say nothing more: it has ended its direction, or the connection is gone. Reads
  /// nothing, so octets may still wait to be read. A stream that is not over a socket says no.
  [[nodiscard]] virtual bool peer_ended() const { return false; }

  /// Ends our sending direction after what was written (TLS: close_notify first).
  virtual Task<Result<>> shutdown() = 0;

  /// Closes at once. Idempotent. Pending reads and writes end with Errc::closed.
  virtual void close() = 0;

  /// Reads and writes that are pending or begin from now on fail with Errc::timed_out once the loop's time
  /// passes `at`. nullopt removes the deadline.
  virtual void set_deadline(std::optional<TimePoint> at) = 0;

  [[nodiscard]] virtual Loop& loop() = 0;

  /// Convenience: a deadline from now.
  void set_timeout(Millis duration) { set_deadline(loop().now() + duration); }
};

inline Task<Result<>> Stream::readable() {
  co_return Result<>();
}

using StreamPtr = std::unique_ptr<Stream>;

}  // namespace kage::net
