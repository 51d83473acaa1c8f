// `kagemusha check`: one line for each thing that serve needs, beginning with ok or FAIL.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "app/check_network.h"
#include "app/check_redis.h"
#include "app/command_session.h"
#include "app/commands.h"
#include "app/process.h"
#include "app/routes_file.h"
#include "app/terminal.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/ip.h"
#include "tls/server_context.h"

namespace kage::app {
namespace {

/// Prints lines and remembers whether one was bad.
class Report {
 public:
  void line(std::string_view what, const Result<>& result, std::string_view good = "") {
    if (result) {
      print(fmt::format("{}    {}{}{}\n", coloured(Colour::green, "ok"), printable(what),
                        good.empty() ? "" : ": ", printable(good)));
      return;
    }
    failed_ = true;
    const auto& error = result.error();
    const std::string_view detail =
        error.detail.empty() ? to_string(error.code) : std::string_view(error.detail);
    print(fmt::format("{}  {}: {}\n", coloured(Colour::red, "FAIL"), printable(what), printable(detail)));
  }
  [[nodiscard]] int exit_code() const { return failed_ ? 1 : 0; }

 private:
  bool failed_ = false;
};

void check_certificates(const Config& config, Report& report) {
  constexpr std::int64_t kDay = 24LL * 60 * 60;
  for (const tls::CertificateFiles& files : config.certificates) {
    const auto loaded = tls::ServerContext::load({files});
    const std::int64_t left = loaded ? (*loaded)->ends().front().seconds - unix_seconds() : 0;
    Result<> result;
    if (!loaded) result = std::unexpected(loaded.error());
    if (loaded && left < 0) result = fail(Errc::tls, "it has expired");
    report.line("certificate " + files.chain, result, fmt::format("{} days left", left / kDay));
  }
}

void check_secrets(const Config& config, Report& report) {
  for (const std::string& path : config.secret_files) {
    report.line("secret in " + path, closed_to_others(path), "closed to others");
  }
}

void check_routes_file(const Config& config, const Command& command, Report& report) {
  const std::string& path = command.routes;
  if (path.empty()) return;
  Problems problems(path);
  const auto file =
      load_routes_file(path, provider_names(config), problems, routes_encoding(command.encoding));
  Result<> result;
  if (!file) {
    print_error(problems.text() + "\n");
    result = fail(Errc::invalid, fmt::format("{} problems", problems.size()));
  }
  report.line("routes file " + path, result,
              file ? count_of(file->spec.addresses.size(), "public address") : "");
}

/// That each of its servers answers, and keeps what it is given.
net::Task<void> check_servers(net::Redis& redis, Report& report) {
  const auto servers = co_await redis.servers();
  if (redis.is_cluster()) {
    report.line("Redis Cluster", servers ? Result<>() : std::unexpected(servers.error()),
                servers ? count_of(servers->size(), "master") : "");
  }
  if (!servers) co_return;
  for (const net::Endpoint& server : *servers) {
    const auto settings = co_await check_redis_settings(redis, server);
    report.line(redis.is_cluster() ? "Redis master " + net::format_endpoint(server.host, server.port)
                                   : "Redis settings",
                settings ? Result<>() : std::unexpected(settings.error()), settings ? *settings : "");
  }
}

void check_addresses(const mapping::RouteTable& routes, Report& report) {
  for (const auto& address : routes.addresses()) {
    if (!address->members.empty()) continue;
    report.line("public address " + address->spec.address.spelling,
                fail(Errc::invalid, "nobody stands behind it; who writes to it is told to try again later"));
  }
}

net::Task<void> check_mapping(net::Loop& loop, const Config& config, Report& report) {
  const bool there = ::access(config.master_key.c_str(), F_OK) == 0 || errno != ENOENT;
  const auto key = there ? mapping::read_master_key(config.master_key) : Result<Secret>();
  report.line("key file " + config.master_key, key ? Result<>() : std::unexpected(key.error()),
              there ? "" : "not there yet; the first serve or apply makes it");
  if (config.redis.embedded && ::access(config.redis.folder.c_str(), F_OK) != 0) {
    const auto server = EmbeddedRedis::find_server(config.redis);
    report.line("Redis", server ? Result<>() : std::unexpected(server.error()),
                "embedded; the first serve or apply starts it");
    co_return;
  }
  CommandRedis access(loop, config.redis, "check");
  const auto opened = co_await access.open();
  report.line("Redis", opened, config.redis.embedded ? "embedded" : "");
  if (opened && !config.redis.embedded) co_await check_servers(access.redis(), report);
  if (opened && key) {
    const auto master = co_await open_master_key(access.redis(), config.master_key, false);
    report.line("key and Redis belong together", master ? Result<>() : std::unexpected(master.error()));
    if (master && !master->store_empty) {
      const auto routes = co_await mapping::load_routes(access.redis(), master->keys);
      report.line("routes", routes ? Result<>() : std::unexpected(routes.error()),
                  routes ? fmt::format("{}, {}", count_of((*routes)->addresses().size(), "public address"),
                                       count_of((*routes)->member_count(), "member"))
                         : "");
      if (routes) check_addresses(**routes, report);
    } else if (master) {
      report.line("routes", {}, "none yet; apply brings them");
    }
  }
  co_await access.close();
}

bool has_face(const Config& config, ListenConfig::Face a, ListenConfig::Face b) {
  return std::ranges::any_of(
      config.listen, [&](const ListenConfig& listen) { return listen.face == a || listen.face == b; });
}

/// The server that is asked about logins, and those that the faces of the proxy need.
net::Task<void> check_services(net::Loop& loop, const Config& config, provider::ProviderOptions provider,
                               Report& report) {
  using Face = ListenConfig::Face;
  const provider::ServiceEndpoint asked = provider.login_endpoint();
  const std::string name = "provider " + provider.name;
  report.line(fmt::format("{} at {}", name, net::format_endpoint(asked.host, asked.port)),
              co_await check_provider(loop, provider, provider.protocol, asked));
  const auto imap = provider.endpoint(provider::Service::imap);
  if (has_face(config, Face::imap, Face::imaps) && !imap.host.empty() && imap != asked) {
    report.line(fmt::format("{} (imap) at {}", name, net::format_endpoint(imap.host, imap.port)),
                co_await check_provider(loop, provider, provider::Service::imap, imap));
  }
  const auto pop3 = provider.endpoint(provider::Service::pop3);
  if (has_face(config, Face::pop3, Face::pop3s) && !pop3.host.empty()) {
    report.line(fmt::format("{} (pop3) at {}", name, net::format_endpoint(pop3.host, pop3.port)),
                co_await check_provider(loop, provider, provider::Service::pop3, pop3));
  }
}

net::Task<void> check_network(net::Loop& loop, const Config& config, Report& report) {
  for (const auto& hop : config.next_hops) {
    const std::string what =
        fmt::format("next hop {} at {}", hop.name, net::format_endpoint(hop.host, hop.port));
    report.line(what, co_await check_next_hop(loop, hop, config.session.hostname));
  }
  for (const auto& provider : config.providers) co_await check_services(loop, config, provider, report);
}

net::Task<void> check_all(net::Loop& loop, const Config& config, Report& report, bool& ended) {
  const auto folder = find_private_folder(config.state_dir);
  report.line("state folder " + config.state_dir, folder ? Result<>() : std::unexpected(folder.error()),
              folder && *folder ? "" : "not there yet; the first serve or apply makes it");
  if (folder) co_await check_mapping(loop, config, report);
  co_await check_network(loop, config, report);
  ended = true;
  loop.stop();
}

}  // namespace

int check(const Config& config, const Command& command) {
  log::configure(log::Level::error);
  ignore_broken_pipes();
  protect_memory();
  Report report;
  // main() has already printed any problem and exited.
  report.line("configuration " + config.file, {});
  check_certificates(config, report);
  check_secrets(config, report);
  check_routes_file(config, command, report);
  net::Loop loop;
  bool ended = false;
  net::spawn(check_all(loop, config, report, ended));
  while (!ended) loop.run();
  return report.exit_code();
}

}  // namespace kage::app
