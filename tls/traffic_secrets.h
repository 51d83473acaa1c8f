// The secrets that protect a TLS 1.3 connection's traffic (RFC 8446 §7.1). Internal to tls.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kage::tls {

/// A traffic secret; wiped when it goes.
class Secret {
 public:
  static constexpr std::size_t kMaxSize = 48;  ///< octets: SHA-384

  Secret() = default;
  ~Secret();
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::span<const unsigned char> octets() const { return {octets_.data(), size_}; }
  /// `size` octets to be written, kMaxSize at most.
  std::span<unsigned char> resize(std::size_t size);

 private:
  std::array<unsigned char, kMaxSize> octets_{};
  std::size_t size_ = 0;
};

/// Of the first application data on: client_ and server_application_traffic_secret_0.
struct TrafficSecrets {
  Secret client;
  Secret server;
};

/// HKDF-Expand-Label(secret, label, "", out.size()) of RFC 8446 §7.1 with the suite's hash ("SHA256"). At
/// most as long as the hash. False when OpenSSL cannot.
bool expand_label(const char* digest, const Secret& secret, std::string_view label,
                  std::span<unsigned char> out);

/// Connections of `context` tell their secrets to whom keep_secrets() named. By OpenSSL's key log, its only
/// public way to them; nothing is written anywhere.
void tell_secrets(SSL_CTX* context);

/// Where the connection's secrets go. `to` outlives the handshake. False when OpenSSL has no memory.
bool keep_secrets(SSL* ssl, TrafficSecrets& to);

}  // namespace kage::tls
