// The sessions of a worker: started, counted, ticked once a second, stopped.
#include "submission/sessions.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "base/metrics.h"
#include "submission/activity.h"
#include "submission/smtp_session.h"

namespace kage::submission {
namespace {

constexpr net::Millis kTick{1'000};
constexpr net::Millis kCloseTime{1'000};

}  // namespace

struct Sessions::State {
  explicit State(const Services& s) : services(s), timer(s.loop) {}

  Services services;
  net::Timer timer;
  bool ticking = false;
  bool stopping = false;
  std::shared_ptr<Activity> activity = std::make_shared<Activity>();
  std::unordered_set<std::shared_ptr<SmtpSession>> sessions;

  void tick() {
    ticking = !sessions.empty();
    if (!ticking) return;
    timer.start(kTick, [this] {
      const auto all = std::vector(sessions.begin(), sessions.end());
      for (const auto& session : all) session->tick(services.loop.now());
      tick();
    });
  }

  void close_all() {
    const auto all = std::vector(sessions.begin(), sessions.end());
    for (const auto& session : all) session->close();
  }

  static net::Task<void> run(std::shared_ptr<State> state, std::shared_ptr<SmtpSession> session, Face face,
                             std::optional<Answer> refusal) {
    const Activity::Token token(state->activity);
    const metrics::Held held(face == Face::inbound ? metrics::Gauge::sessions_inbound
                                                   : metrics::Gauge::sessions_submission);
    co_await SmtpSession::run(session, refusal);
    state->sessions.erase(session);
  }
};

Sessions::Sessions(Services services) : state_(std::make_shared<State>(services)) {}

Sessions::~Sessions() {
  state_->timer.stop();
  state_->activity->cancel();
  state_->close_all();
}

void Sessions::start(Face face, net::StreamPtr stream, net::PeerAddress peer) {
  using metrics::Counter;
  metrics::add(face == Face::inbound ? Counter::connections_inbound : Counter::connections_submission);
  State& state = *state_;
  std::optional<Answer> refusal;
  if (state.stopping) refusal = Answer::shutting_down;
  auto session =
      std::make_shared<SmtpSession>(state.services, state.activity, face, std::move(stream), std::move(peer));
  state.sessions.insert(session);
  net::spawn(State::run(state_, std::move(session), face, refusal));
  if (!state.ticking) state.tick();
}

net::Task<void> Sessions::stop(net::TimePoint deadline) {
  const auto state = state_;
  state->stopping = true;
  const auto all = std::vector(state->sessions.begin(), state->sessions.end());
  for (const auto& session : all) session->stop();
  net::Timer limit(state->services.loop);
  const net::TimePoint now = state->services.loop.now();
  limit.start(std::max(deadline - now, net::Millis(0)), [state] {
    state->close_all();
    // Closed sessions still give their locks back; that is bounded too.
    state->timer.start(kCloseTime, [state] { state->activity->changed().set(); });
  });
  const net::TimePoint end = deadline + kCloseTime;
  while (state->activity->running() > 0 && state->services.loop.now() < end) {
    state->activity->changed().reset();
    co_await state->activity->changed();
  }
  state->timer.stop();
  state->activity->cancel();
}

std::size_t Sessions::size() const {
  return state_->sessions.size();
}

}  // namespace kage::submission
