// How a connection to a next hop comes to be: TCP, TLS as the operator chose, greeting, EHLO, AUTH.
//
// Whatever goes wrong here is trouble between the next hop and us, so no message is refused for it.
#include <utility>

#include "base/sasl.h"
#include "base/text.h"
#include "net/connect.h"
#include "submission/smtp_client.h"

namespace kage::submission {
namespace {

constexpr std::string_view kMisconfigured = "4.3.5";  // RFC 3463 §3.4: system incorrectly configured
constexpr std::string_view kNoAnswer = "4.4.1";
constexpr std::string_view kBadConnection = "4.4.2";
constexpr std::string_view kProtocol = "4.5.0";
constexpr std::string_view kTls = "4.7.5";  // RFC 3463 §3.8: cryptographic failure

void add_mechanisms(std::string_view list, SmtpCapabilities& offers) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    const std::string_view word = list.substr(0, end);
    offers.auth_plain |= equals_nocase(word, "PLAIN");
    offers.auth_login |= equals_nocase(word, "LOGIN");
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

}  // namespace

SmtpCapabilities parse_capabilities(const SmtpReply& reply) {
  SmtpCapabilities offers;
  for (std::size_t i = 1; i < reply.lines.size(); ++i) {  // the first line is the server's name
    const std::string_view line = trim(reply.lines[i]);
    const std::size_t end = std::min(line.find_first_of(" ="), line.size());
    const std::string_view keyword = line.substr(0, end);
    const std::string_view rest = line.substr(std::min(end + 1, line.size()));
    if (equals_nocase(keyword, "PIPELINING")) offers.pipelining = true;
    if (equals_nocase(keyword, "8BITMIME")) offers.eight_bit = true;
    if (equals_nocase(keyword, "SMTPUTF8")) offers.smtputf8 = true;
    if (equals_nocase(keyword, "DSN")) offers.dsn = true;
    if (equals_nocase(keyword, "STARTTLS")) offers.starttls = true;
    if (equals_nocase(keyword, "AUTH")) add_mechanisms(rest, offers);  // "AUTH=…" too: old servers
    if (equals_nocase(keyword, "SIZE")) {
      offers.size = true;
      offers.max_size = parse_number(trim(rest)).value_or(0);
    }
  }
  return offers;
}

ConnectFailure SmtpConnection::failed(std::string status, std::string_view reason) {
  close();
  return {.result = {Outcome::deferred, std::move(status)}, .reason = reason};
}

/// The greeting, EHLO, STARTTLS or AUTH went wrong: a 5yz there is a matter of configuration.
ConnectFailure SmtpConnection::failed_by(const Result<SmtpReply>& reply, std::string_view reason) {
  if (!reply) {
    switch (reply.error().code) {
      case Errc::tls:
        return failed(std::string(kTls), "tls");
      case Errc::protocol:
      case Errc::limit:
        return failed(std::string(kProtocol), "protocol");
      default:
        return failed(std::string(kBadConnection), to_string(reply.error().code));
    }
  }
  if (reply->transient()) return failed(result_of(*reply).status, reason);
  return failed(std::string(reply->permanent() ? kMisconfigured : kProtocol), reason);
}

net::Task<std::optional<ConnectFailure>> SmtpConnection::connect() {
  if (auto failure = co_await open_stream()) co_return failure;
  if (auto failure = co_await greet()) co_return failure;
  if (auto failure = co_await hello()) co_return failure;
  if (auto failure = co_await start_tls()) co_return failure;
  if (auto failure = co_await authenticate()) co_return failure;
  usable_ = true;
  co_return std::nullopt;
}

net::Task<std::optional<ConnectFailure>> SmtpConnection::open_stream() {
  const auto& options = settings_->options;
  auto stream = co_await net::connect_tcp(loop_, options.host, options.port, until(options.connect_timeout));
  if (!stream) co_return failed(std::string(kNoAnswer), to_string(stream.error().code));
  adopt(std::move(*stream));
  if (closed_) co_return failed(std::string(kBadConnection), "closed");
  if (options.tls == HopTls::implicit) co_return co_await secure_stream();
  co_return std::nullopt;
}

net::Task<std::optional<ConnectFailure>> SmtpConnection::secure_stream() {
  if (!settings_->secure) co_return failed(std::string(kTls), "no_tls");
  auto plain = std::move(stream_);
  plain->set_deadline(std::nullopt);
  auto secured = co_await settings_->secure(std::move(plain), until(settings_->options.connect_timeout));
  if (!secured) co_return failed(std::string(kTls), "tls");
  adopt(std::move(*secured));
  secured_ = true;
  if (closed_) co_return failed(std::string(kBadConnection), "closed");
  co_return std::nullopt;
}

net::Task<std::optional<ConnectFailure>> SmtpConnection::greet() {
  const auto greeting = co_await read_reply(settings_->options.command_timeout);
  if (greeting && greeting->code == 220) co_return std::nullopt;
  auto failure = failed_by(greeting, "greeting");
  failure.crowded = greeting && greeting->transient();
  co_return failure;
}

net::Task<std::optional<ConnectFailure>> SmtpConnection::hello() {
  const auto timeout = settings_->options.command_timeout;
  auto sent = co_await send("EHLO " + settings_->ehlo_name + "\r\n");
  if (!sent) co_return failed_by(std::unexpected(sent.error()), "ehlo");
  auto reply = co_await read_reply(timeout, true);
  offers_ = {};
  if (reply && reply->permanent()) {
    // RFC 5321 §3.2: an old server knows HELO only.
    reply = co_await step(false, "HELO " + settings_->ehlo_name + "\r\n");
    if (!reply || !reply->positive()) co_return failed_by(reply, "helo");
    co_return std::nullopt;
  }
  if (!reply || !reply->positive()) co_return failed_by(reply, "ehlo");
  offers_ = parse_capabilities(*reply);
  co_return std::nullopt;
}

net::Task<std::optional<ConnectFailure>> SmtpConnection::start_tls() {
  const HopTls wanted = settings_->options.tls;
  if (wanted == HopTls::none || wanted == HopTls::implicit) co_return std::nullopt;
  if (!offers_.starttls) {
    if (wanted == HopTls::opportunistic) co_return std::nullopt;
    co_return failed(std::string(kTls), "no_starttls");
  }
  const auto reply = co_await step(false, "STARTTLS\r\n");
  if (!reply) co_return failed_by(reply, "starttls");
  if (reply->code != 220) co_return failed(std::string(kTls), "starttls");
  // What came in clear behind the answer is an injection (RFC 3207 §4.2).
  if (!reader_->buffered().empty()) co_return failed(std::string(kTls), "starttls_injection");
  if (auto failure = co_await secure_stream()) co_return failure;
  co_return co_await hello();
}

net::Task<std::optional<ConnectFailure>> SmtpConnection::authenticate() {
  const auto& options = settings_->options;
  if (options.username.empty()) co_return std::nullopt;
  if (!secured_ && options.tls != HopTls::none) co_return failed(std::string(kTls), "auth_without_tls");
  Result<SmtpReply> reply;
  if (offers_.auth_plain) {
    const Secret plain(make_plain(options.username, options.password));
    const Secret encoded(base64(plain));
    const Secret command(join_secret({"AUTH PLAIN ", encoded, "\r\n"}));
    const auto sent = co_await send(command);
    if (!sent) co_return failed_by(std::unexpected(sent.error()), "auth");
    reply = co_await read_reply(options.command_timeout);
  } else if (offers_.auth_login) {
    reply = co_await auth_login();
  } else {
    co_return failed(std::string(kMisconfigured), "auth_not_offered");
  }
  if (!reply || reply->code != 235) co_return failed_by(reply, "auth");
  co_return std::nullopt;
}

net::Task<Result<SmtpReply>> SmtpConnection::auth_login() {
  const auto& options = settings_->options;
  auto reply = co_await step(false, "AUTH LOGIN\r\n");
  for (const std::string* text : {&options.username, &options.password}) {
    if (!reply || reply->code != 334) co_return reply;
    const Secret encoded(base64(*text));
    const Secret line(join_secret({encoded, "\r\n"}));
    if (auto sent = co_await send(line); !sent) co_return std::unexpected(sent.error());
    reply = co_await read_reply(options.command_timeout);
  }
  co_return reply;
}

}  // namespace kage::submission
