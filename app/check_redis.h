// `kagemusha check`: whether a Redis that is not ours keeps what it is given. Internal to it.
#pragma once

#include <string>

#include "net/ip.h"
#include "net/redis.h"
#include "net/task.h"

namespace kage::app {

/// Asks one of redis.servers() for the settings on which contract R4.4 depends. The result is for the
/// operator, and says so where the user may not ask. Errc::invalid: with these settings phantoms that
/// members have seen may be lost; else as Redis::run_at().
net::Task<Result<std::string>> check_redis_settings(net::Redis& redis, net::Endpoint server);

}  // namespace kage::app
