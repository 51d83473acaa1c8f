// One Incoming for each message, fed from its source, ticked once a second.
#include "submission/local_mail.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "submission/activity.h"
#include "submission/delivery.h"
#include "submission/hop_pool.h"
#include "submission/incoming.h"

namespace kage::submission {
namespace {

constexpr net::Millis kTick{1'000};
constexpr net::Millis kCloseTime{1'000};

}  // namespace

struct LocalMail::State {
  explicit State(const Services& s) : services(s), timer(s.loop), stop_timer(s.loop) {}

  Services services;
  net::Timer timer;
  net::Timer stop_timer;
  bool ticking = false;
  bool stopping = false;
  std::shared_ptr<Activity> activity = std::make_shared<Activity>();
  std::unordered_set<std::shared_ptr<Incoming>> running;
  std::unordered_set<std::shared_ptr<Delivery>> notices;

  void tick() {
    ticking = !running.empty();
    if (!ticking) return;
    timer.start(kTick, [this] {
      const auto all = std::vector(running.begin(), running.end());
      for (const auto& incoming : all) incoming->tick(services.loop.now());
      tick();
    });
  }

  static net::Task<std::string> run(std::shared_ptr<State> state, LocalMessage message,
                                    std::shared_ptr<Incoming> incoming);
  static net::Task<CopyResult> run(std::shared_ptr<State> state, std::shared_ptr<Delivery> delivery,
                                   std::string body);
};

net::Task<std::string> LocalMail::State::run(std::shared_ptr<State> state, LocalMessage message,
                                             std::shared_ptr<Incoming> incoming) {
  const Activity::Token token(state->activity);
  state->running.insert(incoming);
  if (!state->ticking) state->tick();
  co_await incoming->feed(message.header);
  std::string piece;
  while (!incoming->refusal() && message.next(piece)) co_await incoming->feed(piece);
  std::string answer = co_await incoming->finish();
  state->running.erase(incoming);
  co_return answer;
}

net::Task<CopyResult> LocalMail::State::run(std::shared_ptr<State> state, std::shared_ptr<Delivery> delivery,
                                            std::string body) {
  const Activity::Token token(state->activity);
  state->notices.insert(delivery);
  co_await delivery->open();
  co_await delivery->write(body);
  const auto results = co_await delivery->finish();
  state->notices.erase(delivery);
  co_return results.front();
}

LocalMail::LocalMail(Services services) : state_(std::make_shared<State>(services)) {}

LocalMail::~LocalMail() {
  state_->timer.stop();
  state_->activity->cancel();
}

net::Task<std::string> LocalMail::deliver(LocalMessage message) {
  const auto state = state_;
  if (state->stopping) co_return std::string(line(Answer::shutting_down));
  ClientEnvelope envelope;
  envelope.routes = message.routes;
  auto recipient =
      classify(*envelope.routes, Face::inbound, message.sender, message.recipient, unix_seconds());
  if (!recipient) co_return std::string(line(recipient.error()));
  if (recipient->kind != Recipient::Kind::public_address) co_return std::string(line(Answer::no_such_user));
  envelope.recipients.push_back(std::move(*recipient));
  envelope.smtputf8 = message.sender.needs_utf8() || !all_ascii(message.header);
  envelope.sender = message.sender;
  Origin origin;
  origin.how = message.how;
  auto incoming =
      std::make_shared<Incoming>(state->services, state->activity, std::move(origin), std::move(envelope));
  std::string answer = co_await State::run(state, std::move(message), std::move(incoming));
  co_return answer;
}

bool LocalMail::is_inside(const message::Address& address) const {
  const Hop* hop = state_->services.hops.find(address.canonical_domain());
  return hop != nullptr && hop->options().inside;
}

net::Task<CopyResult> LocalMail::send(LocalNotice notice) {
  const auto state = state_;
  if (state->stopping) co_return CopyResult{};
  DeliveryOptions options;
  options.size_estimate = notice.header.size() + notice.body.size();
  options.spool_dir = state->services.options.spool_dir;
  options.deadline = notice.deadline;
  std::vector<Copy> copies(1);
  copies[0].recipient = std::move(notice.recipient);
  copies[0].header = std::move(notice.header);
  const auto delivery = std::make_shared<Delivery>(state->services.loop, state->services.hops,
                                                   std::move(copies), std::move(options), nullptr);
  CopyResult result = co_await State::run(state, delivery, std::move(notice.body));
  co_return result;
}

net::Task<void> LocalMail::stop(net::TimePoint deadline) {
  const auto state = state_;
  state->stopping = true;
  const net::TimePoint end = deadline + kCloseTime;
  state->stop_timer.start(std::max(deadline - state->services.loop.now(), net::Millis(0)), [state] {
    const auto all = std::vector(state->running.begin(), state->running.end());
    for (const auto& incoming : all) incoming->refuse(Answer::shutting_down);
    const auto notices = std::vector(state->notices.begin(), state->notices.end());
    for (const auto& delivery : notices) delivery->abort();
    // Locks are still given back; that is bounded too.
    state->stop_timer.start(kCloseTime, [state] { state->activity->changed().set(); });
  });
  while (state->activity->running() > 0 && state->services.loop.now() < end) {
    state->activity->changed().reset();
    co_await state->activity->changed();
  }
  state->stop_timer.stop();
  state->timer.stop();
  state->activity->cancel();
}

}  // namespace kage::submission
