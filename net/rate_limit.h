// How often something may happen by name (a network, an address): a token bucket for each, in a table of
// bounded size.
//
// Shared by all workers; holds keyed hashes only, never a name.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "net/loop.h"

namespace kage::net {

struct RateLimitOptions {
  unsigned most = 60;  ///< in a row, and again as many over each `window`
  Millis window{3'600'000};
  std::size_t capacity = 100'000;  ///< names remembered
};

class RateLimit {
 public:
  explicit RateLimit(RateLimitOptions options);
  ~RateLimit();

  /// Nothing: it may happen, and is counted. Else how long it has to wait. Thread-safe.
  std::optional<Millis> take(std::string_view name, TimePoint now);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kage::net
