// Asking Redis Sentinel which server is the master (redis.io, "Guidelines for Redis clients with support for
// Redis Sentinel"). Internal to net.
#pragma once

#include "net/redis.h"

namespace kage::net {

/// Asks one sentinel after the other; all of them share the time up to `deadline`. `options` outlives the
/// task. Errc::unavailable, timed_out or tls: none could be asked; denied: AUTH; not_found: none knows a
/// master of that name.
Task<Result<Endpoint>> find_redis_master(Loop& loop, const RedisOptions& options, TimePoint deadline);

}  // namespace kage::net
