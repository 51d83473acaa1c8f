// The dialog of APPEND with both sides: what is announced here is announced there.
#include "proxy/imap/append.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/text.h"
#include "proxy/imap/session_arguments.h"
#include "proxy/imap/session_send.h"

namespace kage::proxy {
namespace {

/// An unwanted literal is skipped up to this multiple of max_message; a larger one ends the session.
constexpr std::uint64_t kMostSkipped = 4;

class Append {
 public:
  Append(ImapCore& core, AppendBounds bounds) : core_(core), bounds_(bounds), tag_(core.new_tag()) {}

  net::Task<Result<ImapStatus>> run(std::string head, LiteralMark mark) {
    std::string line = std::move(head);
    bool first = true;
    while (true) {
      if (auto refused = refusal(line, mark, first)) {
        // Within MULTIAPPEND the upstream has a part of the command, and nothing that could be said now makes
        // it drop what it has.
        if (!first) co_return fail(Errc::invalid, "a later message does not fit");
        co_return co_await turn_away(*refused, mark);
      }
      auto early = co_await announce(std::move(line), mark, first);
      if (!early) co_return std::unexpected(early.error());
      if (*early) co_return co_await turn_away(std::move(**early), mark);
      if (auto passed = co_await pass(mark.size); !passed) co_return std::unexpected(passed.error());
      auto next = co_await read_line();
      if (!next) co_return std::unexpected(next.error());
      const auto more = literal_mark(*next);
      if (!more) co_return co_await finish(std::move(*next));
      line = std::move(*next);
      mark = *more;
      first = false;
    }
  }

 private:
  /// Why the message cannot be taken.
  std::optional<ImapStatus> refusal(std::string_view line, const LiteralMark& mark, bool first) {
    if (!append_fits(line, first, utf8_, core_)) return ImapStatus{"BAD", "The arguments do not fit"};
    if (mark.size > bounds_.max_message) return ImapStatus{"NO", "[TOOBIG] The message is too large"};
    return std::nullopt;
  }

  /// Sends what stands before a message. A status: the upstream does not want it. The client's literal is
  /// asked for when the upstream asks for it.
  net::Task<Result<std::optional<ImapStatus>>> announce(std::string line, const LiteralMark& mark,
                                                        bool first) {
    const std::uint64_t size = mark.size;
    const bool non_sync = mark.non_sync;
    const bool unasked = non_sync && takes_unasked(core_, size);
    const std::size_t brace = line.rfind('{');
    line.resize(brace + 1);
    line.append(std::to_string(size)).append(unasked ? "+}" : "}");
    Result<std::optional<ImapStatus>> early = std::nullopt;
    if (first) {
      early = co_await send_head(std::move(line), unasked);
    } else {
      early = co_await send_line(std::move(line), unasked);
    }
    if (!early || *early) co_return early;
    if (!non_sync) {
      core_.out.add("+ OK\r\n");
      if (auto flushed = co_await core_.out.flush(); !flushed) co_return std::unexpected(flushed.error());
    }
    co_return std::nullopt;
  }

  /// The mailbox may be a literal itself.
  net::Task<Result<std::optional<ImapStatus>>> send_head(std::string line, bool unasked) {
    const std::size_t end = line.rfind("\r\n");
    if (end == std::string::npos) co_return co_await send_line(tag_ + " APPEND " + line, unasked);
    ImapCursor cursor(line);
    const auto mailbox = cursor.astring();
    const std::string written = imap_string(mailbox.value_or(std::string()));
    const std::string rest(cursor.rest());
    if (written.front() != '{') co_return co_await send_line(tag_ + " APPEND " + written + rest, unasked);
    const std::size_t cut = written.find('\n') + 1;
    auto early = co_await send_line(tag_ + " APPEND " + written.substr(0, cut - 2), false);
    if (!early || *early) co_return early;
    co_return co_await send_line(written.substr(cut) + rest, unasked);
  }

  net::Task<Result<std::optional<ImapStatus>>> send_line(std::string line, bool unasked) {
    line.append("\r\n");
    core_.upstream->set_timeout(core_.timeout);
    if (auto sent = co_await core_.upstream->write(line); !sent) co_return std::unexpected(sent.error());
    if (unasked) co_return std::nullopt;
    co_return co_await await_continuation(core_, tag_);
  }

  /// The message, from the client to the upstream; the slower one's speed is both's.
  net::Task<Result<>> pass(std::uint64_t size) {
    while (size > 0) {
      core_.client->set_timeout(bounds_.client_timeout);
      const auto some = co_await core_.client_reader.some(size);
      if (!some) co_return std::unexpected(some.error());
      size -= some->size();
      // The octets lie in a buffer that the whole loop shares, and writing suspends.
      const std::string octets(*some);
      core_.upstream->set_timeout(core_.timeout);
      if (auto sent = co_await core_.upstream->write(octets); !sent) co_return sent;
    }
    co_return Result<>();
  }

  net::Task<Result<std::string>> read_line() {
    core_.client->set_timeout(bounds_.client_timeout);
    const auto line = co_await core_.client_reader.line(bounds_.max_command);
    if (!line) co_return std::unexpected(line.error());
    co_return std::string(*line);
  }

  net::Task<Result<ImapStatus>> finish(std::string line) {
    // RFC 9051 §6.3.12: the end of UTF8 (~{…}).
    if (line != (utf8_ ? ")" : "")) {
      // The command that the upstream has begun to read has no end that could be said now.
      co_return fail(Errc::invalid, "octets behind a message");
    }
    auto early = co_await send_line(std::move(line), true);
    if (!early) co_return std::unexpected(early.error());
    co_return co_await relay(core_, tag_);
  }

  /// The message is not wanted: what the client sends unasked is skipped.
  net::Task<Result<ImapStatus>> turn_away(ImapStatus status, LiteralMark mark) {
    while (mark.non_sync) {
      if (mark.size / kMostSkipped > bounds_.max_message)
        co_return fail(Errc::invalid, "a literal is too large");
      if (auto skipped = co_await skip(mark.size); !skipped) co_return std::unexpected(skipped.error());
      const auto line = co_await read_line();
      if (!line) co_return std::unexpected(line.error());
      const auto more = literal_mark(*line);
      if (!more) break;
      mark = *more;
    }
    co_return status;
  }

  net::Task<Result<>> skip(std::uint64_t size) {
    while (size > 0) {
      core_.client->set_timeout(bounds_.client_timeout);
      const auto octets = co_await core_.client_reader.some(size);
      if (!octets) co_return std::unexpected(octets.error());
      size -= octets->size();
    }
    co_return Result<>();
  }

  ImapCore& core_;
  AppendBounds bounds_;
  std::string tag_;
  bool utf8_ = false;  // within UTF8 (
};

}  // namespace

net::Task<Result<ImapStatus>> run_append(ImapCore& core, AppendBounds bounds, std::string head,
                                         LiteralMark mark) {
  const auto append = std::make_unique<Append>(core, bounds);
  co_return co_await append->run(std::move(head), mark);
}

}  // namespace kage::proxy
