// A member's mail provider: whose logins it knows, and where its services are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/loop.h"

namespace kage::tls {

enum class Service : std::uint8_t { imap, pop3, submission };

/// Where a service is. TLS and a verified certificate, unless it is on this machine.
struct Endpoint {
  std::string host;  ///< empty: the provider has no such service
  std::uint16_t port = 0;
  bool starttls = false;  ///< else implicit TLS
  bool plain = false;     ///< no TLS: only for a loopback address
  bool operator==(const Endpoint&) const = default;
};

struct ProviderOptions {
  std::string name;
  std::vector<std::string> domains;  ///< canonical; logins of these domains are its own
  using Protocol = Service;
  Protocol protocol = Protocol::imap;  ///< how it is asked whether a login is right, at `host`
  std::string host;
  std::uint16_t port = 993;
  bool starttls = false;
  Endpoint imap;  ///< for the proxy
  Endpoint pop3;
  std::string ca_file;  ///< empty: the system's authorities
  net::Millis timeout{15'000};

  /// Where a service is; an empty host when it is nowhere.
  [[nodiscard]] Endpoint endpoint(Service service) const;
};

}  // namespace kage::tls
