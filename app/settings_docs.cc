// Prints docs/configuration.md from the settings table.
#include <fmt/format.h>

#include "app/settings.h"

namespace kage::app {
namespace {

constexpr std::string_view kIntroduction = R"(# Configuration

This page is printed from the settings table in `app/settings_table.cc` by `scripts/generate-docs`; edit it there.

The gateway reads one TOML file: `--config FILE`, else `kagemusha.toml` in the current folder, else
`/etc/kagemusha/kagemusha.toml`. A wrong file is refused before anything starts, with all its problems at once:

```
kagemusha.toml:7: listen.port: found 70000; allowed: a whole number from 0 to 65535
```

Times are texts with a unit: `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"1d"`. Sizes are whole numbers of octets or texts with a
unit: `"256kB"`, `"50MB"`, `"1GB"`; units count by 1024, so `kB` and `KiB` are the same. Relative paths are relative to the
folder of the configuration file. Domain names may be written in Unicode.

`[name]` stands once, `[[name]]` as often as needed. Keys without a default may be left out unless they are marked
*required*.

The smallest file that serves:

```toml
[server]
hostname = "mx.school.example"

[[listen]]
face = "inbound"
address = "0.0.0.0"
port = 25

[[next_hop]]
name = "postfix"
domains = ["*"]
host = "127.0.0.1"
port = 10025
```
)";

/// In a table cell a bar would end the cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string default_cell(const Setting& setting) {
  if (setting.required) return "*required*";
  if (setting.fallback.empty()) return "";
  const bool bare = setting.kind == Kind::boolean || setting.kind == Kind::integer;
  return bare ? fmt::format("`{}`", setting.fallback) : fmt::format("`\"{}\"`", setting.fallback);
}

}  // namespace

std::string settings_markdown() {
  std::string out(kIntroduction);
  for (const Section& section : sections()) {
    if (section.help.empty()) continue;
    const std::string name =
        section.many ? fmt::format("[[{}]]", section.name) : fmt::format("[{}]", section.name);
    out += fmt::format("\n## `{}`\n\n{}\n\n", name, section.help);
    out += "| key | default | values | meaning |\n| --- | --- | --- | --- |\n";
    for (const Setting& setting : settings()) {
      if (setting.section != section.name) continue;
      out += fmt::format("| `{}` | {} | {} | {} |\n", setting.key, default_cell(setting),
                         cell(allowed_values(setting)), cell(setting.help));
    }
  }
  return out;
}

}  // namespace kage::app
