// One connection for one question: sentinels are asked when a connection to Redis is made, which is seldom.
#include "net/redis_sentinel.h"

#include <optional>
#include <utility>

#include "base/text.h"
#include "net/redis_connect.h"
#include "net/redis_slots.h"

namespace kage::net {
namespace {

/// Two strings: host and port.
std::optional<Endpoint> read_endpoint(const RedisReply& reply) {
  if (reply.elements.size() != 2) return std::nullopt;
  const std::string& host = reply.elements[0].text;
  const auto port = parse_number(reply.elements[1].text, UINT16_MAX);
  if (!is_redis_host(host) || !port || *port == 0) return std::nullopt;
  return Endpoint{host, static_cast<std::uint16_t>(*port)};
}

Task<Result<Endpoint>> ask_sentinel(Loop& loop, const RedisOptions& options, const Endpoint& sentinel,
                                    TimePoint deadline) {
  auto stream = co_await open_redis_at(loop, options, sentinel, deadline);
  if (!stream) co_return std::unexpected(stream.error());
  (*stream)->set_deadline(deadline);
  const RedisSentinels& sentinels = options.sentinels;
  RedisBatch batch;
  add_auth(batch, sentinels.username, sentinels.password);
  batch.add({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels.master});
  RedisParser parser;
  const auto replies = co_await ask_redis(**stream, parser, std::move(batch));
  (*stream)->close();
  if (!replies) co_return std::unexpected(replies.error());
  if (replies->back().is_nil()) co_return fail(Errc::not_found, "no sentinel knows the master");
  auto master = read_endpoint(replies->back());
  if (!master) co_return fail(Errc::protocol, "a sentinel's answer is not understood");
  co_return std::move(*master);
}

}  // namespace

Task<Result<Endpoint>> find_redis_master(Loop& loop, const RedisOptions& options, TimePoint deadline) {
  Error last{Errc::unavailable, "no sentinels"};
  // One share is left for the master itself.
  std::size_t shares = options.sentinels.endpoints.size() + 1;
  for (const Endpoint& sentinel : options.sentinels.endpoints) {
    const TimePoint now = loop.now();
    const TimePoint end = now + (deadline - now) / static_cast<int>(shares--);
    auto master = co_await ask_sentinel(loop, options, sentinel, end);
    if (master) co_return master;
    last = std::move(master.error());
  }
  co_return std::unexpected(std::move(last));
}

}  // namespace kage::net
