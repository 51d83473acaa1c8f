// Failures are counted under keyed hashes, in a table of bounded size.
#include "net/login_throttle.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/siphash.h"
#include "base/text.h"
#include "net/bounded_table.h"
#include "net/cidr.h"

namespace kage::net {
namespace {

constexpr Millis kFirstWait{1'000};
constexpr unsigned kMostDoublings = 20;

struct Failures {
  unsigned count = 0;
  TimePoint last{};
};

}  // namespace

struct LoginThrottle::State {
  explicit State(LoginThrottleOptions given) : options(given) {}

  const LoginThrottleOptions options;
  const SipKey key = random_sip_key();
  mutable std::mutex mutex;
  std::unordered_map<std::uint64_t, Failures> failures;

  /// A login counts by the network it is tried from too: a stranger's guesses do not lock the owner out.
  struct Names {
    std::uint64_t login;  // the login, from wherever
    std::uint64_t pair;   // the login from this network
    std::uint64_t network;
  };
  [[nodiscard]] Names names(std::string_view login, std::string_view ip) const {
    const std::string network = network_of(ip);
    const std::string name = lower(login);
    return {siphash(key, "l" + name), siphash(key, "p" + network + '\0' + name), siphash(key, "n" + network)};
  }

  [[nodiscard]] Millis wait_of(std::uint64_t name, unsigned free, TimePoint now) const {
    const auto found = failures.find(name);
    if (found == failures.end() || found->second.count < free) return Millis(0);
    const Failures& known = found->second;
    const unsigned doublings = std::min(known.count - free, kMostDoublings);
    const Millis whole = std::min<Millis>(options.longest, kFirstWait * (1L << doublings));
    return std::max(Millis(0), whole - (now - known.last));
  }

  void count(std::uint64_t name, TimePoint now) {
    if (failures.size() >= options.capacity && !failures.contains(name)) {
      make_room(failures, options.capacity,
                [&](const auto& entry) { return now - entry.second.last > options.window; });
    }
    Failures& known = failures[name];
    if (now - known.last > options.window) known.count = 0;
    ++known.count;
    known.last = now;
  }
};

LoginThrottle::LoginThrottle(LoginThrottleOptions options) : state_(std::make_unique<State>(options)) {}
LoginThrottle::~LoginThrottle() = default;

Millis LoginThrottle::wait(std::string_view login, std::string_view ip, TimePoint now) const {
  const State::Names names = state_->names(login, ip);
  const std::scoped_lock lock(state_->mutex);
  const auto& options = state_->options;
  // From many networks at once a login is guessed too; the owner's own then has to bear it, but later.
  return std::max({state_->wait_of(names.pair, options.free_failures_login, now),
                   state_->wait_of(names.login, options.free_failures_login * 10, now),
                   state_->wait_of(names.network, options.free_failures_network, now)});
}

void LoginThrottle::failed(std::string_view login, std::string_view ip, TimePoint now) {
  const State::Names names = state_->names(login, ip);
  const std::scoped_lock lock(state_->mutex);
  state_->count(names.pair, now);
  state_->count(names.login, now);
  state_->count(names.network, now);
}

void LoginThrottle::succeeded(std::string_view login, std::string_view ip) {
  const State::Names names = state_->names(login, ip);
  const std::scoped_lock lock(state_->mutex);
  state_->failures.erase(names.pair);
}

}  // namespace kage::net
