// `kagemusha serve`: the life of the serving process, from hardening to the last word in the log.
#pragma once

#include <string>

#include "app/config.h"

namespace kage::app {

/// Serves until SIGTERM or SIGINT. Returns the exit code. `ready_file`: empty, or where to write ports and
/// pid.
int serve(const Config& config, const std::string& ready_file);

}  // namespace kage::app
