// Listening on loopback: IPv4, IPv6, several listeners on one port, running out of descriptors, errors.
#include "net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>

#include "base/log.h"
#include "net/connect.h"
#include "tests/net/test_streams.h"

namespace kage::net {
namespace {

using testing::run_on_loop;

struct Accepted {
  std::vector<StreamPtr> streams;
  std::vector<PeerAddress> peers;
  Event any;
};

Listener::Accept into(Accepted& accepted) {
  return [&accepted](StreamPtr stream, PeerAddress peer) {
    accepted.streams.push_back(std::move(stream));
    accepted.peers.push_back(std::move(peer));
    accepted.any.set();
  };
}

Task<void> connect_to(Loop& loop, std::string ip, std::uint16_t port, Result<StreamPtr>& out) {
  out = co_await connect_tcp(loop, std::move(ip), port, loop.now() + Millis(5000));
}

Task<void> wait_for(Event& event) {
  co_await event;
}

Task<void> echo_once(Stream& from, Stream& to, std::string& got) {
  (void)co_await from.write("hello");
  const auto bytes = co_await to.read();
  if (bytes) got.assign(*bytes);
}

}  // namespace

TEST_CASE("a listener picks a free port and gives streams with the peer's address") {
  for (const std::string ip : {"127.0.0.1", "::1"}) {
    Loop loop;
    Accepted accepted;
    const auto listener = Listener::open(loop, ip, 0, into(accepted));
    REQUIRE(listener);
    REQUIRE((*listener)->bound_port() != 0);
    Result<StreamPtr> client = fail(Errc::io);
    run_on_loop(loop, connect_to(loop, ip, (*listener)->bound_port(), client));
    REQUIRE(client);
    run_on_loop(loop, wait_for(accepted.any));
    REQUIRE(accepted.peers.size() == 1);
    CHECK(accepted.peers[0].ip == ip);
    CHECK(accepted.peers[0].port != 0);
    std::string got;
    run_on_loop(loop, echo_once(**client, *accepted.streams[0], got));
    CHECK(got == "hello");
  }
}

TEST_CASE("several listeners share a port; after close nobody is accepted") {
  Loop loop;
  Accepted accepted;
  auto first = Listener::open(loop, "127.0.0.1", 0, into(accepted));
  REQUIRE(first);
  const std::uint16_t port = (*first)->bound_port();
  auto second = Listener::open(loop, "127.0.0.1", port, into(accepted));
  REQUIRE(second);
  CHECK((*second)->bound_port() == port);
  (*first)->close();
  (*first)->close();
  Result<StreamPtr> client = fail(Errc::io);
  run_on_loop(loop, connect_to(loop, "127.0.0.1", port, client));
  CHECK(client);
  second->reset();
  run_on_loop(loop, connect_to(loop, "127.0.0.1", port, client));
  REQUIRE_FALSE(client);
  CHECK(client.error().code == Errc::unreachable);
}

TEST_CASE("a listener may be destroyed by its accept callback") {
  Loop loop;
  Event done;
  std::unique_ptr<Listener> listener;
  auto opened = Listener::open(loop, "127.0.0.1", 0, [&](StreamPtr, PeerAddress) {
    listener.reset();
    done.set();
  });
  REQUIRE(opened);
  listener = std::move(*opened);
  Result<StreamPtr> client = fail(Errc::io);
  run_on_loop(loop, connect_to(loop, "127.0.0.1", listener->bound_port(), client));
  run_on_loop(loop, wait_for(done));
  CHECK(listener == nullptr);
}

TEST_CASE("a listener that cannot be opened says where and why") {
  Loop loop;
  const auto ignore = [](StreamPtr, PeerAddress) {};
  const auto name = Listener::open(loop, "localhost", 25, ignore);
  REQUIRE_FALSE(name);
  CHECK(name.error().code == Errc::invalid);
  CHECK(name.error().detail == "cannot listen on localhost: not an IP address");
  const auto foreign = Listener::open(loop, "192.0.2.1", 2525, ignore);
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().code == Errc::io);
  CHECK(foreign.error().detail == "cannot listen on 192.0.2.1:2525: address not available");
}

namespace {

/// Uses up the process's descriptors until it goes.
class FullDescriptors {
 public:
  FullDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = 256;
    setrlimit(RLIMIT_NOFILE, &low);
    while (true) {
      const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (fd < 0) break;
      held_.push_back(fd);
    }
  }
  ~FullDescriptors() {
    release();
    setrlimit(RLIMIT_NOFILE, &before_);
  }
  FullDescriptors(const FullDescriptors&) = delete;
  FullDescriptors& operator=(const FullDescriptors&) = delete;
  void release() {
    for (const int fd : held_) ::close(fd);
    held_.clear();
  }

 private:
  rlimit before_{};
  std::vector<int> held_;
};

/// Takes what is written to standard error, with descriptors that it has from the beginning.
class StandardError {
 public:
  StandardError() { ::dup2(::fileno(file_), 2); }
  ~StandardError() {
    ::dup2(before_, 2);
    ::close(before_);
    std::fclose(file_);
  }
  StandardError(const StandardError&) = delete;
  StandardError& operator=(const StandardError&) = delete;

  /// How often `word` was written so far.
  [[nodiscard]] int count(std::string_view word) const {
    std::rewind(file_);
    std::string text(1 << 16, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    int found = 0;
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
    return found;
  }

 private:
  std::FILE* file_ = std::tmpfile();
  int before_ = ::dup(2);
};

class CountingHandle final : public HandleOwner {
 public:
  explicit CountingHandle(Loop& loop) {
    uv_check_init(loop.uv(), &check_);
    check_.data = static_cast<HandleOwner*>(this);
    uv_check_start(&check_, [](uv_check_t* handle) { ++owner_of<CountingHandle>(handle)->count; });
  }
  void close_handle() override { uv_close(reinterpret_cast<uv_handle_t*>(&check_), nullptr); }
  int count = 0;

 private:
  uv_check_t check_{};
};

}  // namespace

TEST_CASE("without descriptors a listener pauses, says so once, does not spin, and loses nobody") {
  auto loop = std::make_unique<Loop>();
  CountingHandle iterations(*loop);
  Accepted accepted;
  auto listener = Listener::open(*loop, "127.0.0.1", 0, into(accepted));
  REQUIRE(listener);
  // The client's descriptor is made before they run out, the connection after.
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((*listener)->bound_port());
  // The sanitizer's check of a virtual call needs a descriptor the first time, so that is now.
  log::warn("test.descriptors");
  {
    const StandardError written;
    FullDescriptors full;
    REQUIRE(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    Timer end(*loop);
    end.start(Millis(250), [&] { loop->stop(); });
    loop->run();
    CHECK(accepted.streams.empty());
    CHECK(iterations.count < 20);
    CHECK(written.count("listener.paused") == 1);
    full.release();
    run_on_loop(*loop, wait_for(accepted.any));
    CHECK(accepted.streams.size() == 1);
  }
  ::close(client);
  accepted.streams.clear();
  listener->reset();
  loop.reset();
}

}  // namespace kage::net
