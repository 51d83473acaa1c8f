// Builds the Config from checked settings and judges what needs more than one key; [redis], [[provider]] and
// [[next_hop]] in files of their own.
#include "app/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "app/config_context.h"
#include "app/config_hops.h"
#include "app/config_redis.h"
#include "app/form_config.h"
#include "app/settings.h"
#include "base/text.h"
#include "net/ip.h"
#include "tls/server_context.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxConfigSize = 1 << 20;

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

/// Walks the sections of one document; everything it refers to lives as long as build_config().
class Builder {
 public:
  Builder(const SettingsDocument& document, ConfigUse use, Problems& problems)
      : context_{document, use, problems, config_.secret_files} {}

  Config build() {
    server();
    config_.redis = read_redis(context_, config_.state_dir);
    certificates();
    limits();
    inbound();
    proxy();
    config_.form = build_form_options(context_, context_.document.one("form"));
    listeners();
    config_.providers = read_providers(context_);
    // A gateway that only lets members read needs no next hop.
    config_.next_hops = read_next_hops(context_, context_.use == ConfigUse::serve && (smtp_ || !proxy_));
    return std::move(config_);
  }

 private:
  void server() {
    const SectionValues& values = context_.document.one("server");
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
    const SectionValues& keys = context_.document.one("keys");
    config_.master_key = keys.given("master") ? keys.text("master") : config_.state_dir + "/master.key";
  }

  void certificates() {
    for (const SectionValues& values : context_.document.all("tls.certificate")) {
      tls::CertificateFiles files{values.text("certificate"), values.text("key")};
      if (context_.use == ConfigUse::serve && !files.chain.empty() && !files.key.empty()) {
        if (const auto loaded = tls::ServerContext::load({files}); !loaded) {
          context_.wrong(values, "certificate", loaded.error().detail,
                         "a certificate chain and its key in PEM, without a passphrase");
        }
      }
      context_.keep_secret(files.key);
      config_.certificates.push_back(std::move(files));
    }
  }

  void limits() {
    const SectionValues& values = context_.document.one("limits");
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
      context_.wrong(values, "max_header_size", write_size(values.number("max_header_size")),
                     "at most max_message_size");
    }
  }

  void inbound() {
    const SectionValues& values = context_.document.one("inbound");
    submission::SessionOptions& session = config_.session;
    session.authserv_ids = values.list("authserv_ids");
    if (session.authserv_ids.empty()) session.authserv_ids.push_back(session.hostname);
    session.fronts = networks(values.list("fronts"));
    session.proxy_peers = networks(values.list("proxy_protocol"));
    std::set<std::string> names;
    for (const SectionValues& trusted : context_.document.all("inbound.trusted")) {
      context_.unique_name(trusted, names);
      session.trusted.push_back({trusted.text("name"), networks(trusted.list("networks"))});
    }
    session.require_tls = context_.document.one("submission").flag("require_tls");
  }

  void proxy() {
    const SectionValues& values = context_.document.one("proxy");
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
    for (const SectionValues& values : context_.document.all("listen")) {
      ListenConfig listen;
      const auto known = std::ranges::find(kFaces, values.text("face"), &FaceName::name);
      const FaceName& face = known == std::ranges::end(kFaces) ? kFaces[0] : *known;
      listen.face = face.face;
      listen.address = net::format_ip(*net::parse_ip(values.text("address")));
      listen.port = port_of(values);
      smtp_ = smtp_ || face.kind == FaceName::Kind::smtp || face.kind == FaceName::Kind::form;
      if (face.kind == FaceName::Kind::form && config_.form.origins.empty()) {
        context_.wrong(values, "face", quote(face.name) + " without form.origins",
                       quote(face.name) + " together with form.origins");
      }
      if (face.kind == FaceName::Kind::proxy) need_provider(values);
      need_certificate(values, face);
      if (listen.port != 0 && values.given("port")) {
        const auto [at, fresh] = taken.try_emplace({listen.address, listen.port}, values.line("port"));
        if (!fresh) {
          context_.wrong(values, "port",
                         fmt::format("{} a second time (line {})",
                                     net::format_endpoint(listen.address, listen.port), at->second),
                         "one [[listen]] for each address and port");
        }
      }
      config_.listen.push_back(std::move(listen));
    }
    if (context_.use == ConfigUse::serve && !smtp_ && !proxy_) {
      context_.problems.add(1, "listen", "no mail face",
                            "at least one [[listen]] with another face than \"http\"");
    }
  }

  void need_provider(const SectionValues& values) {
    proxy_ = true;
    if (context_.document.all("provider").empty()) {
      context_.wrong(values, "face", quote(values.text("face")) + " without a provider",
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
      context_.wrong(values, "face", found,
                     fmt::format("\"{}\" together with a [[tls.certificate]]", face.name));
    } else if (proxy ? config_.proxy.require_tls : config_.session.require_tls) {
      context_.wrong(values, "face", found,
                     fmt::format("\"{}\" together with a [[tls.certificate]], or with {}.require_tls = false",
                                 face.name, proxy ? "proxy" : "submission"));
    }
  }

  Config config_;
  ConfigContext context_;
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
