// The memory of what Redis has: bounded in number and in time, and only for the spelling that came last.
#include <catch2/catch.hpp>
#include <string>

#include "base/metrics.h"
#include "mapping/store/phantom_cache.h"

using kage::mapping::PhantomCache;
using kage::net::Millis;
using kage::net::TimePoint;

namespace {
constexpr Millis kMinute{60'000};
const TimePoint kNow(Millis(1'000'000));
}  // namespace

TEST_CASE("a phantom is known with the spelling that came last only") {
  PhantomCache cache;
  CHECK_FALSE(cache.knows("local", "A@x.example", kNow, kMinute));
  cache.remember("local", "A@x.example", kNow);
  CHECK(cache.knows("local", "A@x.example", kNow, kMinute));
  CHECK_FALSE(cache.knows("local", "a@x.example", kNow, kMinute));
  CHECK_FALSE(cache.knows("other", "A@x.example", kNow, kMinute));
  cache.remember("local", "a@x.example", kNow);
  CHECK_FALSE(cache.knows("local", "A@x.example", kNow, kMinute));
  CHECK(cache.knows("local", "a@x.example", kNow, kMinute));
  CHECK(cache.size() == 1);
  cache.clear();
  CHECK(cache.size() == 0);
  CHECK_FALSE(cache.knows("local", "a@x.example", kNow, kMinute));
}

TEST_CASE("what is known is believed as long as the caller says, less a second at most") {
  for (const int offset : {0, 1, 500, 999}) {
    for (const Millis most : {kMinute, 60 * kMinute}) {
      PhantomCache cache;
      const TimePoint start = kNow + Millis(offset);
      cache.remember("local", "a@x.example", start);
      CHECK(cache.knows("local", "a@x.example", start + most - Millis(2001), most));
      CHECK_FALSE(cache.knows("local", "a@x.example", start + most, most));
    }
  }
}

TEST_CASE("the memory of phantoms is bounded, and what came last stays") {
  PhantomCache cache(1000);
  for (int i = 0; i < 10'000; ++i) {
    cache.remember(std::to_string(i), "a@x.example", kNow + Millis(1000 * i));
    CHECK(cache.size() <= 1000);
  }
  CHECK(cache.size() > 400);
  const TimePoint later = kNow + Millis(10'000'000);
  CHECK(cache.knows("9999", "a@x.example", later, 600 * kMinute));
  CHECK_FALSE(cache.knows("0", "a@x.example", later, 600 * kMinute));
}

TEST_CASE("far below its bound the memory loses hardly anything") {
  PhantomCache cache;
  for (int i = 0; i < 100'000; ++i) cache.remember(std::to_string(i), std::to_string(-i), kNow);
  int known = 0;
  for (int i = 0; i < 100'000; ++i)
    known += cache.knows(std::to_string(i), std::to_string(-i), kNow, kMinute);
  CHECK(known > 99'000);
  CHECK(cache.size() == static_cast<std::size_t>(known));
}

TEST_CASE("operators see how much is remembered") {
  namespace metrics = kage::metrics;
  using metrics::Gauge;
  const auto before = metrics::value(Gauge::cache_phantoms_stored);
  {
    PhantomCache cache(1024);
    // Grows, and gives way to newer ones in the end.
    for (int i = 0; i < 5000; ++i) cache.remember(std::to_string(i), "a@x.example", TimePoint{});
    CHECK(cache.size() > 500);
    CHECK(metrics::value(Gauge::cache_phantoms_stored) - before == static_cast<std::int64_t>(cache.size()));
    cache.clear();
    CHECK(metrics::value(Gauge::cache_phantoms_stored) == before);
    cache.remember("one", "a@x.example", TimePoint{});
  }
  CHECK(metrics::value(Gauge::cache_phantoms_stored) == before);
}
