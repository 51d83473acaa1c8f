// AES-256-SIV: RFC 5297 over AES-256. CMAC (RFC 4493) is the last block of a CBC whose input's last block was
// changed by a subkey.
//
// OpenSSL has it as a whole, but makes several contexts anew for each message there, which takes several
// times as long as its AES does; a fetched message shows several sealed ids. Here the contexts keep their
// keys, which are wiped.
#include "mapping/keys/keys.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "mapping/keys/aes.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kBlock = kAesBlock;
constexpr std::size_t kHalfKey = kSivKeySize / 2;
static_assert(kBlock == Siv::kOverhead);
using Block = AesBlock;

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

std::string_view text_of(const Block& block) {
  return {reinterpret_cast<const char*>(block.data()), block.size()};
}

/// CBC with an IV of zeros for each message: the first block takes off again what the message before left.
class KeyedCbc {
 public:
  explicit KeyedCbc(const unsigned char* key) : aes_(aes_cbc(), key) {}

  /// The next blocks of a message, which are used up; the last one of the ciphertext.
  const Block& run(std::span<unsigned char> blocks, bool first) {
    if (first) add(blocks.data(), left_);
    aes_.run(blocks);
    std::ranges::copy(blocks.last<kBlock>(), left_.begin());
    return left_;
  }

 private:
  KeyedAes aes_;
  Block left_{};
};

/// Counter mode: the key stream is the encrypted counters (NIST SP 800-38A §6.5).
class KeyedCounter {
 public:
  explicit KeyedCounter(const unsigned char* key) : aes_(aes_ecb(), key) {}

  /// Encrypts or decrypts `from`. The last 31 bits of `first` are zero or leave room to count.
  void apply(const Block& first, unsigned char* to, std::string_view from) {
    std::array<unsigned char, 16 * kBlock> stream;
    std::uint32_t count = 0;
    for (std::size_t i = kBlock - 4; i < kBlock; ++i) count = count << 8U | first[i];
    while (!from.empty()) {
      const std::string_view now = from.substr(0, stream.size());
      const std::size_t size = (now.size() + kBlock - 1) / kBlock * kBlock;
      for (std::size_t at = 0; at < size; at += kBlock) write_counter(&stream[at], first, count++);
      aes_.run(std::span(stream).first(size));
      for (std::size_t i = 0; i < now.size(); ++i) {
        to[i] = static_cast<unsigned char>(octets(now)[i] ^ stream[i]);
      }
      to += now.size();
      from.remove_prefix(now.size());
    }
  }

 private:
  static void write_counter(unsigned char* to, const Block& first, std::uint32_t count) {
    std::copy_n(first.begin(), kBlock - 4, to);
    for (std::size_t i = 1; i <= 4; ++i, count >>= 8U) to[kBlock - i] = static_cast<unsigned char>(count);
  }

  KeyedAes aes_;
};

/// Both halves of the key, prepared. One thread at a time.
class Sealer {
 public:
  explicit Sealer(std::string_view key) : mac_(octets(key)), cipher_(octets(key.substr(kHalfKey))) {
    Block zeros{};
    whole_ = doubled(mac_.run(zeros, true));
    padded_ = doubled(whole_);
    start_ = doubled(cmac(text_of(Block{}), nullptr));
  }
  ~Sealer() {
    for (Block* secret : {&whole_, &padded_, &start_, &context_mac_}) {
      OPENSSL_cleanse(secret->data(), kBlock);
    }
  }
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  /// S2V of RFC 5297 §2.4 with one associated datum.
  Block synthetic_iv(std::string_view context, std::string_view plaintext) {
    // The ids of a message have the same one.
    if (context != context_) {
      context_mac_ = cmac(context, nullptr);
      add(context_mac_.data(), start_);
      context_ = context;
    }
    if (plaintext.size() >= kBlock) return cmac(plaintext, &context_mac_);
    Block padded{};
    std::ranges::copy(plaintext, padded.begin());
    padded[plaintext.size()] = 0x80;
    add(padded.data(), doubled(context_mac_));
    return cmac(text_of(padded), nullptr);
  }

  /// Encrypts and decrypts (RFC 5297 §2.5): two bits of the IV are cleared, for counters of 32 bits.
  void apply(Block iv, unsigned char* to, std::string_view from) {
    iv[8] &= 0x7fU;
    iv[12] &= 0x7fU;
    cipher_.apply(iv, to, from);
  }

 private:
  /// CMAC of `text`, whose last block `end` is added to first.
  Block cmac(std::string_view text, const Block* end) {
    std::array<unsigned char, 32 * kBlock> work;
    constexpr std::size_t kPiece = 16 * kBlock;
    bool first = true;
    // What `end` and the padding change stays for the last piece.
    for (; text.size() > work.size() - kBlock; first = false, text.remove_prefix(kPiece)) {
      std::ranges::copy(text.substr(0, kPiece), work.begin());
      mac_.run(std::span(work).first(kPiece), first);
    }
    std::ranges::copy(text, work.begin());
    if (end != nullptr) add(&work[text.size() - kBlock], *end);
    const std::size_t size = std::max(kBlock, (text.size() + kBlock - 1) / kBlock * kBlock);
    if (text.size() < size) {
      work[text.size()] = 0x80;
      std::fill(work.data() + text.size() + 1, work.data() + size, '\0');
    }
    add(&work[size - kBlock], text.size() == size ? whole_ : padded_);
    return mac_.run(std::span(work).first(size), first);
  }

  KeyedCbc mac_;
  KeyedCounter cipher_;
  Block whole_{}, padded_{};  // the subkeys of RFC 4493 §2.3: for a last block that is whole, and for others
  Block start_{};             // doubled CMAC of a block of zeros, which every S2V begins with
  std::string context_;       // the last one
  Block context_mac_{};       // and what S2V makes of it
};

}  // namespace

/// The prepared context is made when first needed: of many members few write at a time, and it takes about a
/// kilobyte.
struct Siv::State {
  Secret key;
  Spare<Sealer> spare;

  std::unique_ptr<Sealer> take() {
    return spare.take([this] { return std::make_unique<Sealer>(key); });
  }
};

Siv::Siv(std::string_view key) : state_(std::make_unique<State>()) {
  require(key.size() == kSivKeySize, "SIV key size");
  state_->key = Secret(std::string(key));
}
Siv::~Siv() = default;
Siv::Siv(Siv&&) noexcept = default;
Siv& Siv::operator=(Siv&&) noexcept = default;

void Siv::seal(std::string_view context, std::string_view plaintext, std::span<char> out) const {
  require(!context.empty() && !plaintext.empty() && out.size() == kOverhead + plaintext.size(), "SIV input");
  auto sealer = state_->take();
  const Block iv = sealer->synthetic_iv(context, plaintext);
  std::ranges::copy(iv, octets(out));
  sealer->apply(iv, octets(out) + kBlock, plaintext);
  state_->spare.put_back(std::move(sealer));
}

std::string Siv::seal(std::string_view context, std::string_view plaintext) const {
  std::string out(kOverhead + plaintext.size(), '\0');
  seal(context, plaintext, out);
  return out;
}

std::optional<std::string> Siv::open(std::string_view context, std::string_view sealed) const {
  if (sealed.size() <= kOverhead || context.empty()) return std::nullopt;
  auto sealer = state_->take();
  Block iv;
  std::copy_n(octets(sealed), kBlock, iv.begin());
  std::string out(sealed.size() - kOverhead, '\0');
  sealer->apply(iv, octets(out), sealed.substr(kBlock));
  const Block expected = sealer->synthetic_iv(context, out);
  state_->spare.put_back(std::move(sealer));
  if (CRYPTO_memcmp(iv.data(), expected.data(), kBlock) != 0) {
    OPENSSL_cleanse(out.data(), out.size());
    return std::nullopt;
  }
  return out;
}

}  // namespace kage::mapping
