// The Redis client over TLS, with verification and the client's own certificate.
#include <catch2/catch.hpp>

#include "net/redis.h"
#include "tests/net/real_redis.h"
#include "tests/net/test_streams.h"
#include "tests/tls/test_certificates.h"
#include "tls/tls_stream.h"

namespace kage::tls {
namespace {

using net::testing::RealRedis;
using net::testing::run_on_loop;
using Replies = Result<std::vector<net::RedisReply>>;

net::Task<void> ping(net::Redis& redis, Replies& out) {
  net::RedisBatch batch;
  batch.add({"PING"});
  out = co_await redis.run(std::move(batch));
}

}  // namespace

TEST_CASE("Redis over TLS is verified both ways") {
  const testing::TestAuthority authority;
  const auto server_files = authority.issue("redis", "IP:127.0.0.1");
  const auto client_files = authority.issue("gateway", "");
  const RealRedis server(RealRedis::Listen::tls,
                         {"--tls-cert-file", server_files.chain, "--tls-key-file", server_files.key,
                          "--tls-ca-cert-file", authority.ca_file(), "--requirepass", "word"});
  const testing::TestAuthority stranger;
  struct Case {
    ClientOptions client;
    std::string host;
    std::optional<Errc> error;
  };
  const Case cases[] = {
      {{authority.ca_file(), true, client_files.chain, client_files.key}, "127.0.0.1", std::nullopt},
      {{authority.ca_file(), true, client_files.chain, client_files.key}, "redis.example", Errc::tls},
      {{stranger.ca_file(), true, client_files.chain, client_files.key}, "127.0.0.1", Errc::tls},
  };
  for (const Case& c : cases) {
    net::Loop loop;
    const auto context = ClientContext::create(c.client);
    REQUIRE(context);
    net::RedisOptions options = server.options();
    options.password = "word";
    options.secure = [shared = *context, host = c.host](net::StreamPtr stream, const std::string&,
                                                        net::TimePoint deadline) {
      return connect_tls(std::move(stream), shared, host, deadline);
    };
    net::Redis redis(loop, options);
    Replies replies;
    run_on_loop(loop, ping(redis, replies));
    if (!c.error) {
      REQUIRE(replies);
      CHECK((*replies)[0].text == "PONG");
    } else {
      REQUIRE_FALSE(replies);
      CHECK(replies.error().code == *c.error);
    }
  }
}

}  // namespace kage::tls
