// The command line: what was asked for, as data (docs: `kagemusha --help`).
#pragma once

#include <cstdint>
#include <string>

namespace kage::app {

struct Command {
  enum class Name : std::uint8_t {
    serve,
    apply,
    show,
    forget,
    phantoms,
    check,
    hash_password
  } name = Name::serve;
  std::string config;      ///< path, found where it was not given; not for hash_password
  std::string ready_file;  ///< serve
  std::string routes;      ///< apply: the file; check: one to look at, or empty
  std::string encoding;    ///< apply, check: of a CSV file, "utf-8" or "shift_jis"
  std::string address;     ///< show, forget, phantoms
  std::string mailbox;     ///< forget, phantoms; empty: the whole public address
  std::string format;      ///< phantoms: "table", "csv" or "json"
  bool dry_run = false;    ///< apply
  bool yes = false;        ///< apply, forget
  bool json = false;       ///< show
  bool all = false;        ///< phantoms: those too who never wrote
};

struct ParsedCommandLine {
  int exit_code = -1;  ///< -1: go on with `command`; else end with this after printing `text`
  std::string text;    ///< help, the version, or what is wrong
  Command command;
};

/// `version`: what --version prints.
ParsedCommandLine parse_command_line(int argc, const char* const* argv, const std::string& version);

}  // namespace kage::app
