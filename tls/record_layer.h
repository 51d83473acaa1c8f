// TLS 1.3 records behind the handshake (RFC 8446 §5). Internal to tls.
//
// OpenSSL shakes hands and keeps 14 kB of state for a connection. Most connections of mail clients then wait
// for hours; this needs the keys alone, and lets go of its cipher contexts too while it rests. It encrypts
// straight into the output buffer and decrypts straight from the input, without OpenSSL's copies between. The
// ciphers are OpenSSL's.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tls/protection.h"
#include "tls/traffic_secrets.h"

namespace kage::tls {

/// A cipher suite of RFC 8446 §B.4; one of a fixed table.
struct Suite;

/// Null: not one that is known here.
const Suite* find_suite(std::uint16_t id);

/// One direction's keys (RFC 8446 §5.2, §5.3, §7.3).
class RecordKeys {
 public:
  enum class Use : std::uint8_t { opening, sealing };

  /// `sequence`: how many records went this way under this secret.
  RecordKeys(const Suite& suite, const Secret& secret, Use use, std::uint64_t sequence);
  ~RecordKeys();
  RecordKeys(const RecordKeys&) = delete;
  RecordKeys& operator=(const RecordKeys&) = delete;

  /// Encrypts `content` and its type into `out`, which has room for kTag + 1 octets more than `content`.
  /// `header` is that of the record. False when OpenSSL cannot.
  bool seal(std::span<const unsigned char> header, std::string_view content, std::uint8_t type,
            unsigned char* out);
  /// Decrypts a record's body (more than kTag octets) to `out`, padding and type at its end. False when it
  /// is not what the peer sent.
  bool open(std::span<const unsigned char> header, std::string_view body, unsigned char* out);
  /// Goes on to the next generation (§7.2).
  bool update();
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }
  void rest() { context_.reset(); }

  static constexpr std::size_t kTag = 16;

 private:
  struct FreeCipher {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  bool derive();
  bool begin(std::span<const unsigned char> header);

  const Suite& suite_;
  Secret secret_;
  std::array<unsigned char, 32> key_{};
  std::array<unsigned char, 12> iv_{};
  std::uint64_t sequence_;
  Use use_;
  std::unique_ptr<EVP_CIPHER_CTX, FreeCipher> context_;
  bool good_;
};

class RecordLayer final : public Protection {
 public:
  /// New keys are used after so many records: AES-GCM is good for 2^24.5 (§5.5).
  static constexpr std::uint64_t kRecordsAKey = 1ULL << 24U;

  enum class Role : std::uint8_t { server, client };
  /// How many records the traffic secrets have protected so far.
  struct Progress {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };

  RecordLayer(const Suite& suite, const TrafficSecrets& secrets, Role role, Progress progress,
              std::uint64_t records_a_key = kRecordsAKey);

  Step open(CipherText& text, std::span<char> room, std::size_t& size) override;
  bool seal(CipherText& text, std::string_view data) override;
  void end(CipherText& text) override;
  [[nodiscard]] bool holds_data() const override;
  void rest() override;

 private:
  enum class Alert : std::uint8_t;
  enum class Content : std::uint8_t;

  std::optional<std::string_view> next_record(CipherText& text);
  bool is_sound(CipherText& text, std::string_view header);
  Step open_record(CipherText& text, std::string_view record, char* room, std::size_t& size);
  Step take_alert(CipherText& text, std::string_view content);
  Step take_handshake(CipherText& text, std::string_view content);
  Step stop(CipherText& text, Alert alert, std::string reason);
  bool write_record(CipherText& text, Content type, std::string_view content);
  bool renew_writing_keys(CipherText& text);

  const Role role_;
  RecordKeys reading_;
  RecordKeys writing_;
  std::uint64_t records_a_key_;
  std::string partial_;          ///< a record that has not come whole, or that found no room
  unsigned empty_records_ = 0;   ///< since there was data
  std::size_t ticket_left_ = 0;  ///< octets of a session ticket that are still to come
  bool key_update_asked_ = false;
  bool peer_ended_ = false;
  bool ended_ = false;
};

}  // namespace kage::tls
