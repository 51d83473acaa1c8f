// Prefix comparison on 16 octets.
#include "net/cidr.h"

#include <algorithm>

#include "base/text.h"

namespace kage::net {
namespace {

/// `ip` with the bits behind the first `bits` set to zero.
IpOctets masked(IpOctets ip, unsigned bits) {
  for (unsigned i = 0; i < ip.size(); ++i) {
    const unsigned kept = std::clamp(bits, i * 8, i * 8 + 8) - i * 8;
    ip[i] = static_cast<std::uint8_t>(ip[i] & (0xff00U >> kept));
  }
  return ip;
}

}  // namespace

Result<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto ip = parse_ip(text.substr(0, slash));
  if (!ip) return fail(Errc::invalid, "not an IP address");
  const bool v4 = is_ipv4(*ip) && text.substr(0, slash).find(':') == std::string_view::npos;
  unsigned bits = 128;
  if (slash != std::string_view::npos) {
    const auto given = parse_number(text.substr(slash + 1), v4 ? 32 : 128);
    if (!given)
      return fail(Errc::invalid, v4 ? "prefix length must be 0 to 32" : "prefix length must be 0 to 128");
    bits = static_cast<unsigned>(*given) + (v4 ? 96 : 0);
  }
  if (masked(*ip, bits) != *ip) return fail(Errc::invalid, "bits behind the prefix are not zero");
  return Network(*ip, bits, v4 || (is_ipv4(*ip) && bits >= 96));
}

bool Network::contains(std::string_view ip) const {
  const auto octets = parse_ip(ip);
  return octets && contains(*octets);
}

bool Network::contains(const IpOctets& ip) const {
  return is_ipv4(ip) == v4_ && masked(ip, bits_) == octets_;
}

std::string network_of(std::string_view ip) {
  const auto octets = parse_ip(ip);
  if (!octets) return std::string(ip);
  const bool v4 = is_ipv4(*octets);
  return format_ip(masked(*octets, v4 ? 96 + 24 : 56)) + (v4 ? "/24" : "/56");
}

}  // namespace kage::net
