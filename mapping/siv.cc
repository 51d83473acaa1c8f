// AES-256-SIV: RFC 5297 over AES-256. CMAC (RFC 4493) is the last block of a CBC whose input's last block was
// changed by a subkey.
//
// OpenSSL has it as a whole, but makes several contexts anew for each message there, which takes several
// times as long as its AES does; a fetched message shows several sealed ids. Here the contexts keep their
// keys, which are wiped.
#include "mapping/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mapping/openssl_support.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kBlock = 16;
constexpr std::size_t kHalfKey = kSivKeySize / 2;
using Block = std::array<unsigned char, kBlock>;

void add(unsigned char* to, const Block& block) {  // exclusive or
  for (std::size_t i = 0; i < kBlock; ++i) to[i] = static_cast<unsigned char>(to[i] ^ block[i]);
}

/// Multiplication by x in GF(2^128) (RFC 5297 §2.3), in a time that does not depend on the block.
Block doubled(const Block& block) {
  Block out{};
  unsigned carry = 0;
  for (std::size_t i = kBlock; i-- > 0;) {
    const unsigned value = static_cast<unsigned>(block[i]) << 1U | carry;
    out[i] = static_cast<unsigned char>(value & 0xffU);
    carry = value >> 8U;
  }
  out[kBlock - 1] = static_cast<unsigned char>(out[kBlock - 1] ^ (0x87U & (0U - carry)));
  return out;
}

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

/// AES-256 with its key set. Setting an IV takes OpenSSL twice as long as a message id takes its AES, so
/// nothing here needs one.
class KeyedAes {
 public:
  KeyedAes(const EVP_CIPHER* mode, const unsigned char* key) : context_(EVP_CIPHER_CTX_new()) {
    require(context_ && mode != nullptr &&
                EVP_EncryptInit_ex2(context_.get(), mode, key, Block{}.data(), nullptr) == 1 &&
                EVP_CIPHER_CTX_set_padding(context_.get(), 0) == 1,
            "AES key");
  }

  /// Whole blocks, in place.
  void run(std::string& blocks) {
    int written = 0;
    const auto size = static_cast<int>(blocks.size());
    require(EVP_EncryptUpdate(context_.get(), octets(blocks), &written, octets(blocks), size) == 1 &&
                written == size,
            "AES");
  }

 private:
  std::unique_ptr<EVP_CIPHER_CTX, FreeCipher> context_;
};

/// CBC with an IV of zeros for each message: the first block takes off again what the message before left.
class KeyedCbc {
 public:
  explicit KeyedCbc(const unsigned char* key) : aes_(mode(), key) {}

  /// The last block of the ciphertext; `blocks` is used up.
  Block last_block(std::string& blocks) {
    add(octets(blocks), left_);
    aes_.run(blocks);
    std::copy_n(octets(blocks) + blocks.size() - kBlock, kBlock, left_.begin());
    return left_;
  }

 private:
  static const EVP_CIPHER* mode() {
    static EVP_CIPHER* const cbc = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
    return cbc;
  }
  KeyedAes aes_;
  Block left_{};
};

/// Counter mode: the key stream is the encrypted counters (NIST SP 800-38A §6.5).
class KeyedCounter {
 public:
  explicit KeyedCounter(const unsigned char* key) : aes_(mode(), key) {}

  /// Encrypts or decrypts `from`. The last 31 bits of `first` are zero or leave room to count.
  void apply(const Block& first, unsigned char* to, std::string_view from) {
    std::string stream((from.size() + kBlock - 1) / kBlock * kBlock, '\0');
    std::uint32_t count = 0;
    for (std::size_t i = kBlock - 4; i < kBlock; ++i) count = count << 8U | first[i];
    for (std::size_t at = 0; at < stream.size(); at += kBlock, ++count) {
      std::ranges::copy(first, octets(stream) + at);
      for (std::size_t i = 0; i < 4; ++i) {
        octets(stream)[at + kBlock - 1 - i] = static_cast<unsigned char>(count >> (8 * i) & 0xffU);
      }
    }
    aes_.run(stream);
    for (std::size_t i = 0; i < from.size(); ++i) {
      to[i] = static_cast<unsigned char>(octets(from)[i] ^ octets(stream)[i]);
    }
  }

 private:
  static const EVP_CIPHER* mode() {
    static EVP_CIPHER* const ecb = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
    return ecb;
  }
  KeyedAes aes_;
};

/// Both halves of the key, prepared. One thread at a time.
class Sealer {
 public:
  explicit Sealer(std::string_view key) : mac_(octets(key)), cipher_(octets(key.substr(kHalfKey))) {
    std::string zeros(kBlock, '\0');
    whole_ = doubled(mac_.last_block(zeros));
    padded_ = doubled(whole_);
    zeros.assign(kBlock, '\0');
    start_ = doubled(cmac(zeros, nullptr));
  }
  ~Sealer() {
    for (Block* secret : {&whole_, &padded_, &start_}) OPENSSL_cleanse(secret->data(), kBlock);
  }
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  /// S2V of RFC 5297 §2.4 with one associated datum.
  Block synthetic_iv(std::string_view context, std::string_view plaintext) {
    std::string work(context);
    Block d = cmac(work, nullptr);
    add(d.data(), start_);
    work = plaintext;
    if (plaintext.size() < kBlock) {
      work.push_back('\x80');
      work.resize(kBlock, '\0');
      d = doubled(d);
    }
    return cmac(work, &d);
  }

  /// Encrypts and decrypts (RFC 5297 §2.5): two bits of the IV are cleared, for counters of 32 bits.
  void apply(Block iv, unsigned char* to, std::string_view from) {
    iv[8] &= 0x7fU;
    iv[12] &= 0x7fU;
    cipher_.apply(iv, to, from);
  }

 private:
  /// CMAC of `text`, whose last block `end` is added to first. `text` is used up.
  Block cmac(std::string& text, const Block* end) {
    if (end != nullptr) add(octets(text) + text.size() - kBlock, *end);
    const bool whole = text.size() % kBlock == 0;
    if (!whole) {
      text.push_back('\x80');
      text.resize((text.size() + kBlock - 1) / kBlock * kBlock, '\0');
    }
    add(octets(text) + text.size() - kBlock, whole ? whole_ : padded_);
    return mac_.last_block(text);
  }

  KeyedCbc mac_;
  KeyedCounter cipher_;
  Block whole_{}, padded_{};  // the subkeys of RFC 4493 §2.3: for a last block that is whole, and for others
  Block start_{};             // doubled CMAC of a block of zeros, which every S2V begins with
};

}  // namespace

/// The prepared context is made when first needed: of many members few write at a time, and it takes about a
/// kilobyte. Who seals takes it out and puts it back; where two threads want it, one makes its own.
struct Siv::State {
  std::string key;
  std::atomic<Sealer*> spare = nullptr;

  ~State() {
    OPENSSL_cleanse(key.data(), key.size());
    delete spare.load();
  }

  std::unique_ptr<Sealer> take() {
    Sealer* const waiting = spare.exchange(nullptr, std::memory_order_acquire);
    return waiting != nullptr ? std::unique_ptr<Sealer>(waiting) : std::make_unique<Sealer>(key);
  }
  void put_back(std::unique_ptr<Sealer> sealer) {
    delete spare.exchange(sealer.release(), std::memory_order_acq_rel);
  }
};

Siv::Siv(std::string_view key) : state_(std::make_unique<State>()) {
  require(key.size() == kSivKeySize, "SIV key size");
  state_->key = key;
}
Siv::~Siv() = default;
Siv::Siv(Siv&&) noexcept = default;
Siv& Siv::operator=(Siv&&) noexcept = default;

std::string Siv::seal(std::string_view context, std::string_view plaintext) const {
  require(!context.empty() && !plaintext.empty(), "SIV input");
  auto sealer = state_->take();
  const Block iv = sealer->synthetic_iv(context, plaintext);
  std::string out(kBlock + plaintext.size(), '\0');
  std::ranges::copy(iv, octets(out));
  sealer->apply(iv, octets(out) + kBlock, plaintext);
  state_->put_back(std::move(sealer));
  return out;
}

std::optional<std::string> Siv::open(std::string_view context, std::string_view sealed) const {
  if (sealed.size() <= kBlock || context.empty()) return std::nullopt;
  auto sealer = state_->take();
  Block iv;
  std::copy_n(octets(sealed), kBlock, iv.begin());
  std::string out(sealed.size() - kBlock, '\0');
  sealer->apply(iv, octets(out), sealed.substr(kBlock));
  const Block expected = sealer->synthetic_iv(context, out);
  state_->put_back(std::move(sealer));
  if (CRYPTO_memcmp(iv.data(), expected.data(), kBlock) != 0) {
    OPENSSL_cleanse(out.data(), out.size());
    return std::nullopt;
  }
  return out;
}

}  // namespace kage::mapping
