// Bounds of what one reply may hold, and a reply for which there is no memory.
#include "net/redis_protocol.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <new>
#include <string>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define KAGEMUSHA_OWN_NEW 0  // it has one of its own, with which this would not agree
#endif
#endif
#ifndef KAGEMUSHA_OWN_NEW
#define KAGEMUSHA_OWN_NEW 1
#endif

#if KAGEMUSHA_OWN_NEW

namespace {

/// Allocations of C++ from this size on fail; hiredis, which is C, does not come by here.
thread_local std::size_t refused_size = SIZE_MAX;

struct Refusing {
  explicit Refusing(std::size_t size) { refused_size = size; }
  ~Refusing() { refused_size = SIZE_MAX; }
  Refusing(const Refusing&) = delete;
  Refusing& operator=(const Refusing&) = delete;
};

}  // namespace

void* operator new(std::size_t size) {
  void* const memory = size < refused_size ? std::malloc(size > 0 ? size : 1) : nullptr;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}

#endif

namespace kage::net {
namespace {

constexpr std::size_t kMost = RedisParser::kMaxElements;

std::string array_of(std::size_t count) {
  return "*" + std::to_string(count) + "\r\n";
}

/// What comes of octets that a parser gets first of all.
Result<std::optional<RedisReply>> parse(std::string_view octets) {
  RedisParser parser;
  REQUIRE(parser.feed(octets));
  return parser.next();
}

bool waits(const Result<std::optional<RedisReply>>& parsed) {
  return parsed && !*parsed;
}

}  // namespace

TEST_CASE("elements count over all levels of a reply") {
  CHECK(waits(parse(array_of(kMost))));
  CHECK(waits(parse(array_of(2) + array_of(kMost - 2))));
  CHECK(waits(parse(array_of(2) + array_of(3) + ":1\r\n:2\r\n:3\r\n" + array_of(kMost - 5))));
  for (const std::string& octets :
       {array_of(kMost + 1), array_of(2) + array_of(kMost - 1), array_of(1) + array_of(1) + array_of(kMost),
        array_of(2) + array_of(3) + ":1\r\n:2\r\n:3\r\n" + array_of(kMost - 4)}) {
    CAPTURE(octets);
    const auto parsed = parse(octets);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Errc::limit);
  }
}

TEST_CASE("each reply has all of the bound") {
  RedisParser parser;
  std::string wide = array_of(kMost / 2 + 1);
  for (std::size_t i = 0; i < kMost / 2 + 1; ++i) wide += "$-1\r\n";
  for (int i = 0; i < 3; ++i) {
    REQUIRE(parser.feed(wide));
    const auto reply = parser.next();
    REQUIRE(reply);
    REQUIRE(*reply);
    CHECK((*reply)->elements.size() == kMost / 2 + 1);
  }
}

#if KAGEMUSHA_OWN_NEW

TEST_CASE("a reply for which there is no memory is an error") {
  constexpr std::size_t kLarge = 1UL << 20U;
  const std::string text = "$" + std::to_string(kLarge) + "\r\n" + std::string(kLarge, 'x') + "\r\n";
  for (const std::string& octets :
       {text, "*1\r\n" + text, array_of(kLarge / 8), "*1\r\n" + array_of(kLarge / 8)}) {
    RedisParser parser;
    REQUIRE(parser.feed(octets));
    Result<std::optional<RedisReply>> parsed;
    {
      const Refusing refusing(kLarge);
      CHECK_NOTHROW(parsed = parser.next());
    }
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Errc::limit);
  }
  CHECK(parse(text));
}

#endif

}  // namespace kage::net
