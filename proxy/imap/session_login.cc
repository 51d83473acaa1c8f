// STARTTLS, LOGIN and AUTHENTICATE (RFC 9051 §6.2, RFC 4959, RFC 7628), and who may (contract R8.5).
#include <utility>

#include "base/metrics.h"
#include "base/text.h"
#include "proxy/imap/capability.h"
#include "proxy/imap/session.h"

namespace kage::proxy {
namespace {

ImapStatus malformed() {
  return {"BAD", "The response is malformed or was cancelled"};
}

}  // namespace

bool ImapSession::logins_allowed() const {
  return tls_ || !services_.options.require_tls;
}

net::Task<Result<ImapStatus>> ImapSession::on_starttls(ImapCommand command) {
  if (!command.rest.empty()) co_return ImapStatus{"BAD", "STARTTLS has no arguments"};
  if (tls_) co_return ImapStatus{"BAD", "TLS is there already"};
  if (!services_.tls) co_return ImapStatus{"NO", "[UNAVAILABLE] TLS is not available"};
  if (!reader_.buffered().empty()) {
    // Commands that somebody put behind STARTTLS would be executed as if they were the client's
    // (CVE-2011-0411).
    reader_.discard();
    add_status(command.tag, {"BAD", "Nothing may follow STARTTLS"});
    co_await last_word("Octets before the handshake");
    co_return ImapStatus{};
  }
  add_status(command.tag, {"OK", "Begin the handshake"});
  if (auto flushed = co_await out_.flush(); !flushed) co_return std::unexpected(flushed.error());
  (void)co_await start_tls();
  co_return ImapStatus{};
}

net::Task<Result<ImapStatus>> ImapSession::on_login(ImapCommand command) {
  if (!logins_allowed()) {
    wipe(command.rest);
    co_return ImapStatus{"NO", "[PRIVACYREQUIRED] Use STARTTLS first"};
  }
  ImapCursor cursor(command.rest);
  auto login = cursor.astring();
  auto password = login && cursor.take_space() ? cursor.astring() : std::nullopt;
  const bool fits = password && cursor.at_end();
  wipe(command.rest);
  if (!fits) {
    if (password) wipe(*password);
    co_return ImapStatus{"BAD", "LOGIN wants a name and a password"};
  }
  if (!is_login(*login) || !is_password(*password)) {
    wipe(*password);
    co_return ImapStatus{"NO", "[AUTHENTICATIONFAILED] Wrong login or password"};
  }
  Credentials credentials;
  credentials.login = std::move(*login);
  credentials.secret = Secret(std::move(*password));
  co_return co_await check(std::move(credentials));
}

net::Task<Result<ImapStatus>> ImapSession::on_authenticate(ImapCommand command) {
  if (!logins_allowed()) {
    wipe(command.rest);
    co_return ImapStatus{"NO", "[PRIVACYREQUIRED] Use STARTTLS first"};
  }
  ImapCursor cursor(command.rest);
  const auto mechanism = find_mechanism(upper(cursor.atom()));
  std::optional<std::string> initial;
  if (cursor.take_space()) initial = std::string(cursor.rest());
  wipe(command.rest);
  if (!mechanism) {
    if (initial) wipe(*initial);
    co_return ImapStatus{"NO", "[CANNOT] There is no such mechanism"};
  }
  auto credentials = co_await read_credentials(*mechanism, std::move(initial));
  if (!credentials) co_return std::unexpected(credentials.error());
  if (!*credentials) co_return malformed();
  co_return co_await check(std::move(**credentials));
}

/// Nothing: malformed or cancelled.
net::Task<Result<std::optional<Credentials>>> ImapSession::read_credentials(
    SaslMechanism mechanism, std::optional<std::string> initial) {
  if (mechanism == SaslMechanism::login) co_return co_await read_login(std::move(initial));
  std::optional<std::string> message;
  if (initial) {
    message = decode_response(*initial);
    wipe(*initial);
  } else {
    auto given = co_await challenge("");
    if (!given) co_return std::unexpected(given.error());
    message = std::move(*given);
  }
  if (!message) co_return std::nullopt;
  auto credentials = read_response(mechanism, *message);
  wipe(*message);
  co_return credentials;
}

net::Task<Result<std::optional<Credentials>>> ImapSession::read_login(std::optional<std::string> initial) {
  // The words "Username:" and "Password:", as every client of this old mechanism expects them.
  std::optional<std::string> login;
  if (initial) {
    login = decode_response(*initial);
  } else {
    auto given = co_await challenge("VXNlcm5hbWU6");
    if (!given) co_return std::unexpected(given.error());
    login = std::move(*given);
  }
  if (!login) co_return std::nullopt;
  auto password = co_await challenge("UGFzc3dvcmQ6");
  if (!password) co_return std::unexpected(password.error());
  if (!*password) co_return std::nullopt;
  const Secret plain(make_plain(*login, **password));
  wipe(**password);
  co_return read_plain(plain);
}

/// Sends a challenge and reads the client's response, decoded. Nothing: cancelled or malformed.
net::Task<Result<std::optional<std::string>>> ImapSession::challenge(std::string_view text) {
  out_.add("+ ");
  out_.add(text);
  out_.add("\r\n");
  const auto line = co_await read_line(kMaxSaslLine);
  if (!line) co_return std::unexpected(line.error());
  if (trim(*line) == "*") co_return std::nullopt;
  // RFC 9051 §6.2.2: an empty line is an empty response here.
  co_return decode_response(*line);
}

net::Task<Result<ImapStatus>> ImapSession::check(Credentials credentials) {
  const bool bearer = credentials.kind != Credentials::Kind::password;
  const auto attempt = gate_.begin(credentials.login, peer_);
  if (!attempt) {
    const bool throttled = attempt.error().code == Errc::limit;
    co_return ImapStatus{"NO", throttled ? "[UNAVAILABLE] Too many failed logins, try again later"
                                         : "[UNAVAILABLE] The address mapping is not available"};
  }
  auto upstream = co_await ask_upstream(*attempt, std::move(credentials));
  const Result<> result = upstream ? Result<>() : std::unexpected(upstream.error());
  const bool denied = gate_.conclude(*attempt, peer_, result);
  if (ended_) co_return ImapStatus{};
  if (upstream) co_return accept(std::move(*upstream), attempt->login);
  if (denied) co_return co_await refuse(bearer);
  co_return ImapStatus{"NO", "[UNAVAILABLE] The mail server is not available, try again later"};
}

/// `attempt` outlives the task.
net::Task<Result<provider::ImapConnection>> ImapSession::ask_upstream(const LoginAttempt& attempt,
                                                                      Credentials credentials) {
  if (attempt.provider == nullptr) co_return std::unexpected(co_await gate_.refuse_unknown(attempt));
  co_return co_await provider::log_in_imap(services_.loop, services_.providers, *attempt.provider,
                                           attempt.provider->endpoint(provider::Service::imap),
                                           std::move(credentials), attempt.deadline());
}

Result<ImapStatus> ImapSession::accept(provider::ImapConnection upstream, std::string_view login) {
  auto token = LoginCounts::enter(counts_, login);
  if (!token) {
    upstream.stream->close();
    return ImapStatus{"NO", "[LIMIT] Too many connections of this login"};
  }
  in_ = std::make_unique<LoggedIn>(*this, std::move(upstream));
  in_->token = std::move(*token);
  in_->core.login = login;
  peer_ = {};
  metrics::add(metrics::Counter::proxy_logins_accepted);
  return ImapStatus{"OK", "[CAPABILITY " + capability_text() + "] Logged in"};
}

net::Task<Result<ImapStatus>> ImapSession::refuse(bool bearer) {
  if (bearer) {
    // RFC 7628 §3.2.3: the refusal is a challenge first, which the client answers with nothing of meaning.
    auto answer = co_await challenge(oauth_refusal());
    if (!answer) co_return std::unexpected(answer.error());
  }
  if (gate_.spent()) farewell_ = "Too many failed logins";
  co_return ImapStatus{"NO", "[AUTHENTICATIONFAILED] Wrong login or password"};
}

}  // namespace kage::proxy
