// Builds the Config from checked settings and judges what needs more than one key.
#include "app/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "app/form_config.h"
#include "app/settings.h"
#include "base/text.h"
#include "net/cidr.h"
#include "net/ip.h"
#include "tls/client_context.h"
#include "tls/server_context.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxConfigSize = 1 << 20;
constexpr std::size_t kMaxSecretSize = 4096;
constexpr std::uint16_t kSentinelPort = 26379;
constexpr std::uint16_t kRedisPort = 6379;
/// Settings that say where Redis is, each by itself; with none of them it is the embedded one.
constexpr std::string_view kRedisWays[] = {"unix", "host", "sentinels", "cluster"};
constexpr std::size_t kMaxSocketPath = 107;  // sun_path of unix(7), without its final NUL

net::Millis millis(const SectionValues& values, std::string_view key) {
  return net::Millis(values.number(key));
}

std::uint16_t port_of(const SectionValues& values, std::string_view key = "port") {
  return static_cast<std::uint16_t>(values.number(key));
}

using Face = ListenConfig::Face;

struct FaceName {
  std::string_view name;
  Face face;
  enum class Kind : std::uint8_t { smtp, proxy, form, other } kind;
};
constexpr FaceName kFaces[] = {
    {"inbound", Face::inbound, FaceName::Kind::smtp},
    {"submission", Face::submission, FaceName::Kind::smtp},
    {"submissions", Face::submissions, FaceName::Kind::smtp},
    {"imap", Face::imap, FaceName::Kind::proxy},
    {"imaps", Face::imaps, FaceName::Kind::proxy},
    {"pop3", Face::pop3, FaceName::Kind::proxy},
    {"pop3s", Face::pop3s, FaceName::Kind::proxy},
    {"http", Face::http, FaceName::Kind::other},
    {"form", Face::form, FaceName::Kind::form},
    {"forms", Face::forms, FaceName::Kind::form},
};

/// Where a service of a provider is by its own keys. No port: the usual one of its kind of TLS.
provider::ServiceEndpoint endpoint_of(const std::string& host, std::uint16_t port, std::string_view security,
                                      std::uint16_t implicit_port, std::uint16_t other_port) {
  const bool implicit = security != "starttls" && security != "none";
  return {host,
          port != 0  ? port
          : implicit ? implicit_port
                     : other_port,
          security == "starttls", security == "none"};
}

std::vector<net::Network> networks(const std::vector<std::string>& texts) {
  std::vector<net::Network> out;
  for (const std::string& text : texts) {
    // Checked by the settings reader.
    if (auto network = net::Network::parse(text)) out.push_back(std::move(*network));
  }
  return out;
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const auto ip = net::parse_ip(host);
  if (!ip) return false;
  return net::is_ipv4(*ip) ? (*ip)[12] == 127 : net::format_ip(*ip) == "::1";
}

/// Walks the sections of one document; everything it refers to lives as long as build_config().
class Builder {
 public:
  Builder(const SettingsDocument& document, ConfigUse use, Problems& problems)
      : document_(document), use_(use), problems_(problems) {}

  Config build() {
    server();
    redis();
    certificates();
    limits();
    inbound();
    proxy();
    config_.form = build_form_options(document_.one("form"), problems_);
    listeners();
    providers();
    next_hops();
    return std::move(config_);
  }

 private:
  void wrong(const SectionValues& values, std::string_view key, std::string_view found,
             std::string_view allowed) {
    problems_.add(std::max<std::size_t>(1, values.line(key)), fmt::format("{}.{}", values.section(), key),
                  found, allowed);
  }

  /// Reports when the key is given although it means nothing here.
  void only_with(const SectionValues& values, std::string_view key, bool fits, std::string_view allowed) {
    if (values.given(key) && !fits) wrong(values, key, "a value", allowed);
  }

  /// The authorities of a section; what does not load is a wrong configuration. `used`: they matter there.
  std::string authorities(const SectionValues& values, bool used) {
    const std::string& path = values.text("ca_file");
    if (path.empty() || !used) return path;
    const auto context = tls::ClientContext::verified(path);
    if (!context) wrong(values, "ca_file", context.error().detail, "a PEM file of certificates");
    return path;
  }

  void server() {
    const SectionValues& values = document_.one("server");
    config_.session.hostname = values.text("hostname");
    config_.state_dir = values.text("state_dir");
    config_.session.spool_dir = config_.state_dir + "/spool";
    const auto workers = static_cast<unsigned>(values.number("workers"));
    config_.workers = workers > 0 ? workers : std::max(1u, std::thread::hardware_concurrency());
    const std::string& level = values.text("log_level");
    config_.log_level = level == "debug"   ? log::Level::debug
                        : level == "warn"  ? log::Level::warn
                        : level == "error" ? log::Level::error
                                           : log::Level::info;
    config_.stop_timeout = millis(values, "stop_timeout");
    const SectionValues& keys = document_.one("keys");
    config_.master_key = keys.given("master") ? keys.text("master") : config_.state_dir + "/master.key";
  }

  void keep_secret(const std::string& path) {
    auto& files = config_.secret_files;
    if (std::ranges::find(files, path) == files.end()) files.push_back(path);
  }

  /// The password of a section, from `key` or the file that `key`_file names.
  std::string password(const SectionValues& values, const std::string& key = "password") {
    const std::string file_key = key + "_file";
    if (!values.given(file_key)) {
      if (values.given(key)) keep_secret(problems_.file());
      return values.text(key);
    }
    if (values.given(key)) {
      wrong(values, file_key, "a value beside " + key, fmt::format("one of {} and {}", key, file_key));
    }
    const std::string& path = values.text(file_key);
    if (path.empty()) return {};  // the settings reader has refused it
    keep_secret(path);
    Problems unreadable(path);
    const auto content = read_file(path, kMaxSecretSize, unreadable);
    const std::string secret = content ? content->substr(0, content->find_first_of("\r\n")) : "";
    if (secret.empty())
      wrong(values, file_key, "no password",
            "a file of at most 4096 octets with the password in its first line");
    return secret;
  }

  void redis() {
    const SectionValues& values = document_.one("redis");
    RedisConfig& redis = config_.redis;
    redis.embedded = std::ranges::none_of(kRedisWays, [&](auto way) { return values.given(way); });
    redis.tls = values.flag("tls");
    redis.ca_file = authorities(values, redis.tls);
    redis.fsync_always = values.text("fsync") == "always";
    redis.executable = values.text("executable");
    redis.folder = config_.state_dir + "/redis";
    net::RedisOptions& options = redis.options;
    options.unix_path = redis.embedded ? redis.folder + "/redis.sock" : values.text("unix");
    options.host = values.text("host");
    options.port = port_of(values);
    options.username = values.text("username");
    options.password = password(values);
    options.database = static_cast<int>(values.number("database"));
    options.connect_timeout = millis(values, "connect_timeout");
    options.command_timeout = millis(values, "command_timeout");
    options.cluster = endpoints(values, "cluster", kRedisPort);
    sentinels(values, options.sentinels);
    check_redis(values);
  }

  static std::vector<net::Endpoint> endpoints(const SectionValues& values, std::string_view key,
                                              std::uint16_t default_port) {
    std::vector<net::Endpoint> found;
    for (const std::string& text : values.list(key)) {
      if (auto endpoint = net::parse_endpoint(text, default_port)) found.push_back(std::move(*endpoint));
    }
    return found;
  }

  void sentinels(const SectionValues& values, net::RedisSentinels& sentinels) {
    sentinels.endpoints = endpoints(values, "sentinels", kSentinelPort);
    sentinels.master = values.text("sentinel_master");
    sentinels.username = values.text("sentinel_username");
    sentinels.password = password(values, "sentinel_password");

    const bool given = values.given("sentinels");
    if (given && sentinels.master.empty()) {
      wrong(values, "sentinels", "no sentinel_master",
            "sentinels together with sentinel_master, the name under which they watch the master");
    }
    for (const std::string_view key :
         {"sentinel_master", "sentinel_username", "sentinel_password", "sentinel_password_file"}) {
      only_with(values, key, given, "with sentinels only");
    }
    if (!sentinels.username.empty() && sentinels.password.empty()) {
      wrong(values, "sentinel_username", quote(sentinels.username),
            "a sentinel_username together with sentinel_password or sentinel_password_file");
    }
  }

  /// Keys of [redis] that do not go together.
  void check_redis(const SectionValues& values) {
    const RedisConfig& redis = config_.redis;
    const net::RedisOptions& options = redis.options;
    const bool host = values.given("host");
    const bool cluster = values.given("cluster");
    std::string_view first;
    for (const std::string_view way : kRedisWays) {
      if (!values.given(way)) continue;
      if (!first.empty()) {
        wrong(values, way, fmt::format("a value beside {}", first),
              "one of unix, host, sentinels and cluster");
      }
      if (first.empty()) first = way;
    }
    only_with(values, "port", host, "port only with host");
    only_with(values, "tls", host || cluster || values.given("sentinels"),
              "tls only with host, sentinels or cluster");
    only_with(values, "database", !cluster, "no database with cluster, which has one only");
    only_with(values, "ca_file", redis.tls, "ca_file only with tls = true");
    for (const std::string_view key : {"username", "password", "password_file", "database"}) {
      only_with(values, key, !redis.embedded,
                "with unix, host, sentinels or cluster only; the embedded Redis needs none");
    }
    for (const std::string_view key : {"fsync", "executable"}) {
      only_with(values, key, redis.embedded,
                "without unix, host, sentinels and cluster only; it is for the embedded Redis");
    }
    if (!options.username.empty() && options.password.empty()) {
      wrong(values, "username", quote(options.username),
            "a username together with password or password_file");
    }
    if (options.unix_path.size() > kMaxSocketPath) {
      const SectionValues& where = redis.embedded ? document_.one("server") : values;
      wrong(where, redis.embedded ? "state_dir" : "unix",
            fmt::format("a path of {} octets", options.unix_path.size()),
            fmt::format("a path so short that the socket's ({}) has at most {} octets",
                        redis.embedded ? "state_dir/redis/redis.sock" : "unix", kMaxSocketPath));
    }
  }

  void certificates() {
    for (const SectionValues& values : document_.all("tls.certificate")) {
      tls::CertificateFiles files{values.text("certificate"), values.text("key")};
      if (use_ == ConfigUse::serve && !files.chain.empty() && !files.key.empty()) {
        if (const auto loaded = tls::ServerContext::load({files}); !loaded) {
          wrong(values, "certificate", loaded.error().detail,
                "a certificate chain and its key in PEM, without a passphrase");
        }
      }
      keep_secret(files.key);
      config_.certificates.push_back(std::move(files));
    }
  }

  void limits() {
    const SectionValues& values = document_.one("limits");
    submission::SessionOptions& session = config_.session;
    session.max_message_size = static_cast<std::uint64_t>(values.number("max_message_size"));
    session.max_header_size = static_cast<std::size_t>(values.number("max_header_size"));
    session.max_header_fields = static_cast<std::size_t>(values.number("max_header_fields"));
    session.max_recipients = static_cast<std::size_t>(values.number("max_recipients"));
    session.max_errors = static_cast<std::size_t>(values.number("max_errors"));
    session.max_hops = static_cast<std::size_t>(values.number("max_hops"));
    session.command_timeout = millis(values, "command_timeout");
    session.data_timeout = millis(values, "data_timeout");
    session.min_data_rate = static_cast<std::uint64_t>(values.number("min_data_rate"));
    session.transaction_timeout = millis(values, "transaction_timeout");
    config_.max_connections = static_cast<std::size_t>(values.number("max_connections"));
    if (session.max_header_size > session.max_message_size) {
      wrong(values, "max_header_size", write_size(values.number("max_header_size")),
            "at most max_message_size");
    }
  }

  void inbound() {
    const SectionValues& values = document_.one("inbound");
    submission::SessionOptions& session = config_.session;
    session.authserv_ids = values.list("authserv_ids");
    if (session.authserv_ids.empty()) session.authserv_ids.push_back(session.hostname);
    session.fronts = networks(values.list("fronts"));
    session.proxy_peers = networks(values.list("proxy_protocol"));
    std::set<std::string> names;
    for (const SectionValues& trusted : document_.all("inbound.trusted")) {
      unique_name(trusted, names);
      session.trusted.push_back({trusted.text("name"), networks(trusted.list("networks"))});
    }
    session.require_tls = document_.one("submission").flag("require_tls");
  }

  void unique_name(const SectionValues& values, std::set<std::string>& names) {
    const std::string& name = values.text("name");
    if (!name.empty() && !names.insert(name).second) {
      wrong(values, "name", quote(name) + " twice", "another name for each " + std::string(values.section()));
    }
  }

  void proxy() {
    const SectionValues& values = document_.one("proxy");
    proxy::ProxyOptions& proxy = config_.proxy;
    proxy.hostname = config_.session.hostname;
    proxy.require_tls = values.flag("require_tls");
    proxy.login_timeout = millis(values, "login_timeout");
    proxy.idle_timeout = millis(values, "idle_timeout");
    proxy.upstream_timeout = millis(values, "upstream_timeout");
    proxy.max_command = static_cast<std::size_t>(values.number("max_command"));
    proxy.max_append = static_cast<std::uint64_t>(values.number("max_append"));
    proxy.max_errors = static_cast<std::size_t>(values.number("max_errors"));
    proxy.max_connections_per_login = static_cast<std::size_t>(values.number("max_connections_per_login"));
    proxy.proxy_peers = networks(values.list("proxy_protocol"));
    proxy.gmail = values.flag("gmail");
  }

  void listeners() {
    std::map<std::pair<std::string, std::uint16_t>, std::size_t> taken;
    for (const SectionValues& values : document_.all("listen")) {
      ListenConfig listen;
      const auto known = std::ranges::find(kFaces, values.text("face"), &FaceName::name);
      const FaceName& face = known == std::ranges::end(kFaces) ? kFaces[0] : *known;
      listen.face = face.face;
      listen.address = net::format_ip(*net::parse_ip(values.text("address")));
      listen.port = port_of(values);
      smtp_ = smtp_ || face.kind == FaceName::Kind::smtp || face.kind == FaceName::Kind::form;
      if (face.kind == FaceName::Kind::form && config_.form.origins.empty()) {
        wrong(values, "face", quote(face.name) + " without form.origins",
              quote(face.name) + " together with form.origins");
      }
      if (face.kind == FaceName::Kind::proxy) need_provider(values);
      need_certificate(values, face);
      if (listen.port != 0 && values.given("port")) {
        const auto [at, fresh] = taken.try_emplace({listen.address, listen.port}, values.line("port"));
        if (!fresh) {
          wrong(values, "port",
                fmt::format("{} a second time (line {})", net::format_endpoint(listen.address, listen.port),
                            at->second),
                "one [[listen]] for each address and port");
        }
      }
      config_.listen.push_back(std::move(listen));
    }
    if (use_ == ConfigUse::serve && !smtp_ && !proxy_) {
      problems_.add(1, "listen", "no mail face", "at least one [[listen]] with another face than \"http\"");
    }
  }

  void need_provider(const SectionValues& values) {
    proxy_ = true;
    if (document_.all("provider").empty()) {
      wrong(values, "face", quote(values.text("face")) + " without a provider",
            quote(values.text("face")) + " together with a [[provider]]");
    }
  }

  void need_certificate(const SectionValues& values, const FaceName& face) {
    if (!config_.certificates.empty() || face.face == Face::inbound || face.face == Face::http ||
        face.face == Face::form) {
      return;
    }
    const bool implicit = face.face == Face::submissions || face.face == Face::imaps ||
                          face.face == Face::pop3s || face.face == Face::forms;
    const bool proxy = face.kind == FaceName::Kind::proxy;
    const std::string found = fmt::format("\"{}\" without a certificate", face.name);
    if (implicit) {
      wrong(values, "face", found, fmt::format("\"{}\" together with a [[tls.certificate]]", face.name));
    } else if (proxy ? config_.proxy.require_tls : config_.session.require_tls) {
      wrong(values, "face", found,
            fmt::format("\"{}\" together with a [[tls.certificate]], or with {}.require_tls = false",
                        face.name, proxy ? "proxy" : "submission"));
    }
  }

  void providers() {
    std::set<std::string> names;
    std::map<std::string, std::string> owners;
    for (const SectionValues& values : document_.all("provider")) {
      provider::ProviderOptions provider;
      unique_name(values, names);
      provider.name = values.text("name");
      provider.domains = values.list("domains");
      unique_domains(values, provider.name, provider.domains, owners);
      provider.protocol =
          values.text("protocol") == "submission" ? provider::Service::submission : provider::Service::imap;
      provider.host = values.text("host");
      provider.starttls = values.text("tls") == "starttls";
      const bool imap = provider.protocol == provider::Service::imap;
      const auto own =
          endpoint_of(provider.host, port_of(values), values.text("tls"), imap ? 993 : 465, imap ? 143 : 587);
      provider.port = own.port;
      services(values, provider);
      provider.ca_file = authorities(values, use_ == ConfigUse::serve);
      provider.timeout = millis(values, "timeout");
      config_.providers.push_back(std::move(provider));
    }
  }

  /// Where the proxy finds the mailboxes.
  void services(const SectionValues& values, provider::ProviderOptions& provider) {
    const bool imap = provider.protocol == provider::Service::imap;
    const std::string& imap_host = values.text("imap_host");
    const std::uint16_t imap_port = port_of(values, "imap_port");
    if (!imap_host.empty()) {
      provider.imap = endpoint_of(imap_host, imap_port, values.text("imap_tls"), 993, 143);
    } else if (imap && (values.given("imap_port") || values.given("imap_tls"))) {
      const std::string& security = values.text(values.given("imap_tls") ? "imap_tls" : "tls");
      provider.imap = endpoint_of(provider.host, imap_port, security, 993, 143);
    } else if (!imap) {
      only_with(values, "imap_port", false, "imap_port together with imap_host");
      only_with(values, "imap_tls", false, "imap_tls together with imap_host");
    }
    const std::string& pop3_host = values.text("pop3_host");
    provider.pop3 = endpoint_of(pop3_host.empty() ? provider.host : pop3_host, port_of(values, "pop3_port"),
                                values.text("pop3_tls"), 995, 110);
    plain_only_here(values, "imap_tls", provider.imap);
    plain_only_here(values, "pop3_tls", provider.pop3);
  }

  /// Passwords and mail without TLS stay on this machine, whatever a name would be resolved to.
  void plain_only_here(const SectionValues& values, std::string_view key,
                       const provider::ServiceEndpoint& endpoint) {
    if (!endpoint.plain || (net::parse_ip(endpoint.host) && is_loopback(endpoint.host))) return;
    wrong(values, key, "\"none\" for another machine", "\"none\" with a loopback address as host");
  }

  void unique_domains(const SectionValues& values, const std::string& name,
                      const std::vector<std::string>& domains, std::map<std::string, std::string>& owners) {
    for (const std::string& domain : domains) {
      const auto [at, fresh] = owners.try_emplace(domain, name);
      if (!fresh) {
        wrong(values, "domains", fmt::format("{}, which {} has too", quote(domain), quote(at->second)),
              fmt::format("one {} for each domain", values.section()));
      }
    }
  }

  void next_hops() {
    std::set<std::string> names;
    std::map<std::string, std::string> owners;
    for (const SectionValues& values : document_.all("next_hop")) {
      unique_name(values, names);
      submission::NextHopOptions hop = next_hop(values);
      unique_domains(values, hop.name, hop.domains, owners);
      config_.next_hops.push_back(std::move(hop));
    }
    // A gateway that only lets members read needs none.
    if (use_ == ConfigUse::serve && (smtp_ || !proxy_) && !owners.contains("*")) {
      problems_.add(1, "next_hop", "no default next hop", "one [[next_hop]] with domains = [\"*\"]");
    }
  }

  submission::NextHopOptions next_hop(const SectionValues& values) {
    using submission::HopTls;
    submission::NextHopOptions hop;
    hop.name = values.text("name");
    hop.domains = values.list("domains");
    hop.host = values.text("host");
    hop.port = port_of(values);
    const std::string& tls = values.text("tls");
    hop.tls = tls == "none"       ? HopTls::none
              : tls == "starttls" ? HopTls::starttls
              : tls == "implicit" ? HopTls::implicit
                                  : HopTls::opportunistic;
    const bool verified = hop.tls == HopTls::starttls || hop.tls == HopTls::implicit;
    hop.ca_file = authorities(values, verified && use_ == ConfigUse::serve);
    only_with(values, "ca_file", verified, "ca_file only with tls = \"starttls\" or \"implicit\"");
    hop.username = values.text("username");
    hop.password = password(values);
    if (hop.username.empty() != hop.password.empty() && hop_login_complete(values)) {
      const std::string_view key =
          hop.username.empty() ? (values.given("password") ? "password" : "password_file") : "username";
      wrong(values, key, "it alone", "username together with password or password_file");
    }
    if (!hop.username.empty() && !verified && !is_loopback(hop.host)) {
      // A password over an unverified connection is anybody's.
      wrong(values, "tls", quote(tls) + " with a username", "\"starttls\" or \"implicit\" with a username");
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

  /// False when a wrong value of one of the keys was reported already.
  static bool hop_login_complete(const SectionValues& values) {
    for (const std::string_view key : {"username", "password", "password_file"}) {
      if (values.given(key) && values.text(key).empty()) return false;
    }
    return true;
  }

  const SettingsDocument& document_;
  ConfigUse use_;
  Problems& problems_;
  Config config_;
  bool smtp_ = false;   // there is a face that takes mail
  bool proxy_ = false;  // there is one that shows mailboxes
};

}  // namespace

std::string_view to_string(ListenConfig::Face face) {
  const auto known = std::ranges::find(kFaces, face, &FaceName::face);
  return known == std::ranges::end(kFaces) ? std::string_view("http") : known->name;
}

Config build_config(const SettingsDocument& document, ConfigUse use, Problems& problems) {
  return Builder(document, use, problems).build();
}

std::optional<Config> parse_config(std::string_view text, const std::string& folder, ConfigUse use,
                                   Problems& problems) {
  const auto root = parse_toml(text, problems);
  if (!root) return std::nullopt;
  const SettingsDocument document = read_settings(*root, folder, use, problems);
  Config config = build_config(document, use, problems);
  if (!problems.empty()) return std::nullopt;
  config.file = problems.file();
  return config;
}

std::optional<Config> load_config(const std::string& path, ConfigUse use, Problems& problems) {
  const auto text = read_file(path, kMaxConfigSize, problems);
  if (!text) return std::nullopt;
  return parse_config(*text, std::filesystem::path(path).parent_path().string(), use, problems);
}

}  // namespace kage::app
