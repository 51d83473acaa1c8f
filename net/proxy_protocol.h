// The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): who really connected, told by a
// trusted load balancer in front.
//
// The caller decides whom to trust before it reads a header at all.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/buffered_reader.h"
#include "net/cidr.h"
#include "net/ip.h"
#include "net/stream.h"

namespace kage::net {

struct ParsedProxyHeader {
  std::size_t size = 0;               ///< octets of the header
  std::optional<PeerAddress> source;  ///< none for LOCAL, UNKNOWN and Unix sockets: the transport's own holds
};

/// Longest headers taken, in octets.
inline constexpr std::size_t kMaxProxyV1 = 107;
inline constexpr std::size_t kMaxProxyV2 = 16 + 512;

/// Looks for a header at the start of `bytes`; nothing when more bytes are needed. Anything else than a
/// well-formed header: Errc::protocol.
Result<std::optional<ParsedProxyHeader>> parse_proxy_header(std::string_view bytes);

/// Reads the header that must come first on a connection, and says who the client is. What follows it stays
/// in the reader. The stream's deadline bounds the time.
Task<Result<PeerAddress>> read_proxy_header(BufferedReader& reader, PeerAddress transport);

/// Replaces `peer` by who the header says it is, when `peer` is one of `named`; from anybody else no header
/// is read. False (and a line in the log) when it should have come and did not: the connection ends then.
/// Both references outlive the task.
Task<bool> learn_peer(BufferedReader& reader, PeerAddress& peer, const std::vector<Network>& named);

}  // namespace kage::net
