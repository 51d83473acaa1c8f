// [[provider]] and [[next_hop]]: which of their keys go together, and what may go over a connection without
// TLS.
#include "app/config_hops.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "net/ip.h"

namespace kage::app {
namespace {

/// Which section has a domain.
using Owners = std::map<std::string, std::string>;

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const auto ip = net::parse_ip(host);
  if (!ip) return false;
  return net::is_ipv4(*ip) ? (*ip)[12] == 127 : net::format_ip(*ip) == "::1";
}

/// The endpoint from a service's own keys; port 0 means the default for its kind of TLS.
provider::ServiceEndpoint endpoint_of(const std::string& host, std::uint16_t port, std::string_view security,
                                      std::uint16_t implicit_port, std::uint16_t other_port) {
  const bool implicit = security != "starttls" && security != "none";
  return {host,
          port != 0  ? port
          : implicit ? implicit_port
                     : other_port,
          security == "starttls", security == "none"};
}

void unique_domains(ConfigContext& context, const SectionValues& values, const std::string& name,
                    const std::vector<std::string>& domains, Owners& owners) {
  for (const std::string& domain : domains) {
    const auto [at, fresh] = owners.try_emplace(domain, name);
    if (!fresh) {
      context.wrong(values, "domains", fmt::format("{}, which {} has too", quote(domain), quote(at->second)),
                    fmt::format("one {} for each domain", values.section()));
    }
  }
}

/// Passwords and mail without TLS stay on this machine, whatever a name would be resolved to.
void plain_only_here(ConfigContext& context, const SectionValues& values, std::string_view key,
                     const provider::ServiceEndpoint& endpoint) {
  if (!endpoint.plain || (net::parse_ip(endpoint.host) && is_loopback(endpoint.host))) return;
  context.wrong(values, key, "\"none\" for another machine", "\"none\" with a loopback address as host");
}

/// Where the proxy finds the mailboxes.
void services(ConfigContext& context, const SectionValues& values, provider::ProviderOptions& provider) {
  const bool imap = provider.protocol == provider::Service::imap;
  const std::string& imap_host = values.text("imap_host");
  const std::uint16_t imap_port = port_of(values, "imap_port");
  if (!imap_host.empty()) {
    provider.imap = endpoint_of(imap_host, imap_port, values.text("imap_tls"), 993, 143);
  } else if (imap && (values.given("imap_port") || values.given("imap_tls"))) {
    const std::string& security = values.text(values.given("imap_tls") ? "imap_tls" : "tls");
    provider.imap = endpoint_of(provider.host, imap_port, security, 993, 143);
  } else if (!imap) {
    context.only_with(values, "imap_port", false, "imap_port together with imap_host");
    context.only_with(values, "imap_tls", false, "imap_tls together with imap_host");
  }
  const std::string& pop3_host = values.text("pop3_host");
  provider.pop3 = endpoint_of(pop3_host.empty() ? provider.host : pop3_host, port_of(values, "pop3_port"),
                              values.text("pop3_tls"), 995, 110);
  plain_only_here(context, values, "imap_tls", provider.imap);
  plain_only_here(context, values, "pop3_tls", provider.pop3);
}

/// False when a wrong value of one of the keys was reported already.
bool hop_login_complete(const SectionValues& values) {
  for (const std::string_view key : {"username", "password", "password_file"}) {
    if (values.given(key) && values.text(key).empty()) return false;
  }
  return true;
}

submission::NextHopOptions next_hop(ConfigContext& context, const SectionValues& values) {
  using submission::HopTls;
  submission::NextHopOptions hop;
  hop.name = values.text("name");
  hop.domains = values.list("domains");
  hop.inside = values.flag("inside");
  if (hop.inside && std::ranges::find(hop.domains, "*") != hop.domains.end()) {
    context.wrong(values, "inside", "true beside \"*\"", "true with the inside's own domains only");
  }
  hop.host = values.text("host");
  hop.port = port_of(values);
  const std::string& tls = values.text("tls");
  hop.tls = tls == "none"       ? HopTls::none
            : tls == "starttls" ? HopTls::starttls
            : tls == "implicit" ? HopTls::implicit
                                : HopTls::opportunistic;
  const bool verified = hop.tls == HopTls::starttls || hop.tls == HopTls::implicit;
  hop.ca_file = context.authorities(values, verified && context.use == ConfigUse::serve);
  context.only_with(values, "ca_file", verified, "ca_file only with tls = \"starttls\" or \"implicit\"");
  hop.username = values.text("username");
  hop.password = context.password(values);
  if (hop.username.empty() != hop.password.empty() && hop_login_complete(values)) {
    const std::string_view key =
        hop.username.empty() ? (values.given("password") ? "password" : "password_file") : "username";
    context.wrong(values, key, "it alone", "username together with password or password_file");
  }
  if (!hop.username.empty() && !verified && !is_loopback(hop.host)) {
    // A password over an unverified connection is anybody's.
    context.wrong(values, "tls", quote(tls) + " with a username",
                  "\"starttls\" or \"implicit\" with a username");
  }
  hop.max_connections = static_cast<std::size_t>(values.number("max_connections"));
  if (const auto rate = static_cast<std::uint32_t>(values.number("messages_per_second")); rate > 0) {
    hop.rate = std::make_shared<submission::HopRate>(rate);
  }
  hop.connect_timeout = millis(values, "connect_timeout");
  hop.command_timeout = millis(values, "command_timeout");
  hop.final_timeout = millis(values, "final_timeout");
  hop.idle_timeout = millis(values, "idle_timeout");
  return hop;
}

}  // namespace

std::vector<provider::ProviderOptions> read_providers(ConfigContext& context) {
  using Protocol = provider::Service;
  std::set<std::string> names;
  Owners owners;
  std::vector<provider::ProviderOptions> providers;
  for (const SectionValues& values : context.document.all("provider")) {
    provider::ProviderOptions provider;
    context.unique_name(values, names);
    provider.name = values.text("name");
    provider.domains = values.list("domains");
    unique_domains(context, values, provider.name, provider.domains, owners);
    provider.protocol = values.text("protocol") == "submission" ? Protocol::submission : Protocol::imap;
    provider.host = values.text("host");
    provider.starttls = values.text("tls") == "starttls";
    const bool imap = provider.protocol == Protocol::imap;
    const auto own =
        endpoint_of(provider.host, port_of(values), values.text("tls"), imap ? 993 : 465, imap ? 143 : 587);
    provider.port = own.port;
    services(context, values, provider);
    provider.ca_file = context.authorities(values, context.use == ConfigUse::serve);
    provider.timeout = millis(values, "timeout");
    providers.push_back(std::move(provider));
  }
  return providers;
}

std::vector<submission::NextHopOptions> read_next_hops(ConfigContext& context, bool needs_default) {
  std::set<std::string> names;
  Owners owners;
  std::vector<submission::NextHopOptions> hops;
  for (const SectionValues& values : context.document.all("next_hop")) {
    context.unique_name(values, names);
    submission::NextHopOptions hop = next_hop(context, values);
    unique_domains(context, values, hop.name, hop.domains, owners);
    hops.push_back(std::move(hop));
  }
  if (needs_default && !owners.contains("*")) {
    context.problems.add(1, "next_hop", "no default next hop", "one [[next_hop]] with domains = [\"*\"]");
  }
  return hops;
}

}  // namespace kage::app
