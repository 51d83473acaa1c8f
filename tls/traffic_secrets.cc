// The key log's lines: a label, the client's random, the secret, the last two in hexadecimal digits.
#include "tls/traffic_secrets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <memory>
#include <string>

#include "base/text.h"

namespace kage::tls {
namespace {

int secrets_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

void take_line(const SSL* ssl, const char* text) {
  auto* const secrets = static_cast<TrafficSecrets*>(SSL_get_ex_data(ssl, secrets_index()));
  if (secrets == nullptr) return;
  const std::string_view line(text);
  Secret* const to = line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")   ? &secrets->client
                     : line.starts_with("SERVER_TRAFFIC_SECRET_0 ") ? &secrets->server
                                                                    : nullptr;
  if (to == nullptr) return;
  const std::string_view digits = line.substr(line.rfind(' ') + 1);
  if (digits.empty() || digits.size() % 2 != 0 || digits.size() / 2 > Secret::kMaxSize) return;
  const auto octets = to->resize(digits.size() / 2);
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets[i] = hex_octet(digits.substr(2 * i)).value_or(0);
  }
}

struct FreeKdf {
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

OSSL_PARAM text_parameter(const char* key, std::string_view value) {
  return OSSL_PARAM_construct_octet_string(key, const_cast<char*>(value.data()), value.size());
}

}  // namespace

Secret::~Secret() {
  OPENSSL_cleanse(octets_.data(), octets_.size());
}

std::span<unsigned char> Secret::resize(std::size_t size) {
  size_ = std::min(size, kMaxSize);
  return {octets_.data(), size_};
}

bool expand_label(const char* digest, const Secret& secret, std::string_view label,
                  std::span<unsigned char> out) {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_TLS1_3_KDF, nullptr);
  const std::unique_ptr<EVP_KDF_CTX, FreeKdf> context(EVP_KDF_CTX_new(kdf));
  if (!context) return false;
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  const auto key = secret.octets();
  const std::array<OSSL_PARAM, 6> parameters{
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, const_cast<char*>(digest), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<unsigned char*>(key.data()),
                                        key.size()),
      text_parameter(OSSL_KDF_PARAM_PREFIX, "tls13 "),
      text_parameter(OSSL_KDF_PARAM_LABEL, label),
      OSSL_PARAM_construct_end()};
  return EVP_KDF_derive(context.get(), out.data(), out.size(), parameters.data()) == 1;
}

void tell_secrets(SSL_CTX* context) {
  SSL_CTX_set_keylog_callback(context, take_line);
}

bool keep_secrets(SSL* ssl, TrafficSecrets& to) {
  return SSL_set_ex_data(ssl, secrets_index(), &to) == 1;
}

}  // namespace kage::tls
