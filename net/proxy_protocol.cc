// A parser over what has arrived so far; it is called again with more. Headers are short, so it starts anew.
#include "net/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/log.h"
#include "base/text.h"

namespace kage::net {
namespace {

using Parsed = Result<std::optional<ParsedProxyHeader>>;

constexpr std::string_view kV1 = "PROXY ";
constexpr std::string_view kV2("\r\n\r\n\0\r\nQUIT\n", 12);

std::unexpected<Error> malformed() {
  return fail(Errc::protocol, "malformed PROXY header");
}

bool could_start(std::string_view bytes, std::string_view signature) {
  const std::size_t size = std::min(bytes.size(), signature.size());
  return bytes.substr(0, size) == signature.substr(0, size);
}

/// Takes the text up to the next space, or all of the rest.
std::string_view take_word(std::string_view& rest) {
  const std::size_t space = rest.find(' ');
  const std::string_view word = rest.substr(0, space);
  rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
  return word;
}

/// "PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n" (§2.1).
Parsed parse_v1(std::string_view bytes) {
  const std::string_view window = bytes.substr(0, kMaxProxyV1);
  const std::size_t end = window.find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() >= kMaxProxyV1) return malformed();
    return std::nullopt;
  }
  if (end == 0 || window[end - 1] != '\r') return malformed();
  std::string_view rest = window.substr(kV1.size(), end - 1 - kV1.size());
  const std::string_view family = take_word(rest);
  if (family == "UNKNOWN") return ParsedProxyHeader{end + 1, std::nullopt};
  if (family != "TCP4" && family != "TCP6") return malformed();

  const auto source = parse_ip(take_word(rest));
  const auto destination = parse_ip(take_word(rest));
  const auto source_port = parse_number(take_word(rest), 65535);
  const auto destination_port = parse_number(rest, 65535);
  if (!source || !destination || !source_port || !destination_port) return malformed();
  if (family == "TCP4" && (!is_ipv4(*source) || !is_ipv4(*destination))) return malformed();
  return ParsedProxyHeader{end + 1,
                           PeerAddress{format_ip(*source), static_cast<std::uint16_t>(*source_port)}};
}

unsigned octet(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

std::uint16_t port_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>((octet(bytes, at) << 8U) | octet(bytes, at + 1));
}

/// §2.2: signature, version and command, family and protocol, length, addresses, TLVs (which are skipped).
Parsed parse_v2(std::string_view bytes) {
  if (bytes.size() < 16) return std::nullopt;
  const unsigned version = octet(bytes, 12) >> 4U;
  const unsigned command = octet(bytes, 12) & 15U;
  const unsigned family = octet(bytes, 13);
  const std::size_t size = 16U + port_at(bytes, 14);
  if (version != 2 || command > 1 || size > kMaxProxyV2) return malformed();
  if (bytes.size() < size) return std::nullopt;
  const std::string_view body = bytes.substr(16, size - 16);
  ParsedProxyHeader header{size, std::nullopt};
  if (command == 0) return header;  // LOCAL

  IpOctets ip{};
  switch (family) {
    case 0x11:  // TCP over IPv4
      if (body.size() < 12) return malformed();
      ip[10] = ip[11] = 0xff;
      std::memcpy(&ip[12], body.data(), 4);
      header.source = PeerAddress{format_ip(ip), port_at(body, 8)};
      return header;
    case 0x21:  // TCP over IPv6
      if (body.size() < 36) return malformed();
      std::memcpy(ip.data(), body.data(), 16);
      header.source = PeerAddress{format_ip(ip), port_at(body, 32)};
      return header;
    case 0x00:  // unspecified
    case 0x31:  // Unix stream
      return header;
    default:
      return malformed();
  }
}

}  // namespace

Result<std::optional<ParsedProxyHeader>> parse_proxy_header(std::string_view bytes) {
  if (could_start(bytes, kV1)) return bytes.size() < kV1.size() ? Parsed(std::nullopt) : parse_v1(bytes);
  if (could_start(bytes, kV2)) return bytes.size() < kV2.size() ? Parsed(std::nullopt) : parse_v2(bytes);
  return malformed();
}

Task<Result<PeerAddress>> read_proxy_header(BufferedReader& reader, PeerAddress transport) {
  std::string held;
  while (true) {
    const auto bytes = co_await reader.chunk();
    if (!bytes) co_return std::unexpected(bytes.error());
    if (bytes->empty()) co_return fail(Errc::closed, "end of stream before the PROXY header");
    // A header is shorter than what is kept of one chunk, so the rest can be given back from the chunk.
    const std::size_t before = held.size();
    const std::size_t room = std::max(kMaxProxyV1, kMaxProxyV2) - before;
    held.append(bytes->substr(0, room));
    auto parsed = parse_proxy_header(held);
    if (!parsed) co_return std::unexpected(parsed.error());
    if (!*parsed) continue;
    reader.unread(bytes->substr((*parsed)->size - before));
    co_return (*parsed)->source ? std::move(*(*parsed)->source) : std::move(transport);
  }
}

Task<bool> learn_peer(BufferedReader& reader, PeerAddress& peer, const std::vector<Network>& named) {
  const auto holds_peer = [&peer](const Network& network) { return network.contains(peer.ip); };
  if (std::ranges::none_of(named, holds_peer)) co_return true;
  auto source = co_await read_proxy_header(reader, peer);
  if (!source) {
    log::info("proxy_header.refused", {{"reason", to_string(source.error().code)}});
    co_return false;
  }
  peer = std::move(*source);
  co_return true;
}

}  // namespace kage::net
