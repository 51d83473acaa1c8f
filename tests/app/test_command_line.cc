// The command line as data.
#include "app/command_line.h"

#include <catch2/catch.hpp>
#include <vector>

namespace kage::app {
namespace {

ParsedCommandLine parse(std::vector<const char*> words) {
  words.insert(words.begin(), "kagemusha");
  return parse_command_line(static_cast<int>(words.size()), words.data(), "kagemusha 1.2.3");
}

}  // namespace

TEST_CASE("every --help exits 0 and says enough") {
  for (const char* name : {"serve", "apply", "show", "forget", "check", "hash-password"}) {
    const auto parsed = parse({name, "--help"});
    CHECK(parsed.exit_code == 0);
    CHECK(parsed.text.size() > 200);
    CHECK(parsed.text.find("Exit codes") != std::string::npos);
    CHECK(parse({"--help"}).text.find(name) != std::string::npos);
  }
  CHECK(parse({"--help"}).exit_code == 0);
  CHECK(parse({"--version"}).exit_code == 0);
  CHECK(parse({"--version"}).text == "kagemusha 1.2.3\n");
}

TEST_CASE("wrong usage exits 2 and says why") {
  const std::vector<std::vector<const char*>> cases = {
      {},
      {"fly"},
      {"serve", "--no-such"},
      {"serve", "extra"},
      {"apply"},
      {"apply", "a.toml", "b.toml"},
      {"forget"},
      {"forget", "--mailbox", "a@b.example"},
      {"show", "--format", "xml"},
      {"hash-password", "--config", "x"},
  };
  for (const auto& words : cases) {
    const auto parsed = parse(words);
    CHECK(parsed.exit_code == 2);
    CHECK_FALSE(parsed.text.empty());
  }
}

TEST_CASE("commands") {
  auto parsed = parse({"serve", "--config", "a.toml", "--ready-file", "r.json"});
  CHECK(parsed.exit_code == -1);
  CHECK(parsed.command.name == Command::Name::serve);
  CHECK(parsed.command.config == "a.toml");
  CHECK(parsed.command.ready_file == "r.json");

  parsed = parse({"apply", "-c", "a.toml", "--dry-run", "--yes", "routes.csv"});
  CHECK(parsed.command.name == Command::Name::apply);
  CHECK(parsed.command.dry_run);
  CHECK(parsed.command.yes);
  CHECK(parsed.command.routes == "routes.csv");

  parsed = parse({"show", "--format", "json", "--address", "a@b.example"});
  CHECK(parsed.command.name == Command::Name::show);
  CHECK(parsed.command.json);
  CHECK(parsed.command.address == "a@b.example");
  CHECK_FALSE(parsed.command.config.empty());

  parsed = parse({"forget", "--address", "a@b.example", "--mailbox", "c@d.example"});
  CHECK(parsed.command.name == Command::Name::forget);
  CHECK(parsed.command.mailbox == "c@d.example");
  CHECK_FALSE(parsed.command.yes);

  CHECK(parse({"check", "--routes", "r.toml"}).command.name == Command::Name::check);
  CHECK(parse({"hash-password"}).command.name == Command::Name::hash_password);
}

}  // namespace kage::app
