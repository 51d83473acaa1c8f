// `kagemusha hash-password`: needs no configuration and talks to nobody.
#include <fmt/format.h>

#include "app/commands.h"
#include "app/process.h"
#include "app/terminal.h"
#include "submission/auth.h"

namespace kage::app {

int hash_password() {
  protect_memory();
  std::string problem;
  const auto password = read_password(problem);
  if (!password) {
    print_error(fmt::format("kagemusha: {}\n", problem));
    return 2;
  }
  const std::string hash = submission::hash_password(*password);
  if (hash.empty()) {
    print_error("kagemusha: no memory for scrypt\n");
    return 1;
  }
  print(hash + "\n");
  return 0;
}

}  // namespace kage::app
