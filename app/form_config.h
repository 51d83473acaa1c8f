// The section [form] of the configuration.
#pragma once

#include "app/config_context.h"
#include "app/form_service.h"

namespace kage::app {

/// Judges what needs two keys; every key by itself is checked.
FormOptions build_form_options(ConfigContext& context, const SectionValues& values);

}  // namespace kage::app
