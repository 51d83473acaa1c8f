// Prints documentation that is generated from tables, for scripts/generate-docs: `kagemusha_docs
// configuration`.
#include <cstdio>
#include <string_view>

#include "app/settings.h"

int main(int argc, char** argv) {
  if (argc != 2 || std::string_view(argv[1]) != "configuration") {
    std::fputs("usage: kagemusha_docs configuration\n", stderr);
    return 2;
  }
  std::fputs(kage::app::settings_markdown().c_str(), stdout);
  return 0;
}
