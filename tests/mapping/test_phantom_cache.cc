// The memory of what Redis has: bounded in number and in time, and only for the spelling that came last.
#include <catch2/catch.hpp>

#include "mapping/phantom_cache.h"

using kage::mapping::PhantomCache;
using kage::net::Millis;
using kage::net::TimePoint;

TEST_CASE("a phantom is known with the spelling that came last only") {
  PhantomCache cache;
  const TimePoint now(Millis(1'000'000));
  CHECK_FALSE(cache.knows("local", "A@x.example", now));
  cache.remember("local", "A@x.example", now);
  CHECK(cache.knows("local", "A@x.example", now));
  CHECK_FALSE(cache.knows("local", "a@x.example", now));
  CHECK_FALSE(cache.knows("other", "A@x.example", now));
  cache.remember("local", "a@x.example", now);
  CHECK_FALSE(cache.knows("local", "A@x.example", now));
  cache.clear();
  CHECK(cache.size() == 0);
  CHECK_FALSE(cache.knows("local", "a@x.example", now));
}

TEST_CASE("what is known is believed for half a minute at least and a minute at most") {
  for (const int look_every : {1'000, 10'000, 29'000, 100'000}) {
    PhantomCache cache;
    const TimePoint start(Millis(1'000'000));
    cache.remember("local", "a@x.example", start);
    for (int passed = look_every; passed <= 200'000; passed += look_every) {
      const bool known = cache.knows("local", "a@x.example", start + Millis(passed));
      if (passed < 30'000) CHECK(known);
      if (passed >= 60'000) CHECK_FALSE(known);
    }
  }
}

TEST_CASE("the memory of phantoms is bounded") {
  PhantomCache cache(1000);
  const TimePoint now(Millis(1'000'000));
  for (int i = 0; i < 10'000; ++i) {
    cache.remember(std::to_string(i), "a@x.example", now);
    CHECK(cache.size() <= 1000);
  }
  CHECK(cache.knows("9999", "a@x.example", now));
  CHECK_FALSE(cache.knows("0", "a@x.example", now));
}
