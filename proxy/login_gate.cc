// The order matters: a login that is throttled or unknown costs nobody anything.
#include "proxy/login_gate.h"

#include "base/log.h"
#include "base/metrics.h"
#include "proxy/upstream.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxFailures = 3;

}  // namespace

Result<LoginAttempt> LoginGate::begin(std::string_view login, const net::PeerAddress& peer) const {
  LoginAttempt attempt;
  attempt.login = login;
  attempt.name = mapping::login_name(login);
  attempt.begun = services_.loop.now();
  if (services_.throttle.wait(attempt.name, peer.ip, attempt.begun) > net::Millis(0)) {
    metrics::add(metrics::Counter::proxy_logins_throttled);
    return fail(Errc::limit);
  }
  const auto routes = services_.directory.known_routes();
  if (!routes) return fail(Errc::unavailable);
  attempt.routes = *routes;
  attempt.provider = services_.providers.choose(**routes, login);
  if (attempt.provider != nullptr && attempt.provider->endpoint(service_).host.empty()) {
    attempt.provider = nullptr;
  }
  if (attempt.provider == nullptr && !(*routes)->find_login(login).empty()) {
    provider::warn_no_provider(**routes, login);
  }
  return attempt;
}

net::Task<Error> LoginGate::refuse_unknown(const LoginAttempt& attempt) const {
  co_await services_.loop.sleep(services_.providers.refusal_time(attempt.login, service_));
  co_return Error{Errc::denied, {}};
}

bool LoginGate::conclude(const LoginAttempt& attempt, const net::PeerAddress& peer, const Result<>& result) {
  using metrics::Counter;
  const bool denied = !result && result.error().code == Errc::denied;
  const std::string tag = attempt.routes->master().log_tag(attempt.name);
  log::info("login", {{"login", std::string_view(tag)},
                      {"protocol", service_ == provider::Service::imap ? "imap" : "pop3"},
                      {"result", result   ? "accepted"
                                 : denied ? "refused"
                                          : "unavailable"},
                      {"reason", result ? std::string_view() : to_string(result.error().code)}});
  const net::TimePoint now = services_.loop.now();
  if (result) {
    services_.throttle.succeeded(attempt.name, peer.ip);
  } else if (denied) {
    ++failures_;
    services_.throttle.failed(attempt.name, peer.ip, now);
    metrics::add(Counter::proxy_logins_refused);
    if (attempt.provider != nullptr)
      services_.providers.refused(*attempt.provider, service_, now - attempt.begun);
  } else {
    count_failure(result.error().code);
  }
  return denied;
}

bool LoginGate::spent() const {
  return failures_ >= kMaxFailures;
}

}  // namespace kage::proxy
