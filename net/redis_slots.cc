// Slots, the slot map and redirections.
#include "net/redis_slots.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace kage::net {
namespace {

/// CRC-16 with the polynomial x¹⁶ + x¹² + x⁵ + 1, most significant bit first, beginning at 0.
constexpr std::array<std::uint16_t, 256> kCrcTable = [] {
  std::array<std::uint16_t, 256> table{};
  for (unsigned octet = 0; octet < table.size(); ++octet) {
    unsigned crc = octet << 8U;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1U) ^ ((crc & 0x8000U) != 0 ? 0x1021U : 0U);
    table[octet] = static_cast<std::uint16_t>(crc);
  }
  return table;
}();

std::uint16_t crc16(std::string_view text) {
  unsigned crc = 0;
  for (const char c : text) {
    crc = (crc << 8U ^ kCrcTable[(crc >> 8U ^ static_cast<unsigned char>(c)) & 0xffU]) & 0xffffU;
  }
  return static_cast<std::uint16_t>(crc);
}

std::optional<std::uint16_t> good_port(std::int64_t port) {
  if (port < 1 || port > UINT16_MAX) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

/// A server of the map: [host, port, id, …]. Nothing: its name is not known to the one that answered.
Result<std::optional<Endpoint>> read_server(const RedisReply& reply, const Endpoint& asked) {
  using Type = RedisReply::Type;
  if (reply.elements.size() < 2 || reply.elements[1].type != Type::integer) {
    return fail(Errc::protocol, "Redis: CLUSTER SLOTS");
  }
  const RedisReply& host = reply.elements[0];
  const auto port = good_port(reply.elements[1].integer);
  if (!port || (!host.is_nil() && host.type != Type::string)) {
    return fail(Errc::protocol, "Redis: CLUSTER SLOTS");
  }
  if (host.text == "?") return std::nullopt;
  if (host.text.empty()) return Endpoint{asked.host, *port};
  if (!is_redis_host(host.text)) return fail(Errc::protocol, "Redis: CLUSTER SLOTS");
  return Endpoint{host.text, *port};
}

struct Range {
  std::uint16_t first;
  std::uint16_t last;
  Endpoint server;
};

Result<std::optional<Range>> read_range(const RedisReply& reply, const Endpoint& asked) {
  using Type = RedisReply::Type;
  const auto& parts = reply.elements;
  if (parts.size() < 3 || parts[0].type != Type::integer || parts[1].type != Type::integer) {
    return fail(Errc::protocol, "Redis: CLUSTER SLOTS");
  }
  const std::int64_t first = parts[0].integer;
  const std::int64_t last = parts[1].integer;
  if (first < 0 || first > last || last >= static_cast<std::int64_t>(kRedisSlots)) {
    return fail(Errc::protocol, "Redis: CLUSTER SLOTS");
  }
  auto server = read_server(parts[2], asked);  // the master; replicas follow
  if (!server) return std::unexpected(std::move(server.error()));
  if (!*server) return std::nullopt;
  return Range{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last), std::move(**server)};
}

bool before(const Endpoint& a, const Endpoint& b) {
  return std::pair(std::string_view(a.host), a.port) < std::pair(std::string_view(b.host), b.port);
}

}  // namespace

bool is_redis_host(std::string_view text) {
  constexpr std::size_t kLongest = 255;
  if (text.empty() || text.size() > kLongest) return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._:").find(c) != std::string_view::npos;
  });
}

std::uint16_t redis_slot(std::string_view key) {
  const std::size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return crc16(key) % kRedisSlots;
}

Result<RedisSlotMap> read_slot_map(const RedisReply& reply, const Endpoint& asked) {
  if (reply.type != RedisReply::Type::array || reply.elements.size() > kRedisSlots) {
    return fail(Errc::protocol, "Redis: CLUSTER SLOTS");
  }
  std::vector<Range> ranges;
  RedisSlotMap map;
  for (const RedisReply& element : reply.elements) {
    auto range = read_range(element, asked);
    if (!range) return std::unexpected(std::move(range.error()));
    if (!*range) continue;
    map.servers.push_back((*range)->server);
    ranges.push_back(std::move(**range));
  }
  std::ranges::sort(map.servers, before);
  map.servers.erase(std::ranges::unique(map.servers).begin(), map.servers.end());
  if (map.servers.empty()) return fail(Errc::unavailable, "Redis: the cluster has no slots");
  if (map.servers.size() > RedisSlotMap::kMostServers) return fail(Errc::limit, "Redis: CLUSTER SLOTS");
  map.owner.fill(RedisSlotMap::kNobody);
  for (const Range& range : ranges) {
    const auto at = std::ranges::lower_bound(map.servers, range.server, before) - map.servers.begin();
    std::fill(map.owner.begin() + range.first, map.owner.begin() + range.last + 1,
              static_cast<std::uint16_t>(at));
  }
  return map;
}

std::optional<RedisRedirect> read_redirect(const RedisReply& reply, const Endpoint& asked) {
  if (!reply.is_error()) return std::nullopt;
  std::string_view rest = reply.text;
  const bool ask = rest.starts_with("ASK ");
  if (!ask && !rest.starts_with("MOVED ")) return std::nullopt;
  rest.remove_prefix(rest.find(' ') + 1);
  const std::size_t space = rest.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  if (!parse_number(rest.substr(0, space), kRedisSlots - 1)) return std::nullopt;
  const std::string_view server = rest.substr(space + 1);
  // An IPv6 address stands there without brackets.
  const std::size_t colon = server.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view host = server.substr(0, colon);
  const auto port = parse_number(server.substr(colon + 1), UINT16_MAX);
  if (!port || *port == 0 || (!host.empty() && !is_redis_host(host))) return std::nullopt;
  return RedisRedirect{ask,
                       {host.empty() ? asked.host : std::string(host), static_cast<std::uint16_t>(*port)}};
}

}  // namespace kage::net
