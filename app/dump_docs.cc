// Prints documentation that is generated from tables, for scripts/generate-docs: `kagemusha_docs
// configuration|header-fields|metrics|routes`.
#include <cstdio>
#include <string>
#include <string_view>

#include "app/routes_file.h"
#include "app/settings.h"
#include "base/metrics.h"
#include "mapping/rewrite/field_policy.h"

int main(int argc, char** argv) {
  const std::string_view page = argc == 2 ? argv[1] : "";
  std::string text;
  if (page == "configuration") text = kage::app::settings_markdown();
  if (page == "header-fields") text = kage::mapping::field_rules_markdown();
  if (page == "metrics") text = kage::metrics::markdown();
  if (page == "routes") text = kage::app::routes_markdown();
  if (text.empty()) {
    std::fputs("usage: kagemusha_docs configuration|header-fields|metrics|routes\n", stderr);
    return 2;
  }
  std::fputs(text.c_str(), stdout);
  return 0;
}
