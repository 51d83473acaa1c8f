// CAPA, USER and PASS, AUTH (RFC 5034), and the login at the member's server (contract R8.5).
#include "base/metrics.h"
#include "base/text.h"
#include "proxy/pop3/session.h"

namespace kage::proxy {

net::Task<void> Pop3Session::on_capa(std::string /*rest*/) {
  const bool logins = tls_ || !services_.options.require_tls;
  const bool stls = services_.tls != nullptr && !tls_;
  if (!logged_in()) {
    reply(pop3_capabilities({.stls = stls, .logins = logins, .server = nullptr}));
    co_return;
  }
  // EXPIRE and LOGIN-DELAY may differ from what they were before the login (RFC 2449 §5).
  upstream_->stream().set_timeout(services_.options.upstream_timeout);
  const auto capabilities = co_await upstream_->capabilities();
  if (!capabilities) co_return lose_upstream();
  reply(pop3_capabilities({.stls = false, .logins = logins, .server = &*capabilities}));
}

/// Why there can be no login now, as an answer; empty when there can be one.
std::string_view Pop3Session::login_obstacle() const {
  if (!tls_ && services_.options.require_tls) return "-ERR [SYS/PERM] Logins are possible with TLS only.\r\n";
  return {};
}

net::Task<void> Pop3Session::on_user(std::string rest) {
  if (const auto obstacle = login_obstacle(); !obstacle.empty()) co_return mistake(obstacle);
  const std::string_view user = trim(rest);
  if (!is_login(user)) co_return mistake("-ERR USER wants a login.\r\n");
  user_ = user;
  // Whoever it is: the answer comes after the password.
  reply("+OK\r\n");
}

net::Task<void> Pop3Session::on_pass(std::string rest) {
  if (user_.empty()) {
    wipe(rest);
    co_return mistake("-ERR USER comes first.\r\n");
  }
  Credentials credentials;
  credentials.login = std::exchange(user_, {});
  credentials.secret = Secret(std::move(rest));
  if (!is_password(credentials.secret)) co_return mistake("-ERR PASS wants a password.\r\n");
  co_await log_in(std::move(credentials));
}

net::Task<void> Pop3Session::on_auth(std::string rest) {
  if (const auto obstacle = login_obstacle(); !obstacle.empty()) {
    wipe(rest);
    co_return mistake(obstacle);
  }
  const std::size_t space = std::min(rest.find(' '), rest.size());
  const auto mechanism = find_mechanism(upper(std::string_view(rest).substr(0, space)));
  if (!mechanism || *mechanism == SaslMechanism::login) {
    wipe(rest);
    co_return mistake("-ERR No such mechanism.\r\n");
  }
  std::optional<std::string> message;
  if (space < rest.size()) {
    message = decode_response(trim(std::string_view(rest).substr(space)));
    wipe(rest);
    if (!message) mistake("-ERR The response is no base64.\r\n");
  } else {
    message = co_await challenge();
  }
  if (!message) co_return;
  auto credentials = read_response(*mechanism, *message);
  wipe(*message);
  if (!credentials) co_return mistake("-ERR The response is not of this mechanism.\r\n");
  co_await log_in(std::move(*credentials));
}

/// An empty challenge and the client's response, decoded. Nothing: answered already, or ended.
net::Task<std::optional<std::string>> Pop3Session::challenge() {
  reply("+ \r\n");
  auto line = co_await read_line(kMaxSaslLine);
  if (!line) {
    if (!ended_) co_await on_bad_line(line.error());
    co_return std::nullopt;
  }
  if (*line == "*") {
    mistake("-ERR Cancelled.\r\n");
    co_return std::nullopt;
  }
  auto message = decode_response(*line);
  wipe(*line);
  if (!message) mistake("-ERR The response is no base64.\r\n");
  co_return message;
}

net::Task<void> Pop3Session::log_in(Credentials credentials) {
  const bool bearer = credentials.kind != Credentials::Kind::password;
  const auto attempt = gate_.begin(credentials.login, peer_);
  if (!attempt) {
    const bool throttled = attempt.error().code == Errc::limit;
    co_return reply(throttled ? "-ERR [SYS/TEMP] Too many failed logins, try again later.\r\n" : kNoMapping);
  }
  const Pop3Login login = co_await ask_upstream(*attempt, std::move(credentials));
  const Result<> result = login.ok ? Result<>() : std::unexpected(login.error);
  const bool denied = gate_.conclude(*attempt, peer_, result);
  if (ended_) co_return;
  if (login.ok) co_return enter(attempt->login);
  if (upstream_) upstream_->close();
  upstream_.reset();
  if (denied) co_return co_await refuse(bearer);
  reply(pop3_refusal_line(login.refusal));
}

/// `attempt` outlives the task.
net::Task<Pop3Login> Pop3Session::ask_upstream(const LoginAttempt& attempt, Credentials credentials) {
  if (attempt.provider == nullptr) {
    co_return Pop3Login{.refusal = Pop3Refusal::denied, .error = co_await gate_.refuse_unknown(attempt)};
  }
  auto stream = co_await services_.providers.connect(services_.loop, *attempt.provider,
                                                     attempt.provider->endpoint(provider::Service::pop3),
                                                     attempt.deadline());
  if (!stream || ended_) {
    if (stream) (*stream)->close();
    co_return Pop3Login{.error = stream ? Error{Errc::closed, {}} : stream.error()};
  }
  upstream_ = std::make_unique<Pop3Upstream>(std::move(*stream));
  co_return co_await log_in_pop3(*upstream_, services_.providers, *attempt.provider, std::move(credentials),
                                 utf8_, attempt.deadline());
}

/// The server said yes.
void Pop3Session::enter(std::string login) {
  auto token = LoginCounts::enter(counts_, login);
  login_ = std::move(login);
  // It may have been forgotten meanwhile.
  const bool registered = renew_audience();
  if (token && registered) {
    token_ = std::move(*token);
    peer_ = {};
    metrics::add(metrics::Counter::proxy_logins_accepted);
    return reply("+OK Logged in.\r\n");
  }
  login_.clear();
  upstream_->close();
  upstream_.reset();
  reply(token ? pop3_refusal_line(Pop3Refusal::denied)
              : "-ERR [SYS/TEMP] Too many connections of this login.\r\n");
}

net::Task<void> Pop3Session::refuse(bool bearer) {
  if (bearer) {
    // RFC 7628 §3.2.3: the refusal is a challenge first, which the client answers with nothing of meaning.
    reply("+ ");
    reply(oauth_refusal());
    reply("\r\n");
    const auto line = co_await read_line(kMaxSaslLine);
    if (!line) {
      if (!ended_) co_await on_bad_line(line.error());
      co_return;
    }
  }
  reply(pop3_refusal_line(Pop3Refusal::denied));
  if (gate_.spent()) end();
}

}  // namespace kage::proxy
