// STARTTLS (RFC 3207) and AUTH (RFC 4954, RFC 7628).
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "submission/smtp_session.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMaxFailedLogins = 3;

}  // namespace

net::Task<void> SmtpSession::on_starttls(std::string_view rest) {
  if (!rest.empty()) co_return reply(Answer::bad_arguments);
  if (tls_ || envelope_) co_return reply(Answer::bad_sequence);
  if (!services_.tls) co_return reply(Answer::tls_unavailable);
  if (!reader_.buffered().empty()) {
    // Commands that somebody put behind STARTTLS would be executed as if they were the client's
    // (CVE-2011-0411).
    reader_.discard();
    reply(Answer::tls_injection);
    co_return end();
  }
  reply(Answer::start_tls);
  if (!co_await flush()) co_return;
  reset_hello();
  co_await start_tls();
}

std::optional<Answer> SmtpSession::auth_obstacle() const {
  if (!submits()) return Answer::unknown_command;
  if (!extended_ || envelope_) return Answer::bad_sequence;
  if (!login_.empty()) return Answer::already_authenticated;
  if (!tls_ && services_.options.require_tls) return Answer::tls_required;
  return std::nullopt;
}

net::Task<void> SmtpSession::on_auth(std::string_view rest) {
  if (const auto obstacle = auth_obstacle()) co_return reply(*obstacle);
  auto command = parse_auth(rest);
  if (!command) co_return reply(command.error());
  const auto mechanism = find_mechanism(command->mechanism);
  if (!mechanism) {
    if (command->response) wipe(*command->response);
    co_return reply(Answer::unknown_mechanism);
  }
  auto credentials = co_await read_credentials(*mechanism, std::move(command->response));
  if (credentials) co_await check(std::move(*credentials));
}

/// Nothing: it was answered already, or the session has ended.
net::Task<std::optional<Credentials>> SmtpSession::read_credentials(SaslMechanism mechanism,
                                                                    std::optional<std::string> initial) {
  if (mechanism == SaslMechanism::login) co_return co_await read_login(std::move(initial));
  std::optional<std::string> message;
  if (initial) {
    message = decode_response(*initial);
    wipe(*initial);
    if (!message) reply(Answer::bad_response);
  } else {
    message = co_await challenge("334 \r\n");
  }
  if (!message) co_return std::nullopt;
  auto credentials = read_response(mechanism, *message);
  wipe(*message);
  if (!credentials) reply(Answer::bad_response);
  co_return credentials;
}

net::Task<std::optional<Credentials>> SmtpSession::read_login(std::optional<std::string> initial) {
  // The words "Username:" and "Password:", as every client of this old mechanism expects them.
  auto login = initial ? decode_response(*initial) : co_await challenge("334 VXNlcm5hbWU6\r\n");
  if (!login) {
    if (initial) reply(Answer::bad_response);
    co_return std::nullopt;
  }
  auto password = co_await challenge("334 UGFzc3dvcmQ6\r\n");
  if (!password) co_return std::nullopt;
  const Secret plain(make_plain(*login, *password));
  wipe(*password);
  auto credentials = read_plain(plain);
  if (!credentials) reply(Answer::bad_response);
  co_return credentials;
}

/// Sends a challenge and reads the client's response, decoded. Nothing: answered already, or ended.
net::Task<std::optional<std::string>> SmtpSession::challenge(std::string_view text) {
  reply(text);
  const auto line = co_await read_line(kMaxSaslLine);
  if (!line) {
    if (!ended_) co_await on_bad_line(line.error());
    co_return std::nullopt;
  }
  if (trim(*line) == "*") {
    reply(Answer::auth_cancelled);
    co_return std::nullopt;
  }
  auto decoded = decode_response(*line);
  if (!decoded) reply(Answer::bad_response);
  co_return decoded;
}

net::Task<void> SmtpSession::check(Credentials credentials) {
  const std::string name = mapping::login_name(credentials.login);
  net::LoginThrottle& throttle = services_.throttle;
  if (throttle.wait(name, peer_.ip, services_.loop.now()) > net::Millis(0)) {
    metrics::add(metrics::Counter::logins_throttled);
    co_return reply(Answer::auth_throttled);
  }
  auto routes = services_.directory.known_routes();
  if (!routes) co_return reply(Answer::auth_no_mapping);
  const bool bearer = credentials.kind != Credentials::Kind::password;
  std::string login = credentials.login;
  const mapping::Routes snapshot = *routes;
  const auto checked = co_await services_.authenticator.check(snapshot, std::move(credentials));
  const auto tag = snapshot->master().log_tag(name);
  const auto log_result = [&tag](std::string_view result) {
    log::info("login", {{"login", std::string_view(tag)}, {"result", result}});
  };
  if (checked) {
    login_ = std::move(login);
    throttle.succeeded(name, peer_.ip);
    log_result("accepted");
    metrics::add(metrics::Counter::logins_accepted);
    co_return reply(Answer::auth_ok);
  }
  if (checked.error().code != Errc::denied) {
    log_result("unavailable");
    co_return reply(Answer::auth_unavailable);
  }
  log_result("refused");
  throttle.failed(name, peer_.ip, services_.loop.now());
  metrics::add(metrics::Counter::logins_refused);
  co_await refuse_login(bearer);
}

net::Task<void> SmtpSession::refuse_login(bool bearer) {
  if (bearer) {
    // RFC 7628 §3.2.3: the refusal is a challenge first, which the client answers with nothing of meaning.
    out_.append("334 ").append(oauth_refusal()).append("\r\n");
    const auto line = co_await read_line(kMaxSaslLine);
    if (!line) {
      if (!ended_) co_await on_bad_line(line.error());
      co_return;
    }
  }
  reply(Answer::auth_failed);
  if (++failed_logins_ >= kMaxFailedLogins) co_await last_word(Answer::too_many_logins);
}

}  // namespace kage::submission
