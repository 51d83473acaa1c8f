// A TOML file as a tree of our own, so that one file only includes toml++.
//
// Every node knows its line. The tree is bounded: the file's size, and toml++'s own limit on nesting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/problems.h"

namespace kage::app {

struct TomlMember;

struct TomlNode {
  enum class Type : std::uint8_t { text, integer, real, boolean, date, array, table };
  Type type = Type::table;
  std::size_t line = 1;             ///< of the key where there is one, else of the value
  std::string text;                 ///< text
  std::int64_t integer = 0;         ///< integer
  double real = 0;                  ///< real
  bool boolean = false;             ///< boolean
  std::vector<TomlNode> items;      ///< array
  std::vector<TomlMember> members;  ///< table, sorted by name

  [[nodiscard]] const TomlNode* find(std::string_view name) const;
};

struct TomlMember {
  std::string name;
  TomlNode node;
};

/// A node as a problem shows it: `"x"`, `5`, `true`, "a list", "a table".
std::string describe(const TomlNode& node);

/// The root table; nothing (and one problem) when the text is not TOML. toml++ stops at the first error.
std::optional<TomlNode> parse_toml(std::string_view text, Problems& problems);

/// A file's bytes; nothing (and one problem) when it cannot be read or is larger than `max_size` octets.
std::optional<std::string> read_file(const std::string& path, std::size_t max_size, Problems& problems);

}  // namespace kage::app
