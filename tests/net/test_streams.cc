// The test streams keep the promises of Stream, so that tests built on them mean something.
#include "tests/net/test_streams.h"

#include <catch2/catch.hpp>

namespace kage::net::testing {
namespace {

Task<void> read_all(Stream& stream, std::string& out, std::optional<Errc>& error, int& reads) {
  while (true) {
    const auto bytes = co_await stream.read();
    if (!bytes) {
      error = bytes.error().code;
      co_return;
    }
    if (bytes->empty()) co_return;
    ++reads;
    out.append(*bytes);
  }
}

Task<void> write_all(Stream& stream, std::string_view data, std::optional<Errc>& error) {
  const auto written = co_await stream.write(data);
  if (!written) error = written.error().code;
}

}  // namespace

TEST_CASE("a memory stream gives its pieces and keeps what is written") {
  Loop loop;
  auto transcript = std::make_shared<Transcript>(loop);
  MemoryStream stream(transcript);
  std::string out;
  std::optional<Errc> error;
  int reads = 0;
  loop.post([&] { transcript->give("one"); });
  loop.post([&] { transcript->give("two"); });
  loop.post([&] { transcript->end(); });
  run_on_loop(loop, read_all(stream, out, error, reads));
  CHECK(out == "onetwo");
  CHECK_FALSE(error);
  run_on_loop(loop, write_all(stream, "answer", error));
  CHECK(transcript->output == "answer");
  stream.close();
  run_on_loop(loop, write_all(stream, "more", error));
  CHECK(error == Errc::closed);
}

TEST_CASE("a trickling stream gives one byte a read") {
  Loop loop;
  auto inner = std::make_unique<MemoryStream>(loop, "bytes");
  const auto transcript = inner->transcript();
  TricklingStream stream(std::move(inner));
  std::string out;
  std::optional<Errc> error;
  int reads = 0;
  run_on_loop(loop, read_all(stream, out, error, reads));
  CHECK(out == "bytes");
  CHECK(reads == 5);
  run_on_loop(loop, write_all(stream, "abc", error));
  CHECK(transcript->output == "abc");
}

TEST_CASE("a failing stream fails behind byte N in each direction") {
  Loop loop;
  auto inner = std::make_unique<MemoryStream>(loop, "0123456789");
  const auto transcript = inner->transcript();
  FailingStream stream(std::move(inner), 4, 2);
  std::string out;
  std::optional<Errc> error;
  int reads = 0;
  run_on_loop(loop, read_all(stream, out, error, reads));
  CHECK(out == "0123");
  CHECK(error == Errc::io);
  error.reset();
  run_on_loop(loop, write_all(stream, "abc", error));
  CHECK(transcript->output == "ab");
  CHECK(error == Errc::io);
}

TEST_CASE("a stalling stream waits for its deadline or for being closed") {
  Loop loop;
  const auto stream = make_stalling_stream(loop, "first", 3);
  std::string out;
  std::optional<Errc> error;
  int reads = 0;
  stream->set_timeout(Millis(5));
  run_on_loop(loop, read_all(*stream, out, error, reads));
  CHECK(out == "first");
  CHECK(error == Errc::timed_out);
  stream->set_deadline(std::nullopt);
  error.reset();
  loop.post([&] { stream->close(); });
  run_on_loop(loop, write_all(*stream, "abcdef", error));
  CHECK(error == Errc::closed);
}

}  // namespace kage::net::testing
