// mimalloc serves every allocation of the process, those of C libraries too.
#include <hiredis/hiredis.h>
#include <openssl/crypto.h>
#include <uv.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "app/process.h"

// A sanitizer build has its own allocator and no mimalloc.
extern "C" [[gnu::weak]] bool mi_is_in_heap_region(const void* p);

namespace kage::app {

TEST_CASE("allocations of libraries are mimalloc's") {
  if (mi_is_in_heap_region == nullptr) {
    CHECK(allocator_name() == "system");
    return;
  }
  CHECK(allocator_name().starts_with("mimalloc "));

  void* openssl = OPENSSL_malloc(100);
  CHECK(mi_is_in_heap_region(openssl));
  OPENSSL_free(openssl);

  redisReader* reader = redisReaderCreate();
  CHECK(mi_is_in_heap_region(reader));
  redisReaderFree(reader);

  uv_cpu_info_t* processors = nullptr;
  int count = 0;
  REQUIRE(uv_cpu_info(&processors, &count) == 0);
  CHECK(mi_is_in_heap_region(processors));
  uv_free_cpu_info(processors, count);

  char* copy = ::strdup("from the C library");
  CHECK(mi_is_in_heap_region(copy));
  std::free(copy);

  const auto object = std::make_unique<std::array<char, 1000>>();
  CHECK(mi_is_in_heap_region(object.get()));
}

TEST_CASE("the program says which allocator it has") {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(KAGEMUSHA_PROGRAM " --version", "r"), &::pclose);
  REQUIRE(pipe);
  std::array<char, 200> line{};
  REQUIRE(std::fgets(line.data(), static_cast<int>(line.size()), pipe.get()) != nullptr);
  CHECK(std::string(line.data()) ==
        std::string("kagemusha ") + KAGEMUSHA_VERSION + " (allocator: " + allocator_name() + ")\n");
}

}  // namespace kage::app
