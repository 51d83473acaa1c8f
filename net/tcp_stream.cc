// Socket streams on libuv: TCP and Unix.
//
// Reading starts when somebody waits and stops when nobody does: that is the backpressure, and an idle stream
// owns no buffer. Writing tries at once and lets libuv wait for what is left.
#include "net/tcp_stream.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "net/socket_handle.h"

namespace kage::net {
Error error_of(int status) {
  const char* name = uv_err_name(status);
  switch (status) {
    case UV_ECANCELED:
    case UV_EOF:
    case UV_ECONNRESET:
    case UV_ECONNABORTED:
    case UV_EPIPE:
    case UV_ENOTCONN:
      return Error{Errc::closed, name};
    case UV_ETIMEDOUT:
      return Error{Errc::timed_out, name};
    case UV_ECONNREFUSED:
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
    case UV_EADDRNOTAVAIL:
    case UV_ENOENT:
      return Error{Errc::unreachable, name};
    default:
      return Error{Errc::io, name};
  }
}

SocketHandle::SocketHandle(Loop& loop, Kind kind) : loop_(loop) {
  if (kind == Kind::tcp) {
    uv_tcp_init(loop.uv(), tcp());
  } else {
    uv_pipe_init(loop.uv(), pipe(), 0);
  }
  stream()->data = static_cast<HandleOwner*>(this);
}

int SocketHandle::refusal() const {
  if (close_status_ != 0) return close_status_;
  return deadline_ && loop_.now() >= *deadline_ ? UV_ETIMEDOUT : 0;
}

void SocketHandle::begin_read(Wait& wait, bool probe) {
  reader_ = &wait;
  probing_ = probe;
  arm();
  if (reading_) return;
  reading_ = true;
  const int status = uv_read_start(
      stream(),
      [](uv_handle_t* handle, std::size_t /*suggested*/, uv_buf_t* buffer) {
        SocketHandle& self = *owner_of<SocketHandle>(handle);
        // Without room libuv reads nothing and says UV_ENOBUFS.
        const bool wants_room = !self.probing_ && !self.had_turn_;
        const std::span<char> room = wants_room ? self.loop().read_buffer() : std::span<char>();
        *buffer = uv_buf_init(room.data(), static_cast<unsigned>(room.size()));
      },
      [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
        owner_of<SocketHandle>(stream)->on_read(count, buffer);
      });
  if (status != 0) close(status);
}

void SocketHandle::on_read(ssize_t count, const uv_buf_t* buffer) {
  if (count == 0) return;
  if (count == UV_ENOBUFS && buffer->len == 0) {
    had_turn_ = false;
    if (!probing_) return;  // it goes on in the loop's next round
    count = 0;
  } else {
    // libuv would read on, 32 times, before it looks at anybody else.
    had_turn_ = count > 0 && static_cast<std::size_t>(count) == buffer->len;
  }
  if (count < 0) reading_ = false;
  if (count == UV_EOF) at_end_ = true;
  Wait* wait = std::exchange(reader_, nullptr);
  if (wait != nullptr) {
    if (count > 0) wait->view = std::string_view(buffer->base, static_cast<std::size_t>(count));
    // The Stream may be gone when this returns; the handle is not, since closing takes an iteration.
    wait->finish(count < 0 ? static_cast<int>(count) : 0);
  }
  if (reader_ == nullptr && reading_ && close_status_ == 0) {
    reading_ = false;
    uv_read_stop(stream());
  }
}

void SocketHandle::begin_write(Wait& wait) {
  writer_ = &wait;
  arm();
}

void SocketHandle::set_deadline(std::optional<TimePoint> at) {
  deadline_ = at;
  if (!at) {
    timer_.reset();
    armed_.reset();
  }
  if (reader_ != nullptr || writer_ != nullptr) arm();
}

/// Makes sure that the timer fires no later than the deadline. One that fires too early looks again, so
/// moving a deadline on, as every command does, costs nothing.
void SocketHandle::arm() {
  if (!deadline_ || close_status_ != 0 || (armed_ && *armed_ <= *deadline_)) return;
  if (!timer_) timer_ = std::make_unique<Timer>(loop_);
  armed_ = deadline_;
  timer_->start(*deadline_ - loop_.now(), [this] { on_deadline(); });
}

void SocketHandle::on_deadline() {
  armed_.reset();
  if (!deadline_ || (reader_ == nullptr && writer_ == nullptr)) {
    timer_.reset();
    return;
  }
  if (loop_.now() < *deadline_) {
    arm();
    return;
  }
  if (writer_ != nullptr) {
    // A write that was begun cannot be taken back, only the whole connection.
    close(UV_ETIMEDOUT);
    return;
  }
  if (reading_) uv_read_stop(stream());
  reading_ = false;
  std::exchange(reader_, nullptr)->finish(UV_ETIMEDOUT);
}

void SocketHandle::close(int status) {
  if (close_status_ != 0) return;
  close_status_ = status;
  if (link_ != nullptr) *std::exchange(link_, nullptr) = Link{nullptr, status};
  timer_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(stream()), [](uv_handle_t* handle) {
    const std::unique_ptr<SocketHandle> self(owner_of<SocketHandle>(handle));
    if (self->reader_ != nullptr) std::exchange(self->reader_, nullptr)->finish(self->close_status_);
  });
}

namespace {

struct ReadAwaiter {
  SocketHandle* handle;
  int closed_with;
  bool probe = false;
  SocketHandle::Wait wait{};

  bool await_ready() {
    if (handle == nullptr) {
      wait.status = closed_with;
      return true;
    }
    wait.status = handle->refusal();
    if (wait.status == 0 && handle->at_end()) wait.status = UV_EOF;
    return wait.status != 0;
  }
  void await_suspend(std::coroutine_handle<> waiter) {
    wait.waiter = waiter;
    handle->begin_read(wait, probe);
  }
  [[nodiscard]] SocketHandle::Wait await_resume() const { return wait; }
};

struct WriteAwaiter {
  SocketHandle* handle;
  int closed_with;
  std::string_view data;
  uv_write_t request{};
  SocketHandle::Wait wait{};

  bool await_ready() {
    wait.status = handle == nullptr ? closed_with : handle->refusal();
    while (wait.status == 0 && !data.empty()) {
      const auto buffer = next();
      const int written = uv_try_write(handle->stream(), &buffer, 1);
      if (written == UV_EAGAIN) return false;
      if (written < 0) {
        wait.status = written;
      } else {
        data.remove_prefix(static_cast<std::size_t>(written));
        if (static_cast<std::size_t>(written) < buffer.len) return false;
      }
    }
    return true;
  }
  bool await_suspend(std::coroutine_handle<> waiter) {
    wait.waiter = waiter;
    request.data = this;
    return submit();
  }
  [[nodiscard]] int await_resume() const { return wait.status; }

 private:
  [[nodiscard]] uv_buf_t next() const {
    constexpr std::size_t kMost = 1UL << 30;  // libuv counts in int
    return uv_buf_init(const_cast<char*>(data.data()), static_cast<unsigned>(std::min(data.size(), kMost)));
  }
  bool submit() {
    const auto buffer = next();
    data.remove_prefix(buffer.len);
    wait.status = uv_write(&request, handle->stream(), &buffer, 1, on_written);
    if (wait.status != 0) return false;
    handle->begin_write(wait);
    return true;
  }
  static void on_written(uv_write_t* request, int status) {
    auto& self = *static_cast<WriteAwaiter*>(request->data);
    self.handle->end_write();
    if (status == UV_ECANCELED && self.handle->close_status() != 0) status = self.handle->close_status();
    if (status == 0 && !self.data.empty()) {
      if (self.submit()) return;
      status = self.wait.status;
    }
    self.wait.finish(status);
  }
};

struct ShutdownAwaiter {
  SocketHandle* handle;
  int closed_with;
  uv_shutdown_t request{};
  SocketHandle::Wait wait{};

  bool await_ready() {
    wait.status = handle == nullptr ? closed_with : handle->refusal();
    return wait.status != 0;
  }
  bool await_suspend(std::coroutine_handle<> waiter) {
    wait.waiter = waiter;
    request.data = this;
    wait.status = uv_shutdown(&request, handle->stream(), [](uv_shutdown_t* done, int status) {
      static_cast<ShutdownAwaiter*>(done->data)->wait.finish(status);
    });
    return wait.status == 0;
  }
  [[nodiscard]] int await_resume() const { return wait.status; }
};

class SocketStream final : public Stream {
 public:
  explicit SocketStream(SocketHandle* handle) : link_{handle, 0}, loop_(handle->loop()) {
    handle->set_link(&link_);
  }
  ~SocketStream() override { close(); }
  SocketStream(const SocketStream&) = delete;
  SocketStream& operator=(const SocketStream&) = delete;

  Task<Result<std::string_view>> read() override { return read_from(link_.handle, link_.closed_with); }
  Task<Result<>> readable() override { return wait_for_bytes(link_.handle, link_.closed_with); }
  Task<Result<>> write(std::string_view data) override {
    return write_to(link_.handle, link_.closed_with, data);
  }
  [[nodiscard]] bool peer_ended() const override {
    uv_os_fd_t socket = -1;
    if (link_.handle == nullptr || link_.handle->at_end()) return true;
    if (uv_fileno(reinterpret_cast<const uv_handle_t*>(link_.handle->stream()), &socket) != 0) return true;
    pollfd asked{socket, POLLRDHUP, 0};
    return ::poll(&asked, 1, 0) > 0;  // POLLHUP and POLLERR are always reported
  }
  Task<Result<>> shutdown() override { return shut_down(link_.handle, link_.closed_with); }
  void close() override {
    if (link_.handle != nullptr) link_.handle->close(UV_ECANCELED);
  }
  void set_deadline(std::optional<TimePoint> at) override {
    if (link_.handle != nullptr) link_.handle->set_deadline(at);
  }
  Loop& loop() override { return loop_; }

 private:
  // The coroutines know the handle only: the Stream may be destroyed while they wait.
  static Task<Result<std::string_view>> read_from(SocketHandle* handle, int closed_with) {
    const SocketHandle::Wait wait = co_await ReadAwaiter{handle, closed_with};
    if (wait.status == UV_EOF) co_return std::string_view();
    if (wait.status != 0) co_return std::unexpected(error_of(wait.status));
    co_return wait.view;
  }
  static Task<Result<>> wait_for_bytes(SocketHandle* handle, int closed_with) {
    const SocketHandle::Wait wait = co_await ReadAwaiter{handle, closed_with, true};
    if (wait.status != 0 && wait.status != UV_EOF) co_return std::unexpected(error_of(wait.status));
    co_return Result<>();
  }
  static Task<Result<>> write_to(SocketHandle* handle, int closed_with, std::string_view data) {
    const int status = co_await WriteAwaiter{handle, closed_with, data};
    if (status != 0) co_return std::unexpected(error_of(status));
    co_return Result<>();
  }
  static Task<Result<>> shut_down(SocketHandle* handle, int closed_with) {
    const int status = co_await ShutdownAwaiter{handle, closed_with};
    if (status != 0) co_return std::unexpected(error_of(status));
    co_return Result<>();
  }

  SocketHandle::Link link_;
  Loop& loop_;
};

}  // namespace

StreamPtr make_socket_stream(SocketHandle* handle) {
  return std::make_unique<SocketStream>(handle);
}

Result<StreamPtr> adopt_tcp(Loop& loop, uv_os_sock_t socket) {
  auto* handle = new SocketHandle(loop, SocketHandle::Kind::tcp);
  const int status = uv_tcp_open(handle->tcp(), socket);
  if (status != 0) {
    handle->close(status);
    ::close(socket);
    return std::unexpected(error_of(status));
  }
  uv_tcp_nodelay(handle->tcp(), 1);
  return make_socket_stream(handle);
}

Result<StreamPtr> adopt_unix(Loop& loop, uv_os_sock_t socket) {
  auto* handle = new SocketHandle(loop, SocketHandle::Kind::unix_socket);
  const int status = uv_pipe_open(handle->pipe(), socket);
  if (status != 0) {
    handle->close(status);
    ::close(socket);
    return std::unexpected(error_of(status));
  }
  return make_socket_stream(handle);
}

}  // namespace kage::net
