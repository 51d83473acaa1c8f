// Against OpenSSL's SipHash with the same number of rounds, for every length of the tail.
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <unordered_map>

#include "base/siphash.h"

namespace {

std::uint64_t by_openssl(const kage::SipKey& key, std::string_view text) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  unsigned compress = 1;
  unsigned finish = 3;
  std::size_t size = 8;
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &compress),
                                   OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &finish),
                                   OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                                   OSSL_PARAM_construct_end()};
  unsigned char bytes[16];
  std::memcpy(bytes, &key.k0, 8);
  std::memcpy(bytes + 8, &key.k1, 8);
  std::uint64_t result = 0;
  unsigned char out[8];
  std::size_t written = 0;
  REQUIRE(EVP_MAC_init(context, bytes, sizeof bytes, parameters) == 1);
  REQUIRE(EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1);
  REQUIRE(EVP_MAC_final(context, out, &written, sizeof out) == 1);
  std::memcpy(&result, out, sizeof out);
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  return result;
}

}  // namespace

TEST_CASE("SipHash-1-3 is OpenSSL's") {
  const kage::SipKey key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
  std::string text;
  for (int size = 0; size < 100; ++size) {
    CHECK(kage::siphash(key, text) == by_openssl(key, text));
    text.push_back(static_cast<char>(200 + size));
  }
}

TEST_CASE("two random keys give two hashes") {
  CHECK(kage::siphash(kage::random_sip_key(), "a") != kage::siphash(kage::random_sip_key(), "a"));
}

TEST_CASE("a table's hasher is the same all through the process, and not the standard's") {
  CHECK(kage::SipHash()("taro@corp.example") == kage::SipHash()(std::string("taro@corp.example")));
  CHECK(kage::SipHash()("taro@corp.example") != std::hash<std::string_view>()("taro@corp.example"));
  const std::unordered_map<std::string, int, kage::SipHash, std::equal_to<>> table{{"a", 1}, {"b", 2}};
  REQUIRE(table.find(std::string_view("b")) != table.end());
  CHECK(table.find(std::string_view("b"))->second == 2);
  CHECK_FALSE(table.contains(std::string_view("c")));
}
