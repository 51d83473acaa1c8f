// MAIL and RCPT. Pipelined RCPT lines are gathered, and all their phantoms resolved in one trip to Redis.
#include "base/clock.h"
#include "base/metrics.h"
#include "base/text.h"
#include "submission/smtp_session.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMaxGathered = 4096;
/// In multiples of max_recipients: so many 452 answers, then the session ends.
constexpr std::size_t kExcessFactor = 20;

}  // namespace

net::Task<void> SmtpSession::on_mail(std::string_view rest) {
  if (!said_hello_ || envelope_) co_return reply(Answer::bad_sequence);
  if (submits() && login_.empty()) {
    const bool tls_first = services_.options.require_tls && !tls_;
    co_return reply(tls_first ? Answer::tls_required : Answer::auth_required);
  }
  auto mail = parse_mail(rest, extended_);
  if (!mail) co_return reply(mail.error());
  if (mail->size > services_.options.max_message_size) co_return reply(Answer::message_too_big);
  auto routes = services_.directory.known_routes();
  if (!routes) co_return reply(Answer::no_mapping);
  // The login may have been forgotten since.
  if (submits() && (*routes)->find_login(login_).empty()) co_return reply(Answer::auth_required);
  envelope_ = std::make_unique<ClientEnvelope>();
  envelope_->routes = std::move(*routes);
  envelope_->sender = std::move(mail->sender);
  envelope_->size = mail->size;
  envelope_->body_8bit = mail->body == BodyType::eight_bit;
  envelope_->smtputf8 = mail->smtputf8;
  envelope_->ret = std::move(mail->ret);
  excess_ = 0;
  reply(Answer::sender_ok);
}

net::Task<void> SmtpSession::end_transaction() {
  envelope_.reset();
  line_ends_.reset();
  std::string().swap(scratch_);
  if (!incoming_) co_return;
  const auto abandoned = std::move(incoming_);
  co_await abandoned->abandon();
}

/// RCPT is handled by step(), which gathers; it never comes here.
net::Task<void> SmtpSession::on_rcpt(std::string_view rest) {
  gather_rcpt(rest);
  co_await answer_rcpts();
}

bool SmtpSession::more_rcpt_buffered() const {
  return pending_.size() < kMaxGathered && reader_.has_line() &&
         starts_with_nocase(reader_.buffered(), "RCPT");
}

void SmtpSession::gather_rcpt(std::string_view rest) {
  Pending& entry = pending_.emplace_back();
  if (!envelope_ || incoming_) {
    entry.answer = Answer::bad_sequence;
    return;
  }
  auto rcpt = parse_rcpt(rest, extended_, envelope_->smtputf8);
  if (!rcpt) {
    entry.answer = rcpt.error();
    return;
  }
  if (envelope_->recipients.size() + pending_.size() > services_.options.max_recipients) {
    entry.answer = Answer::too_many_recipients;
    return;
  }
  entry.address = std::move(rcpt->recipient);
  entry.notify = std::move(rcpt->notify);
}

/// Sorts every entry that has no answer yet by the routes of the envelope.
void SmtpSession::sort_entries() {
  const std::int64_t now = unix_seconds();
  for (Pending& entry : pending_) {
    if (entry.answer) continue;
    auto sorted = classify(*envelope_->routes, face_, envelope_->sender, entry.address, now);
    entry.refusal = sorted ? std::optional<Answer>() : sorted.error();
    entry.recipient.reset();
    if (sorted && sorted->kind == Recipient::Kind::direct &&
        !may_write_directly(*envelope_->routes, login_)) {
      entry.refusal = Answer::phantoms_only;
      continue;
    }
    if (!sorted) continue;
    sorted->notify = entry.notify;
    entry.recipient = std::move(*sorted);
  }
}

net::Task<void> SmtpSession::answer_rcpts() {
  if (envelope_) co_await settle_rcpts();
  for (Pending& entry : pending_) {
    const Answer answer = entry.answer.value_or(Answer::no_mapping);
    if (answer == Answer::recipient_ok) envelope_->recipients.push_back(std::move(*entry.recipient));
    if (answer == Answer::no_such_user) metrics::add(metrics::Counter::recipients_unknown);
    if (answer == Answer::too_many_recipients) ++excess_;
    reply(answer);
    if (errors_ >= services_.options.max_errors) break;
  }
  std::vector<Pending>().swap(pending_);
  if (excess_ > kExcessFactor * services_.options.max_recipients) co_await last_word(Answer::too_many_errors);
}

/// Gives every gathered entry its answer. A refusal is checked against Redis once in a transaction, since
/// another node may have added the address a moment ago; that it is accepted is checked when the message
/// comes.
net::Task<void> SmtpSession::settle_rcpts() {
  sort_entries();
  std::vector<std::string> locals;
  bool doubtful = false;
  for (const Pending& entry : pending_) {
    if (entry.answer) continue;
    if (entry.refusal) doubtful = true;
    if (submits() && entry.recipient && entry.recipient->kind == Recipient::Kind::phantom) {
      locals.push_back(entry.recipient->key);
    }
  }
  if (!locals.empty()) {
    co_await resolve_entries(std::move(locals));
  } else if (doubtful && !envelope_->verified) {
    metrics::add(metrics::Counter::redis_waits);
    auto routes = co_await services_.directory.routes();
    if (!routes) co_return;  // answered with no_mapping
    renew_routes(std::move(*routes));
  }
  for (Pending& entry : pending_) {
    if (!entry.answer) entry.answer = entry.refusal.value_or(Answer::recipient_ok);
  }
}

void SmtpSession::renew_routes(mapping::Routes routes) {
  const bool changed = routes->generation() != envelope_->routes->generation();
  envelope_->routes = std::move(routes);
  envelope_->verified = true;
  if (changed) sort_entries();
}

net::Task<void> SmtpSession::resolve_entries(std::vector<std::string> locals) {
  metrics::add(metrics::Counter::redis_waits);
  auto resolved = co_await services_.directory.resolve(locals);
  if (!resolved) {
    for (Pending& entry : pending_) {
      if (!entry.answer) entry.answer = Answer::no_mapping;
    }
    co_return;
  }
  renew_routes(resolved->routes);
  std::size_t next = 0;
  for (Pending& entry : pending_) {
    if (entry.answer || !entry.recipient || entry.recipient->kind != Recipient::Kind::phantom) continue;
    // Routes that changed meanwhile may have made phantoms of other entries: those wait for a retry.
    if (next == locals.size() || locals[next] != entry.recipient->key) {
      entry.answer = Answer::no_mapping;
      continue;
    }
    auto& value = resolved->values[next++];
    if (!value || !owns(*envelope_->routes, login_, value->member->id) ||
        !is_at_home(*entry.recipient, *value->member)) {
      entry.answer = Answer::no_such_user;
      continue;
    }
    entry.recipient->member = value->member->id;
    entry.recipient->correspondent = std::move(value->correspondent);
  }
}

}  // namespace kage::submission
