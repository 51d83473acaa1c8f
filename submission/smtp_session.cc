// The frame of a session: greeting, the loop over commands, buffered answers (RFC 2920), time-outs, the end.
#include "submission/smtp_session.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "net/guarded.h"
#include "net/proxy_protocol.h"
#include "tls/tls_stream.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMaxCommand = 2048;  // RFC 5321 §4.5.3.1.4 has 512, extensions add to it
constexpr std::size_t kMaxSkipped = 1U << 20;
constexpr std::size_t kMaxUnflushed = 64U << 10;
constexpr net::Millis kHandshakeTime{30'000};
constexpr net::Millis kLastWordTime{5'000};

}  // namespace

SmtpSession::SmtpSession(const Services& services, std::shared_ptr<Activity> activity, Face face,
                         net::StreamPtr stream, net::PeerAddress peer)
    : services_(services),
      activity_(std::move(activity)),
      face_(face),
      stream_(std::move(stream)),
      peer_(std::move(peer)),
      reader_(*stream_) {}

SmtpSession::~SmtpSession() = default;

SmtpSession::Handler SmtpSession::handler_of(Verb verb) {
  static constexpr std::array<Handler, kVerbs> kHandlers = {
      &SmtpSession::on_helo,     &SmtpSession::on_ehlo,    &SmtpSession::on_mail, &SmtpSession::on_rcpt,
      &SmtpSession::on_data,     &SmtpSession::on_bdat,    &SmtpSession::on_rset, &SmtpSession::on_noop,
      &SmtpSession::on_quit,     &SmtpSession::on_vrfy,    &SmtpSession::on_help, &SmtpSession::on_auth,
      &SmtpSession::on_starttls, &SmtpSession::on_unknown,
  };
  return kHandlers[static_cast<std::size_t>(verb)];
}

net::Task<void> SmtpSession::run(std::shared_ptr<SmtpSession> self, std::optional<Answer> refusal) {
  (void)co_await net::guarded(refusal ? self->last_word(*refusal) : self->serve());
  co_await self->wind_up();
}

net::Task<void> SmtpSession::serve() {
  if (!co_await prepare()) co_return;
  out_.append("220 ").append(services_.options.hostname).append(" ESMTP Kagemusha\r\n");
  while (!ended_) co_await step();
}

net::Millis SmtpSession::handshake_time() const {
  return std::min(kHandshakeTime, services_.options.command_timeout);
}

net::Task<bool> SmtpSession::prepare() {
  stream_->set_timeout(handshake_time());
  if (!co_await net::learn_peer(reader_, peer_, services_.options.proxy_peers)) co_return false;
  if (face_ != Face::submissions) co_return true;
  if (!services_.tls) co_return false;
  co_return co_await start_tls();
}

net::Task<bool> SmtpSession::start_tls() {
  const net::TimePoint deadline = services_.loop.now() + handshake_time();
  tls_ = co_await tls::secure_session(stream_, reader_, services_.tls, deadline);
  if (!tls_) ended_ = true;
  co_return tls_;
}

net::Task<void> SmtpSession::step() {
  if (stopping_ && !envelope_) co_return co_await last_word(Answer::shutting_down);
  auto line = co_await read_line(kMaxCommand);
  if (ended_) co_return;
  if (!line) co_return co_await on_bad_line(line.error());
  const CommandLine command = split_command(*line);
  if (command.verb == Verb::rcpt) {
    gather_rcpt(command.rest);
    if (more_rcpt_buffered()) co_return;
  }
  if (!pending_.empty()) {
    // The answers of what came before stand before this command's.
    if (command.verb == Verb::rcpt) {
      co_await answer_rcpts();
    } else {
      const std::string rest(command.rest);
      co_await answer_rcpts();
      co_await (this->*handler_of(command.verb))(rest);
    }
  } else if (command.verb != Verb::rcpt) {
    co_await (this->*handler_of(command.verb))(command.rest);
  }
  if (!ended_ && errors_ >= services_.options.max_errors) co_await last_word(Answer::too_many_errors);
}

/// A command line; what was answered goes out first, unless more commands wait already (RFC 2920 §3.1).
net::Task<Result<std::string_view>> SmtpSession::read_line(std::size_t max_octets) {
  if ((!reader_.has_line() || out_.size() > kMaxUnflushed) && !co_await flush()) {
    co_return fail(Errc::closed);
  }
  stream_->set_timeout(services_.options.command_timeout);
  idle_ = true;
  auto line = co_await reader_.line(max_octets);
  idle_ = false;
  if (!line || !reader_.bare_lf()) co_return line;
  // Somebody else may see other lines here than we do (SMTP smuggling): better no more lines.
  if (!pending_.empty()) co_await answer_rcpts();
  reply(Answer::bare_lf_command);
  end();
  co_return fail(Errc::protocol);
}

net::Task<void> SmtpSession::on_bad_line(Error error) {
  if (!pending_.empty()) co_await answer_rcpts();
  switch (error.code) {
    case Errc::limit: {
      reply(Answer::line_too_long);
      stream_->set_timeout(services_.options.command_timeout);
      const auto skipped = co_await reader_.skip_line(kMaxSkipped);
      if (!skipped) end();
      if (errors_ >= services_.options.max_errors) co_await last_word(Answer::too_many_errors);
      co_return;
    }
    case Errc::timed_out:
      co_return co_await last_word(Answer::timed_out);
    default:
      out_.clear();
      end();
  }
}

net::Task<bool> SmtpSession::flush() {
  if (out_.empty()) co_return true;
  // What is written must not move while the kernel takes it.
  const std::string writing = std::move(out_);
  out_ = std::string();
  if (!stream_) co_return false;
  stream_->set_timeout(services_.options.command_timeout);
  const auto written = co_await stream_->write(writing);
  if (!written) end();
  co_return written.has_value();
}

net::Task<void> SmtpSession::last_word(Answer answer) {
  reply(answer);
  end();
  co_return;
}

net::Task<void> SmtpSession::wind_up() {
  idle_ = false;
  if (incoming_) {
    const auto abandoned = std::move(incoming_);
    co_await abandoned->abandon();
  }
  envelope_.reset();
  if (!stream_) co_return;
  stream_->set_timeout(kLastWordTime);
  if (!out_.empty()) {
    const std::string writing = std::move(out_);
    if (co_await stream_->write(writing)) (void)co_await stream_->shutdown();
  }
  stream_->close();
}

void SmtpSession::stop() {
  stopping_ = true;
  if (idle_ && !envelope_ && stream_ && !ended_) {
    end();
    net::spawn(say_and_close(shared_from_this(), Answer::shutting_down));
  }
}

/// Beside the session's own read, which ends when the stream closes.
net::Task<void> SmtpSession::say_and_close(std::shared_ptr<SmtpSession> self, Answer answer) {
  self->stream_->set_timeout(kLastWordTime);
  const auto said = co_await self->stream_->write(line(answer));
  if (said && self->stream_) (void)co_await self->stream_->shutdown();
  if (self->stream_) self->stream_->close();
}

void SmtpSession::close() {
  end();
  for (const auto& message : {incoming_, running_}) {
    if (message) message->refuse(Answer::shutting_down);
  }
  if (stream_) stream_->close();
}

void SmtpSession::tick(net::TimePoint now) {
  if (incoming_) incoming_->tick(now);
  if (running_) running_->tick(now);
}

void SmtpSession::reply(Answer answer) {
  if (is_client_error(answer)) ++errors_;
  count_refusal(answer);
  out_.append(line(answer));
}

void SmtpSession::reply(std::string_view whole_line) {
  out_.append(whole_line);
}

bool SmtpSession::offers_starttls() const {
  return services_.tls != nullptr && !tls_;
}

bool SmtpSession::offers_auth() const {
  return submits() && login_.empty() && (tls_ || !services_.options.require_tls);
}

void SmtpSession::reset_hello() {
  said_hello_ = false;
  extended_ = false;
  login_.clear();
}

net::Task<void> SmtpSession::on_helo(std::string_view rest) {
  if (!is_helo_name(rest)) co_return reply(Answer::bad_arguments);
  co_await end_transaction();
  said_hello_ = true;
  extended_ = false;
  out_.append("250 ").append(services_.options.hostname).append("\r\n");
}

net::Task<void> SmtpSession::on_ehlo(std::string_view rest) {
  if (!is_helo_name(rest)) co_return reply(Answer::bad_arguments);
  co_await end_transaction();
  said_hello_ = true;
  extended_ = true;
  out_.append("250-").append(services_.options.hostname);
  out_.append("\r\n250-PIPELINING\r\n250-SIZE ").append(std::to_string(services_.options.max_message_size));
  out_.append("\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n");
  if (offers_starttls()) out_.append("250-STARTTLS\r\n");
  if (offers_auth()) out_.append("250-AUTH ").append(mechanism_list()).append("\r\n");
  out_.append("250 ENHANCEDSTATUSCODES\r\n");
}

net::Task<void> SmtpSession::on_rset(std::string_view /*rest*/) {
  co_await end_transaction();
  reply(Answer::ok);
}

net::Task<void> SmtpSession::on_noop(std::string_view /*rest*/) {
  reply(Answer::ok);
  co_return;
}

net::Task<void> SmtpSession::on_quit(std::string_view /*rest*/) {
  co_await end_transaction();
  reply(Answer::bye);
  end();
}

net::Task<void> SmtpSession::on_vrfy(std::string_view rest) {
  reply(rest.empty() ? Answer::bad_arguments : Answer::cannot_verify);
  co_return;
}

net::Task<void> SmtpSession::on_help(std::string_view /*rest*/) {
  reply(Answer::help);
  co_return;
}

net::Task<void> SmtpSession::on_unknown(std::string_view /*rest*/) {
  reply(Answer::unknown_command);
  co_return;
}

}  // namespace kage::submission
