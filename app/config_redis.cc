// [redis]: where it is, and which of its keys go together.
#include "app/config_redis.h"

#include <fmt/format.h>

#include <algorithm>

namespace kage::app {
namespace {

constexpr std::uint16_t kSentinelPort = 26379;
constexpr std::uint16_t kRedisPort = 6379;
/// Settings that say where Redis is, each by itself; with none of them it is the embedded one.
constexpr std::string_view kRedisWays[] = {"unix", "host", "sentinels", "cluster"};
constexpr std::size_t kMaxSocketPath = 107;  // sun_path of unix(7), without its final NUL

std::vector<net::Endpoint> endpoints(const SectionValues& values, std::string_view key,
                                     std::uint16_t default_port) {
  std::vector<net::Endpoint> found;
  for (const std::string& text : values.list(key)) {
    if (auto endpoint = net::parse_endpoint(text, default_port)) found.push_back(std::move(*endpoint));
  }
  return found;
}

void sentinels(ConfigContext& context, const SectionValues& values, net::RedisSentinels& sentinels) {
  sentinels.endpoints = endpoints(values, "sentinels", kSentinelPort);
  sentinels.master = values.text("sentinel_master");
  sentinels.username = values.text("sentinel_username");
  sentinels.password = context.password(values, "sentinel_password");

  const bool given = values.given("sentinels");
  if (given && sentinels.master.empty()) {
    context.wrong(values, "sentinels", "no sentinel_master",
                  "sentinels together with sentinel_master, the name under which they watch the master");
  }
  for (const std::string_view key :
       {"sentinel_master", "sentinel_username", "sentinel_password", "sentinel_password_file"}) {
    context.only_with(values, key, given, "with sentinels only");
  }
  if (!sentinels.username.empty() && sentinels.password.empty()) {
    context.wrong(values, "sentinel_username", quote(sentinels.username),
                  "a sentinel_username together with sentinel_password or sentinel_password_file");
  }
}

/// Keys of [redis] that do not go together.
void check_redis(ConfigContext& context, const SectionValues& values, const RedisConfig& redis) {
  const net::RedisOptions& options = redis.options;
  const bool host = values.given("host");
  const bool cluster = values.given("cluster");
  std::string_view first;
  for (const std::string_view way : kRedisWays) {
    if (!values.given(way)) continue;
    if (!first.empty()) {
      context.wrong(values, way, fmt::format("a value beside {}", first),
                    "one of unix, host, sentinels and cluster");
    }
    if (first.empty()) first = way;
  }
  context.only_with(values, "port", host, "port only with host");
  context.only_with(values, "tls", host || cluster || values.given("sentinels"),
                    "tls only with host, sentinels or cluster");
  context.only_with(values, "database", !cluster, "no database with cluster, which has one only");
  context.only_with(values, "ca_file", redis.tls, "ca_file only with tls = true");
  for (const std::string_view key : {"username", "password", "password_file", "database"}) {
    context.only_with(values, key, !redis.embedded,
                      "with unix, host, sentinels or cluster only; the embedded Redis needs none");
  }
  for (const std::string_view key : {"fsync", "executable"}) {
    context.only_with(values, key, redis.embedded,
                      "without unix, host, sentinels and cluster only; it is for the embedded Redis");
  }
  if (!options.username.empty() && options.password.empty()) {
    context.wrong(values, "username", quote(options.username),
                  "a username together with password or password_file");
  }
  if (options.unix_path.size() > kMaxSocketPath) {
    const SectionValues& where = redis.embedded ? context.document.one("server") : values;
    context.wrong(where, redis.embedded ? "state_dir" : "unix",
                  fmt::format("a path of {} octets", options.unix_path.size()),
                  fmt::format("a path so short that the socket's ({}) has at most {} octets",
                              redis.embedded ? "state_dir/redis/redis.sock" : "unix", kMaxSocketPath));
  }
}

}  // namespace

RedisConfig read_redis(ConfigContext& context, const std::string& state_dir) {
  const SectionValues& values = context.document.one("redis");
  RedisConfig redis;
  redis.embedded = std::ranges::none_of(kRedisWays, [&](auto way) { return values.given(way); });
  redis.tls = values.flag("tls");
  redis.ca_file = context.authorities(values, redis.tls);
  redis.fsync_always = values.text("fsync") == "always";
  redis.executable = values.text("executable");
  redis.folder = state_dir + "/redis";
  net::RedisOptions& options = redis.options;
  options.unix_path = redis.embedded ? redis.folder + "/redis.sock" : values.text("unix");
  options.host = values.text("host");
  options.port = port_of(values);
  options.username = values.text("username");
  options.password = context.password(values);
  options.database = static_cast<int>(values.number("database"));
  options.connect_timeout = millis(values, "connect_timeout");
  options.command_timeout = millis(values, "command_timeout");
  options.cluster = endpoints(values, "cluster", kRedisPort);
  sentinels(context, values, options.sentinels);
  check_redis(context, values, redis);
  return redis;
}

}  // namespace kage::app
