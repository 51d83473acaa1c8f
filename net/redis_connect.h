// What every connection to Redis begins with: the stream, AUTH and SELECT. Internal to net.
#pragma once

#include <string>
#include <vector>

#include "net/redis.h"
#include "net/redis_protocol.h"

namespace kage::net {

/// Connects, with TLS where configured. `options` outlives the task.
Task<Result<StreamPtr>> open_redis(Loop& loop, const RedisOptions& options, TimePoint deadline);

/// Sends a batch on a stream that nobody else uses and reads its replies. A reply that is an error:
/// Errc::denied. `stream` and `parser` outlive the task.
Task<Result<std::vector<RedisReply>>> ask_redis(Stream& stream, RedisParser& parser, RedisBatch batch);

/// AUTH and SELECT, where configured.
Task<Result<>> greet_redis(Stream& stream, RedisParser& parser, const RedisOptions& options);

}  // namespace kage::net
