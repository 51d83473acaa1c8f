// The frame of a POP3 session: greeting, the loop over commands, time-outs, STLS, the end.
#include "proxy/pop3/session.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "net/guarded.h"
#include "net/proxy_protocol.h"
#include "tls/tls_stream.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxCommand = 1024;   // RFC 2449 §4 has 255; RFC 6856 adds to it
constexpr std::size_t kMaxSecret = 12'288;  // PASS and AUTH with a bearer token
constexpr std::size_t kMaxSkipped = 1U << 20;
constexpr net::Millis kIdleTime{600'000};  // RFC 1939 §3
constexpr net::Millis kHandshakeTime{30'000};
constexpr net::Millis kLastWordTime{5'000};

}  // namespace

Pop3Session::Pop3Session(const Services& services, std::shared_ptr<LoginCounts> counts, Face face,
                         net::StreamPtr stream, net::PeerAddress peer)
    : services_(services),
      counts_(std::move(counts)),
      face_(face),
      stream_(std::move(stream)),
      peer_(std::move(peer)),
      reader_(*stream_),
      out_(*stream_, services_.directory),
      gate_(services_, provider::Service::pop3) {}

net::Task<void> Pop3Session::run(std::shared_ptr<Pop3Session> self) {
  if (!co_await net::guarded(self->serve())) self->end();
  co_await self->wind_up();
}

net::Task<void> Pop3Session::serve() {
  login_deadline_ = services_.loop.now() + services_.options.login_timeout;
  if (!co_await prepare()) co_return;
  // No timestamp in angle brackets: APOP wants a secret that only the server may know.
  reply("+OK " + services_.options.hostname + " POP3 ready\r\n");
  while (!ended_) {
    if (reader_.buffered().empty() && !stopping_) {
      if (!co_await flush()) break;
      stream_->set_deadline(line_deadline());
      idle_ = !stopping_ && !ended_;
      // Most of a session's life is spent in this wait: it is made in as few frames as can be.
      if (idle_ && !co_await stream_->readable()) end();
      idle_ = false;
      if (ended_) break;
    }
    co_await step();
  }
}

net::Task<bool> Pop3Session::prepare() {
  stream_->set_timeout(std::min(kHandshakeTime, services_.options.login_timeout));
  if (!co_await net::learn_peer(reader_, peer_, services_.options.proxy_peers)) co_return false;
  if (face_ != Face::pop3s) co_return true;
  co_return services_.tls != nullptr&& co_await start_tls();
}

net::Task<bool> Pop3Session::start_tls() {
  const net::TimePoint deadline = std::min(services_.loop.now() + kHandshakeTime, login_deadline_);
  if (!co_await tls::secure_session(stream_, reader_, services_.tls, deadline)) {
    end();
    co_return false;
  }
  out_.reset(*stream_);
  tls_ = true;
  // Closed or stopped while there was no stream to close.
  co_return !ended_;
}

net::TimePoint Pop3Session::line_deadline() const {
  if (!logged_in()) return login_deadline_;
  return services_.loop.now() + std::min(kIdleTime, services_.options.idle_timeout);
}

Pop3Session::Handler Pop3Session::handler_of(Pop3Verb verb) const {
  static constexpr std::array<Handler, kPop3Verbs> kBefore = {
      &Pop3Session::on_capa,    &Pop3Session::on_stls,    &Pop3Session::on_user,    &Pop3Session::on_pass,
      &Pop3Session::on_auth,    &Pop3Session::on_utf8,    &Pop3Session::on_quit,    &Pop3Session::on_unknown,
      &Pop3Session::on_unknown, &Pop3Session::on_unknown, &Pop3Session::on_unknown, &Pop3Session::on_unknown,
      &Pop3Session::on_unknown, &Pop3Session::on_unknown, &Pop3Session::on_unknown, &Pop3Session::on_unknown,
  };
  static constexpr std::array<Handler, kPop3Verbs> kAfter = {
      &Pop3Session::on_capa,    &Pop3Session::on_unknown, &Pop3Session::on_unknown, &Pop3Session::on_unknown,
      &Pop3Session::on_unknown, &Pop3Session::on_unknown, &Pop3Session::on_quit,    &Pop3Session::on_stat,
      &Pop3Session::on_list,    &Pop3Session::on_uidl,    &Pop3Session::on_retr,    &Pop3Session::on_top,
      &Pop3Session::on_dele,    &Pop3Session::on_rset,    &Pop3Session::on_noop,    &Pop3Session::on_unknown,
  };
  return (logged_in() ? kAfter : kBefore)[static_cast<std::size_t>(verb)];
}

net::Task<void> Pop3Session::step() {
  if (stopping_) co_return end();
  auto line = co_await read_line(logged_in() ? kMaxCommand : kMaxSecret);
  if (ended_) co_return;
  if (!line) co_return co_await on_bad_line(line.error());
  const Pop3Command command = parse_pop3(*line);
  std::string rest(command.rest);
  const Handler handler = handler_of(command.verb);
  wipe(*line);
  const std::size_t before = errors_;
  co_await (this->*handler)(std::move(rest));
  if (logged_in() && errors_ == before) errors_ = 0;
  if (!ended_ && errors_ >= services_.options.max_errors) {
    reply("-ERR Too many errors.\r\n");
    end();
  }
}

/// A command line; what was answered goes out first, unless more commands wait already (RFC 2449 §6.8).
net::Task<Result<std::string>> Pop3Session::read_line(std::size_t max_octets) {
  if ((!reader_.has_line() || out_.full()) && !co_await flush()) co_return fail(Errc::closed);
  stream_->set_deadline(line_deadline());
  idle_ = true;
  const auto line = co_await reader_.line(max_octets);
  idle_ = false;
  if (!line) co_return std::unexpected(line.error());
  co_return std::string(*line);
}

net::Task<void> Pop3Session::on_bad_line(Error error) {
  if (error.code != Errc::limit) co_return end();  // RFC 1939 §3: a time-out is not answered
  mistake("-ERR The line is too long.\r\n");
  const auto skipped = co_await reader_.skip_line(kMaxSkipped);
  if (!skipped) end();
}

net::Task<bool> Pop3Session::flush() {
  if (!stream_) co_return false;
  const auto written = co_await out_.flush();
  if (!written) on_unwritten();
  co_return written.has_value();
}

/// The client has gone, or what it is to see could not be stored (contract R3.8).
void Pop3Session::on_unwritten() {
  if (out_.lacks_mapping() && !out_.within_answer()) return lose_mapping();
  end();
}

net::Task<void> Pop3Session::wind_up() {
  idle_ = false;
  // Without QUIT: the server deletes nothing.
  if (upstream_) upstream_->close();
  if (!stream_) co_return;
  stream_->set_timeout(kLastWordTime);
  if (co_await out_.flush(kLastWordTime)) (void)co_await stream_->shutdown();
  stream_->close();
}

void Pop3Session::stop() {
  stopping_ = true;
  if (!idle_ || !stream_) return;
  end();
  stream_->close();
}

void Pop3Session::close() {
  end();
  if (upstream_) upstream_->close();
  if (stream_) stream_->close();
}

void Pop3Session::routes_changed() {
  if (!logged_in()) return;
  const auto routes = services_.directory.known_routes();
  if (!routes || !(*routes)->find_login(login_).empty()) return;
  stop();
}

void Pop3Session::mistake(std::string_view line) {
  ++errors_;
  reply(line);
}

net::Task<void> Pop3Session::on_stls(std::string rest) {
  if (tls_ || !services_.tls) co_return mistake("-ERR TLS is not offered here.\r\n");
  if (!rest.empty()) co_return mistake("-ERR STLS has no arguments.\r\n");
  if (!reader_.buffered().empty()) {
    // What somebody put behind STLS would be taken for the client's own (CVE-2011-0411).
    reader_.discard();
    reply("-ERR Nothing may follow STLS.\r\n");
    co_return end();
  }
  reply("+OK Begin TLS negotiation.\r\n");
  if (!co_await flush()) co_return;
  user_.clear();
  utf8_ = false;
  co_await start_tls();
}

net::Task<void> Pop3Session::on_utf8(std::string rest) {
  if (!rest.empty()) co_return mistake("-ERR UTF8 has no arguments.\r\n");
  utf8_ = true;
  reply("+OK\r\n");
}

net::Task<void> Pop3Session::on_quit(std::string /*rest*/) {
  if (logged_in()) {
    co_await pass("QUIT");
  } else {
    reply("+OK Bye.\r\n");
  }
  end();
}

net::Task<void> Pop3Session::on_unknown(std::string /*rest*/) {
  mistake("-ERR Unknown command.\r\n");
  co_return;
}

}  // namespace kage::proxy
