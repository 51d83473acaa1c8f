// Wires one worker together.
#include "app/serve_worker.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/metrics.h"

namespace kage::app {
namespace {

submission::Face smtp_face(ListenConfig::Face face) {
  switch (face) {
    case ListenConfig::Face::submission:
      return submission::Face::submission;
    case ListenConfig::Face::submissions:
      return submission::Face::submissions;
    default:
      return submission::Face::inbound;
  }
}

std::optional<proxy::Face> proxy_face(ListenConfig::Face face) {
  switch (face) {
    case ListenConfig::Face::imap:
      return proxy::Face::imap;
    case ListenConfig::Face::imaps:
      return proxy::Face::imaps;
    case ListenConfig::Face::pop3:
      return proxy::Face::pop3;
    case ListenConfig::Face::pop3s:
      return proxy::Face::pop3s;
    default:
      return std::nullopt;
  }
}

/// What a client that is one too many hears (RFC 5321 §3.8, RFC 9051 §7.1.5, RFC 3206 §4); nothing where TLS
/// comes first.
std::string refusal(ListenConfig::Face face, const std::string& hostname) {
  switch (face) {
    case ListenConfig::Face::inbound:
    case ListenConfig::Face::submission:
      return "421 4.3.2 " + hostname + " Too many connections, try again later\r\n";
    case ListenConfig::Face::imap:
      return "* BYE [UNAVAILABLE] Too many connections, try again later\r\n";
    case ListenConfig::Face::pop3:
      return "-ERR [SYS/TEMP] Too many connections, try again later\r\n";
    default:
      return {};
  }
}

/// Says why before closing, to a client that reads it within a second.
net::Task<void> refuse(net::StreamPtr stream, std::string answer) {
  stream->set_timeout(net::Millis(1000));
  if (co_await stream->write(answer)) (void)co_await stream->shutdown();
  stream->close();
}

}  // namespace

ServeWorker::ServeWorker(net::Loop& loop, Shared& shared, bool first)
    : loop_(loop),
      shared_(shared),
      first_(first),
      redis_(loop, shared.redis),
      directory_(loop, redis_, shared.routes),
      hops_(loop, shared.config.session.hostname, shared.config.next_hops),
      authenticator_(loop, shared.providers),
      sessions_(submission::Services{loop, directory_, hops_, authenticator_, shared.throttle, shared.tls,
                                     shared.config.session}),
      proxy_sessions_(proxy::Services{loop, directory_, view_, shared.providers, shared.throttle, shared.tls,
                                      shared.config.proxy}),
      http_(loop, [this](const http::Request& request) { return respond(request); }),
      form_mail_(submission::Services{loop, directory_, hops_, authenticator_, shared.throttle, shared.tls,
                                      shared.form_session}),
      form_(loop, directory_, form_mail_, shared.config.form, shared.form_rates),
      form_http_(
          loop,
          [this](const http::Request& request, const net::PeerAddress& peer, bool tls) {
            return form_.exchange(request, peer, tls);
          },
          form_.server_options()) {
  directory_.on_change([this] { on_routes_changed(); });
  if (first_) {
    net::spawn(watch(*this));
  } else {
    watch_ended_.set();
  }
}

ServeWorker::~ServeWorker() = default;

void ServeWorker::on_routes_changed() {
  view_.clear();
  proxy_sessions_.routes_changed();
}

net::Task<void> ServeWorker::watch(ServeWorker& self) {
  co_await self.directory_.watch();
  self.watch_ended_.set();
}

Result<> ServeWorker::listen(std::vector<std::uint16_t>& ports) {
  const auto& wanted = shared_.config.listen;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const ListenConfig::Face face = wanted[i].face;
    if (face == ListenConfig::Face::http && !first_) continue;
    auto listener = net::Listener::open(loop_, wanted[i].address, ports[i],
                                        [this, face](net::StreamPtr stream, net::PeerAddress peer) {
                                          accept(face, std::move(stream), std::move(peer));
                                        });
    if (!listener) return std::unexpected(listener.error());
    ports[i] = (*listener)->bound_port();
    listeners_.push_back(std::move(*listener));
  }
  return {};
}

void ServeWorker::accept(ListenConfig::Face face, net::StreamPtr stream, net::PeerAddress peer) {
  if (face == ListenConfig::Face::http) {
    http_.start(std::move(stream));
    return;
  }
  if (face == ListenConfig::Face::form || face == ListenConfig::Face::forms) {
    const bool secured = face == ListenConfig::Face::forms;
    form_http_.start(std::move(stream), std::move(peer), secured ? shared_.tls : nullptr);
    return;
  }
  if (sessions_.size() + proxy_sessions_.size() >= shared_.config.max_connections) {
    std::string answer = refusal(face, shared_.config.session.hostname);
    if (answer.empty()) {
      stream->close();
    } else {
      net::spawn(refuse(std::move(stream), std::move(answer)));
    }
    return;
  }
  if (const auto shown = proxy_face(face)) {
    proxy_sessions_.start(*shown, std::move(stream), std::move(peer));
    return;
  }
  sessions_.start(smtp_face(face), std::move(stream), std::move(peer));
}

http::Response ServeWorker::respond(const http::Request& request) const {
  const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
  http::Response response;
  if (path == "/healthz") {
    response.content = "ok\n";
  } else if (path == "/readyz") {
    const auto routes = shared_.routes.current();
    const bool ready = routes.has_value() && !stopping_;
    response.status = ready ? 200 : 503;
    response.content = ready ? "ready\n" : stopping_ ? "stopping\n" : routes.error().detail + "\n";
  } else if (path == "/metrics") {
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    const auto routes = shared_.routes.current();
    using metrics::Gauge;
    metrics::set(Gauge::ready, routes.has_value() && !stopping_ ? 1 : 0);
    metrics::set(Gauge::routes_addresses, routes ? std::ssize((*routes)->addresses()) : 0);
    metrics::set(Gauge::routes_members, routes ? static_cast<std::int64_t>((*routes)->member_count()) : 0);
    response.content = metrics::render();
  } else {
    response.status = 404;
    response.content = "Not Found\n";
  }
  return response;
}

net::Task<void> ServeWorker::stop(net::TimePoint deadline) {
  stopping_ = true;
  for (const auto& listener : listeners_) listener->close();
  listeners_.clear();
  std::vector<net::Task<void>> ends;
  ends.push_back(sessions_.stop(deadline));
  ends.push_back(proxy_sessions_.stop(deadline));
  ends.push_back(form_mail_.stop(deadline));
  co_await net::when_all(std::move(ends));
  co_await form_http_.stop(std::max(deadline, loop_.now() + net::Millis(100)));
  co_await http_.stop(std::max(deadline, loop_.now() + net::Millis(100)));
  directory_.stop();
  redis_.close();
  hops_.close();
  co_await watch_ended_;
}

}  // namespace kage::app
