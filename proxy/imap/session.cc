// The frame of a session: greeting, the loop over commands and their literals, time-outs, the end.
#include "proxy/imap/session.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "net/guarded.h"
#include "net/proxy_protocol.h"
#include "proxy/upstream.h"
#include "tls/tls_stream.h"

namespace kage::proxy {
namespace {

constexpr net::Millis kHandshakeTime{30'000};
constexpr net::Millis kLastWordTime{5'000};
constexpr std::size_t kMaxSkipped = 1U << 20;

/// What stands before the first space, where it may stand before an answer.
std::string tag_of(std::string_view text) {
  const auto command = parse_command(std::string(text.substr(0, text.find(' '))) + " NOOP");
  return command ? command->tag : "*";
}

/// What sessions of this worker have in common is kept once. Only the last few texts are looked at: a worker
/// knows few providers, and what a strange one says must not grow.
std::shared_ptr<const std::string> shared_text(std::string text) {
  thread_local std::array<std::weak_ptr<const std::string>, 8> known;
  thread_local std::size_t oldest = 0;
  for (const auto& entry : known) {
    if (auto held = entry.lock(); held && *held == text) return held;
  }
  text.shrink_to_fit();
  auto fresh = std::make_shared<const std::string>(std::move(text));
  known[oldest++ % known.size()] = fresh;
  return fresh;
}

}  // namespace

ImapSession::LoggedIn::LoggedIn(ImapSession& session, provider::ImapConnection connection)
    : upstream(std::move(connection.stream)),
      in(std::make_unique<ImapReader>(*upstream)),
      capabilities(shared_text(std::move(connection.capabilities))),
      core{.loop = session.services_.loop,
           .directory = session.services_.directory,
           .view = session.services_.view,
           .client = session.stream_.get(),
           .client_reader = session.reader_,
           .out = session.out_,
           .upstream = upstream.get(),
           .in = *in,
           .login = {},
           .audience = {},
           .capabilities = *capabilities} {
  in->unread(connection.buffered);
  core.timeout = session.services_.options.upstream_timeout;
  core.gmail = session.services_.options.gmail;
}

ImapSession::ImapSession(const Services& services, std::shared_ptr<LoginCounts> counts, Face face,
                         net::StreamPtr stream, net::PeerAddress peer)
    : services_(services),
      counts_(std::move(counts)),
      face_(face),
      stream_(std::move(stream)),
      peer_(std::move(peer)),
      reader_(*stream_),
      out_(*stream_, services.directory),
      gate_(services_, provider::Service::imap),
      login_deadline_(services.loop.now() + services.options.login_timeout) {}

ImapSession::~ImapSession() = default;

net::Task<void> ImapSession::run(std::shared_ptr<ImapSession> self) {
  (void)co_await net::guarded(self->serve());
  co_await self->wind_up();
}

/// Most of a session's life is spent in the wait between two commands, so its frames hold as little as can
/// be.
net::Task<void> ImapSession::serve() {
  if (!co_await prepare()) co_return;
  out_.add("* OK [CAPABILITY " + capability_text() + "] Kagemusha is ready\r\n");
  while (!ended_) {
    if (co_await begin_rest()) end_rest(co_await stream_->readable());
    if (!ended_) co_await step();
  }
}

/// What was answered goes out; then, when nothing is left to do, the session is idle. False: it is not.
net::Task<bool> ImapSession::begin_rest() {
  if (!reader_.buffered().empty() || !farewell_.empty()) co_return false;
  if (auto flushed = co_await out_.flush(); !flushed) {
    co_await on_failed_read(flushed.error());
    co_return false;
  }
  stream_->set_deadline(client_deadline());
  idle_ = farewell_.empty() && !ended_;
  co_return idle_;
}

void ImapSession::end_rest(const Result<>& woken) {
  idle_ = false;
  if (!woken) failed_rest_ = woken.error().code;
}

net::Task<bool> ImapSession::prepare() {
  stream_->set_timeout(std::min(kHandshakeTime, services_.options.login_timeout));
  if (!co_await net::learn_peer(reader_, peer_, services_.options.proxy_peers)) co_return false;
  if (face_ != Face::imaps) co_return true;
  if (!services_.tls) co_return false;
  co_return co_await start_tls();
}

net::Task<bool> ImapSession::start_tls() {
  const net::TimePoint deadline = std::min(services_.loop.now() + kHandshakeTime, login_deadline_);
  if (!co_await tls::secure_session(stream_, reader_, services_.tls, deadline)) {
    end();
    co_return false;
  }
  out_.reset(*stream_);
  tls_ = true;
  co_return true;
}

net::Task<void> ImapSession::step() {
  if (failed_rest_) co_return co_await on_failed_read(Error{*std::exchange(failed_rest_, {}), {}});
  if (!farewell_.empty()) co_return co_await last_word(farewell_);
  auto text = co_await read_command();
  if (ended_) co_return;
  if (!text) co_return co_await on_failed_read(text.error());
  if (text->empty()) co_return;  // answered already
  auto command = parse_command(std::move(*text));
  if (command) {
    co_await dispatch(std::move(*command));
  } else {
    message_.reset();
    const std::string& tag = command.error().detail;
    add_status(tag.empty() ? "*" : tag, {"BAD", "Not a command"});
  }
  if (!ended_ && errors_ >= services_.options.max_errors) co_await last_word("Too many errors");
  if (ended_ || !out_.full()) co_return;
  if (auto flushed = co_await out_.flush(); !flushed) co_await on_failed_read(std::move(flushed.error()));
}

net::Task<void> ImapSession::dispatch(ImapCommand command) {
  const std::string tag = command.tag;
  const Row* row = find_row(command.name);
  std::optional<ImapStatus> refusal;
  if (row == nullptr) {
    refusal = ImapStatus{"BAD", "Unknown command"};
  } else {
    refusal = obstacle(*row);
  }
  if (refusal) co_return add_status(tag, *refusal);
  const auto status = co_await (this->*row->handler)(std::move(command));
  if (!status) co_return co_await on_failed_command(status.error());
  if (!status->name.empty()) add_status(tag, *status);
}

/// Why a command cannot run now.
std::optional<ImapStatus> ImapSession::obstacle(const Row& row) {
  if (row.state == State::always) return std::nullopt;
  if (row.state == State::unauthenticated) {
    return in_ ? std::optional(ImapStatus{"BAD", "Already logged in"}) : std::nullopt;
  }
  if (!in_) return ImapStatus{"BAD", "Log in first"};
  ImapCore& core = in_->core;
  auto routes = services_.directory.known_routes();
  // Contract R3.8.
  if (!routes) return ImapStatus{"NO", "[UNAVAILABLE] The address mapping is not available"};
  if (core.audience.routes != *routes) {
    const auto members = (*routes)->find_login(core.login);
    core.audience.members.assign(members.begin(), members.end());
    core.audience.routes = std::move(*routes);
    in_->memory.clear();
  }
  if (core.audience.members.empty()) {
    farewell_ = "This login is no longer registered";
    return ImapStatus{"NO", "[UNAVAILABLE] This login is no longer registered"};
  }
  if (row.state == State::selected && !core.selected) return ImapStatus{"BAD", "No mailbox is selected"};
  return std::nullopt;
}

void ImapSession::add_status(std::string_view tag, const ImapStatus& status) {
  if (status.name == "BAD") {
    ++errors_;
  } else if (in_) {
    errors_ = 0;
  }
  std::string line(tag);
  line.append(" ").append(status.name).append(" ").append(status.text).append("\r\n");
  out_.add(line);
}

/// Something between us and the upstream, the client or Redis broke in the middle of a command.
net::Task<void> ImapSession::on_failed_command(Error error) {
  if (ended_) co_return;
  end();
  const bool stale = error.code == Errc::conflict;
  const bool malformed = error.code == Errc::invalid;
  // What is gathered is complete answers, or the client's literal breaks off here in any case.
  if (!stale && !co_await out_.flush() && !out_.lacks_mapping()) co_return;
  stream_->set_timeout(kLastWordTime);
  const bool ours = stale || malformed || out_.lacks_mapping();
  const std::string_view text = stale ? "* BYE [UNAVAILABLE] The address mapping changed, connect again\r\n"
                                : malformed ? "* BYE [CLIENTBUG] The command cannot be finished\r\n"
                                : ours      ? "* BYE [UNAVAILABLE] The address mapping is not available\r\n"
                                            : "* BYE [UNAVAILABLE] The mail server is not available\r\n";
  // Within a literal the client would take the words for the message's own.
  const bool mute = out_.within_answer();
  if (!mute && !co_await stream_->write(text)) co_return;  // the client has gone, and that was all
  const auto closed = co_await stream_->shutdown();
  if (ours || (mute && !closed)) co_return;
  count_failure(error.code);
  log::info("upstream.failed", {{"protocol", "imap"}, {"reason", to_string(error.code)}});
}

net::Task<void> ImapSession::on_failed_read(Error error) {
  switch (error.code) {
    case Errc::limit: {
      add_status("*", {"BAD", "The line is too long"});
      stream_->set_deadline(client_deadline());
      if (!co_await reader_.skip_line(kMaxSkipped)) end();
      if (!ended_ && errors_ >= services_.options.max_errors) co_await last_word("Too many errors");
      co_return;
    }
    case Errc::conflict:
    case Errc::unavailable:  // an answer could not be finished
      co_return co_await on_failed_command(std::move(error));
    case Errc::timed_out:
      co_return co_await last_word(in_ ? "Idle for too long" : "No login came in time");
    default:
      end();
  }
}

net::TimePoint ImapSession::client_deadline() const {
  const net::TimePoint idle = services_.loop.now() + services_.options.idle_timeout;
  return in_ ? idle : std::min(idle, login_deadline_);
}

/// A line of the client; what was answered goes out first, unless more waits already.
net::Task<Result<std::string_view>> ImapSession::read_line(std::size_t max_octets) {
  if (!reader_.has_line() || out_.full()) {
    if (auto flushed = co_await out_.flush(); !flushed) co_return std::unexpected(flushed.error());
  }
  stream_->set_deadline(client_deadline());
  idle_ = true;
  auto line = co_await reader_.line(max_octets);
  idle_ = false;
  co_return line;
}

/// A whole command with its literals (RFC 9051 §4.3, RFC 7888), without its line end. It stops behind the
/// announcement of an APPEND's message, which is then in message_. Empty: it was too large, and is answered.
net::Task<Result<std::string>> ImapSession::read_command() {
  std::string text;
  std::size_t literals = 0;
  while (true) {
    const std::size_t most = services_.options.max_command;
    const std::size_t room = most - std::min(most, text.size()) + 2;
    const auto line = co_await read_line(room);
    if (!line) co_return std::unexpected(line.error());
    text.append(*line);
    const auto mark = literal_mark(*line);
    if (!mark) co_return text;
    // The message of an APPEND is the first literal of the command, or the second where the mailbox is one.
    // To look behind each of thousands of empty literals would take time that is the square of their number.
    if (++literals <= 2 && is_append_message(text)) {
      message_ = mark;
      co_return text;
    }
    if (mark->size > most || text.size() + mark->size > most) {
      co_await too_large(std::move(text), *mark);
      co_return std::string();
    }
    if (!mark->non_sync) out_.add("+ OK\r\n");
    text.append("\r\n");
    if (auto read = co_await read_literal(text, mark->size); !read) co_return std::unexpected(read.error());
  }
}

bool ImapSession::is_append_message(const std::string& text) const {
  if (!in_) return false;
  const auto command = parse_command(text);
  if (!command || command->name != "APPEND") return false;
  ImapCursor cursor(command->rest);
  return cursor.astring() && cursor.take_space();
}

net::Task<Result<>> ImapSession::read_literal(std::string& text, std::uint64_t size) {
  if (reader_.buffered().size() < size) {
    if (auto flushed = co_await out_.flush(); !flushed) co_return flushed;
  }
  stream_->set_deadline(client_deadline());
  while (size > 0) {
    const auto octets = co_await reader_.some(size);
    if (!octets) co_return std::unexpected(octets.error());
    text.append(*octets);
    size -= octets->size();
  }
  co_return Result<>();
}

net::Task<Result<>> ImapSession::skip_octets(std::uint64_t size) {
  while (size > 0) {
    stream_->set_deadline(client_deadline());
    const auto octets = co_await reader_.some(size);
    if (!octets) co_return std::unexpected(octets.error());
    size -= octets->size();
  }
  co_return Result<>();
}

/// A literal beyond the bound: refused before it comes, or skipped when the client did not ask (RFC 7888 §4).
net::Task<void> ImapSession::too_large(std::string text, LiteralMark mark) {
  const std::string tag = tag_of(text);
  wipe(text);
  while (mark.non_sync) {
    if (mark.size > services_.options.max_append) {
      co_return co_await last_word("[TOOBIG] The literal is too large");
    }
    if (!co_await skip_octets(mark.size)) co_return end();
    const auto line = co_await read_line(services_.options.max_command);
    if (!line) co_return co_await on_failed_read(line.error());
    const auto next = literal_mark(*line);
    if (!next) break;
    mark = *next;
  }
  add_status(tag, {"BAD", "[TOOBIG] The command is too large"});
}

/// The last thing that the client hears; says nothing when the connection is gone.
net::Task<void> ImapSession::last_word(std::string_view text) {
  if (ended_) co_return;
  end();
  if (!co_await out_.flush(kLastWordTime) && !out_.lacks_mapping()) co_return;
  if (out_.within_answer()) co_return;
  stream_->set_timeout(kLastWordTime);
  const std::string line = "* BYE " + std::string(text) + "\r\n";
  if (co_await stream_->write(line)) (void)co_await stream_->shutdown();
}

net::Task<void> ImapSession::wind_up() {
  idle_ = false;
  if (in_) in_->upstream->close();
  if (stream_) stream_->close();
  co_return;
}

void ImapSession::end_when_idle(std::string_view text) {
  farewell_ = text;
  if (!idle_ || writing_ || !stream_ || ended_) return;
  end();
  net::spawn(say_and_close(shared_from_this(), text));
}

/// Beside the session's own read, which ends when the stream closes.
net::Task<void> ImapSession::say_and_close(std::shared_ptr<ImapSession> self, std::string_view text) {
  self->stream_->set_timeout(kLastWordTime);
  const std::string line = "* BYE " + std::string(text) + "\r\n";
  if (co_await self->stream_->write(line)) (void)co_await self->stream_->shutdown();
  self->stream_->close();
}

void ImapSession::stop() {
  end_when_idle("The server is shutting down");
}

void ImapSession::routes_changed() {
  if (!in_) return;
  const auto routes = services_.directory.known_routes();
  if (routes && (*routes)->find_login(in_->core.login).empty()) {
    end_when_idle("This login is no longer registered");
  }
  if (!idle_) return;
  // Otherwise an idle session would keep the old routes in memory until its next command.
  in_->core.audience = {};
  in_->memory.clear();
}

void ImapSession::close() {
  end();
  if (in_) in_->upstream->close();
  if (stream_) stream_->close();
}

}  // namespace kage::proxy
