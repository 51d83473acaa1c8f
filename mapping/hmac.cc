// HMAC-SHA-256 (RFC 2104) over OpenSSL's low-level SHA-256.
//
// OpenSSL calls those functions deprecated. But its EVP_MAC takes twice as long for the few octets of an id,
// with allocations inside, and each message that is fetched shows new ids; the low-level state is a value
// that can be kept and copied. Nothing else uses it.
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

#include "base/text.h"
#include "mapping/keys.h"
#include "mapping/openssl_support.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace kage::mapping {
namespace {

static_assert(kMacSize == SHA256_DIGEST_LENGTH);

void feed(SHA256_CTX& state, std::string_view data) {
  require(SHA256_Update(&state, data.data(), data.size()) == 1, "SHA-256");
}

Mac finish(SHA256_CTX& state) {
  Mac out{};
  require(SHA256_Final(octets(out.octets), &state) == 1, "SHA-256");
  return out;
}

/// What both hashes of an HMAC begin with: half of the work for a short text. So a thread keeps the last key,
/// which the ids of a message ask for again and again.
class KeptKey {
 public:
  KeptKey() { prepare({}); }
  ~KeptKey() { OPENSSL_cleanse(this, sizeof *this); }
  KeptKey(const KeptKey&) = delete;
  KeptKey& operator=(const KeptKey&) = delete;

  void use(std::string_view key) {
    if (!equals_secret(key, {block_.data(), key_size_})) prepare(key);
  }
  [[nodiscard]] SHA256_CTX inner() const { return inner_; }
  [[nodiscard]] SHA256_CTX outer() const { return outer_; }

 private:
  using Block = std::array<char, SHA256_CBLOCK>;

  void prepare(std::string_view key) {
    block_.fill('\0');
    if (key.size() > block_.size()) {
      SHA256_CTX whole;
      SHA256_Init(&whole);
      feed(whole, key);
      std::ranges::copy(finish(whole).octets, block_.begin());
      key_size_ = kMacSize;  // RFC 2104 §2: the hash of a long key is a key that does the same
    } else {
      std::ranges::copy(key, block_.begin());
      key_size_ = key.size();
    }
    begin(inner_, 0x36);
    begin(outer_, 0x5c);
  }

  void begin(SHA256_CTX& state, char pad) const {
    Block padded = block_;
    for (char& each : padded) each = static_cast<char>(each ^ pad);
    SHA256_Init(&state);
    feed(state, {padded.data(), padded.size()});
    OPENSSL_cleanse(padded.data(), padded.size());
  }

  Block block_{};  // the key, and zeros
  std::size_t key_size_ = 0;
  SHA256_CTX inner_{}, outer_{};
};

}  // namespace

Mac hmac_sha256(std::string_view key, std::initializer_list<std::string_view> parts) {
  thread_local KeptKey kept;
  kept.use(key);
  SHA256_CTX state = kept.inner();
  for (const std::string_view part : parts) feed(state, part);
  const Mac within = finish(state);
  state = kept.outer();
  feed(state, within);
  return finish(state);
}

Mac hmac_sha256(std::string_view key, std::string_view data) {
  return hmac_sha256(key, {data});
}

}  // namespace kage::mapping
