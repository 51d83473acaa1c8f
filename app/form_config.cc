// From checked settings to FormOptions.
#include "app/form_config.h"

#include <algorithm>

namespace kage::app {

FormOptions build_form_options(ConfigContext& context, const SectionValues& values) {
  FormOptions form;
  form.origins = values.list("origins");
  form.max_size = static_cast<std::size_t>(values.number("max_size"));
  form.max_files = static_cast<unsigned>(values.number("max_files"));
  form.max_memory = static_cast<std::size_t>(values.number("max_memory"));
  form.max_connections = static_cast<std::size_t>(values.number("max_connections"));
  form.require_token = values.flag("require_token");
  form.min_time = millis(values, "min_time");
  form.max_time = millis(values, "max_time");
  form.rate_window = millis(values, "rate_window");
  form.rate_network = static_cast<unsigned>(values.number("rate_network"));
  form.rate_address = static_cast<unsigned>(values.number("rate_address"));
  form.rate_email = static_cast<unsigned>(values.number("rate_email"));
  form.content_timeout = millis(values, "content_timeout");
  form.delivery_timeout = millis(values, "delivery_timeout");
  form.proxies = networks(values.list("proxies"));
  if (form.origins.size() > 1 && std::ranges::find(form.origins, "*") != form.origins.end()) {
    context.wrong(values, "origins", "\"*\" and others", "a list of origins, or [\"*\"] alone");
  }
  if (form.min_time >= form.max_time) {
    context.wrong(values, "min_time", write_duration(values.number("min_time")), "less than max_time");
  }
  if (form.max_size > form.max_memory) {
    context.wrong(values, "max_size", write_size(values.number("max_size")), "at most max_memory");
  }
  return form;
}

}  // namespace kage::app
