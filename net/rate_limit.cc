// A bucket is one time: the moment at which it will be full again. A bucket that is full needs no entry.
#include "net/rate_limit.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/siphash.h"
#include "net/bounded_table.h"

namespace kage::net {

struct RateLimit::State {
  explicit State(RateLimitOptions given) : options(given) {}

  const RateLimitOptions options;
  const SipKey key = random_sip_key();
  std::mutex mutex;
  std::unordered_map<std::uint64_t, TimePoint> full_at;
};

RateLimit::RateLimit(RateLimitOptions options) : state_(std::make_unique<State>(options)) {}
RateLimit::~RateLimit() = default;

std::optional<Millis> RateLimit::take(std::string_view name, TimePoint now) {
  State& state = *state_;
  const std::uint64_t hash = siphash(state.key, name);
  const Millis one = std::max(Millis(1), state.options.window / std::max(1U, state.options.most));
  const std::scoped_lock lock(state.mutex);
  const auto known = state.full_at.find(hash);
  const TimePoint full = (known == state.full_at.end() ? now : std::max(now, known->second)) + one;
  if (full - now > std::max(one, state.options.window)) return full - now - state.options.window;
  if (known != state.full_at.end()) {
    known->second = full;
    return std::nullopt;
  }
  if (state.full_at.size() >= state.options.capacity) {
    make_room(state.full_at, state.options.capacity, [&](const auto& entry) { return entry.second <= now; });
  }
  state.full_at.emplace(hash, full);
  return std::nullopt;
}

}  // namespace kage::net
