// The dialogue of the sink: straight lines, one answer for each command.
#include "smtp_sink.h"

#include <algorithm>
#include <stdexcept>

#include "base/text.h"
#include "message/dot_codec.h"
#include "tls/tls_stream.h"

namespace kage::submission::test {

Action reply(std::string line) {
  return {Action::Kind::reply, std::move(line) + "\r\n"};
}
Action reply_and_close(std::string line) {
  return {Action::Kind::reply_and_close, std::move(line) + "\r\n"};
}
Action close_now() {
  return {Action::Kind::close, {}};
}
Action hang() {
  return {Action::Kind::hang, {}};
}

void SmtpSink::listen(std::uint16_t port) {
  const std::weak_ptr<SmtpSink> self = weak_from_this();
  auto listener =
      net::Listener::open(loop_, "127.0.0.1", port, [self](net::StreamPtr stream, const net::PeerAddress&) {
        if (auto sink = self.lock()) net::spawn(serve(sink, std::move(stream)));
      });
  if (!listener) throw std::runtime_error("sink cannot listen: " + listener.error().detail);
  listener_ = std::move(*listener);
  port_ = listener_->bound_port();
}

void SmtpSink::close_sessions() {
  for (auto* session : sessions_) {
    if (session->stream) session->stream->close();
  }
}

void SmtpSink::stop() {
  listener_.reset();
  close_sessions();
  stopped_.set();
}

std::size_t SmtpSink::count(std::string_view rcpt_part) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      messages, [&](const Message& message) { return message.rcpt.find(rcpt_part) != std::string::npos; }));
}

net::Task<void> SmtpSink::serve(std::shared_ptr<SmtpSink> self, net::StreamPtr stream) {
  Session session;
  session.stream = std::move(stream);
  session.number = ++self->connections;
  self->sessions_.push_back(&session);
  self->most_open = std::max(self->most_open, ++self->open);
  self->idle.reset();
  (void)co_await self->run(session);
  if (session.stream) session.stream->close();
  std::erase(self->sessions_, &session);
  if (--self->open == 0) self->idle.set();
}

/// Does what the script says at this point. False: the session ends.
net::Task<bool> SmtpSink::act(Session& session, Stage stage, std::string line, std::string usual) {
  auto action = script ? script(stage, line, session.number) : std::nullopt;
  session.refused = action.has_value();
  if (!action) action = Action{Action::Kind::reply, std::move(usual)};
  if (action->kind == Action::Kind::hang) {
    co_await stopped_;
    co_return false;
  }
  if (action->kind == Action::Kind::close) co_return false;
  if (!action->text.empty() && !co_await session.stream->write(action->text)) co_return false;
  co_return action->kind == Action::Kind::reply;
}

net::Task<bool> SmtpSink::secure(Session& session) {
  auto stream = co_await tls::accept_tls(std::move(session.stream), tls, loop_.now() + net::Millis(5000));
  if (!stream) co_return false;
  session.stream = std::move(*stream);
  session.reader.emplace(*session.stream);
  session.encrypted = true;
  co_return true;
}

net::Task<bool> SmtpSink::run(Session& session) {
  session.reader.emplace(*session.stream);
  if (implicit_tls && !co_await secure(session)) co_return false;
  if (!co_await act(session, Stage::greeting, "", "220 sink ESMTP\r\n")) co_return false;
  while (true) {
    const auto line = co_await session.reader->line(4096);
    if (!line) co_return false;
    std::string text(*line);
    commands.push_back(text);
    if (session.reader->has_line()) ++most_pipelined;
    if (!co_await command(session, std::move(text))) co_return false;
  }
}

std::string SmtpSink::capabilities(const Session& session) const {
  std::string out = "250-sink\r\n";
  for (const auto& extension : extensions) {
    if (extension == "STARTTLS" && session.encrypted) continue;
    out += "250-" + extension + "\r\n";
  }
  return out + "250 HELP\r\n";
}

net::Task<bool> SmtpSink::command(Session& session, std::string line) {
  if (starts_with_nocase(line, "EHLO"))
    co_return co_await act(session, Stage::ehlo, line, capabilities(session));
  if (starts_with_nocase(line, "HELO")) co_return co_await act(session, Stage::helo, line, "250 sink\r\n");
  if (starts_with_nocase(line, "STARTTLS")) {
    if (!co_await act(session, Stage::starttls, line, "220 2.0.0 go\r\n" + injected)) co_return false;
    if (session.refused) co_return true;
    co_return co_await secure(session);
  }
  if (starts_with_nocase(line, "AUTH")) co_return co_await authenticate(session, std::move(line));
  if (starts_with_nocase(line, "RSET")) {
    session.message = {};
    co_return co_await act(session, Stage::rset, line, "250 2.0.0 Ok\r\n");
  }
  if (starts_with_nocase(line, "MAIL")) {
    if (!session.message.mail.empty()) co_return bool(co_await session.stream->write("503 5.5.1 nested\r\n"));
    if (!co_await act(session, Stage::mail, line, "250 2.1.0 Ok\r\n")) co_return false;
    if (!session.refused) session.message.mail = line;
    co_return true;
  }
  if (starts_with_nocase(line, "RCPT")) {
    if (session.message.mail.empty())
      co_return bool(co_await session.stream->write("503 5.5.1 MAIL first\r\n"));
    if (!co_await act(session, Stage::rcpt, line, "250 2.1.5 Ok\r\n")) co_return false;
    if (!session.refused) session.message.rcpt = line;
    co_return true;
  }
  if (starts_with_nocase(line, "DATA")) co_return co_await receive(session);
  if (starts_with_nocase(line, "QUIT")) {
    (void)co_await session.stream->write("221 2.0.0 Bye\r\n");
    co_return false;
  }
  // A client's answer to the challenge that says why its token was refused.
  const bool acknowledged = line.empty() || line == "AQ==";
  co_return bool(co_await session.stream->write(acknowledged ? "535 5.7.8 no\r\n" : "500 5.5.2 what\r\n"));
}

net::Task<bool> SmtpSink::authenticate(Session& session, std::string line) {
  if (equals_nocase(line, "AUTH LOGIN")) {
    for (const auto* prompt : {"334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"}) {
      if (!co_await session.stream->write(prompt)) co_return false;
      const auto answer = co_await session.reader->line(4096);
      if (!answer) co_return false;
      commands.emplace_back(*answer);
      line.append(" ").append(commands.back());
    }
  }
  co_return co_await act(session, Stage::auth, line, "235 2.7.0 welcome\r\n");
}

net::Task<bool> SmtpSink::receive(Session& session) {
  const bool ready = !session.message.rcpt.empty();
  if (!co_await act(session, Stage::data, session.message.rcpt,
                    ready ? "354 go\r\n" : "554 5.5.1 no valid recipients\r\n")) {
    co_return false;
  }
  if (session.refused || !ready) co_return true;
  message::DotDecoder decoder;
  bool begun = false;
  while (true) {
    const auto chunk = co_await session.reader->chunk();
    if (!chunk || chunk->empty()) co_return false;
    const auto step = decoder.decode(*chunk, session.message.data);
    session.reader->unread(chunk->substr(step.consumed));
    if (!std::exchange(begun, true) && !co_await act(session, Stage::body, session.message.rcpt, ""))
      co_return false;
    if (step.finished) break;
  }
  auto message = std::exchange(session.message, {});
  message.connection = session.number;
  message.encrypted = session.encrypted;
  // With the script's reply too, what counts is whether it is a 250.
  auto action = script ? script(Stage::dot, message.rcpt, session.number) : std::nullopt;
  const bool said_250 = !action || (!action->text.empty() && action->text.starts_with("250"));
  if (said_250) {
    if (received) received(message);
    messages.push_back(std::move(message));
  }
  if (!action) co_return bool(co_await session.stream->write("250 2.0.0 queued\r\n" + trailer));
  if (action->kind == Action::Kind::hang) co_await stopped_;
  if (!action->text.empty() && !co_await session.stream->write(action->text)) co_return false;
  co_return action->kind == Action::Kind::reply;
}

}  // namespace kage::submission::test
