// The sections [[provider]] and [[next_hop]] of the configuration. Internal to config.cc.
#pragma once

#include <vector>

#include "app/config_context.h"
#include "provider/options.h"
#include "submission/next_hop.h"

namespace kage::app {

std::vector<provider::ProviderOptions> read_providers(ConfigContext& context);

/// `needs_default`: mail has to have somewhere to go.
std::vector<submission::NextHopOptions> read_next_hops(ConfigContext& context, bool needs_default);

}  // namespace kage::app
