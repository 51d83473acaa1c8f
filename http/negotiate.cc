// Small readers of single fields.
#include "http/negotiate.h"

#include <algorithm>
#include <ranges>

#include "base/text.h"
#include "net/ip.h"

namespace kage::http {
namespace {

/// The next element of a comma-separated list, taken off `rest`.
std::string_view next_item(std::string_view& rest) {
  const std::size_t comma = std::min(rest.find(','), rest.size());
  const std::string_view item = trim(rest.substr(0, comma));
  rest.remove_prefix(std::min(rest.size(), comma + 1));
  return item;
}

/// RFC 9110 §12.4.2, in thousandths. What is no weight counts as 1.
int weight(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string_view one = trim(parameters.substr(0, end));
    parameters.remove_prefix(std::min(parameters.size(), end + 1));
    if (!starts_with_nocase(one, "q=") || one.size() < 3) continue;
    if (one[2] == '1') return 1000;
    int value = 0;
    int place = 100;
    for (const char c : one.substr(std::min<std::size_t>(one.size(), 4), 3)) {
      if (!is_digit(c)) break;
      value += (c - '0') * place;
      place /= 10;
    }
    return value;
  }
  return 1000;
}

/// The best weight of the elements that `wanted` names, -1 when there is none.
template <class Wanted>
int best(std::string_view field, Wanted wanted) {
  int found = -1;
  while (!field.empty()) {
    const std::string_view item = next_item(field);
    const std::size_t semicolon = std::min(item.find(';'), item.size());
    if (!wanted(trim(item.substr(0, semicolon)))) continue;
    found = std::max(found, weight(item.substr(std::min(item.size(), semicolon + 1))));
  }
  return found;
}

bool is_language(std::string_view tag, std::string_view language) {
  return starts_with_nocase(tag, language) && (tag.size() == 2 || tag[2] == '-');
}

}  // namespace

bool prefers_json(std::string_view accept) {
  const int json =
      best(accept, [](std::string_view type) { return equals_nocase(type, "application/json"); });
  const int html = best(accept, [](std::string_view type) { return equals_nocase(type, "text/html"); });
  return json > 0 && json > html;
}

bool prefers_japanese(std::string_view accept_language) {
  const int japanese = best(accept_language, [](std::string_view tag) { return is_language(tag, "ja"); });
  const int english = best(accept_language, [](std::string_view tag) { return is_language(tag, "en"); });
  return japanese > 0 && japanese > english;
}

std::optional<std::string> origin_of_url(std::string_view url) {
  const bool printable = std::ranges::all_of(url, [](char c) { return c > ' ' && c < '\x7f' && c != '\\'; });
  const std::size_t scheme_end = url.find("://");
  if (!printable || scheme_end == std::string_view::npos) return std::nullopt;
  const std::string scheme = lower(url.substr(0, scheme_end));
  if (scheme != "https" && scheme != "http") return std::nullopt;
  std::string_view rest = url.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  const std::size_t host_end =
      rest.starts_with('[') ? rest.find(']') + 1 : std::min(rest.find(':'), rest.size());
  std::string_view port = rest.substr(host_end);
  std::string host = lower(rest.substr(0, host_end));
  const bool name =
      std::ranges::all_of(host, [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '_'; });
  if (host.empty() ||
      (!name && (host.size() < 3 || !net::parse_ip(std::string_view(host).substr(1, host.size() - 2))))) {
    return std::nullopt;
  }
  std::string origin = scheme + "://" + host;
  if (port.empty()) return origin;
  const auto number = parse_number(port.substr(1), 65535);
  if (port[0] != ':' || !number || *number == 0) return std::nullopt;
  if (*number != (scheme == "https" ? 443 : 80)) origin += ":" + std::to_string(*number);
  return origin;
}

bool is_origin(std::string_view text) {
  return origin_of_url(text) == text;
}

std::optional<std::string> path_behind(std::string_view target, std::string_view prefix) {
  if (!target.starts_with(prefix)) return std::nullopt;
  const std::string_view path = target.substr(0, target.find_first_of("?#")).substr(prefix.size());
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out.push_back(path[i]);
      continue;
    }
    const auto octet = hex_octet(path.substr(i + 1));
    if (!octet || *octet < 0x20) return std::nullopt;
    out.push_back(static_cast<char>(*octet));
    i += 2;
  }
  return out;
}

std::string client_ip(const Request& request, const std::string& peer,
                      const std::vector<net::Network>& proxies) {
  const auto is_proxy = [&proxies](std::string_view ip) {
    return std::ranges::any_of(proxies, [ip](const net::Network& network) { return network.contains(ip); });
  };
  std::string client = peer;
  if (!is_proxy(peer)) return client;
  for (const auto& [name, value] : std::views::reverse(request.fields)) {
    if (name != "x-forwarded-for") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t comma = rest.rfind(',');
      const std::string_view item = trim(comma == std::string_view::npos ? rest : rest.substr(comma + 1));
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(0, comma);
      const auto ip = net::parse_ip(item);
      if (!ip) return client;  // what stands before it was written by who knows whom
      client = net::format_ip(*ip);
      if (!is_proxy(client)) return client;
    }
  }
  return client;
}

}  // namespace kage::http
