// The transactions of a connection to a next hop. How the connection comes to be is in smtp_connect.cc.
#include "submission/smtp_client.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "submission/ascii_domains.h"

namespace kage::submission {
namespace {

/// Longest address in a command: 256 octets of local part that may each need a backslash, and a domain.
constexpr std::size_t kMaxPath = 900;
/// RFC 3461 §4: parameters are short; ESMTP lines may grow by 500 octets for them.
constexpr std::size_t kMaxParameter = 100;

/// Whether a path can stand between angle brackets: nothing in it ends the command or the path. The address
/// came from the network, and what is written here is a command.
bool safe_path(std::string_view path) {
  if (path.size() > kMaxPath) return false;
  bool quoted = false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (is_control(c)) return false;
    if (quoted && c == '\\' && i + 1 < path.size()) {
      if (is_control(path[++i])) return false;
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == ' ' || c == '<' || c == '>')) return false;
  }
  return !quoted;
}

bool safe_parameter(std::string_view value) {
  return value.size() <= kMaxParameter &&
         std::ranges::all_of(value, [](char c) { return c > ' ' && c < 0x7f; });
}

bool wants_utf8(const Envelope& envelope) {
  return envelope.smtputf8 || envelope.recipient->needs_utf8() || !all_ascii(envelope.mail_from);
}

bool has_ascii_form(const Envelope& envelope) {
  return all_ascii(envelope.mail_from) &&
         (!envelope.recipient->needs_utf8() || with_ascii_domain(*envelope.recipient));
}

std::string mail_command(const Envelope& envelope, const SmtpCapabilities& offers) {
  std::string out = "MAIL FROM:<";
  out.append(envelope.mail_from).append(">");
  if (offers.size && envelope.size > 0) out.append(" SIZE=").append(std::to_string(envelope.size));
  if (offers.eight_bit && envelope.body_8bit) out.append(" BODY=8BITMIME");
  if (offers.smtputf8 && wants_utf8(envelope)) out.append(" SMTPUTF8");
  if (offers.dsn && !envelope.ret.empty()) out.append(" RET=").append(envelope.ret);
  return out.append("\r\n");
}

std::string rcpt_command(const Envelope& envelope, const SmtpCapabilities& offers, std::string_view path) {
  std::string out = "RCPT TO:<";
  out.append(path).append(">");
  if (offers.dsn && !envelope.notify.empty()) out.append(" NOTIFY=").append(envelope.notify);
  return out.append("\r\n");
}

}  // namespace

bool has_quoted_form(const message::Address& recipient) {
  return !recipient.is_dot_atom() && recipient.quoted() != recipient.spelling;
}

SmtpConnection::SmtpConnection(net::Loop& loop, std::shared_ptr<const HopSettings> settings)
    : loop_(loop), settings_(std::move(settings)) {}

net::TimePoint SmtpConnection::until(net::Millis timeout) const {
  const auto at = loop_.now() + timeout;
  return limit_ ? std::min(*limit_, at) : at;
}

void SmtpConnection::adopt(net::StreamPtr stream) {
  stream_ = std::move(stream);
  if (reader_) {
    reader_->reset(*stream_);
  } else {
    reader_.emplace(*stream_);
  }
}

void SmtpConnection::close() {
  closed_ = true;
  usable_ = false;
  token_.reset();
  if (stream_) stream_->close();
}

net::Task<void> SmtpConnection::quit(std::unique_ptr<SmtpConnection> connection) {
  connection->token_.reset();
  if (connection->usable()) {
    constexpr net::Millis kPatience{2000};
    connection->limit_.reset();
    connection->stream_->set_deadline(connection->until(kPatience));
    if (co_await connection->stream_->write("QUIT\r\n")) (void)co_await connection->read_reply(kPatience);
  }
  connection->close();
}

net::Task<Result<>> SmtpConnection::send(std::string_view octets) {
  if (closed_) co_return fail(Errc::closed);
  stream_->set_deadline(until(settings_->options.command_timeout));
  co_return co_await stream_->write(octets);
}

net::Task<Result<SmtpReply>> SmtpConnection::read_reply(net::Millis timeout, bool keep_text) {
  if (closed_) co_return fail(Errc::closed);
  stream_->set_deadline(until(timeout));
  SmtpReplyParser parser(keep_text);
  while (true) {
    const auto line = co_await reader_->line(SmtpReplyParser::kMaxLine);
    if (!line) co_return std::unexpected(line.error());
    const auto complete = parser.line(*line);
    if (!complete) co_return std::unexpected(complete.error());
    if (*complete) co_return parser.take();
  }
}

std::optional<CopyResult> SmtpConnection::inadmissible(const Envelope& envelope) const {
  const bool safe = safe_path(envelope.mail_from) && safe_path(envelope.recipient->spelling) &&
                    safe_parameter(envelope.notify) && safe_parameter(envelope.ret);
  if (!safe) return CopyResult{Outcome::refused, "5.1.3"};
  if (offers_.max_size > 0 && envelope.size > offers_.max_size) return CopyResult{Outcome::refused, "5.3.4"};
  if (envelope.body_8bit && !offers_.eight_bit) return CopyResult{Outcome::refused, "5.6.3"};
  const bool carried = offers_.smtputf8 || (!envelope.needs_utf8 && has_ascii_form(envelope));
  if (!carried) return CopyResult{Outcome::refused, "5.6.7"};
  return std::nullopt;
}

/// The connection broke, or the next hop said 421, which announces the same (RFC 5321 §3.8).
Begun SmtpConnection::gone(const Result<SmtpReply>& reply, bool nothing_answered) {
  close();
  const bool stale = nothing_answered && transactions_ > 0;
  CopyResult result{Outcome::deferred, "4.4.2"};
  if (reply) {
    result = reply->code == 421 ? result_of(*reply) : CopyResult{Outcome::deferred, "4.5.0"};
  } else if (reply.error().code == Errc::protocol || reply.error().code == Errc::limit) {
    result.status = "4.5.0";
  }
  return {stale ? Begun::Kind::stale : Begun::Kind::lost, std::move(result)};
}

/// The answer to a command: sent before, together with others, or sent now.
net::Task<Result<SmtpReply>> SmtpConnection::step(bool sent, std::string command) {
  if (!sent) {
    const auto written = co_await send(command);
    if (!written) co_return std::unexpected(written.error());
  }
  co_return co_await read_reply(settings_->options.command_timeout);
}

net::Task<Begun> SmtpConnection::begin(Envelope envelope) {
  std::unique_ptr<const message::Address> ascii;
  if (!offers_.smtputf8 && envelope.recipient->needs_utf8()) {
    if (auto found = with_ascii_domain(*envelope.recipient))
      ascii = std::make_unique<const message::Address>(std::move(*found));
    if (ascii) envelope.recipient = ascii.get();
  }
  declared_utf8_ = offers_.smtputf8 && wants_utf8(envelope);
  // After a refusal of the bare spelling comes the quoted one, so DATA cannot be sent along (contract R4.5).
  const bool odd = has_quoted_form(*envelope.recipient);
  const bool together = offers_.pipelining;
  if (together) {
    std::string group = needs_reset_ ? "RSET\r\n" : "";
    group += mail_command(envelope, offers_);
    group += rcpt_command(envelope, offers_, envelope.recipient->spelling);
    if (!odd) group += "DATA\r\n";
    const auto written = co_await send(group);
    if (!written) co_return gone(std::unexpected(written.error()), true);
  }
  auto begun = co_await read_answers(envelope, together, odd);
  ++transactions_;
  co_return begun;
}

net::Task<Begun> SmtpConnection::read_answers(Envelope envelope, bool together, bool odd) {
  const auto broken = [](const Result<SmtpReply>& reply) {
    return !reply || reply->code == 421 || reply->code / 100 == 3;  // 3yz: not what was asked
  };
  const bool reset = std::exchange(needs_reset_, true);
  if (reset) {
    const auto answer = co_await step(together, "RSET\r\n");
    if (broken(answer) || !answer->positive()) co_return gone(answer, true);
  }

  // The first refusal is the copy's result. What was sent along is answered too and must be read.
  std::optional<CopyResult> refusal;
  auto reply = co_await step(together, mail_command(envelope, offers_));
  if (broken(reply)) co_return gone(reply, !reset);
  if (!reply->positive()) refusal = result_of(*reply);

  if (!refusal || together) {
    reply = co_await step(together, rcpt_command(envelope, offers_, envelope.recipient->spelling));
    if (!refusal && odd && reply && reply->permanent()) {
      reply = co_await step(false, rcpt_command(envelope, offers_, envelope.recipient->quoted()));
    }
    if (broken(reply)) {
      auto end = gone(reply, false);
      if (refusal) end.result = std::move(*refusal);
      co_return end;
    }
    if (!refusal && !reply->positive()) refusal = result_of(*reply);
  }

  if (!refusal || (together && !odd)) {
    reply = co_await step(together && !odd, "DATA\r\n");
    const bool go_ahead = reply && reply->code == 354;
    if (go_ahead && !refusal) co_return Begun{Begun::Kind::ready, {}};
    const bool answered =
        reply && reply->code != 421 && (go_ahead || reply->transient() || reply->permanent());
    if (!answered) {
      auto end = gone(reply, false);
      if (refusal) end.result = std::move(*refusal);
      co_return end;
    }
    if (!refusal) refusal = result_of(*reply);
    if (go_ahead && !co_await cancel_data()) co_return Begun{Begun::Kind::lost, std::move(*refusal)};
  }
  co_return Begun{Begun::Kind::declined, std::move(*refusal)};
}

/// A server that says 354 although nobody is to get the message must be given an empty one (RFC 2920 §3.1).
net::Task<bool> SmtpConnection::cancel_data() {
  const auto reply = co_await step(false, ".\r\n");
  if (reply && reply->code != 421) co_return true;
  close();
  co_return false;
}

net::Task<Result<>> SmtpConnection::write(std::string_view octets) {
  auto written = co_await send(octets);
  if (!written) close();
  co_return written;
}

net::Task<CopyResult> SmtpConnection::finish() {
  const auto reply = co_await read_reply(settings_->options.final_timeout);
  if (!reply || reply->code == 421 || reply->code / 100 == 3) co_return gone(reply, false).result;
  needs_reset_ = false;
  if (reply->positive()) {
    co_return CopyResult{Outcome::delivered, reply->status.empty() ? "2.0.0" : reply->status};
  }
  co_return result_of(*reply);
}

}  // namespace kage::submission
