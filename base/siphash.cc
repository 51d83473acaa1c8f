// One round after each eight octets and three at the end: the variant that hash tables use.
#include "base/siphash.h"

#include <bit>
#include <cstring>

#include "base/random.h"

namespace kage {
namespace {

std::uint64_t load(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

struct Sip {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void add(std::uint64_t word) {
    v3 ^= word;
    round();
    v0 ^= word;
  }
};

}  // namespace

SipKey random_sip_key() {
  const std::string bytes = random_bytes(16);
  return {load(bytes.data()), load(bytes.data() + 8)};
}

std::uint64_t siphash(const SipKey& key, std::string_view text) {
  Sip sip{key.k0 ^ 0x736f6d6570736575U, key.k1 ^ 0x646f72616e646f6dU, key.k0 ^ 0x6c7967656e657261U,
          key.k1 ^ 0x7465646279746573U};
  std::uint64_t last = static_cast<std::uint64_t>(text.size()) << 56U;
  for (; text.size() >= 8; text.remove_prefix(8)) sip.add(load(text.data()));
  for (std::size_t i = 0; i < text.size(); ++i) {
    last |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
  }
  sip.add(last);
  sip.v2 ^= 0xff;
  sip.round();
  sip.round();
  sip.round();
  return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

std::size_t SipHash::operator()(std::string_view text) const {
  static const SipKey key = random_sip_key();
  return siphash(key, text);
}

}  // namespace kage
