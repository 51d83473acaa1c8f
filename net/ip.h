// IP addresses as 16 octets and as text. One form for each: IPv4 is kept as v4-mapped octets and written
// dotted.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace kage::net {

/// Network order. IPv4 is ::ffff:a.b.c.d.
using IpOctets = std::array<std::uint8_t, 16>;

/// Reads "192.0.2.1", "2001:db8::1" or "::ffff:192.0.2.1"; no brackets, no zone, no spaces.
std::optional<IpOctets> parse_ip(std::string_view text);

[[nodiscard]] bool is_ipv4(const IpOctets& ip);

/// Canonical text (RFC 5952); v4-mapped addresses are dotted.
std::string format_ip(const IpOctets& ip);

/// The IP address of a peer, without names. v4-mapped addresses are stored as IPv4.
struct PeerAddress {
  std::string ip;  ///< textual, canonical; empty for a Unix socket
  std::uint16_t port = 0;
};

/// Address and port of an AF_INET or AF_INET6 socket address; of anything else an empty PeerAddress.
PeerAddress peer_address_of(const sockaddr* address);

/// "192.0.2.1:25" or "[2001:db8::1]:25".
std::string format_endpoint(std::string_view ip, std::uint16_t port);

/// A server as an operator names it.
struct Endpoint {
  std::string host;  ///< name or IP address, without brackets
  std::uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};
/// Reads "host", "host:25", "2001:db8::1" or "[2001:db8::1]:25"; what the host consists of is not looked at.
std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port);

}  // namespace kage::net
