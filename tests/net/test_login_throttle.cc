// Who guesses has to wait, and nobody else.
#include "net/login_throttle.h"

#include <catch2/catch.hpp>

#include <string>

using namespace kage::net;

namespace {

const TimePoint kStart{Millis(1'000'000'000)};
constexpr Millis kSecond{1'000};

LoginThrottleOptions small() {
  return {.free_failures_login = 3,
          .free_failures_network = 10,
          .window = 60 * kSecond,
          .longest = 30 * kSecond,
          .capacity = 100};
}

}  // namespace

TEST_CASE("failures of a login from one network") {
  LoginThrottle throttle(small());
  for (int i = 0; i < 2; ++i) throttle.failed("a@x.example", "192.0.2.1", kStart);
  CHECK(throttle.wait("a@x.example", "192.0.2.1", kStart) == Millis(0));
  throttle.failed("a@x.example", "192.0.2.9", kStart);
  CHECK(throttle.wait("a@x.example", "192.0.2.200", kStart) == kSecond);
  CHECK(throttle.wait("A@X.example", "192.0.2.1", kStart) == kSecond);
  CHECK(throttle.wait("b@x.example", "192.0.2.1", kStart) == Millis(0));
  CHECK(throttle.wait("a@x.example", "198.51.100.1", kStart) == Millis(0));
  CHECK(throttle.wait("a@x.example", "192.0.2.1", kStart + kSecond) == Millis(0));
  throttle.failed("a@x.example", "192.0.2.1", kStart + kSecond);
  CHECK(throttle.wait("a@x.example", "192.0.2.1", kStart + kSecond) == 2 * kSecond);
}

TEST_CASE("waits double up to a bound and end with the window") {
  LoginThrottle throttle(small());
  Millis last{0};
  for (int i = 0; i < 9; ++i) throttle.failed("a", "192.0.2.1", kStart);
  last = throttle.wait("a", "192.0.2.1", kStart);
  CHECK(last == 30 * kSecond);
  throttle.failed("a", "192.0.2.1", kStart + 61 * kSecond);
  CHECK(throttle.wait("a", "192.0.2.1", kStart + 61 * kSecond) == Millis(0));
}

TEST_CASE("a right password forgets the failures from its network") {
  LoginThrottle throttle(small());
  for (int i = 0; i < 5; ++i) throttle.failed("a", "192.0.2.1", kStart);
  CHECK(throttle.wait("a", "192.0.2.1", kStart) > Millis(0));
  throttle.succeeded("a", "192.0.2.1");
  CHECK(throttle.wait("a", "192.0.2.1", kStart) == Millis(0));
}

TEST_CASE("failures of a network") {
  LoginThrottle throttle(small());
  for (int i = 0; i < 10; ++i) throttle.failed("u" + std::to_string(i), "2001:db8:0:ff01::1", kStart);
  CHECK(throttle.wait("somebody", "2001:db8:0:ff00::2", kStart) == kSecond);  // the same /56
  CHECK(throttle.wait("somebody", "2001:db8:1::2", kStart) == Millis(0));
}

TEST_CASE("a login that is tried from everywhere") {
  LoginThrottle throttle(small());
  for (int i = 0; i < 30; ++i) throttle.failed("a", "192.0." + std::to_string(i) + ".1", kStart);
  CHECK(throttle.wait("a", "198.51.100.1", kStart) == kSecond);
}

TEST_CASE("memory is bounded, and addresses of no form count too") {
  LoginThrottle throttle(small());
  for (int i = 0; i < 3; ++i) throttle.failed("first", "192.0.2.1", kStart);
  CHECK(throttle.wait("first", "192.0.2.1", kStart) == kSecond);
  for (int i = 0; i < 10'000; ++i) {
    throttle.failed(std::to_string(i), std::to_string(i), kStart + Millis(i));
  }
  // Forgotten within its window: a fourth failure would have it wait.
  throttle.failed("first", "192.0.2.1", kStart + 10 * kSecond);
  CHECK(throttle.wait("first", "192.0.2.1", kStart + 10 * kSecond) == Millis(0));
  for (int i = 0; i < 5; ++i) throttle.failed("a", "", kStart);
  CHECK(throttle.wait("a", "", kStart) > Millis(0));
}
