// A member's mail provider, as the configuration has it: whose logins it knows, and where its services are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/loop.h"

namespace kage::provider {

enum class Service : std::uint8_t { imap, pop3, submission };
inline constexpr std::size_t kServices = 3;

/// Where a service is. TLS and a verified certificate, unless it is on this machine.
struct ServiceEndpoint {
  std::string host;  ///< empty: the provider has no such service
  std::uint16_t port = 0;
  bool starttls = false;  ///< else implicit TLS
  bool plain = false;     ///< no TLS: only for a loopback address
  bool operator==(const ServiceEndpoint&) const = default;
};

struct ProviderOptions {
  std::string name;
  std::vector<std::string> domains;  ///< canonical; logins of these domains are its own
  Service protocol = Service::imap;  ///< how it is asked whether a login is right, at `host`
  std::string host;
  std::uint16_t port = 993;
  bool starttls = false;
  ServiceEndpoint imap;  ///< for the proxy
  ServiceEndpoint pop3;
  std::string ca_file;  ///< empty: the system's authorities
  net::Millis timeout{15'000};

  /// Where the proxy finds a service; an empty host when it is nowhere.
  [[nodiscard]] ServiceEndpoint endpoint(Service service) const;
  /// Where it is asked whether a login is right.
  [[nodiscard]] ServiceEndpoint login_endpoint() const { return {host, port, starttls, false}; }
};

}  // namespace kage::provider
