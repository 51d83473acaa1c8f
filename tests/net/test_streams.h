// Streams for tests: memory, trickling (one byte at a time), failing at byte N, stalling; and a way to run a
// coroutine to its end.
//
// Reads go through the loop's shared buffer and always suspend, as those of a socket do, so a test notices a
// view that is used too long.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "net/loop.h"
#include "net/stream.h"
#include "net/task.h"

namespace kage::net::testing {

namespace detail {

struct RunState {
  bool running = false;
  bool ended = false;
};

inline Task<void> stop_after(Loop& loop, Task<void> task, RunState& state) {
  co_await std::move(task);
  state.ended = true;
  // A stop of a loop that does not run would be taken for one of the next run.
  if (state.running) loop.stop();
}

}  // namespace detail

/// Runs the loop until `task` has ended. A test that hangs is ended by CTest's time limit.
inline void run_on_loop(Loop& loop, Task<void> task) {
  detail::RunState state;
  spawn(detail::stop_after(loop, std::move(task), state));
  state.running = true;
  while (!state.ended) loop.run();
}

/// A wait that closing or a deadline ends, for streams that have no socket.
class StreamWait {
 public:
  explicit StreamWait(Loop& loop) : loop_(loop), timer_(loop) {}

  /// `co_await wait.until_woken(deadline)`: the error that ended the wait, if any.
  auto until_woken(std::optional<TimePoint> deadline) {
    struct Awaiter {
      StreamWait& wait;
      std::optional<TimePoint> deadline;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        wait.waiter_ = handle;
        wait.outcome_.reset();
        if (deadline) wait.timer_.start(*deadline - wait.loop_.now(), [this] { wait.wake(Errc::timed_out); });
      }
      std::optional<Errc> await_resume() const {
        wait.timer_.stop();
        return wait.outcome_;
      }
    };
    return Awaiter{*this, deadline};
  }

  /// Resumes the waiter before the loop waits again.
  void wake(std::optional<Errc> outcome = std::nullopt) {
    const auto waiter = std::exchange(waiter_, nullptr);
    if (!waiter) return;
    outcome_ = outcome;
    loop_.defer([waiter] { waiter.resume(); });
  }

 private:
  Loop& loop_;
  Timer timer_;
  std::coroutine_handle<> waiter_;
  std::optional<Errc> outcome_;
};

/// What a test and a MemoryStream share: the test gives input and looks at the output.
struct Transcript {
  explicit Transcript(Loop& l) : loop(l), reading(l), writing(l) {}

  Loop& loop;
  std::deque<std::string> input;  ///< each piece is one read, cut at the size of the shared buffer
  bool ended = false;             ///< after the input comes the end of the stream; otherwise reads wait
  std::string output;
  bool shut_down = false;
  bool closed = false;
  std::size_t write_room = SIZE_MAX;  ///< writes beyond this many octets stall
  std::optional<TimePoint> deadline;
  StreamWait reading;
  StreamWait writing;

  void give(std::string bytes) {
    input.push_back(std::move(bytes));
    reading.wake();
  }
  void end() {
    ended = true;
    reading.wake();
  }
  /// Lets a stalled write go on.
  void make_room() {
    write_room = SIZE_MAX;
    writing.wake();
  }
};

class MemoryStream final : public Stream {
 public:
  explicit MemoryStream(std::shared_ptr<Transcript> transcript) : transcript_(std::move(transcript)) {}
  /// All of `input` in one read, then the end.
  MemoryStream(Loop& loop, std::string input) : transcript_(std::make_shared<Transcript>(loop)) {
    if (!input.empty()) transcript_->give(std::move(input));
    transcript_->end();
  }
  ~MemoryStream() override { close(); }
  MemoryStream(const MemoryStream&) = delete;
  MemoryStream& operator=(const MemoryStream&) = delete;

  [[nodiscard]] const std::shared_ptr<Transcript>& transcript() const { return transcript_; }

  Task<Result<std::string_view>> read() override { return read_from(transcript_); }
  Task<Result<>> write(std::string_view data) override { return write_to(transcript_, data); }
  Task<Result<>> shutdown() override { return shut_down(transcript_); }
  void close() override {
    transcript_->closed = true;
    transcript_->reading.wake(Errc::closed);
    transcript_->writing.wake(Errc::closed);
  }
  void set_deadline(std::optional<TimePoint> at) override { transcript_->deadline = at; }
  Loop& loop() override { return transcript_->loop; }

 private:
  static std::optional<Errc> refusal(const Transcript& t) {
    if (t.closed) return Errc::closed;
    if (t.deadline && t.loop.now() >= *t.deadline) return Errc::timed_out;
    return std::nullopt;
  }

  static Task<Result<std::string_view>> read_from(std::shared_ptr<Transcript> t) {
    if (const auto refused = refusal(*t)) co_return fail(*refused);
    if (!t->input.empty() || t->ended) t->loop.defer([t] { t->reading.wake(); });
    do {
      const auto outcome = co_await t->reading.until_woken(t->deadline);
      if (outcome) co_return fail(*outcome);
    } while (t->input.empty() && !t->ended);
    if (t->input.empty()) co_return std::string_view();
    std::string& piece = t->input.front();
    const auto buffer = t->loop.read_buffer();
    const std::size_t size = std::min(piece.size(), buffer.size());
    std::memcpy(buffer.data(), piece.data(), size);
    piece.erase(0, size);
    if (piece.empty()) t->input.pop_front();
    co_return std::string_view(buffer.data(), size);
  }

  static Task<Result<>> write_to(std::shared_ptr<Transcript> t, std::string_view data) {
    while (true) {
      if (const auto refused = refusal(*t)) co_return fail(*refused);
      const std::size_t size = std::min(data.size(), t->write_room);
      t->output.append(data.substr(0, size));
      data.remove_prefix(size);
      t->write_room -= size;
      if (data.empty()) co_return Result<>();
      const auto outcome = co_await t->writing.until_woken(t->deadline);
      if (outcome) co_return fail(*outcome);
    }
  }

  static Task<Result<>> shut_down(std::shared_ptr<Transcript> t) {
    if (const auto refused = refusal(*t)) co_return fail(*refused);
    t->shut_down = true;
    co_return Result<>();
  }

  std::shared_ptr<Transcript> transcript_;
};

/// Reads and writes one byte at a time on another stream.
class TricklingStream final : public Stream {
 public:
  explicit TricklingStream(StreamPtr inner) : inner_(std::move(inner)) {}

  Task<Result<std::string_view>> read() override {
    if (held_.empty()) {
      const auto bytes = co_await inner_->read();
      if (!bytes || bytes->empty()) co_return bytes;
      held_.assign(*bytes);
    }
    const auto buffer = inner_->loop().read_buffer();
    buffer[0] = held_.front();
    held_.erase(0, 1);
    co_return std::string_view(buffer.data(), 1);
  }
  Task<Result<>> write(std::string_view data) override {
    for (std::size_t i = 0; i < data.size(); ++i) {
      const auto written = co_await inner_->write(data.substr(i, 1));
      if (!written) co_return written;
    }
    co_return Result<>();
  }
  Task<Result<>> shutdown() override { return inner_->shutdown(); }
  void close() override { inner_->close(); }
  void set_deadline(std::optional<TimePoint> at) override { inner_->set_deadline(at); }
  Loop& loop() override { return inner_->loop(); }

 private:
  StreamPtr inner_;
  std::string held_;
};

/// Passes so many octets in each direction and then fails for good.
class FailingStream final : public Stream {
 public:
  FailingStream(StreamPtr inner, std::size_t read_octets, std::size_t write_octets, Errc error = Errc::io)
      : inner_(std::move(inner)), read_left_(read_octets), write_left_(write_octets), error_(error) {}

  Task<Result<std::string_view>> read() override {
    if (read_left_ == 0) co_return fail(error_);
    auto bytes = co_await inner_->read();
    if (!bytes) co_return bytes;
    const std::string_view passed = bytes->substr(0, read_left_);
    read_left_ -= passed.size();
    co_return passed;
  }
  Task<Result<>> write(std::string_view data) override {
    const std::string_view passed = data.substr(0, write_left_);
    write_left_ -= passed.size();
    const auto written = co_await inner_->write(passed);
    if (!written) co_return written;
    if (passed.size() < data.size()) co_return fail(error_);
    co_return Result<>();
  }
  Task<Result<>> shutdown() override { return inner_->shutdown(); }
  void close() override { inner_->close(); }
  void set_deadline(std::optional<TimePoint> at) override { inner_->set_deadline(at); }
  Loop& loop() override { return inner_->loop(); }

 private:
  StreamPtr inner_;
  std::size_t read_left_;
  std::size_t write_left_;
  Errc error_;
};

/// Gives `input`, takes `write_octets`, and then neither reads nor writes end before close() or the deadline.
inline StreamPtr make_stalling_stream(Loop& loop, std::string input = {}, std::size_t write_octets = 0) {
  auto transcript = std::make_shared<Transcript>(loop);
  if (!input.empty()) transcript->give(std::move(input));
  transcript->write_room = write_octets;
  return std::make_unique<MemoryStream>(std::move(transcript));
}

}  // namespace kage::net::testing
