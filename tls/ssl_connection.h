// A connection in OpenSSL's hands: the handshake, and then the traffic unless it is handed over. Internal to
// tls.
#pragma once

#include <memory>
#include <string>

#include "tls/openssl.h"
#include "tls/protection.h"
#include "tls/record_layer.h"
#include "tls/tls_stream.h"
#include "tls/traffic_secrets.h"

namespace kage::tls {

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
  [[nodiscard]] TlsInfo info() const;
  /// Why the handshake failed, as far as an operator can do something about it.
  [[nodiscard]] std::string handshake_reason() const;
  /// The records from now on, when this is a server's TLS 1.3 connection whose hands are just shaken, and
  /// whose client takes records of any size; else null, and OpenSSL goes on.
  std::unique_ptr<Protection> hand_over(std::uint64_t records_a_key = RecordLayer::kRecordsAKey);

  Step open(CipherText& text, std::span<char> room, std::size_t& size) override;
  bool seal(CipherText& text, std::string_view data) override;
  void end(CipherText& text) override;
  [[nodiscard]] bool holds_data() const override { return SSL_has_pending(ssl_.get()) == 1; }

 private:
  Step step_of(int result);

  std::shared_ptr<const void> keep_;
  SslPtr ssl_;
  std::unique_ptr<TrafficSecrets> secrets_;  ///< a server's, from the handshake on
  std::uint64_t sent_ = 0;                   ///< records under the server's traffic secret
};

}  // namespace kage::tls
