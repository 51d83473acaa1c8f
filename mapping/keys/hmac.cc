// HMAC-SHA-256 (RFC 2104) by OpenSSL.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "mapping/keys/keys.h"
#include "mapping/keys/openssl_support.h"

namespace kage::mapping {

Mac hmac_sha256(std::string_view key, std::string_view data) {
  Mac out{};
  unsigned size = 0;
  const bool done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), octets(data), data.size(),
                         octets(out.octets), &size) != nullptr;
  require(done && size == kMacSize, "HMAC");
  return out;
}

Mac hmac_sha256(std::string_view key, std::initializer_list<std::string_view> parts) {
  const Secret data(join_secret(parts));  // HKDF's parts are secret
  return hmac_sha256(key, data);
}

}  // namespace kage::mapping
