// The commands beside `serve`: what they print is for people, their exit codes are for scripts (0 done, 1
// failed, 2 wrong usage or configuration, 3 somebody would be forgotten and nobody allowed it).
#pragma once

#include "app/command_line.h"
#include "app/config.h"

namespace kage::app {

int apply(const Config& config, const Command& command);
int show(const Config& config, const Command& command);
int forget(const Config& config, const Command& command);
int phantoms(const Config& config, const Command& command);
int check(const Config& config, const Command& command);
int hash_password();

}  // namespace kage::app
