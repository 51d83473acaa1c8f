// The table of all configuration keys, and the reader that checks a file against it (contract R9.2).
//
// Everything about a key stands in one row: its type, range, default and help. The documentation
// (docs/configuration.md) is printed from the same rows. What needs two keys to judge is in config*.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/problems.h"
#include "app/toml_file.h"

namespace kage::app {

enum class Kind : std::uint8_t {
  text,         ///< any text without control characters
  secret,       ///< the same; never shown
  path,         ///< a path; relative ones are relative to the configuration file's folder
  file,         ///< a path to a file that can be read now
  boolean,      ///< true or false
  integer,      ///< minimum to maximum
  duration,     ///< milliseconds
  size,         ///< octets; kB, MB and GB count by 1024
  choice,       ///< one of `choices`
  host_name,    ///< a server's name: no IP address
  host,         ///< a domain name or an IP address
  ip,           ///< an IP address
  domains,      ///< list of domain names, canonical
  hop_domains,  ///< the same, with "*" and ".example.org"
  networks,     ///< list of networks in CIDR form
  endpoints,    ///< list of servers, "host" or "host:port"
  origins,      ///< list of web origins ("https://www.example.org"), or "*"
};

struct Setting {
  std::string_view section;
  std::string_view key;
  Kind kind;
  std::string_view fallback;  ///< the default as one writes it, without quotes; empty: none
  std::int64_t minimum;       ///< integer, duration, size
  std::int64_t maximum;
  std::string_view choices;  ///< choice: "a|b|c"
  bool required;
  std::string_view help;  ///< one line of Markdown
};

struct Section {
  std::string_view name;
  bool many;  ///< [[name]]: any number of them
  std::string_view help;
};

std::span<const Setting> settings();
std::span<const Section> sections();

/// A checked value in the form that its kind has.
struct SettingValue {
  std::string text;               ///< text kinds; paths are absolute or relative to the current folder
  std::int64_t number = 0;        ///< boolean (0 or 1), integer, milliseconds, octets
  std::vector<std::string> list;  ///< list kinds
  std::size_t line = 0;           ///< 0: the default
};

/// What one [section] or [[section]] says; every key of the section has a value.
class SectionValues {
 public:
  SectionValues(std::string_view section, std::size_t line) : section_(section), line_(line) {}

  [[nodiscard]] const SettingValue& operator[](std::string_view key) const;
  [[nodiscard]] bool given(std::string_view key) const { return (*this)[key].line != 0; }
  [[nodiscard]] const std::string& text(std::string_view key) const { return (*this)[key].text; }
  [[nodiscard]] std::int64_t number(std::string_view key) const { return (*this)[key].number; }
  [[nodiscard]] bool flag(std::string_view key) const { return (*this)[key].number != 0; }
  [[nodiscard]] const std::vector<std::string>& list(std::string_view key) const { return (*this)[key].list; }
  /// Of the key where it is given, else of the section.
  [[nodiscard]] std::size_t line(std::string_view key) const;
  [[nodiscard]] std::string_view section() const { return section_; }
  [[nodiscard]] bool has(std::string_view key) const { return values_.contains(key); }
  [[nodiscard]] bool present() const { return line_ != 0; }  ///< the section stands in the file

  void set(std::string_view key, SettingValue value) { values_[key] = std::move(value); }
  /// Keys that nobody has asked for: a test asserts that there are none.
  [[nodiscard]] std::vector<std::string_view> unread() const;

 private:
  std::string_view section_;
  std::size_t line_;
  std::map<std::string_view, SettingValue> values_;
  mutable std::set<std::string_view> read_;
};

/// All sections of a file. A single section that the file leaves out is there with its defaults.
class SettingsDocument {
 public:
  [[nodiscard]] const SectionValues& one(std::string_view section) const {
    return groups_.at(section).front();
  }
  [[nodiscard]] const std::vector<SectionValues>& all(std::string_view section) const {
    return groups_.at(section);
  }

 private:
  friend class SettingsReader;
  std::map<std::string_view, std::vector<SectionValues>> groups_;
};

/// What the configuration is for: `serve` needs listeners, a default next hop and every file that is named;
/// other commands need what leads to Redis, so that a certificate that is missing stops no `forget`.
enum class ConfigUse : std::uint8_t { serve, tool };

/// Checks a parsed file against the table. A wrong value becomes a problem and the default stands in for it,
/// so that all problems are found at once. `folder`: what relative paths are relative to.
SettingsDocument read_settings(const TomlNode& root, const std::string& folder, ConfigUse use,
                               Problems& problems);

/// Reads a duration ("1500ms", "30s", "5m", "2h", "7d") as milliseconds; -1 when it is none.
std::int64_t parse_duration(std::string_view text);
/// Reads a size ("4096", "256kB", "50MB", "1GB"; KiB, MiB, GiB mean the same) as octets; -1 when it is none.
std::int64_t parse_size(std::string_view text);
/// The shortest way to write them: 90000 → "90s", 262144 → "256kB".
std::string write_duration(std::int64_t milliseconds);
std::string write_size(std::int64_t octets);
/// What a key may hold, as a problem and the documentation say it.
std::string allowed_values(const Setting& setting);

/// docs/configuration.md.
std::string settings_markdown();

}  // namespace kage::app
