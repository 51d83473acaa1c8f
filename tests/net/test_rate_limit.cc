// A name may do a number of things in a row, and then as many again over the window.
#include "net/rate_limit.h"

#include <catch2/catch.hpp>

#include <string>

using namespace kage::net;

namespace {
const TimePoint kStart{Millis(1'000'000)};
}  // namespace

TEST_CASE("a bucket empties at once and fills with time") {
  RateLimit limit({.most = 4, .window = Millis(4000), .capacity = 10});
  for (int i = 0; i < 4; ++i) CHECK_FALSE(limit.take("a", kStart));
  CHECK(limit.take("a", kStart) == Millis(1000));
  CHECK_FALSE(limit.take("b", kStart));
  CHECK(limit.take("a", kStart + Millis(999)) == Millis(1));
  CHECK_FALSE(limit.take("a", kStart + Millis(1000)));
  CHECK(limit.take("a", kStart + Millis(1000)) == Millis(1000));
  for (int i = 0; i < 4; ++i) CHECK_FALSE(limit.take("a", kStart + Millis(60'000)));
}

TEST_CASE("one in a window") {
  RateLimit limit({.most = 1, .window = Millis(1000), .capacity = 10});
  CHECK_FALSE(limit.take("a", kStart));
  CHECK(limit.take("a", kStart + Millis(400)) == Millis(600));
  CHECK_FALSE(limit.take("a", kStart + Millis(1000)));
}

TEST_CASE("the table of names is bounded, and what waits is kept over what is full") {
  RateLimit limit({.most = 1, .window = Millis(1000), .capacity = 100});
  for (int i = 0; i < 99; ++i) CHECK_FALSE(limit.take("old" + std::to_string(i), kStart));
  CHECK_FALSE(limit.take("waits", kStart + Millis(900)));
  for (int i = 0; i < 50; ++i) CHECK_FALSE(limit.take("new" + std::to_string(i), kStart + Millis(1100)));
  CHECK(limit.take("waits", kStart + Millis(1100)) == Millis(800));
  // Where everybody waits, some are forgotten rather than the newest refused.
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(limit.take("more" + std::to_string(i), kStart + Millis(1200)));
  int remembered = 0;
  for (int i = 0; i < 1000; ++i)
    remembered += limit.take("more" + std::to_string(i), kStart + Millis(1200)).has_value() ? 1 : 0;
  CHECK(remembered <= 100);
}
