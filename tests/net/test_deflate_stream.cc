// The compressing stream between memory streams, against zlib itself, and across idle times.
#include "net/deflate_stream.h"

#include <sys/socket.h>
#include <zlib.h>

#include <catch2/catch.hpp>
#include <random>

#include "net/tcp_stream.h"
#include "tests/net/test_streams.h"

namespace kage::net {
namespace {

using testing::run_on_loop;

std::string prose(std::size_t size) {
  std::string text;
  for (unsigned i = 0; text.size() < size; ++i)
    text += "* " + std::to_string(i * 7919) + " FETCH (FLAGS ())\r\n";
  text.resize(size);
  return text;
}

std::string noise(std::size_t size) {
  std::mt19937 random(1);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

/// What a peer with all of zlib's defaults would send; `flush` for each piece.
std::string deflated(std::initializer_list<std::string> pieces, int flush = Z_SYNC_FLUSH) {
  z_stream z{};
  REQUIRE(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out;
  for (const std::string& piece : pieces) {
    std::string packed(piece.size() + 1000, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    z.avail_in = static_cast<uInt>(piece.size());
    z.next_out = reinterpret_cast<Bytef*>(packed.data());
    z.avail_out = static_cast<uInt>(packed.size());
    REQUIRE(deflate(&z, flush) >= Z_OK);
    out.append(packed, 0, packed.size() - z.avail_out);
  }
  deflateEnd(&z);
  return out;
}

/// What a peer makes of it. The stream has no end.
std::string inflated(std::string_view packed) {
  z_stream z{};
  REQUIRE(inflateInit2(&z, -15) == Z_OK);
  std::string out(64UL << 20U, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  z.avail_in = static_cast<uInt>(packed.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&z, Z_SYNC_FLUSH);
  CHECK((status == Z_OK || status == Z_BUF_ERROR));
  CHECK(z.avail_in == 0);
  out.resize(out.size() - z.avail_out);
  inflateEnd(&z);
  return out;
}

struct Seen {
  std::string text;
  std::size_t largest = 0;
  std::optional<Errc> error;
};

Task<void> read_all(Stream& stream, Seen& seen) {
  while (true) {
    const auto bytes = co_await stream.read();
    if (!bytes) seen.error = bytes.error().code;
    if (!bytes || bytes->empty()) co_return;
    seen.text.append(*bytes);
    seen.largest = std::max(seen.largest, bytes->size());
  }
}

Task<void> read_octets(Stream& stream, Seen& seen, std::size_t count) {
  while (seen.text.size() < count) {
    const auto bytes = co_await stream.read();
    if (!bytes || bytes->empty()) co_return;
    seen.text.append(*bytes);
  }
}

Task<void> write_all(Stream& stream, std::string data, std::optional<Errc>& error) {
  const auto written = co_await stream.write(data);
  if (!written) error = written.error().code;
}

Task<void> until_lean(Stream& stream, std::size_t octets) {
  while (*deflate_memory(stream) > octets) co_await stream.loop().sleep(Millis(1));
}

struct Rig {
  Loop loop;
  std::shared_ptr<testing::Transcript> peer = std::make_shared<testing::Transcript>(loop);
  StreamPtr stream;

  explicit Rig(std::string already_read = {}, Millis idle = Millis(5000))
      : stream(make_deflate_stream(std::make_unique<testing::MemoryStream>(peer), std::move(already_read),
                                   idle)) {}

  Seen read() {
    Seen seen;
    run_on_loop(loop, read_all(*stream, seen));
    return seen;
  }
  std::optional<Errc> write(std::string data) {
    std::optional<Errc> error;
    run_on_loop(loop, write_all(*stream, std::move(data), error));
    return error;
  }
};

}  // namespace

TEST_CASE("what is written can be read by any inflate, after each write") {
  Rig rig;
  std::string all;
  for (const std::string& text :
       {std::string("a NOOP\r\n"), prose(200'000), noise(150'000), std::string("x")}) {
    CHECK_FALSE(rig.write(text));
    all += text;
    CHECK(inflated(rig.peer->output) == all);
  }
  CHECK(rig.peer->output.size() < 240'000);
  CHECK_FALSE(rig.write(""));
}

TEST_CASE("what another deflate wrote is read, in any pieces") {
  const std::string first = prose(3000);
  const std::string second = noise(500);
  const std::string packed = deflated({first, second, first});
  for (std::size_t cut = 0; cut <= packed.size(); ++cut) {
    Rig rig(packed.substr(0, cut / 2));
    if (cut > cut / 2) rig.peer->give(packed.substr(cut / 2, cut - cut / 2));
    if (cut < packed.size()) rig.peer->give(packed.substr(cut));
    rig.peer->end();
    const Seen seen = rig.read();
    REQUIRE_FALSE(seen.error);
    REQUIRE(seen.text == first + second + first);
  }
}

TEST_CASE("one octet at a time") {
  Rig rig;
  const std::string text = prose(5000);
  for (const char c : deflated({text})) rig.peer->give(std::string(1, c));
  rig.peer->end();
  CHECK(rig.read().text == text);
}

TEST_CASE("a read gives a bounded part of a bomb") {
  Rig rig;
  const std::string zeros(40UL << 20U, '\0');
  rig.peer->give(deflated({zeros}));
  Seen seen;
  run_on_loop(rig.loop, read_octets(*rig.stream, seen, 1));
  CHECK(seen.text.size() <= 65536);
  CHECK(*deflate_memory(*rig.stream) < 200'000);
  rig.peer->end();
  const Seen rest = rig.read();
  CHECK(rest.largest <= 65536);
  CHECK(seen.text.size() + rest.text.size() == zeros.size());
}

namespace {

/// Reads to the end; with the first octets it wakes somebody else.
Task<void> read_and_wake(Stream& stream, std::size_t& count, Stream& other) {
  while (true) {
    const auto bytes = co_await stream.read();
    if (!bytes || bytes->empty()) co_return;
    if (count == 0) (void)co_await other.write("x");
    count += bytes->size();
  }
}

Task<void> note_progress(Stream& stream, const std::size_t& others, std::size_t& seen) {
  (void)co_await stream.read();
  seen = others;
}

Task<void> read_once(Stream& stream, std::optional<Result<std::size_t>>& got) {
  const auto bytes = co_await stream.read();
  got = bytes ? Result<std::size_t>(bytes->size()) : std::unexpected(bytes.error());
}

}  // namespace

TEST_CASE("a bomb that is unpacked lets others have their turn") {
  Rig rig;
  const std::string zeros(40UL << 20U, '\0');
  rig.peer->give(deflated({zeros}));
  rig.peer->end();
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  const StreamPtr ours = std::move(*adopt_unix(rig.loop, fds[0]));
  const StreamPtr theirs = std::move(*adopt_unix(rig.loop, fds[1]));
  std::size_t count = 0;
  std::size_t seen = 0;
  std::vector<Task<void>> tasks;
  tasks.push_back(note_progress(*ours, count, seen));
  tasks.push_back(read_and_wake(*rig.stream, count, *theirs));
  run_on_loop(rig.loop, when_all(std::move(tasks)));
  CHECK(count == zeros.size());
  CHECK(seen > 0);
  CHECK(seen <= 4UL * 65536);
}

TEST_CASE("closing ends a read that waits for its turn") {
  for (const bool destroys : {false, true}) {
    Rig rig;
    rig.peer->give(deflated({std::string(1UL << 20U, '\0')}));
    Seen first;
    run_on_loop(rig.loop, read_octets(*rig.stream, first, 1));
    std::optional<Result<std::size_t>> got;
    spawn(read_once(*rig.stream, got));
    CHECK_FALSE(got);
    destroys ? rig.stream.reset() : rig.stream->close();
    rig.loop.post([&] { rig.loop.stop(); });
    rig.loop.run();
    REQUIRE(got);
    REQUIRE_FALSE(*got);
    CHECK(got->error().code == Errc::closed);
  }
}

TEST_CASE("broken octets are an error, after what was good") {
  Rig rig;
  rig.peer->give(deflated({"good"}) + "\xff\xff\xff\xff");
  const Seen seen = rig.read();
  CHECK(seen.text == "good");
  CHECK(seen.error == Errc::protocol);
  CHECK(rig.read().error == Errc::protocol);
}

TEST_CASE("the end of the deflate stream is the end") {
  Rig rig;
  rig.peer->give(deflated({"last"}, Z_FINISH) + "more");
  const Seen seen = rig.read();
  CHECK(seen.text == "last");
  CHECK_FALSE(seen.error);
}

TEST_CASE("an idle stream gives its memory back and goes on") {
  Rig rig({}, Millis(1));
  const std::string text = prose(2000);
  const std::string packed = deflated({text, text, noise(100), text});
  const std::string first = deflated({text});
  REQUIRE(packed.starts_with(first));
  rig.peer->give(first);
  Seen seen;
  run_on_loop(rig.loop, read_octets(*rig.stream, seen, text.size()));
  CHECK_FALSE(rig.write(text));
  run_on_loop(rig.loop, until_lean(*rig.stream, text.size() + 100));
  CHECK_FALSE(rig.write(text));
  CHECK(inflated(rig.peer->output) == text + text);
  rig.peer->give(packed.substr(first.size()));
  rig.peer->end();
  const Seen rest = rig.read();
  CHECK_FALSE(rest.error);
  CHECK(seen.text + rest.text == text + text + noise(100) + text);
}

TEST_CASE("in the middle of a block the decompressor stays, however long that takes") {
  Rig rig({}, Millis(1));
  const std::string text = prose(2000);
  const std::string packed = deflated({text});
  rig.peer->give(packed.substr(0, packed.size() - 20));
  Seen seen;
  run_on_loop(rig.loop, read_octets(*rig.stream, seen, 1));
  CHECK_FALSE(rig.write(text));
  run_on_loop(rig.loop, until_lean(*rig.stream, 60'000));  // the compressor is gone
  rig.peer->give(packed.substr(packed.size() - 20));
  rig.peer->end();
  CHECK(seen.text + rig.read().text == text);
}

TEST_CASE("closing, deadlines and shutting down pass through") {
  Rig rig;
  run_on_loop(rig.loop, [](Rig& r) -> Task<void> { (void)co_await r.stream->shutdown(); }(rig));
  CHECK(rig.peer->shut_down);
  rig.stream->set_deadline(rig.loop.now());
  CHECK(rig.read().error == Errc::timed_out);
  rig.stream->close();
  CHECK(rig.peer->closed);
  CHECK(rig.write("x") == Errc::closed);
  CHECK_FALSE(deflate_memory(testing::MemoryStream(rig.loop, "")));
}

TEST_CASE("the stream may go while a read waits") {
  Rig rig;
  Seen seen;
  rig.loop.post([&rig] { rig.stream.reset(); });
  run_on_loop(rig.loop, read_all(*rig.stream, seen));
  CHECK(seen.error == Errc::closed);
}

}  // namespace kage::net
