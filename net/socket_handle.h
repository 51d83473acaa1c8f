// The libuv side of a socket Stream: the handle and who waits for it. Internal to net.
//
// A SocketHandle lives until libuv has closed it, which is after its Stream has gone. Coroutines that wait
// keep what they need in their own awaiter, so nothing is touched that may be freed.
#pragma once

#include <uv.h>

#include <coroutine>
#include <memory>
#include <optional>

#include "net/stream.h"

namespace kage::net {

class SocketHandle final : public HandleOwner {
 public:
  enum class Kind : std::uint8_t { tcp, unix_socket };

  /// A coroutine that waits for one operation. Its status is 0, UV_EOF or another libuv error.
  struct Wait {
    std::coroutine_handle<> waiter;
    int status = 0;
    std::string_view view;
    void finish(int result) {
      status = result;
      waiter.resume();
    }
  };

  SocketHandle(Loop& loop, Kind kind);

  [[nodiscard]] uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&socket_); }
  [[nodiscard]] uv_tcp_t* tcp() { return &socket_.tcp; }
  [[nodiscard]] uv_pipe_t* pipe() { return &socket_.pipe; }
  [[nodiscard]] Loop& loop() { return loop_; }

  /// The status an operation that begins now has to fail with; 0 when it may begin.
  [[nodiscard]] int refusal() const;

  /// Suspends `wait` until bytes, the end or an error are there. `probe`: it takes no bytes, and finishes as
  /// soon as there is something to read.
  void begin_read(Wait& wait, bool probe = false);
  /// The caller finishes `wait`; while it is set the deadline closes the handle.
  void begin_write(Wait& wait);
  void end_write() { writer_ = nullptr; }

  void set_deadline(std::optional<TimePoint> at);

  /// Closes; what waits ends with `status` (a libuv error).
  void close(int status);
  void close_handle() override { close(UV_ECANCELED); }

  /// What the Stream keeps of this. When closing begins the handle becomes null and the reason stays.
  struct Link {
    SocketHandle* handle;
    int closed_with;
  };
  void set_link(Link* link) { link_ = link; }

  [[nodiscard]] bool at_end() const { return at_end_; }
  /// Why it was closed.
  [[nodiscard]] int close_status() const { return close_status_; }

 private:
  void arm();
  void on_deadline();
  void on_read(ssize_t count, const uv_buf_t* buffer);

  union {
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } socket_{};
  Loop& loop_;
  Link* link_ = nullptr;
  Wait* reader_ = nullptr;
  Wait* writer_ = nullptr;
  std::optional<TimePoint> deadline_;
  std::optional<TimePoint> armed_;  // when the timer will fire
  std::unique_ptr<Timer> timer_;    // made when something first waits under a deadline
  int close_status_ = 0;
  bool reading_ = false;
  bool probing_ = false;  // the reader wants no bytes
  bool at_end_ = false;
  bool had_turn_ = false;  // a read filled the buffer: others come first now
};

/// Makes the Stream for a connected handle.
StreamPtr make_socket_stream(SocketHandle* handle);

}  // namespace kage::net
