// The only place that knows toml++. Its errors become a Problem; no exception is used.
#include "app/toml_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "message/utf8.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace kage::app {
namespace {

// Recursion is bounded by toml++'s limit on nested values (256).
TomlNode convert(const toml::node& from) {
  TomlNode node;
  node.line = std::max<std::size_t>(1, from.source().begin.line);
  if (const auto* table = from.as_table()) {
    node.type = TomlNode::Type::table;
    for (const auto& [key, value] : *table) {
      TomlNode member = convert(value);
      if (key.source().begin.line > 0) member.line = key.source().begin.line;
      node.members.push_back({std::string(key.str()), std::move(member)});
    }
    std::ranges::sort(node.members, {}, &TomlMember::name);
  } else if (const auto* array = from.as_array()) {
    node.type = TomlNode::Type::array;
    for (const auto& item : *array) node.items.push_back(convert(item));
  } else if (const auto* text = from.as_string()) {
    node.type = TomlNode::Type::text;
    node.text = text->get();
  } else if (const auto* integer = from.as_integer()) {
    node.type = TomlNode::Type::integer;
    node.integer = integer->get();
  } else if (const auto* real = from.as_floating_point()) {
    node.type = TomlNode::Type::real;
    node.real = real->get();
  } else if (const auto* boolean = from.as_boolean()) {
    node.type = TomlNode::Type::boolean;
    node.boolean = boolean->get();
  } else {
    node.type = TomlNode::Type::date;
  }
  return node;
}

}  // namespace

const TomlNode* TomlNode::find(std::string_view name) const {
  const auto at = std::ranges::lower_bound(
      members, name, {}, [](const TomlMember& member) { return std::string_view(member.name); });
  return at != members.end() && at->name == name ? &at->node : nullptr;
}

std::string describe(const TomlNode& node) {
  switch (node.type) {
    case TomlNode::Type::text:
      return quote(node.text);
    case TomlNode::Type::integer:
      return std::to_string(node.integer);
    case TomlNode::Type::real:
      return fmt::format("{}", node.real);
    case TomlNode::Type::boolean:
      return node.boolean ? "true" : "false";
    case TomlNode::Type::date:
      return "a date or time";
    case TomlNode::Type::array:
      return "a list";
    case TomlNode::Type::table:
      return "a table";
  }
  return "nothing";
}

std::optional<TomlNode> parse_toml(std::string_view text, Problems& problems) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    problems.add(std::max<std::size_t>(1, error.source().begin.line), "syntax", error.description(),
                 "TOML 1.0");
    return std::nullopt;
  }
  return convert(parsed.table());
}

std::optional<std::string> read_file(const std::string& path, std::size_t max_size, Problems& problems) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (in) {
    char buffer[16384];
    while (text.size() <= max_size && (in.read(buffer, sizeof buffer), in.gcount() > 0)) {
      text.append(buffer, static_cast<std::size_t>(in.gcount()));
    }
  }
  if (!in.eof() && text.size() <= max_size) {
    problems.add(1, "file", errno == 0 ? "something unreadable" : std::strerror(errno),
                 "a file that can be read");
    return std::nullopt;
  }
  if (text.size() > max_size) {
    problems.add(1, "file", fmt::format("more than {} octets", max_size), "a smaller file");
    return std::nullopt;
  }
  return text;
}

}  // namespace kage::app
