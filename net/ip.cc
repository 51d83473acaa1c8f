// inet_pton and inet_ntop with one form for v4-mapped addresses.
#include "net/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace kage::net {
namespace {

constexpr IpOctets kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};

}  // namespace

bool is_ipv4(const IpOctets& ip) {
  return std::equal(ip.begin(), ip.begin() + 12, kMapped.begin());
}

std::optional<IpOctets> parse_ip(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof terminated || text.contains('\0')) return std::nullopt;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  IpOctets ip = kMapped;
  if (inet_pton(AF_INET, terminated, &ip[12]) == 1) return ip;
  if (inet_pton(AF_INET6, terminated, ip.data()) == 1) return ip;
  return std::nullopt;
}

std::string format_ip(const IpOctets& ip) {
  char text[INET6_ADDRSTRLEN];
  const bool v4 = is_ipv4(ip);
  inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &ip[12] : ip.data(), text, sizeof text);
  return text;
}

PeerAddress peer_address_of(const sockaddr* address) {
  IpOctets ip = kMapped;
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    std::memcpy(&ip[12], &v4->sin_addr, 4);
    return PeerAddress{format_ip(ip), ntohs(v4->sin_port)};
  }
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    std::memcpy(ip.data(), &v6->sin6_addr, 16);
    return PeerAddress{format_ip(ip), ntohs(v6->sin6_port)};
  }
  return {};
}

std::string format_endpoint(std::string_view ip, std::uint16_t port) {
  std::string out;
  if (ip.contains(':')) {
    out.append("[").append(ip).append("]");
  } else {
    out.append(ip);
  }
  return out.append(":").append(std::to_string(port));
}

std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text;
  std::string_view behind;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    behind = text.substr(close + 1);
    if (!behind.empty() && behind.front() != ':') return std::nullopt;
  } else if (std::ranges::count(text, ':') == 1) {  // more of them: an IPv6 address
    host = text.substr(0, text.find(':'));
    behind = text.substr(host.size());
  }
  if (host.empty()) return std::nullopt;
  if (behind.empty()) return Endpoint{std::string(host), default_port};
  const auto port = parse_number(behind.substr(1), UINT16_MAX);
  if (!port || *port == 0) return std::nullopt;
  return Endpoint{std::string(host), static_cast<std::uint16_t>(*port)};
}

}  // namespace kage::net
