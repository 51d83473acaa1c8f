// The only place that knows CLI11. Its exceptions end here.
#include "app/command_line.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <sstream>

namespace kage::app {
namespace {

constexpr std::string_view kDefaultConfig = "kagemusha.toml";
constexpr std::string_view kSystemConfig = "/etc/kagemusha/kagemusha.toml";

constexpr const char* kAbout =
    "Kagemusha: a mail privacy gateway. People keep the mailbox they have; neither side learns\n"
    "the other's address.\n"
    "\n"
    "To begin: write kagemusha.toml (docs/configuration.md) and a routes file (docs/routes.md), then\n"
    "  kagemusha check            look whether everything it needs is there\n"
    "  kagemusha serve            run the gateway\n"
    "  kagemusha apply ROUTES     tell it who stands behind which public address\n";

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not allowed to forget.";

constexpr const char* kServe = "Runs the gateway until SIGTERM or SIGINT.";
constexpr const char* kServeMore =
    "Without a Redis in the configuration it runs a private one in the state folder. SIGHUP reads\n"
    "the certificates again. A second SIGTERM ends it at once. Log lines go to standard error.";

constexpr const char* kApply =
    "Makes the routes equal to a routes file: TOML, or CSV when its name ends in .csv. What a CSV has no\n"
    "column for stays as it is.";
constexpr const char* kApplyMore =
    "Shows the difference first, with how many phantoms die. Members that are no longer in the file\n"
    "are forgotten for good: their phantoms cannot be brought back. When a phantom domain changes, the\n"
    "phantoms in the old one find nobody. It asks before either on a terminal; elsewhere it needs\n"
    "--yes. Running it twice changes nothing the second time.";

constexpr const char* kShow = "Shows the public addresses and who stands behind them.";
constexpr const char* kShowMore = "It shows mailboxes; only who can read the master key can run it.";

constexpr const char* kForget = "Forgets one member, or a whole public address, at once and for good.";
constexpr const char* kForgetMore =
    "The phantoms answer as addresses that never existed, and nothing that is left can be turned\n"
    "back into an address. Take it out of the routes file too, or the next apply adds it again as\n"
    "somebody new.";

constexpr const char* kPhantoms = "Lists the phantoms of those who wrote to a public address.";
constexpr const char* kPhantomsMore =
    "For the address book of who writes to all of them. A phantom works for the member that stands\n"
    "in its row only. Days (UTC) and display names are kept for addresses with `collect = true` in the\n"
    "routes file; correspondents' addresses are never shown.";

constexpr const char* kCheck = "Looks whether everything that serve needs is there and works.";
constexpr const char* kCheckMore =
    "Configuration, certificates, key file, Redis, routes, next hops and providers: one line\n"
    "each, beginning with ok or FAIL. No mail is sent and nobody is logged in.";

constexpr const char* kHashPassword = "Reads a password and prints the password_hash for a routes file.";
constexpr const char* kHashPasswordMore =
    "The password comes from the terminal, asked twice and not shown, or is one line of standard\n"
    "input.";

/// What stands below a command's options.
std::string footer(const char* more) {
  return std::string(more) + "\n\n" + kExitCodes;
}

void add_config(CLI::App* command, std::string& path) {
  command
      ->add_option("-c,--config", path,
                   "Configuration file; default: kagemusha.toml here, else /etc/kagemusha/kagemusha.toml")
      ->type_name("FILE");
}

std::string find_config() {
  std::error_code error;
  const std::string here(kDefaultConfig);
  return std::filesystem::exists(here, error) || !std::filesystem::exists(kSystemConfig, error)
             ? here
             : std::string(kSystemConfig);
}

void add_encoding(CLI::App* command, std::string& encoding) {
  command
      ->add_option("--encoding", encoding,
                   "Of a CSV file: utf-8, or shift_jis as a Japanese spreadsheet saves it; default: utf-8")
      ->type_name("NAME")
      ->check(CLI::IsMember({"utf-8", "shift_jis"}));
}

void add_apply(CLI::App& app, Command& command) {
  CLI::App* apply = app.add_subcommand("apply", kApply);
  apply->footer(footer(kApplyMore));
  add_config(apply, command.config);
  apply->add_flag("--dry-run", command.dry_run, "Only show the difference");
  apply->add_flag("-y,--yes", command.yes, "Do not ask before phantoms die");
  add_encoding(apply, command.encoding);
  apply->add_option("ROUTES", command.routes, "The routes file")->required();
}

void add_show(CLI::App& app, Command& command, std::string& format) {
  CLI::App* show = app.add_subcommand("show", kShow);
  show->footer(footer(kShowMore));
  add_config(show, command.config);
  show->add_option("--address", command.address, "Only this public address")->type_name("ADDRESS");
  show->add_option("--format", format, "text or json; default: text")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}));
}

void add_forget(CLI::App& app, Command& command) {
  CLI::App* forget = app.add_subcommand("forget", kForget);
  forget->footer(footer(kForgetMore));
  add_config(forget, command.config);
  forget->add_option("--address", command.address, "The public address")->type_name("ADDRESS")->required();
  forget
      ->add_option("--mailbox", command.mailbox,
                   "One member of it; without: all members and the address itself")
      ->type_name("ADDRESS");
  forget->add_flag("-y,--yes", command.yes, "Do not ask");
}

void add_phantoms(CLI::App& app, Command& command) {
  CLI::App* phantoms = app.add_subcommand("phantoms", kPhantoms);
  phantoms->footer(footer(kPhantomsMore));
  add_config(phantoms, command.config);
  phantoms->add_option("--address", command.address, "The public address")->type_name("ADDRESS")->required();
  phantoms->add_option("--mailbox", command.mailbox, "Only this member's")->type_name("ADDRESS");
  phantoms->add_flag("--all", command.all,
                     "Those too who were only mentioned, or wrote before it was collected");
  phantoms->add_option("--format", command.format, "table, csv or json; default: table")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->default_val("table");
}

Command::Name name_of(const CLI::App& app) {
  const std::string name = app.get_subcommands().front()->get_name();
  if (name == "apply") return Command::Name::apply;
  if (name == "show") return Command::Name::show;
  if (name == "forget") return Command::Name::forget;
  if (name == "phantoms") return Command::Name::phantoms;
  if (name == "check") return Command::Name::check;
  if (name == "hash-password") return Command::Name::hash_password;
  return Command::Name::serve;
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv, const std::string& version) {
  ParsedCommandLine out;
  Command& command = out.command;
  std::string format = "text";
  CLI::App app(kAbout, "kagemusha");
  app.footer(kExitCodes);
  app.set_version_flag("--version", version);
  app.require_subcommand(1);

  CLI::App* serve = app.add_subcommand("serve", kServe);
  serve->footer(footer(kServeMore));
  add_config(serve, command.config);
  serve
      ->add_option("--ready-file", command.ready_file,
                   "Write ports and pid here, as JSON, when all listeners are bound")
      ->type_name("FILE");
  add_apply(app, command);
  add_show(app, command, format);
  add_forget(app, command);
  add_phantoms(app, command);
  CLI::App* check = app.add_subcommand("check", kCheck);
  check->footer(footer(kCheckMore));
  add_config(check, command.config);
  check->add_option("--routes", command.routes, "Also look at this routes file; it is not applied")
      ->type_name("FILE");
  add_encoding(check, command.encoding);
  app.add_subcommand("hash-password", kHashPassword)->footer(footer(kHashPasswordMore));

  try {
    app.parse(argc, argv);
    command.name = name_of(app);
    command.json = format == "json";
    if (command.config.empty() && command.name != Command::Name::hash_password)
      command.config = find_config();
  } catch (const CLI::ParseError& error) {
    std::ostringstream text;
    std::ostringstream wrong;
    out.exit_code = app.exit(error, text, wrong) == 0 ? 0 : 2;
    out.text = text.str() + wrong.str();
  }
  return out;
}

}  // namespace kage::app
