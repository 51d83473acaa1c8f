// The settings table both ways: every key can be set and is used, and every key is documented.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "app/config.h"
#include "app/settings.h"
#include "app/toml_file.h"
#include "tests/app/files.h"

namespace kage::app {
namespace {

SettingsDocument read(const std::string& text, Problems& problems) {
  const auto root = parse_toml(text, problems);
  REQUIRE(root);
  return read_settings(*root, "", ConfigUse::serve, problems);
}

/// A value other than the default, as one writes it.
std::string sample(const Setting& setting) {
  switch (setting.kind) {
    case Kind::boolean:
      return setting.fallback == "true" ? "false" : "true";
    case Kind::integer:
      return std::to_string(setting.maximum);
    case Kind::duration:
      return '"' + write_duration(setting.maximum) + '"';
    case Kind::size:
      return '"' + write_size(setting.maximum) + '"';
    case Kind::choice:
      return '"' + std::string(setting.choices.substr(setting.choices.rfind('|') + 1)) + '"';
    case Kind::file:
      return fmt::format("\"{}\"", (testing::folder("good") / "full.toml").string());
    case Kind::ip:
      return "\"192.0.2.7\"";
    case Kind::domains:
    case Kind::hop_domains:
    case Kind::endpoints:
      return "[\"seven.example\"]";
    case Kind::origins:
      return "[\"https://seven.example\"]";
    case Kind::networks:
      return "[\"192.0.2.0/24\"]";
    default:
      return "\"seven.example\"";
  }
}

}  // namespace

TEST_CASE("every key of the table can be set") {
  for (const Setting& setting : settings()) {
    const Section* section = nullptr;
    for (const Section& each : sections()) {
      if (each.name == setting.section) section = &each;
    }
    REQUIRE(section != nullptr);
    const std::string header =
        section->many ? fmt::format("[[{}]]", section->name) : fmt::format("[{}]", section->name);
    Problems problems("one.toml");
    const auto document = read(fmt::format("{}\n{} = {}\n", header, setting.key, sample(setting)), problems);
    const SectionValues& values = document.all(section->name).front();
    INFO(setting.section << '.' << setting.key << '\n' << problems.text());
    CHECK(problems.text().find(fmt::format("{}.{}:", setting.section, setting.key)) == std::string::npos);
    CHECK(values.given(setting.key));
    CHECK(values.line(setting.key) == 2);
  }
}

TEST_CASE("every key of the table is used") {
  const std::string text = testing::content_of(testing::folder("good") / "full.toml");
  Problems problems("full.toml");
  const auto document = read(text, problems);
  const Config config = build_config(document, ConfigUse::serve, problems);
  for (const Section& section : sections()) {
    REQUIRE_FALSE(document.all(section.name).empty());
    for (const SectionValues& values : document.all(section.name)) {
      for (const auto key : values.unread()) FAIL_CHECK(section.name << '.' << key << " is read by nobody");
    }
  }
}

TEST_CASE("every key of the table stands in the documentation") {
  const std::string page = settings_markdown();
  for (const Setting& setting : settings()) {
    const auto section = page.find(fmt::format("[{}]", setting.section));
    REQUIRE(section != std::string::npos);
    CHECK(page.find(fmt::format("| `{}` |", setting.key), section) != std::string::npos);
    CHECK_FALSE(setting.help.empty());
  }
  CHECK(page ==
        testing::content_of(std::filesystem::path(KAGEMUSHA_SOURCE_DIR) / "docs" / "configuration.md"));
}

TEST_CASE("defaults lie within their own ranges") {
  for (const Setting& setting : settings()) {
    if (setting.fallback.empty()) continue;
    INFO(setting.section << '.' << setting.key);
    const std::string fallback(setting.fallback);
    if (setting.kind == Kind::integer) CHECK(std::stoll(fallback) >= setting.minimum);
    if (setting.kind == Kind::integer) CHECK(std::stoll(fallback) <= setting.maximum);
    if (setting.kind == Kind::duration) CHECK(parse_duration(fallback) >= setting.minimum);
    if (setting.kind == Kind::duration) CHECK(parse_duration(fallback) <= setting.maximum);
    if (setting.kind == Kind::size) CHECK(parse_size(fallback) >= setting.minimum);
    if (setting.kind == Kind::size) CHECK(parse_size(fallback) <= setting.maximum);
  }
}

TEST_CASE("defaults equal those of the structures that they fill") {
  Problems problems("small.toml");
  const auto config = parse_config(
      "[server]\nhostname = \"a.example\"\n[[next_hop]]\nname = \"a\"\ndomains = [\"*\"]\nhost = "
      "\"a.example\"\n[[provider]]\nname = \"p\"\ndomains = [\"b.example\"]\nhost = \"b.example\"\n",
      "", ConfigUse::tool, problems);
  INFO(problems.text());
  REQUIRE(config);
  const submission::SessionOptions session;
  CHECK(config->session.max_message_size == session.max_message_size);
  CHECK(config->session.max_header_size == session.max_header_size);
  CHECK(config->session.max_header_fields == session.max_header_fields);
  CHECK(config->session.max_recipients == session.max_recipients);
  CHECK(config->session.max_errors == session.max_errors);
  CHECK(config->session.max_hops == session.max_hops);
  CHECK(config->session.command_timeout == session.command_timeout);
  CHECK(config->session.data_timeout == session.data_timeout);
  CHECK(config->session.min_data_rate == session.min_data_rate);
  CHECK(config->session.transaction_timeout == session.transaction_timeout);
  CHECK(config->session.require_tls == session.require_tls);
  const submission::NextHopOptions hop;
  CHECK(config->next_hops[0].port == hop.port);
  CHECK(config->next_hops[0].tls == hop.tls);
  CHECK(config->next_hops[0].max_connections == hop.max_connections);
  CHECK(config->next_hops[0].rate == hop.rate);
  CHECK(config->next_hops[0].connect_timeout == hop.connect_timeout);
  CHECK(config->next_hops[0].command_timeout == hop.command_timeout);
  CHECK(config->next_hops[0].final_timeout == hop.final_timeout);
  CHECK(config->next_hops[0].idle_timeout == hop.idle_timeout);
  const provider::ProviderOptions provider;
  CHECK(config->providers[0].port == provider.port);
  CHECK(config->providers[0].starttls == provider.starttls);
  CHECK(config->providers[0].timeout == provider.timeout);
  CHECK(config->providers[0].endpoint(provider::Service::imap) ==
        provider::ServiceEndpoint{"b.example", 993, false, false});
  CHECK(config->providers[0].endpoint(provider::Service::pop3) ==
        provider::ServiceEndpoint{"b.example", 995, false, false});
  const FormOptions form;
  CHECK(config->form.max_size == form.max_size);
  CHECK(config->form.max_files == form.max_files);
  CHECK(config->form.max_memory == form.max_memory);
  CHECK(config->form.max_connections == form.max_connections);
  CHECK(config->form.require_token == form.require_token);
  CHECK(config->form.min_time == form.min_time);
  CHECK(config->form.max_time == form.max_time);
  CHECK(config->form.rate_window == form.rate_window);
  CHECK(config->form.rate_network == form.rate_network);
  CHECK(config->form.rate_address == form.rate_address);
  CHECK(config->form.content_timeout == form.content_timeout);
  CHECK(config->form.delivery_timeout == form.delivery_timeout);
  const proxy::ProxyOptions proxy;
  CHECK(config->proxy.hostname == "a.example");
  CHECK(config->proxy.require_tls == proxy.require_tls);
  CHECK(config->proxy.login_timeout == proxy.login_timeout);
  CHECK(config->proxy.idle_timeout == proxy.idle_timeout);
  CHECK(config->proxy.upstream_timeout == proxy.upstream_timeout);
  CHECK(config->proxy.max_command == proxy.max_command);
  CHECK(config->proxy.max_append == proxy.max_append);
  CHECK(config->proxy.max_errors == proxy.max_errors);
  CHECK(config->proxy.max_connections_per_login == proxy.max_connections_per_login);
  CHECK(config->proxy.gmail == proxy.gmail);
  const net::RedisOptions redis;
  CHECK(config->redis.options.connect_timeout == redis.connect_timeout);
  CHECK(config->redis.options.command_timeout == redis.command_timeout);
}

TEST_CASE("durations and sizes") {
  CHECK(parse_duration("500ms") == 500);
  CHECK(parse_duration("30s") == 30'000);
  CHECK(parse_duration("5 m") == 300'000);
  CHECK(parse_duration("2H") == 7'200'000);
  CHECK(parse_duration("1d") == 86'400'000);
  CHECK(parse_size("4096") == 4096);
  CHECK(parse_size("256kB") == 262'144);
  CHECK(parse_size("256 KiB") == 262'144);
  CHECK(parse_size("50MB") == 52'428'800);
  CHECK(parse_size("1GB") == 1'073'741'824);
  for (const auto* wrong :
       {"", "s", "30", "-1s", "1.5s", "30 seconds", "9223372036854775807h", "99999999999999999999s"}) {
    CHECK(parse_duration(wrong) == -1);
  }
  for (const auto* wrong : {"", "kB", "-1", "1.5MB", "50 megabytes", "9223372036854775807kB"})
    CHECK(parse_size(wrong) == -1);
  for (const std::int64_t value : {0, 1, 999, 1000, 90'000, 3'600'000})
    CHECK(parse_duration(write_duration(value)) == value);
  for (const std::int64_t value : {0, 1, 1023, 1024, 5'242'880, 1 << 30})
    CHECK(parse_size(write_size(value)) == value);
}

TEST_CASE("a near name is proposed, a far one is not") {
  const std::vector<std::string_view> known = {"hostname", "workers", "log_level"};
  CHECK(nearest_word("hostnam", known) == "hostname");
  CHECK(nearest_word("worker", known) == "workers");
  CHECK(nearest_word("loglevel", known) == "log_level");
  CHECK(nearest_word("colour", known).empty());
  CHECK(nearest_word(std::string(100'000, 'x'), known).empty());
}

}  // namespace kage::app
