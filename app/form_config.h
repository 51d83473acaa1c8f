// The section [form] of the configuration.
#pragma once

#include "app/form_service.h"
#include "app/problems.h"
#include "app/settings.h"

namespace kage::app {

/// Judges what needs two keys; every key by itself is checked.
FormOptions build_form_options(const SectionValues& values, Problems& problems);

}  // namespace kage::app
