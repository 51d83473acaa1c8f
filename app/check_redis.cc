// What a Redis says of its own settings.
#include "app/check_redis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace kage::app {
namespace {

/// In the order in which they are asked for and told.
constexpr std::array<std::string_view, 3> kSettings = {"appendonly", "appendfsync", "maxmemory-policy"};

/// What stands in the answer to CONFIG GET; empty: this user may not ask, or Redis does not tell.
std::string_view setting_in(const net::RedisReply& reply) {
  return reply.elements.size() == 2 ? std::string_view(reply.elements[1].text) : std::string_view();
}

Result<std::string> judge(const std::vector<net::RedisReply>& replies) {
  const std::string_view file = setting_in(replies[0]);
  const std::string_view sync = setting_in(replies[1]);
  const std::string_view eviction = setting_in(replies[2]);
  if (file == "no") {
    return fail(Errc::invalid,
                "appendonly is no: when it restarts, phantoms that members have seen are lost; set "
                "`appendonly yes`");
  }
  if (!eviction.empty() && eviction != "noeviction") {
    return fail(Errc::invalid, fmt::format("maxmemory-policy is {}: when its memory is full it forgets "
                                           "phantoms or which copies were delivered; set `maxmemory-policy "
                                           "noeviction`",
                                           eviction));
  }
  if (file.empty() || sync.empty() || eviction.empty())
    return "cannot be read (CONFIG GET); needed: appendonly yes, maxmemory-policy noeviction";
  std::string good = fmt::format("appendonly {}, appendfsync {}, maxmemory-policy {}", file, sync, eviction);
  if (sync != "always") good += "; when its machine crashes, the last phantoms may be lost";
  return good;
}

}  // namespace

net::Task<Result<std::string>> check_redis_settings(net::Redis& redis, net::Endpoint server) {
  net::RedisBatch batch;
  for (const std::string_view setting : kSettings) batch.add({"CONFIG", "GET", setting});
  const auto replies = co_await redis.run_at(std::move(server), std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return judge(*replies);
}

}  // namespace kage::app
