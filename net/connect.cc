// Names are resolved on libuv's thread pool, addresses tried in order, all of it before one deadline.
#include "net/connect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "net/socket_handle.h"
#include "net/tcp_stream.h"

namespace kage::net {
namespace {

/// More addresses than this of one name are not tried.
constexpr std::size_t kMaxAddresses = 8;

/// Shared by the waiting coroutine and libuv's request, which may outlive it: a lookup that has begun cannot
/// be interrupted.
struct Resolution {
  uv_getaddrinfo_t request{};
  std::coroutine_handle<> waiter;
  int status = 0;
  std::vector<sockaddr_storage> addresses;

  void finish(int result) {
    status = result;
    if (auto waiting = std::exchange(waiter, nullptr)) waiting.resume();
  }
  /// One that waits for a thread is taken back: while no name server answers more come than are done.
  void give_up() {
    uv_cancel(reinterpret_cast<uv_req_t*>(&request));
    finish(UV_ETIMEDOUT);
  }
};

void keep_addresses(Resolution& resolution, const addrinfo* list) {
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    if (resolution.addresses.size() == kMaxAddresses) return;
    if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
    sockaddr_storage address{};
    std::memcpy(&address, at->ai_addr, at->ai_addrlen);
    resolution.addresses.push_back(address);
  }
}

void on_resolved(uv_getaddrinfo_t* request, int status, addrinfo* list) {
  const std::unique_ptr<std::shared_ptr<Resolution>> self(
      static_cast<std::shared_ptr<Resolution>*>(request->data));
  if (status == 0) keep_addresses(**self, list);
  uv_freeaddrinfo(list);
  (*self)->finish(status);
}

struct ResolveAwaiter {
  Loop& loop;
  std::shared_ptr<Resolution> resolution;
  const char* host;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) const {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    auto* reference = new std::shared_ptr<Resolution>(resolution);
    resolution->request.data = reference;
    resolution->waiter = waiter;
    resolution->status = uv_getaddrinfo(loop.uv(), &resolution->request, on_resolved, host, nullptr, &hints);
    if (resolution->status == 0) return true;
    delete reference;
    return false;
  }
  void await_resume() const noexcept {}
};

void set_port(sockaddr_storage& address, std::uint16_t port) {
  if (address.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(&address)->sin_port = htons(port);
  }
}

/// An IP address needs no lookup.
std::optional<sockaddr_storage> literal(const std::string& host) {
  sockaddr_storage address{};
  if (uv_ip4_addr(host.c_str(), 0, reinterpret_cast<sockaddr_in*>(&address)) == 0) return address;
  if (uv_ip6_addr(host.c_str(), 0, reinterpret_cast<sockaddr_in6*>(&address)) == 0) return address;
  return std::nullopt;
}

Task<Result<std::vector<sockaddr_storage>>> resolve(Loop& loop, std::string host, TimePoint deadline) {
  if (auto address = literal(host)) co_return std::vector<sockaddr_storage>{*address};
  auto resolution = std::make_shared<Resolution>();
  Timer timer(loop);
  timer.start(deadline - loop.now(), [resolution] { resolution->give_up(); });
  co_await ResolveAwaiter{loop, resolution, host.c_str()};
  timer.stop();
  if (resolution->status == UV_ETIMEDOUT) co_return fail(Errc::timed_out, "name lookup");
  if (resolution->status != 0 || resolution->addresses.empty()) {
    co_return fail(Errc::unreachable,
                   std::string("name lookup: ") +
                       (resolution->status == 0 ? "no address" : uv_err_name(resolution->status)));
  }
  co_return std::move(resolution->addresses);
}

struct ConnectAwaiter {
  SocketHandle* handle;
  const sockaddr* address;  // null: Unix, by path
  const char* path;
  uv_connect_t request{};
  SocketHandle::Wait wait{};

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    wait.waiter = waiter;
    request.data = this;
    if (address == nullptr) {
      uv_pipe_connect(&request, handle->pipe(), path, on_connect);
      return true;
    }
    wait.status = uv_tcp_connect(&request, handle->tcp(), address, on_connect);
    return wait.status == 0;
  }
  [[nodiscard]] int await_resume() const { return wait.status; }

  static void on_connect(uv_connect_t* request, int status) {
    auto& self = *static_cast<ConnectAwaiter*>(request->data);
    if (self.handle->close_status() != 0) status = self.handle->close_status();
    self.wait.finish(status);
  }
};

/// One attempt. `address` and `path` outlive it: they are in the awaiting frame.
Task<Result<StreamPtr>> attempt(Loop& loop, const sockaddr* address, const char* path, TimePoint deadline) {
  const auto kind = address == nullptr ? SocketHandle::Kind::unix_socket : SocketHandle::Kind::tcp;
  auto* handle = new SocketHandle(loop, kind);
  Timer timer(loop);
  timer.start(deadline - loop.now(), [handle] { handle->close(UV_ETIMEDOUT); });
  const int status = co_await ConnectAwaiter{handle, address, path};
  timer.stop();
  if (status != 0) {
    handle->close(status);
    co_return std::unexpected(error_of(status));
  }
  if (address != nullptr) uv_tcp_nodelay(handle->tcp(), 1);
  co_return make_socket_stream(handle);
}

}  // namespace

Task<Result<StreamPtr>> connect_tcp(Loop& loop, std::string host, std::uint16_t port, TimePoint deadline) {
  auto addresses = co_await resolve(loop, std::move(host), deadline);
  if (!addresses) co_return std::unexpected(addresses.error());
  Result<StreamPtr> last = fail(Errc::unreachable);
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    if (loop.now() >= deadline) co_return fail(Errc::timed_out, "connect");
    // An address that swallows packets must leave time for the others.
    const auto left = static_cast<Millis::rep>(addresses->size() - i);
    const TimePoint until =
        loop.now() + Millis(std::max<Millis::rep>((deadline - loop.now()).count() / left, 1));
    sockaddr_storage& address = (*addresses)[i];
    set_port(address, port);
    last = co_await attempt(loop, reinterpret_cast<const sockaddr*>(&address), nullptr, until);
    if (last) co_return last;
  }
  co_return last;
}

Task<Result<StreamPtr>> connect_unix(Loop& loop, std::string path, TimePoint deadline) {
  // libuv would cut a path that is too long.
  if (path.size() >= sizeof(sockaddr_un::sun_path)) co_return fail(Errc::invalid, "socket path too long");
  co_return co_await attempt(loop, nullptr, path.c_str(), deadline);
}

}  // namespace kage::net
