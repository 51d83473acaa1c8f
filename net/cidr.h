// IP networks in CIDR notation: who is trusted, who shares a limit.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/ip.h"

namespace kage::net {

class Network {
 public:
  /// "192.0.2.0/24", "2001:db8::/32", or one address. Bits behind the prefix must be zero: "192.0.2.1/24" is
  /// a mistake that should be seen. Errc::invalid with the reason.
  static Result<Network> parse(std::string_view text);

  /// False for what is no IP address (an empty one: a Unix socket). v4-mapped addresses count as IPv4, and an
  /// IPv6 network never contains an IPv4 address.
  [[nodiscard]] bool contains(std::string_view ip) const;
  [[nodiscard]] bool contains(const IpOctets& ip) const;

 private:
  Network(const IpOctets& octets, unsigned bits, bool v4) : octets_(octets), bits_(bits), v4_(v4) {}

  IpOctets octets_;
  unsigned bits_;  // of the 128
  bool v4_;
};

/// The network that one customer usually has, for limits: /24 of IPv4, /56 of IPv6 (what a home is given), as
/// text with the prefix length. Text that is no IP address comes back as it is.
std::string network_of(std::string_view ip);

}  // namespace kage::net
