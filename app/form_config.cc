// From checked settings to FormOptions.
#include "app/form_config.h"

#include <fmt/format.h>

#include <algorithm>

namespace kage::app {

FormOptions build_form_options(const SectionValues& values, Problems& problems) {
  FormOptions form;
  form.origins = values.list("origins");
  form.max_size = static_cast<std::size_t>(values.number("max_size"));
  form.max_files = static_cast<unsigned>(values.number("max_files"));
  form.max_memory = static_cast<std::size_t>(values.number("max_memory"));
  form.max_connections = static_cast<std::size_t>(values.number("max_connections"));
  form.require_token = values.flag("require_token");
  form.min_time = net::Millis(values.number("min_time"));
  form.max_time = net::Millis(values.number("max_time"));
  form.rate_window = net::Millis(values.number("rate_window"));
  form.rate_network = static_cast<unsigned>(values.number("rate_network"));
  form.rate_address = static_cast<unsigned>(values.number("rate_address"));
  form.rate_email = static_cast<unsigned>(values.number("rate_email"));
  form.content_timeout = net::Millis(values.number("content_timeout"));
  form.delivery_timeout = net::Millis(values.number("delivery_timeout"));
  for (const std::string& text : values.list("proxies")) {
    // Checked by the settings reader.
    if (auto network = net::Network::parse(text)) form.proxies.push_back(std::move(*network));
  }
  const auto wrong = [&](std::string_view key, std::string_view found, std::string_view allowed) {
    problems.add(std::max<std::size_t>(1, values.line(key)), fmt::format("form.{}", key), found, allowed);
  };
  if (form.origins.size() > 1 && std::ranges::find(form.origins, "*") != form.origins.end()) {
    wrong("origins", "\"*\" and others", "a list of origins, or [\"*\"] alone");
  }
  if (form.min_time >= form.max_time) {
    wrong("min_time", write_duration(values.number("min_time")), "less than max_time");
  }
  if (form.max_size > form.max_memory) {
    wrong("max_size", write_size(values.number("max_size")), "at most max_memory");
  }
  return form;
}

}  // namespace kage::app
