// Overwriting with a call that no compiler leaves out.
#include "base/secret.h"

#include <openssl/crypto.h>

namespace kage {

void wipe(std::string& secret) {
  // What was longer once may still stand behind the end.
  secret.resize(secret.capacity());
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

std::string join_secret(std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  std::string out;
  out.reserve(size);
  for (const std::string_view part : parts) out += part;
  return out;
}

}  // namespace kage
