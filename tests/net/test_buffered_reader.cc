// Lines and chunks with the input cut at every byte, limits, and giving bytes back.
#include "net/buffered_reader.h"

#include <catch2/catch.hpp>
#include <functional>

#include "tests/net/test_streams.h"

namespace kage::net {
namespace {

using testing::MemoryStream;
using testing::run_on_loop;
using testing::Transcript;
using testing::TricklingStream;

StreamPtr pieces(Loop& loop, std::vector<std::string> input) {
  auto transcript = std::make_shared<Transcript>(loop);
  for (auto& piece : input) {
    if (!piece.empty()) transcript->give(std::move(piece));
  }
  transcript->end();
  return std::make_unique<MemoryStream>(std::move(transcript));
}

/// All lines, "<" before one that ended in a bare LF, "!" for one that was too long; then how it ended.
Task<void> read_lines(StreamPtr stream, std::size_t limit, std::vector<std::string>& out) {
  BufferedReader reader(*stream);
  while (true) {
    const auto line = co_await reader.line(limit);
    if (line) {
      out.push_back((reader.bare_lf() ? "<" : "") + std::string(*line));
      continue;
    }
    out.push_back("!" + std::string(to_string(line.error().code)));
    if (line.error().code != Errc::limit) co_return;
    const auto skipped = co_await reader.skip_line(1000);
    if (!skipped) {
      out.push_back("!" + std::string(to_string(skipped.error().code)));
      co_return;
    }
  }
}

/// Eight octets, a line, and how it ended.
Task<void> read_counted(BufferedReader& reader, std::string& counted, std::string& line, Errc& end) {
  while (counted.size() < 8) {
    const auto some = co_await reader.some(8 - counted.size());
    if (!some) co_return;
    counted += *some;
  }
  const auto behind = co_await reader.line(100);
  if (behind) line = *behind;
  const auto none = co_await reader.some(1);
  if (!none) end = none.error().code;
}

const std::string kInput = "EHLO a\r\n\r\n\nbare\nx\ry\r\r\nlonger than the limit\r\nQUIT\r\ntail";
const std::vector<std::string> kLines = {"EHLO a", "", "<", "<bare", "x\ry\r", "!limit", "QUIT", "!closed"};

}  // namespace

TEST_CASE("lines are the same wherever the input is cut") {
  for (std::size_t first = 0; first <= kInput.size(); ++first) {
    for (std::size_t second = first; second <= kInput.size(); ++second) {
      Loop loop;
      std::vector<std::string> lines;
      auto stream = pieces(
          loop, {kInput.substr(0, first), kInput.substr(first, second - first), kInput.substr(second)});
      run_on_loop(loop, read_lines(std::move(stream), 12, lines));
      REQUIRE(lines == kLines);
    }
  }
}

TEST_CASE("lines are the same one byte at a time") {
  Loop loop;
  std::vector<std::string> lines;
  run_on_loop(loop, read_lines(std::make_unique<TricklingStream>(pieces(loop, {kInput})), 12, lines));
  CHECK(lines == kLines);
}

TEST_CASE("a line may have exactly the limit, line end included") {
  for (const std::size_t limit : {5UL, 6UL}) {
    Loop loop;
    std::vector<std::string> lines;
    run_on_loop(loop, read_lines(pieces(loop, {"QUIT\r\n"}), limit, lines));
    CHECK(lines.front() == (limit == 6 ? "QUIT" : "!limit"));
  }
}

TEST_CASE("a line without end is refused at the limit and skipping it is bounded") {
  Loop loop;
  std::vector<std::string> input(50, std::string(1000, 'x'));
  std::vector<std::string> lines;
  run_on_loop(loop, read_lines(pieces(loop, input), 512, lines));
  CHECK(lines == std::vector<std::string>{"!limit", "!limit"});
}

namespace {

Task<void> mixed(StreamPtr stream, std::vector<std::string>& out) {
  BufferedReader reader(*stream);
  const auto line = co_await reader.line(100);
  out.emplace_back(*line);
  out.emplace_back(reader.has_line() ? "has line" : "no line");
  auto chunk = co_await reader.chunk();
  out.emplace_back(*chunk);
  reader.unread(chunk->substr(2));
  out.emplace_back(reader.buffered());
  const auto again = co_await reader.line(100);
  out.emplace_back(*again);
  reader.discard();
  out.emplace_back(reader.buffered());
  chunk = co_await reader.chunk();
  out.emplace_back(*chunk);
  reader.unread(*chunk);
  chunk = co_await reader.chunk();
  out.emplace_back(*chunk);
  reader.unread(chunk->substr(chunk->size()));
  chunk = co_await reader.chunk();
  out.emplace_back(chunk->empty() ? "end" : "more");
}

Task<void> start_over(StreamPtr plain, StreamPtr secure, std::vector<std::string>& out) {
  BufferedReader reader(*plain);
  out.emplace_back(*co_await reader.line(100));
  reader.reset(*secure);
  out.emplace_back(*co_await reader.line(100));
}

}  // namespace

TEST_CASE("chunks, lines and bytes given back mix") {
  Loop loop;
  std::vector<std::string> out;
  run_on_loop(loop, mixed(pieces(loop, {"one\r\ntwo\r\nthree\r\n", "four"}), out));
  CHECK(out == std::vector<std::string>{"one", "has line", "two\r\nthree\r\n", "o\r\nthree\r\n", "o", "",
                                        "four", "four", "end"});
}

namespace {

/// Two readers take turns with the loop's buffer; what one left over has to outlast the other's reads.
Task<void> take_turns(StreamPtr first, StreamPtr second, std::vector<std::string>& out) {
  BufferedReader one(*first);
  out.emplace_back(*co_await one.line(100));
  {
    BufferedReader two(*second);
    out.emplace_back(*co_await two.line(100));
    const auto chunk = co_await one.chunk();
    out.emplace_back(chunk->substr(0, 5));
    one.unread(chunk->substr(5));
    out.emplace_back(*co_await two.line(100));
    out.emplace_back(*co_await two.line(100));
    out.emplace_back(one.take(3));
    out.emplace_back(*co_await one.line(100));
  }  // two goes while octets of it are in the buffer
  out.emplace_back(*co_await one.line(100));
  std::string_view line;
  out.emplace_back(one.take_line(100, line) ? line : "no line");
  out.emplace_back(one.take_line(100, line) ? line : "no line");
}

}  // namespace

TEST_CASE("what begins where a buffer ends lies in its neighbour") {
  const std::string memory(128, 'x');
  const auto first = std::string_view(memory).substr(0, 64);
  const auto second = std::string_view(memory).substr(64);
  CHECK(lies_within(first, first));
  CHECK(lies_within(second, second));
  CHECK(lies_within(first.substr(63), first));
  CHECK_FALSE(lies_within(second, first));
  CHECK_FALSE(lies_within(second.substr(0, 1), first));
  CHECK_FALSE(lies_within(first.substr(63), second));
  CHECK_FALSE(lies_within(std::string_view(memory).substr(63, 2), first));
}

TEST_CASE("counted bytes come in pieces, and what is behind them stays") {
  for (std::size_t cut = 1; cut <= 12; ++cut) {
    net::Loop loop;
    const auto transcript = std::make_shared<Transcript>(loop);
    const std::string input = "12345678line\r\n";
    for (std::size_t at = 0; at < input.size(); at += cut) transcript->give(input.substr(at, cut));
    transcript->end();
    MemoryStream stream(transcript);
    BufferedReader reader(stream);
    std::string counted;
    std::string line;
    Errc end{};
    run_on_loop(loop, read_counted(reader, counted, line, end));
    CHECK(counted == "12345678");
    CHECK(line == "line");
    CHECK(end == Errc::closed);
  }
}

TEST_CASE("what is left over outlasts the reads of others") {
  Loop loop;
  std::vector<std::string> out;
  run_on_loop(loop, take_turns(pieces(loop, {"1a\r\n1b\r\n1c1c\r\n1", "d\r\n1e\r\n"}),
                               pieces(loop, {"2a\r\n2b\r\n", "2c\r\n2d\r\n"}), out));
  CHECK(out == std::vector<std::string>{"1a", "2a", "1b\r\n1", "2b", "2c", "c1c", "", "1d", "1e", "no line"});
}

TEST_CASE("nothing from before STARTTLS is used after it") {
  Loop loop;
  std::vector<std::string> out;
  run_on_loop(loop, start_over(pieces(loop, {"STARTTLS\r\nMAIL FROM:<injected>\r\n"}),
                               pieces(loop, {"EHLO again\r\n"}), out));
  CHECK(out == std::vector<std::string>{"STARTTLS", "EHLO again"});
}

TEST_CASE("a hundred thousand pipelined lines take linear time and keep their order") {
  Loop loop;
  std::string input;
  for (int i = 0; i < 100'000; ++i) input += "RCPT " + std::to_string(i) + "\r\n";
  std::vector<std::string> lines;
  run_on_loop(loop, read_lines(pieces(loop, {std::move(input)}), 512, lines));
  REQUIRE(lines.size() == 100'001);
  CHECK(lines[77'777] == "RCPT 77777");
}

}  // namespace kage::net
