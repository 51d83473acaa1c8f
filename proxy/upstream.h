// What the proxy counts of its upstreams.
#pragma once

#include "base/result.h"

namespace kage::proxy {

/// Counts that a provider's server failed, by its reason.
void count_failure(Errc reason);

}  // namespace kage::proxy
