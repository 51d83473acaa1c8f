// The sessions of a worker: started, counted, told of changes, stopped.
#include "proxy/sessions.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/metrics.h"
#include "proxy/imap/session.h"
#include "proxy/pop3/session.h"

namespace kage::proxy {
namespace {

constexpr net::Millis kCloseTime{1'000};

}  // namespace

LoginCounts::Token::Token(std::shared_ptr<LoginCounts> of, std::string login)
    : of_(std::move(of)), login_(std::move(login)) {}

LoginCounts::Token& LoginCounts::Token::operator=(Token&& other) noexcept {
  std::swap(of_, other.of_);
  std::swap(login_, other.login_);
  return *this;
}

LoginCounts::Token::~Token() {
  if (!of_) return;
  const auto found = of_->counts_.find(login_);
  if (found != of_->counts_.end() && --found->second == 0) of_->counts_.erase(found);
}

std::optional<LoginCounts::Token> LoginCounts::enter(const std::shared_ptr<LoginCounts>& counts,
                                                     std::string_view login) {
  std::string name = mapping::login_name(login);
  std::size_t& count = counts->counts_[name];
  if (counts->most_ > 0 && count >= counts->most_) return std::nullopt;
  ++count;
  return Token(counts, std::move(name));
}

struct Sessions::State : std::enable_shared_from_this<Sessions::State> {
  explicit State(const Services& given)
      : services(given), counts(std::make_shared<LoginCounts>(given.options.max_connections_per_login)) {}

  Services services;
  std::shared_ptr<LoginCounts> counts;
  bool stopping = false;
  net::Event ended;  // set each time that no session is left
  std::unordered_set<std::shared_ptr<ImapSession>> imap;
  std::unordered_set<std::shared_ptr<Pop3Session>> pop3;

  [[nodiscard]] std::size_t size() const { return imap.size() + pop3.size(); }

  /// `work` may end sessions.
  template <class Work>
  void each(Work work) {
    for (const auto& session : std::vector(imap.begin(), imap.end())) work(*session);
    for (const auto& session : std::vector(pop3.begin(), pop3.end())) work(*session);
  }

  static net::Task<void> run_imap(std::shared_ptr<State> state, std::shared_ptr<ImapSession> session) {
    const metrics::Held held(metrics::Gauge::sessions_imap);
    co_await ImapSession::run(session);
    state->imap.erase(session);
    if (state->size() == 0) state->ended.set();
  }

  static net::Task<void> run_pop3(std::shared_ptr<State> state, std::shared_ptr<Pop3Session> session) {
    const metrics::Held held(metrics::Gauge::sessions_pop3);
    co_await Pop3Session::run(session);
    state->pop3.erase(session);
    if (state->size() == 0) state->ended.set();
  }
};

Sessions::Sessions(Services services) : state_(std::make_shared<State>(services)) {}

Sessions::~Sessions() {
  state_->each([](auto& session) { session.close(); });
}

void Sessions::start(Face face, net::StreamPtr stream, net::PeerAddress peer) {
  using metrics::Counter;
  State& state = *state_;
  if (state.stopping) return stream->close();
  if (face == Face::imap || face == Face::imaps) {
    metrics::add(Counter::connections_imap);
    auto session =
        std::make_shared<ImapSession>(state.services, state.counts, face, std::move(stream), std::move(peer));
    state.imap.insert(session);
    net::spawn(State::run_imap(state_, std::move(session)));
  } else {
    metrics::add(Counter::connections_pop3);
    auto session =
        std::make_shared<Pop3Session>(state.services, state.counts, face, std::move(stream), std::move(peer));
    state.pop3.insert(session);
    net::spawn(State::run_pop3(state_, std::move(session)));
  }
}

void Sessions::routes_changed() {
  state_->each([](auto& session) { session.routes_changed(); });
}

net::Task<void> Sessions::stop(net::TimePoint deadline) {
  const auto state = state_;
  state->stopping = true;
  state->each([](auto& session) { session.stop(); });
  net::Timer limit(state->services.loop);
  limit.start(std::max(deadline - state->services.loop.now(), net::Millis(0)),
              [state] { state->each([](auto& session) { session.close(); }); });
  const net::TimePoint end = deadline + kCloseTime;
  net::Timer last(state->services.loop);
  last.start(std::max(end - state->services.loop.now(), net::Millis(0)), [state] { state->ended.set(); });
  while (state->size() > 0 && state->services.loop.now() < end) {
    state->ended.reset();
    co_await state->ended;
  }
}

std::size_t Sessions::size() const {
  return state_->size();
}

}  // namespace kage::proxy
