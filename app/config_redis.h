// The section [redis] of the configuration. Internal to config.cc.
#pragma once

#include <string>

#include "app/config.h"
#include "app/config_context.h"

namespace kage::app {

/// `state_dir`: where the embedded one lives.
RedisConfig read_redis(ConfigContext& context, const std::string& state_dir);

}  // namespace kage::app
