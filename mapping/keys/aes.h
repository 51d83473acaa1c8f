// AES-256 with its key set, and how threads share it. Internal to mapping.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "mapping/keys/openssl_support.h"

namespace kage::mapping {

inline constexpr std::size_t kAesBlock = 16;
using AesBlock = std::array<unsigned char, kAesBlock>;

/// Never freed: they are for as long as the process runs.
inline const EVP_CIPHER* aes_cbc() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return cipher;
}
inline const EVP_CIPHER* aes_ecb() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
  return cipher;
}

/// Setting an IV takes OpenSSL twice as long as a message id takes its AES, so nothing here needs one.
class KeyedAes {
 public:
  enum class Way : unsigned char { decrypt, encrypt };

  KeyedAes(const EVP_CIPHER* mode, const unsigned char* key, Way way = Way::encrypt)
      : context_(EVP_CIPHER_CTX_new()) {
    require(context_ && mode != nullptr &&
                EVP_CipherInit_ex2(context_.get(), mode, key, AesBlock{}.data(), static_cast<int>(way),
                                   nullptr) == 1 &&
                EVP_CIPHER_CTX_set_padding(context_.get(), 0) == 1,
            "AES key");
  }

  /// Whole blocks, in place.
  void run(std::span<unsigned char> blocks) {
    int written = 0;
    const auto size = static_cast<int>(blocks.size());
    require(EVP_CipherUpdate(context_.get(), blocks.data(), &written, blocks.data(), size) == 1 &&
                written == size,
            "AES");
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
};

/// One prepared object of those that any thread may need: who needs it takes it out and puts it back; where
/// two want it, one makes its own.
template <class T>
class Spare {
 public:
  Spare() = default;
  ~Spare() { delete waiting_.load(); }
  Spare(const Spare&) = delete;
  Spare& operator=(const Spare&) = delete;

  template <class Make>
  std::unique_ptr<T> take(const Make& make) {
    std::unique_ptr<T> taken(waiting_.exchange(nullptr, std::memory_order_acquire));
    return taken ? std::move(taken) : make();
  }
  void put_back(std::unique_ptr<T> spare) {
    delete waiting_.exchange(spare.release(), std::memory_order_acq_rel);
  }

 private:
  std::atomic<T*> waiting_ = nullptr;
};

}  // namespace kage::mapping
