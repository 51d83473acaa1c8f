// A connection in OpenSSL's hands: the handshake, and then the traffic unless it is handed over. Internal to
// tls.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "tls/openssl.h"
#include "tls/protection.h"
#include "tls/record_layer.h"
#include "tls/traffic_secrets.h"

namespace kage::tls {

/// Counts the encrypted records of TLS 1.3 in a stream.
class RecordCounter {
 public:
  void add(std::string_view stream);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// Whether what came so far ends with a record.
  [[nodiscard]] bool is_whole() const { return header_size_ == 0 && left_ == 0; }

 private:
  static constexpr std::size_t kHeader = 5;
  std::array<unsigned char, kHeader> header_{};
  std::size_t header_size_ = 0;
  std::size_t left_ = 0;  ///< octets of a record's body
  std::uint64_t count_ = 0;
};

class SslConnection final : public Protection {
 public:
  /// Takes `ssl`, whose context `keep` may own; `text` outlives it.
  SslConnection(SSL* ssl, std::shared_ptr<const void> keep, CipherText& text);
  ~SslConnection() override;
  SslConnection(const SslConnection&) = delete;
  SslConnection& operator=(const SslConnection&) = delete;

  /// Step::more: wants input. Step::full: done. `text` is that of the constructor, as everywhere below.
  Step shake(CipherText& text);
  [[nodiscard]] bool is_server() const { return SSL_is_server(ssl_.get()) == 1; }
  [[nodiscard]] bool speaks_tls_1_3() const { return SSL_version(ssl_.get()) == TLS1_3_VERSION; }
  /// What the next connection may resume.
  [[nodiscard]] SslSessionPtr session() const { return SslSessionPtr(SSL_get1_session(ssl_.get())); }
  /// Why the handshake failed, as far as an operator can do something about it.
  [[nodiscard]] std::string handshake_reason() const;
  /// The record layer, of a TLS 1.3 connection whose peer takes records of any size: a server's as soon as
  /// hands are shaken, a client's when the server has sent data, since OpenSSL has to have its session
  /// tickets, and no record or message has come in part.
  std::unique_ptr<Protection> hand_over() override { return hand_over(RecordLayer::kRecordsAKey); }
  std::unique_ptr<Protection> hand_over(std::uint64_t records_a_key);

  Step open(CipherText& text, std::span<char> room, std::size_t& size) override;
  bool seal(CipherText& text, std::string_view data) override;
  void end(CipherText& text) override;
  [[nodiscard]] bool holds_data() const override { return SSL_has_pending(ssl_.get()) == 1; }

 private:
  Step step_of(int result);
  [[nodiscard]] bool wants_small_records() const;
  /// A ticket came in part: one may take several records (RFC 8446 §5.1). OpenSSL writes nothing until it has
  /// the rest.
  [[nodiscard]] bool is_amid_message() const { return SSL_in_init(ssl_.get()) != 0; }
  static void watch(int write, int version, int type, const void* message, std::size_t size, SSL* ssl,
                    void* self);

  std::shared_ptr<const void> keep_;
  SslPtr ssl_;
  TrafficSecrets secrets_;         // wiped with a key update, which makes them old (RFC 8446 §7.2)
  RecordCounter sent_, received_;  // under the traffic secrets
  std::string held_back_;          // data to seal when the message that comes is whole
  bool shaken_ = false;
  bool has_data_ = false;  ///< the peer sent some
};

}  // namespace kage::tls
