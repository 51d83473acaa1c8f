// What a good configuration file becomes.
#include "app/config.h"

#include <catch2/catch.hpp>

#include "tests/app/files.h"

namespace kage::app {

TEST_CASE("a full configuration") {
  const auto path = testing::folder("good") / "full.toml";
  Problems problems("full.toml");
  const auto config = load_config(path.string(), ConfigUse::serve, problems);
  INFO(problems.text());
  REQUIRE(config);
  const auto beside = [&](const char* name) { return (path.parent_path() / name).string(); };
  CHECK(config->session.hostname == "mx.xn--48s290a.example");
  CHECK(config->state_dir == beside("state"));
  CHECK(config->session.spool_dir == beside("state/spool"));
  CHECK(config->master_key == beside("keys/master.key"));
  CHECK(config->workers == 3);
  CHECK(config->log_level == log::Level::warn);
  CHECK(config->stop_timeout == net::Millis(45'000));

  CHECK_FALSE(config->redis.embedded);
  CHECK(config->redis.tls);
  CHECK(config->redis.options.host == "redis.example");
  CHECK(config->redis.options.port == 6380);
  CHECK(config->redis.options.username == "kagemusha");
  CHECK(config->redis.options.password == "secret");
  CHECK(config->redis.options.database == 2);
  CHECK(config->redis.options.unix_path.empty());
  CHECK(config->redis.options.command_timeout == net::Millis(4000));

  REQUIRE(config->listen.size() == 7);
  CHECK(config->listen[6].face == ListenConfig::Face::forms);
  CHECK(config->form.origins ==
        std::vector<std::string>{"https://www.school.example", "http://127.0.0.1:8080"});
  CHECK(config->form.max_size == 20U << 20);
  CHECK_FALSE(config->form.require_token);
  CHECK(config->form.proxies.size() == 1);
  CHECK(config->listen[1].face == ListenConfig::Face::submission);
  CHECK(config->listen[1].address == "::");
  CHECK(config->listen[2].address == "192.0.2.7");
  CHECK(config->listen[3].face == ListenConfig::Face::imaps);
  CHECK(config->listen[4].face == ListenConfig::Face::pop3);
  CHECK(config->listen[5].face == ListenConfig::Face::http);
  CHECK(config->listen[5].address == "127.0.0.1");
  CHECK(config->certificates.size() == 1);
  CHECK(config->secret_files ==
        std::vector{beside("password.txt"), beside("key.pem"), std::string("full.toml")});
  CHECK(config->max_connections == 500);
  CHECK(config->session.max_message_size == 20u << 20);
  CHECK(config->session.max_header_size == 131'072);
  CHECK(config->session.min_data_rate == 2048);

  CHECK(config->proxy.max_append == 30u << 20);
  CHECK(config->proxy.idle_timeout == net::Millis(3'600'000));
  CHECK(config->proxy.proxy_peers[0].contains("10.9.8.7"));
  CHECK(config->proxy.gmail);
  const auto endpoint = [&](std::size_t provider, provider::Service service) {
    return config->providers[provider].endpoint(service);
  };
  CHECK(endpoint(0, provider::Service::imap) ==
        provider::ServiceEndpoint{"imap.gmail.com", 993, false, false});
  CHECK(endpoint(0, provider::Service::pop3) ==
        provider::ServiceEndpoint{"imap.gmail.com", 995, false, false});
  CHECK(endpoint(1, provider::Service::imap) ==
        provider::ServiceEndpoint{"imap.spmode.ne.jp", 993, false, false});
  CHECK(endpoint(1, provider::Service::pop3) ==
        provider::ServiceEndpoint{"pop.spmode.ne.jp", 110, true, false});
  CHECK(endpoint(1, provider::Service::submission) ==
        provider::ServiceEndpoint{"mail.spmode.ne.jp", 587, true, false});

  CHECK(config->session.authserv_ids.size() == 2);
  REQUIRE(config->session.fronts.size() == 2);
  CHECK(config->session.fronts[1].contains("2001:db8::5"));
  CHECK(config->session.proxy_peers[0].contains("10.9.8.7"));
  CHECK(config->session.trusted[0].name == "carrier-gateway");
  CHECK(config->session.trusted[0].networks[0].contains("192.0.2.99"));

  REQUIRE(config->providers.size() == 2);
  CHECK(config->providers[0].domains == std::vector<std::string>{"gmail.com"});
  CHECK(config->providers[0].port == 993);
  CHECK(config->providers[1].port == 587);
  CHECK(config->providers[1].starttls);

  REQUIRE(config->next_hops.size() == 2);
  CHECK(config->next_hops[0].tls == submission::HopTls::none);
  CHECK(config->next_hops[0].password == "secret");
  REQUIRE(config->next_hops[0].rate);
  CHECK(config->next_hops[0].rate->per_second() == 20);
  CHECK_FALSE(config->next_hops[1].rate);
  CHECK(config->next_hops[1].domains == std::vector<std::string>{"partner.example", ".partner.example"});
  CHECK(config->next_hops[1].tls == submission::HopTls::starttls);
}

TEST_CASE("the smallest configuration") {
  Problems problems("small.toml");
  const auto config = parse_config(
      "server.hostname = 'mx.a.example'\n"
      "listen = [{face = 'inbound', port = 0}]\n"
      "next_hop = [{name = 'a', domains = ['*'], host = '::1'}]\n",
      "", ConfigUse::serve, problems);
  INFO(problems.text());
  REQUIRE(config);
  CHECK(config->workers >= 1);
  CHECK(config->redis.embedded);
  CHECK(config->redis.options.unix_path == "state/redis/redis.sock");
  CHECK(config->master_key == "state/master.key");
  CHECK(config->session.authserv_ids == std::vector<std::string>{"mx.a.example"});
}

TEST_CASE("a command needs no listener and no next hop, serve does") {
  Problems tool("a.toml");
  CHECK(parse_config("[server]\nhostname = 'a.example'\n", "", ConfigUse::tool, tool));
  Problems serve("a.toml");
  CHECK_FALSE(parse_config("[server]\nhostname = 'a.example'\n", "", ConfigUse::serve, serve));
  CHECK(serve.size() == 2);
}

TEST_CASE("many problems are counted, not all printed") {
  std::string text;
  for (int i = 0; i < 150; ++i) text += "x" + std::to_string(i) + " = 1\n";
  Problems problems("many.toml");
  CHECK_FALSE(parse_config(text, "", ConfigUse::tool, problems));
  CHECK(problems.text().ends_with("\nmany.toml: 51 more problems"));
}

}  // namespace kage::app
