// Slows down whoever guesses passwords: failed logins counted by login and by client network (network_of() of
// net/cidr.h).
//
// Shared by all workers; bounded memory; holds keyed hashes only, never a login.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "net/loop.h"

namespace kage::net {

struct LoginThrottleOptions {
  unsigned free_failures_login = 5;     ///< within `window`, before a login has to wait
  unsigned free_failures_network = 50;  ///< the same for a network
  Millis window{15 * 60'000};
  Millis longest{15 * 60'000};     ///< waits double from 1 s up to this
  std::size_t capacity = 100'000;  ///< logins and networks remembered
};

class LoginThrottle {
 public:
  explicit LoginThrottle(LoginThrottleOptions options = {});
  ~LoginThrottle();

  /// How long this login from this address has to wait now; zero: it may try. Thread-safe, as the others.
  [[nodiscard]] Millis wait(std::string_view login, std::string_view ip, TimePoint now) const;
  void failed(std::string_view login, std::string_view ip, TimePoint now);
  /// A right password: the login's failures from that network are forgotten, those of the network stay.
  void succeeded(std::string_view login, std::string_view ip);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kage::net
