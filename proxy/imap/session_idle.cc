// IDLE (RFC 2177): both directions at once. The session's own coroutine waits for the client's DONE; another
// one brings what the upstream says.
#include <utility>

#include "base/text.h"
#include "net/guarded.h"
#include "proxy/imap/capability.h"
#include "proxy/imap/session.h"
#include "proxy/imap/session_send.h"
#include "proxy/upstream.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxDone = 64;

}  // namespace

net::Task<Result<ImapStatus>> ImapSession::on_idle(ImapCommand command) {
  ImapCore& core = in_->core;
  if (!command.rest.empty() || !passes("IDLE", core.capabilities, core.gmail)) {
    co_return ImapStatus{"BAD", "IDLE is not possible"};
  }
  const std::string tag = core.new_tag();
  auto early = co_await send_command(core, tag, "IDLE");
  if (!early) co_return std::unexpected(early.error());
  if (!*early) early = co_await await_continuation(core, tag);
  if (!early) co_return std::unexpected(early.error());
  if (*early) co_return std::move(**early);
  core.out.add("+ idling\r\n");
  if (auto flushed = co_await core.out.flush(); !flushed) co_return std::unexpected(flushed.error());

  core.upstream->set_deadline(std::nullopt);
  in_->memory.clear();
  Idle idle;
  running_idle_ = &idle;
  net::spawn(pump_idle(shared_from_this(), tag));
  const auto line = co_await read_idle_line();
  const bool done = line && equals_nocase(trim(*line), "DONE");
  core.upstream->set_timeout(core.timeout);
  if (!done) {
    core.upstream->close();
  } else if (!idle.ended.is_set()) {
    if (!co_await core.upstream->write("DONE\r\n")) core.upstream->close();
  }
  co_await idle.ended;
  running_idle_ = nullptr;
  if (!line) {
    if (!ended_ && line.error().code == Errc::timed_out) co_await last_word("Idle for too long");
    end();
    co_return ImapStatus{};
  }
  if (!done) {
    co_await last_word("[CLIENTBUG] IDLE ends with DONE");
    co_return ImapStatus{};
  }
  if (idle.error) co_return std::unexpected(*idle.error);
  co_return std::move(*idle.status);
}

/// Does not write: while in IDLE only pump_responses() writes to the client.
net::Task<Result<std::string>> ImapSession::read_idle_line() {
  stream_->set_deadline(client_deadline());
  idle_ = true;
  Result<> awake;
  if (reader_.buffered().empty()) awake = co_await stream_->readable();
  if (!awake) {
    idle_ = false;
    co_return std::unexpected(awake.error());
  }
  const auto line = co_await reader_.line(kMaxDone);
  idle_ = false;
  if (!line) co_return std::unexpected(line.error());
  co_return std::string(*line);
}

net::Task<void> ImapSession::pump_idle(std::shared_ptr<ImapSession> self, std::string tag) {
  const auto pumped = co_await net::guarded(self->pump_responses(std::move(tag)));
  Idle& idle = *self->running_idle_;
  if (!pumped) {
    idle.error = pumped.error();
    // The session waits for the client, who has to hear of it now.
    if (self->idle_) {
      if (!self->ended_) {
        self->end();
        const bool asked = !self->farewell_.empty();
        if (!asked) count_failure(pumped.error().code);
        co_await say_and_close(self,
                               asked ? self->farewell_ : "[UNAVAILABLE] The mail server is not available");
      }
      self->stream_->close();
    }
  }
  idle.ended.set();
}

/// Brings untagged responses until the tagged one.
net::Task<Result<>> ImapSession::pump_responses(std::string tag) {
  ImapCore& core = in_->core;
  while (true) {
    if (!core.in.has_more()) {
      if (auto awake = co_await core.upstream->readable(); !awake) co_return awake;
    }
    const auto response = co_await core.in.next();
    if (!response) co_return std::unexpected(response.error());
    auto ended = end_of_command(*response, tag);
    if (!ended) co_return std::unexpected(ended.error());
    if (*ended) {
      running_idle_->status = std::move(*ended);
      co_return Result<>();
    }
    if (auto passed = co_await pass_response(core, *response); !passed) co_return passed;
    if (core.in.has_more() && !core.out.full()) continue;
    writing_ = true;
    auto flushed = co_await core.out.flush();
    writing_ = false;
    if (!flushed) co_return flushed;
    if (!farewell_.empty() && idle_) co_return fail(Errc::closed, "the session ends");
    stream_->set_deadline(client_deadline());
    // The deadline that pass_unsolicited_fetch() sets is not meant for the wait.
    if (idle_) core.upstream->set_deadline(std::nullopt);
  }
}

}  // namespace kage::proxy
