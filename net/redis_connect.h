// What every connection to Redis begins with: the stream, AUTH, SELECT and, behind sentinels, ROLE. Internal
// to net.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/redis.h"
#include "net/redis_protocol.h"

namespace kage::net {

/// Connects to Redis: to the master that the sentinels name, where there are any. `options` outlives the
/// task.
Task<Result<StreamPtr>> open_redis(Loop& loop, const RedisOptions& options, TimePoint deadline);
/// Connects to this server, with TLS where configured.
Task<Result<StreamPtr>> open_redis_at(Loop& loop, const RedisOptions& options, Endpoint server,
                                      TimePoint deadline);

/// Sends a batch on a stream that nobody else uses and reads its replies. A reply that is an error:
/// Errc::denied. `stream` and `parser` outlive the task.
Task<Result<std::vector<RedisReply>>> ask_redis(Stream& stream, RedisParser& parser, RedisBatch batch);

/// Every way not to reach Redis is one to the caller; what an operator has to mend keeps its class.
Error redis_away(const Error& reason);
void log_redis_failure(std::string_view stage, const Error& error);
/// How long to wait after `failures` attempts in a row that gave nothing, and one more.
Millis redis_backoff(int failures);

/// AUTH, where there is a password.
void add_auth(RedisBatch& batch, const std::string& username, const std::string& password);

/// AUTH and SELECT, where configured. A server that sentinels named has to be a master still.
Task<Result<>> greet_redis(Stream& stream, RedisParser& parser, const RedisOptions& options);

}  // namespace kage::net
