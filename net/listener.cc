// Accepting with accept4 on a polled socket, so that being out of descriptors pauses instead of dropping
// connections, as libuv's own listener would.
#include "net/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "net/tcp_stream.h"

namespace kage::net {
namespace {

constexpr int kBacklog = 1024;
/// Connections taken in one turn: others on this loop get theirs too.
constexpr int kMostAtOnce = 64;
constexpr Millis kPause{100};
/// Peers can keep descriptors short for as long as they like.
constexpr Millis kTellEvery{60'000};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

std::optional<SocketAddress> socket_address(const std::string& text, std::uint16_t port) {
  SocketAddress address;
  if (uv_ip4_addr(text.c_str(), port, reinterpret_cast<sockaddr_in*>(&address.storage)) == 0) {
    address.size = sizeof(sockaddr_in);
    return address;
  }
  if (uv_ip6_addr(text.c_str(), port, reinterpret_cast<sockaddr_in6*>(&address.storage)) == 0) {
    address.size = sizeof(sockaddr_in6);
    return address;
  }
  return std::nullopt;
}

bool set_option(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

enum class Sharing : bool { alone, with_workers };

/// A socket that is bound, or -1 with errno. `alone`: fails where any other listens.
int bind_socket(SocketAddress& address, Sharing sharing) {
  const int family = address.storage.ss_family;
  const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (set_option(fd, SOL_SOCKET, SO_REUSEADDR) &&
      (sharing == Sharing::alone || set_option(fd, SOL_SOCKET, SO_REUSEPORT)) &&
      (family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
      ::bind(fd, address.get(), address.size) == 0) {
    return fd;
  }
  const int reason = errno;
  ::close(fd);
  errno = reason;
  return -1;
}

/// A socket that listens, or -1 with errno.
int open_socket(SocketAddress& address) {
  const int fd = bind_socket(address, Sharing::with_workers);
  if (fd < 0) return -1;
  if (::listen(fd, kBacklog) == 0 && ::getsockname(fd, address.get(), &address.size) == 0) return fd;
  const int reason = errno;
  ::close(fd);
  errno = reason;
  return -1;
}

std::unexpected<Error> cannot_listen(const std::string& address, std::uint16_t port, int status) {
  return fail(Errc::io, "cannot listen on " + format_endpoint(address, port) + ": " + uv_strerror(status));
}

std::unexpected<Error> not_an_address(const std::string& address) {
  return fail(Errc::invalid, "cannot listen on " + address + ": not an IP address");
}

bool out_of_resources(int reason) {
  return reason == EMFILE || reason == ENFILE || reason == ENOBUFS || reason == ENOMEM;
}

}  // namespace

struct Listener::Socket final : HandleOwner {
  Socket(Loop& l, int f, Accept a)
      : loop(l), fd(f), accept(std::move(a)), pause(std::make_unique<Timer>(l)) {}

  Loop& loop;
  uv_poll_t poll{};
  int fd;
  Accept accept;
  std::unique_ptr<Timer> pause;
  Listener* owner = nullptr;
  TimePoint tell_at{};  // before it the log is not told of a pause

  void watch() {
    uv_poll_start(&poll, UV_READABLE, [](uv_poll_t* handle, int /*status*/, int /*events*/) {
      owner_of<Socket>(handle)->take();
    });
  }

  void take() {
    for (int i = 0; i < kMostAtOnce && fd >= 0; ++i) {
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      const int taken =
          ::accept4(fd, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (taken < 0) {
        const int reason = errno;
        if (reason == ECONNABORTED || reason == EINTR) continue;
        if (out_of_resources(reason)) rest(reason);
        return;
      }
      auto stream = adopt_tcp(loop, taken);
      if (stream) accept(std::move(*stream), peer_address_of(reinterpret_cast<const sockaddr*>(&peer)));
    }
  }

  /// Leaves the connections in the kernel's queue for a while.
  void rest(int reason) {
    if (loop.now() >= tell_at) {
      log::warn("listener.paused", {{"reason", uv_err_name(uv_translate_sys_error(reason))}});
      tell_at = loop.now() + kTellEvery;
    }
    uv_poll_stop(&poll);
    pause->start(kPause, [this] { watch(); });
  }

  void close_handle() override {
    if (fd < 0) return;
    if (owner != nullptr) owner->socket_ = nullptr;
    pause.reset();
    uv_poll_stop(&poll);
    ::close(std::exchange(fd, -1));
    uv_close(reinterpret_cast<uv_handle_t*>(&poll),
             [](uv_handle_t* handle) { delete owner_of<Socket>(handle); });
  }
};

Listener::Listener(Socket* socket, std::uint16_t port) : socket_(socket), port_(port) {
  socket->owner = this;
}

Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, const std::string& address, std::uint16_t port,
                                                 Accept accept) {
  auto bound = socket_address(address, port);
  if (!bound) return not_an_address(address);
  const int fd = open_socket(*bound);
  if (fd < 0) return cannot_listen(address, port, uv_translate_sys_error(errno));
  auto* socket = new Socket(loop, fd, std::move(accept));
  const int status = uv_poll_init_socket(loop.uv(), &socket->poll, fd);
  if (status != 0) {
    ::close(fd);
    delete socket;
    return cannot_listen(address, port, status);
  }
  socket->poll.data = static_cast<HandleOwner*>(socket);
  socket->watch();
  return std::unique_ptr<Listener>(new Listener(socket, peer_address_of(bound->get()).port));
}

Result<> Listener::check_free(const std::string& address, std::uint16_t port) {
  if (port == 0) return {};
  auto bound = socket_address(address, port);
  if (!bound) return not_an_address(address);
  const int fd = bind_socket(*bound, Sharing::alone);
  if (fd < 0) return cannot_listen(address, port, uv_translate_sys_error(errno));
  ::close(fd);
  return {};
}

Listener::~Listener() {
  close();
}

void Listener::close() {
  if (socket_ != nullptr) socket_->close_handle();
}

}  // namespace kage::net
