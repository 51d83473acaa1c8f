// DATA and BDAT (RFC 5321 §4.1.1.4, RFC 3030): octets off the wire into the message, with backpressure.
//
// Only CRLF "." CRLF ends the data. A sender that is too slow, or sends without end, is cut off.
#include <algorithm>

#include "base/text.h"
#include "message/dot_codec.h"
#include "submission/smtp_session.h"

namespace kage::submission {
namespace {

/// What is still taken and dropped above max_message_size before the connection ends.
constexpr std::uint64_t kDrained = 16U << 20;
/// BDAT before anything was accepted is skipped up to here.
constexpr std::uint64_t kSkipped = 16U << 20;

}  // namespace

std::optional<Answer> SmtpSession::data_obstacle() const {
  if (!envelope_) return Answer::bad_sequence;
  if (envelope_->recipients.empty()) return Answer::no_valid_recipients;
  return std::nullopt;
}

void SmtpSession::start_message() {
  Origin origin{face_, peer_, login_, extended_, tls_};
  const auto client_left = [weak = weak_from_this()] {
    const auto self = weak.lock();
    return !self || !self->stream_ || self->stream_->peer_ended();
  };
  incoming_ =
      std::make_shared<Incoming>(services_, activity_, std::move(origin), std::move(*envelope_), client_left);
  data_started_ = services_.loop.now();
}

/// The whole message within data_timeout, and the longer the more it is, at min_data_rate.
net::TimePoint SmtpSession::data_deadline() const {
  const std::uint64_t rate = std::max<std::uint64_t>(services_.options.min_data_rate, 1);
  const auto earned = static_cast<std::int64_t>(incoming_->octets() * 1000 / rate);
  return data_started_ + services_.options.data_timeout + net::Millis(earned);
}

net::Task<void> SmtpSession::on_data(std::string_view rest) {
  if (!rest.empty()) co_return reply(Answer::bad_arguments);
  if (incoming_) co_return reply(Answer::bad_sequence);  // BDAT has begun
  if (const auto obstacle = data_obstacle()) co_return reply(*obstacle);
  start_message();
  reply(Answer::start_data);
  if (!co_await flush()) co_return;
  message::DotDecoder decoder;
  bool finished = false;
  while (!finished) {
    const auto octets = co_await read_data(UINT64_MAX);
    if (!octets) co_return;
    scratch_.clear();
    const auto step = decoder.decode(*octets, scratch_);
    if (step.consumed < octets->size()) reader_.unread(octets->substr(step.consumed));
    finished = step.finished;
    if (decoder.bare_line_end()) incoming_->refuse(Answer::bare_line_end);
    if (!co_await pass_on()) co_return;
  }
  co_await finish_message();
}

/// The next octets; on failure the session has ended, with its last word said where somebody can hear it.
net::Task<Result<std::string_view>> SmtpSession::read_data(std::uint64_t max_octets) {
  stream_->set_deadline(data_deadline());
  auto octets = co_await reader_.some(max_octets);
  if (octets) co_return octets;
  if (octets.error().code == Errc::timed_out) {
    co_await last_word(Answer::timed_out);
  } else {
    end();
  }
  co_return fail(Errc::closed);
}

/// Gives what is in scratch_ to the message. False: the sender goes on beyond every bound.
net::Task<bool> SmtpSession::pass_on() {
  const net::TimePoint before = services_.loop.now();
  co_await incoming_->feed(scratch_);
  // Time that next hops took is not the sender's.
  data_started_ += services_.loop.now() - before;
  if (incoming_->octets() <= services_.options.max_message_size + kDrained) co_return true;
  co_await last_word(Answer::message_too_big);
  co_return false;
}

net::Task<void> SmtpSession::finish_message() {
  std::string().swap(scratch_);
  stream_->set_deadline(std::nullopt);
  const auto message = std::move(incoming_);
  running_ = message;
  const std::string answer = co_await message->finish();
  running_.reset();
  if (answer.starts_with("5")) ++errors_;
  if (answer.starts_with("2")) errors_ = 0;
  reply(answer);
  co_await end_transaction();
}

net::Task<void> SmtpSession::on_bdat(std::string_view rest) {
  const auto bdat = parse_bdat(rest);
  if (!bdat) {
    // Nobody knows where the chunk ends and commands begin again.
    reply(bdat.error());
    end();
    co_return;
  }
  auto obstacle = incoming_ ? std::optional<Answer>() : data_obstacle();
  if (obstacle) {
    if (co_await skip_counted(bdat->size)) reply(*obstacle);
    co_return;
  }
  if (!incoming_) {
    start_message();
    line_ends_ = std::make_unique<message::LineEndCheck>();
  }
  if (!co_await receive_counted(bdat->size)) co_return;
  if (line_ends_->bare(bdat->last)) incoming_->refuse(Answer::bare_line_end);
  if (bdat->last) co_return co_await finish_message();
  if (const auto refusal = incoming_->refusal()) {
    // RFC 3030 §2: after a failed chunk the transaction is over.
    reply(*refusal);
    co_return co_await end_transaction();
  }
  out_.append("250 2.0.0 ").append(std::to_string(bdat->size)).append(" octets received\r\n");
}

net::Task<bool> SmtpSession::receive_counted(std::uint64_t size) {
  while (size > 0) {
    const auto octets = co_await read_data(size);
    if (!octets) co_return false;
    scratch_.assign(*octets);
    size -= octets->size();
    line_ends_->feed(scratch_);
    if (line_ends_->bare(false)) incoming_->refuse(Answer::bare_line_end);
    if (!co_await pass_on()) co_return false;
  }
  co_return true;
}

/// Drops a chunk that has no transaction to go to.
net::Task<bool> SmtpSession::skip_counted(std::uint64_t size) {
  if (size > services_.options.max_message_size + kSkipped) {
    co_await last_word(Answer::message_too_big);
    co_return false;
  }
  const std::uint64_t rate = std::max<std::uint64_t>(services_.options.min_data_rate, 1);
  stream_->set_deadline(services_.loop.now() + services_.options.data_timeout +
                        net::Millis(static_cast<std::int64_t>(size * 1000 / rate)));
  while (size > 0) {
    const auto octets = co_await reader_.some(size);
    if (!octets) {
      if (octets.error().code == Errc::timed_out) co_await last_word(Answer::timed_out);
      end();
      co_return false;
    }
    size -= octets->size();
  }
  co_return true;
}

}  // namespace kage::submission
