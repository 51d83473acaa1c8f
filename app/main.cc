// The program `kagemusha`: command line and configuration in, exit code out.
#include <cstdio>
#include <exception>

#include "app/command_line.h"
#include "app/commands.h"
#include "app/config.h"
#include "app/problems.h"
#include "app/process.h"
#include "app/serve.h"
#include "app/terminal.h"

namespace kage::app {
namespace {

int run(int argc, const char* const* argv) {
  const std::string version =
      std::string("kagemusha ") + KAGEMUSHA_VERSION + " (allocator: " + allocator_name() + ")";
  const ParsedCommandLine parsed = parse_command_line(argc, argv, version);
  if (parsed.exit_code >= 0) {
    parsed.exit_code == 0 ? print(parsed.text) : print_error(parsed.text);
    return parsed.exit_code;
  }
  const Command& command = parsed.command;
  if (command.name == Command::Name::hash_password) return hash_password();

  const bool serving = command.name == Command::Name::serve || command.name == Command::Name::check;
  Problems problems(command.config);
  const auto config = load_config(command.config, serving ? ConfigUse::serve : ConfigUse::tool, problems);
  if (!config) {
    print_error(problems.text() + "\n");
    return 2;
  }
  switch (command.name) {
    case Command::Name::apply:
      return apply(*config, command);
    case Command::Name::show:
      return show(*config, command);
    case Command::Name::forget:
      return forget(*config, command);
    case Command::Name::phantoms:
      return phantoms(*config, command);
    case Command::Name::check:
      return check(*config, command);
    default:
      return serve(*config, command.ready_file);
  }
}

}  // namespace
}  // namespace kage::app

int main(int argc, char** argv) {
  try {
    return kage::app::run(argc, argv);
  } catch (const std::exception& error) {
    // Only libraries throw: no memory, or a defect.
    std::fprintf(stderr, "kagemusha: %s\n", error.what());
    return 1;
  }
}
