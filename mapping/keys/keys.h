// Keys and the primitives that everything stored or shown is made with (contract R3.6, R4.1, R4.3,
// R4.6).
//
//   master key (file, 0600) ── HKDF ──▶ record key   seals routes, wraps member keys
//                                 ├──▶ tag key      hides which member sealed a message id
//                                 ├──▶ bounce key   addresses that bounces come back to
//                                 └──▶ index key    names of ledger entries, hashes for logs
//   member key (random, in Redis, wrapped) ── HKDF ──▶ phantom key (HMAC), seal key (AES-SIV)
//
// Losing a member's key is what forgetting means (R3.5). No key is ever logged or written elsewhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace kage::mapping {

/// AES-256-SIV (RFC 5297), deterministic authenticated encryption: equal input, equal output. Thread-safe.
class Siv {
 public:
  explicit Siv(std::string_view key);  ///< 64 octets
  ~Siv();
  Siv(Siv&&) noexcept;
  Siv& operator=(Siv&&) noexcept;
  static constexpr std::size_t kOverhead = 16;  ///< octets by which sealed text is longer than the plaintext
  /// A synthetic IV, then the ciphertext. `context` is authenticated, not contained. Neither may be empty:
  /// OpenSSL's SIV cannot seal nothing.
  [[nodiscard]] std::string seal(std::string_view context, std::string_view plaintext) const;
  /// The same into `out`, whose size is that of the result.
  void seal(std::string_view context, std::string_view plaintext, std::span<char> out) const;
  /// Nothing when it was not sealed with this key and context.
  [[nodiscard]] std::optional<std::string> open(std::string_view context, std::string_view sealed) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// AES-256 of single blocks: a permutation under the key, so nothing of its input shows and nothing can be
/// made that decrypts to a chosen value. Thread-safe.
class BlockCipher {
 public:
  static constexpr std::size_t kKeySize = 32;
  using Block = std::array<char, 16>;

  explicit BlockCipher(std::string_view key);
  ~BlockCipher();
  BlockCipher(const BlockCipher&) = delete;
  BlockCipher& operator=(const BlockCipher&) = delete;
  /// `block` has the size of one.
  [[nodiscard]] Block encrypt(std::string_view block) const;
  [[nodiscard]] Block decrypt(std::string_view block) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline constexpr std::size_t kMacSize = 32;
/// An HMAC-SHA-256; converts to a view of its octets.
struct Mac {
  std::array<char, kMacSize> octets;
  [[nodiscard]] std::string_view first(std::size_t count) const { return {octets.data(), count}; }
  operator std::string_view() const { return first(kMacSize); }
  bool operator==(const Mac&) const = default;
};
Mac hmac_sha256(std::string_view key, std::string_view data);
/// Of the parts, one behind the other.
Mac hmac_sha256(std::string_view key, std::initializer_list<std::string_view> parts);
Secret hkdf_sha256(std::string_view key, std::string_view info, std::size_t length);
std::string sha256(std::string_view data);

/// What one member's 256-bit key gives.
class MemberKeys {
 public:
  explicit MemberKeys(std::string_view member_key);  ///< 32 octets
  [[nodiscard]] std::string_view phantom_key() const { return phantom_key_; }
  [[nodiscard]] const Siv& seal() const { return seal_; }

 private:
  Secret phantom_key_;
  Siv seal_;
};

/// What the master key gives. Immutable, shared by all workers.
class MasterKeys {
 public:
  explicit MasterKeys(std::string_view master_key);  ///< 32 octets
  MasterKeys(const MasterKeys&) = delete;
  MasterKeys& operator=(const MasterKeys&) = delete;
  [[nodiscard]] const Siv& record() const { return record_; }
  [[nodiscard]] const BlockCipher& tag() const { return tag_; }
  [[nodiscard]] const BlockCipher& bounce() const { return bounce_; }
  [[nodiscard]] std::string_view index_key() const { return index_key_; }

  /// A short keyed hash by which operators can follow one address through the logs (contract R9.5).
  [[nodiscard]] std::string log_tag(std::string_view canonical_address) const;
  /// What stands for a POP3 server's unique-id that may name a host: 32 characters (160 bits; RFC 1939 §7
  /// allows 70), so that no two messages of a mailbox get the same one. Equal on every node.
  [[nodiscard]] std::string uidl_tag(std::string_view unique_id) const;

 private:
  Siv record_;
  BlockCipher tag_, bounce_;
  Secret index_key_;
};

/// Reads the master key file: 64 hexadecimal digits and a line end, mode 0600 or stricter, owned by us. The
/// error names the file and the reason: not_found, denied (owner or mode), invalid or io.
Result<Secret> read_master_key(const std::string& path);
/// Makes a new key file with mode 0600; Errc::conflict when there is one already.
Result<Secret> create_master_key(const std::string& path);

}  // namespace kage::mapping
