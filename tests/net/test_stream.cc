// Socket streams over real socket pairs and loopback: data, backpressure, deadlines, closing and destroying
// at awkward moments.
#include "net/stream.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <future>

#include "net/connect.h"
#include "net/tcp_stream.h"
#include "tests/net/test_streams.h"

namespace kage::net {
namespace {

using testing::run_on_loop;

struct Pair {
  StreamPtr a;
  StreamPtr b;
};

Pair socket_pair(Loop& loop) {
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  return {std::move(*adopt_unix(loop, fds[0])), std::move(*adopt_unix(loop, fds[1]))};
}

Task<void> write_to(Stream& stream, std::string data, Result<>& result) {
  result = co_await stream.write(data);
}

Task<void> write_then_end(Stream& stream, std::string data) {
  (void)co_await stream.write(data);
  (void)co_await stream.shutdown();
}

Task<void> read_once(Stream& stream, Result<std::string>& result) {
  const auto bytes = co_await stream.read();
  if (bytes) {
    result = std::string(*bytes);
  } else {
    result = std::unexpected(bytes.error());
  }
}

Task<void> read_all(Stream& stream, std::string& out, Event& done) {
  while (true) {
    if (out.size() % 2 == 0) (void)co_await stream.readable();
    const auto bytes = co_await stream.read();
    if (!bytes || bytes->empty()) break;
    out.append(*bytes);
  }
  done.set();
}

Task<void> await_bytes(Stream& stream, Result<>& result) {
  result = co_await stream.readable();
}

Task<void> wait_for(Event& event) {
  co_await event;
}

std::string pattern(std::size_t size) {
  std::string data(size, '\0');
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i * 31 + i / 251);
  return data;
}

Task<void> both(Task<void> a, Task<void> b) {
  std::vector<Task<void>> tasks;
  tasks.push_back(std::move(a));
  tasks.push_back(std::move(b));
  co_await when_all(std::move(tasks));
}

}  // namespace

namespace {

/// Reads up to `size` octets; with the first of them it wakes somebody else.
Task<void> read_and_wake(Stream& stream, std::size_t size, std::size_t& count, Stream& other) {
  while (count < size) {
    const auto bytes = co_await stream.read();
    if (!bytes || bytes->empty()) break;
    if (count == 0) (void)co_await other.write("x");
    count += bytes->size();
  }
}

Task<void> note_progress(Stream& stream, const std::size_t& others, std::size_t& seen) {
  (void)co_await stream.read();
  seen = others;
}

}  // namespace

TEST_CASE("a socket with endless input lets others have their turn") {
  Loop loop;
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  // Only root gets room for many reads; for others this shows less.
  const int room = 16 << 20;
  (void)::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  const std::string piece(64UL * 1024, 'x');
  std::size_t size = 0;
  while (size < (4U << 20U)) {
    const ssize_t count = ::write(fds[0], piece.data(), piece.size());
    if (count <= 0) break;
    size += static_cast<std::size_t>(count);
  }
  ::close(fds[0]);
  const StreamPtr endless = std::move(*adopt_unix(loop, fds[1]));
  auto [ours, theirs] = socket_pair(loop);
  std::size_t count = 0;
  std::size_t seen = 0;
  run_on_loop(loop, both(note_progress(*ours, count, seen), read_and_wake(*endless, size, count, *theirs)));
  CHECK(count == size);
  CHECK(seen > 0);
  CHECK(seen <= 2 * piece.size());
}

TEST_CASE("bytes cross a socket both ways at once, and the end is seen") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  const std::string data = pattern(3'000'000);
  std::string from_a;
  std::string from_b;
  Event a_done;
  Event b_done;
  spawn(read_all(*a, from_b, a_done));
  spawn(read_all(*b, from_a, b_done));
  spawn(write_then_end(*a, data));
  spawn(write_then_end(*b, data));
  run_on_loop(loop, both(wait_for(a_done), wait_for(b_done)));
  CHECK(from_a == data);
  CHECK(from_b == data);
  Result<std::string> again;
  run_on_loop(loop, read_once(*a, again));
  CHECK(again == std::string());
}

namespace {

Task<void> note_when_written(Stream& stream, std::string data, bool& ended, Event& done) {
  (void)co_await stream.write(data);
  ended = true;
  done.set();
}

}  // namespace

TEST_CASE("a write waits until the peer reads") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  const std::string data = pattern(4'000'000);
  bool ended = false;
  Event done;
  spawn(note_when_written(*a, data, ended, done));
  Result<std::string> got;
  run_on_loop(loop, read_once(*b, got));
  CHECK(got);
  CHECK_FALSE(ended);
  std::string rest;
  Event all;
  spawn(read_all(*b, rest, all));
  run_on_loop(loop, wait_for(done));
  CHECK(ended);
  a->close();
  run_on_loop(loop, wait_for(all));
  CHECK(*got + rest == data);
}

TEST_CASE("a reader that does not read leaves the bytes in the kernel") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  Result<> written;
  run_on_loop(loop, write_to(*a, "one", written));
  Result<std::string> got;
  run_on_loop(loop, read_once(*b, got));
  CHECK(got == "one");
  run_on_loop(loop, write_to(*a, "two", written));
  run_on_loop(loop, write_to(*a, "three", written));
  a->close();
  std::string rest;
  Event done;
  spawn(read_all(*b, rest, done));
  run_on_loop(loop, wait_for(done));
  CHECK(rest == "twothree");
}

TEST_CASE("a read ends at its deadline, wherever the deadline was moved before") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  Result<std::string> got;
  a->set_timeout(Millis(3'600'000));
  a->set_timeout(Millis(10));
  TimePoint before = loop.now();
  run_on_loop(loop, read_once(*a, got));
  REQUIRE_FALSE(got);
  CHECK(got.error().code == Errc::timed_out);
  CHECK(loop.now() - before >= Millis(10));

  run_on_loop(loop, read_once(*a, got));  // the deadline has passed
  REQUIRE_FALSE(got);
  CHECK(got.error().code == Errc::timed_out);

  a->set_timeout(Millis(10));
  before = loop.now();
  loop.post([&] { a->set_deadline(before + Millis(40)); });  // later, while somebody waits
  got = std::string();
  run_on_loop(loop, read_once(*a, got));
  REQUIRE_FALSE(got);
  CHECK(got.error().code == Errc::timed_out);
  CHECK(loop.now() - before >= Millis(40));

  a->set_deadline(std::nullopt);
  Result<> written;
  run_on_loop(loop, write_to(*b, "late", written));
  run_on_loop(loop, read_once(*a, got));
  CHECK(got == "late");
  run_on_loop(loop, write_to(*a, "still good", written));
  CHECK(written);
}

TEST_CASE("waiting for bytes takes none, and ends as a read does") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  Result<> ready = fail(Errc::io);
  Result<std::string> got;
  loop.post([&] { spawn(write_then_end(*b, "here")); });
  run_on_loop(loop, await_bytes(*a, ready));
  CHECK(ready);
  run_on_loop(loop, await_bytes(*a, ready));
  CHECK(ready);
  run_on_loop(loop, read_once(*a, got));
  CHECK(got == "here");
  run_on_loop(loop, await_bytes(*a, ready));  // the end can be read too
  CHECK(ready);
  run_on_loop(loop, read_once(*a, got));
  CHECK(got == "");
  run_on_loop(loop, await_bytes(*a, ready));
  CHECK(ready);

  auto [c, d] = socket_pair(loop);
  c->set_timeout(Millis(10));
  run_on_loop(loop, await_bytes(*c, ready));
  REQUIRE_FALSE(ready);
  CHECK(ready.error().code == Errc::timed_out);
  c->set_deadline(std::nullopt);
  loop.post([&] { c->close(); });
  run_on_loop(loop, await_bytes(*c, ready));
  REQUIRE_FALSE(ready);
  CHECK(ready.error().code == Errc::closed);
}

TEST_CASE("a peer that has ended is noticed without reading, octets before its end or not") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  CHECK_FALSE(a->peer_ended());
  run_on_loop(loop, write_then_end(*b, "some"));
  CHECK(a->peer_ended());
  CHECK_FALSE(b->peer_ended());
  Result<std::string> got = "";
  run_on_loop(loop, read_once(*a, got));
  CHECK(got == "some");
  CHECK(a->peer_ended());
  a->close();
  CHECK(a->peer_ended());

  auto [c, d] = socket_pair(loop);
  d.reset();
  loop.defer([] {});
  run_on_loop(loop, loop.sleep(Millis(0)));
  CHECK(c->peer_ended());
}

TEST_CASE("a deadline that comes nearer ends a read that waits") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  Result<std::string> got;
  a->set_timeout(Millis(3'600'000));
  loop.post([&] { a->set_timeout(Millis(5)); });
  run_on_loop(loop, read_once(*a, got));
  REQUIRE_FALSE(got);
  CHECK(got.error().code == Errc::timed_out);
}

TEST_CASE("a write ends at its deadline and the connection with it") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  Result<> written;
  a->set_timeout(Millis(10));
  run_on_loop(loop, write_to(*a, pattern(8'000'000), written));
  REQUIRE_FALSE(written);
  CHECK(written.error().code == Errc::timed_out);
  run_on_loop(loop, write_to(*a, "x", written));
  REQUIRE_FALSE(written);
}

TEST_CASE("closing ends what waits") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  Result<std::string> got;
  loop.post([&] { a->close(); });
  run_on_loop(loop, read_once(*a, got));
  REQUIRE_FALSE(got);
  CHECK(got.error().code == Errc::closed);
  a->close();
  auto [c, d] = socket_pair(loop);
  Result<> written;
  loop.post([&] { c->close(); });
  run_on_loop(loop, write_to(*c, pattern(8'000'000), written));
  REQUIRE_FALSE(written);
  CHECK(written.error().code == Errc::closed);
}

namespace {

Task<void> read_and_destroy(StreamPtr& stream, Event& done) {
  (void)co_await stream->read();
  stream.reset();
  done.set();
}

Task<void> read_until_error(Stream& stream, Event& done) {
  while (true) {
    const auto bytes = co_await stream.read();
    if (!bytes || bytes->empty()) break;
  }
  done.set();
}

}  // namespace

TEST_CASE("a stream may be destroyed from within its own read") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  Event done;
  Result<> written;
  spawn(read_and_destroy(a, done));
  run_on_loop(loop, write_to(*b, pattern(200'000), written));
  run_on_loop(loop, wait_for(done));
  CHECK(a == nullptr);

  auto [c, d] = socket_pair(loop);
  c->set_timeout(Millis(1));
  Event timed_out;
  spawn(read_and_destroy(c, timed_out));
  run_on_loop(loop, wait_for(timed_out));
  CHECK(c == nullptr);
}

TEST_CASE("a stream may be destroyed while another coroutine waits for it") {
  Loop loop;
  auto [a, b] = socket_pair(loop);
  Event done;
  spawn(read_until_error(*a, done));
  loop.post([&] { a.reset(); });
  run_on_loop(loop, wait_for(done));
  CHECK(done.is_set());
}

TEST_CASE("destroying a loop ends streams that wait without a leak") {
  Event done;
  StreamPtr kept;
  StreamPtr other;  // open, and nobody waits for it
  {
    Loop loop;
    auto [a, b] = socket_pair(loop);
    kept = std::move(a);
    spawn(read_until_error(*kept, done));
    loop.post([&] { loop.stop(); });
    loop.run();
    other = std::move(b);
  }
  CHECK(done.is_set());
}

namespace {

Task<void> connect_and_note(Loop& loop, std::string host, std::uint16_t port, Millis time,
                            Result<StreamPtr>& result) {
  result = co_await connect_tcp(loop, std::move(host), port, loop.now() + time);
}

Task<void> connect_unix_and_note(Loop& loop, std::string path, Result<StreamPtr>& result) {
  result = co_await connect_unix(loop, std::move(path), loop.now() + Millis(2000));
}

}  // namespace

namespace {

/// Keeps all of libuv's threads busy until it is told.
class BusyThreads {
 public:
  explicit BusyThreads(Loop& loop) : loop_(loop), free_(told_.get_future()) {
    for (int i = 0; i < kThreads; ++i) spawn(occupy(*this));
  }
  void end() {
    told_.set_value();
    run_on_loop(loop_, wait(ended_));
  }
  static constexpr int kThreads = 4;

 private:
  static Task<void> occupy(BusyThreads& self) {
    co_await self.loop_.offload([free = self.free_] { free.wait(); });
    if (--self.left_ == 0) self.ended_.set();
  }
  static Task<void> wait(Event& event) { co_await event; }

  Loop& loop_;
  std::promise<void> told_;
  std::shared_future<void> free_;
  Event ended_;
  int left_ = kThreads;
};

/// What libuv has to do still, once it has had its turn.
unsigned requests_of(Loop& loop) {
  for (int turn = 0; turn < 10; ++turn) {
    loop.defer([&loop] { loop.stop(); });
    loop.run();
  }
  return loop.uv()->active_reqs.count;
}

}  // namespace

TEST_CASE("a lookup that nobody waits for any more does not stand in line for a thread") {
  Loop loop;
  BusyThreads busy(loop);
  Result<StreamPtr> stream = fail(Errc::io);
  for (int i = 0; i < 3; ++i) {
    run_on_loop(loop, connect_and_note(loop, "no-such-host.invalid", 25, Millis(1), stream));
    REQUIRE_FALSE(stream);
    CHECK(stream.error().code == Errc::timed_out);
  }
  CHECK(requests_of(loop) == BusyThreads::kThreads);
  busy.end();
  CHECK(requests_of(loop) == 0);
}

TEST_CASE("connecting tells refusal, unknown names and silence apart") {
  Loop loop;
  // A port that is bound and does not listen refuses.
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  Result<StreamPtr> stream = fail(Errc::io);
  run_on_loop(loop, connect_and_note(loop, "127.0.0.1", ntohs(address.sin_port), Millis(2000), stream));
  REQUIRE_FALSE(stream);
  CHECK(stream.error().code == Errc::unreachable);

  run_on_loop(loop, connect_and_note(loop, "no-such-host.invalid", 25, Millis(10'000), stream));
  REQUIRE_FALSE(stream);
  CHECK((stream.error().code == Errc::unreachable || stream.error().code == Errc::timed_out));

  // A full backlog drops further SYNs, so the connection neither comes nor is refused.
  REQUIRE(::listen(fd, 0) == 0);
  std::vector<StreamPtr> fillers;
  do {
    run_on_loop(loop, connect_and_note(loop, "127.0.0.1", ntohs(address.sin_port), Millis(300), stream));
    if (stream) fillers.push_back(std::move(*stream));
    REQUIRE(fillers.size() < 10);
  } while (stream);
  CHECK(stream.error().code == Errc::timed_out);
  ::close(fd);

  run_on_loop(loop, connect_unix_and_note(loop, "/nonexistent/socket", stream));
  REQUIRE_FALSE(stream);
  CHECK(stream.error().code == Errc::unreachable);
  run_on_loop(loop, connect_unix_and_note(loop, "/" + std::string(200, 'x'), stream));
  REQUIRE_FALSE(stream);
  CHECK(stream.error().code == Errc::invalid);
}

}  // namespace kage::net
