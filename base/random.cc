// RAND_bytes behind a std::string.
#include "base/random.h"

#include <openssl/rand.h>

#include <climits>
#include <cstdlib>

#include "base/log.h"

namespace kage {

std::string random_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  if (size > INT_MAX ||
      RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) != 1) {
    log::error("random.failed");
    std::abort();
  }
  return bytes;
}

}  // namespace kage
