// Reads a TOML tree against the settings table. Every value is checked by itself here; a wrong one is
// reported and its default taken, so that the rest is still looked at.
#include "app/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "base/owner.h"
#include "base/text.h"
#include "http/negotiate.h"
#include "message/address.h"
#include "net/cidr.h"
#include "net/ip.h"

namespace kage::app {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
constexpr std::array<Unit, 5> kDurationUnits = {
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 8> kSizeUnits = {{{"b", 1},
                                             {"kb", 1024},
                                             {"kib", 1024},
                                             {"mb", 1 << 20},
                                             {"mib", 1 << 20},
                                             {"gb", 1 << 30},
                                             {"gib", 1 << 30},
                                             {"", 1}}};

std::int64_t with_unit(std::string_view text, std::span<const Unit> units) {
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  const auto number = parse_number(text.substr(0, digits), INT64_MAX);
  const auto unit = std::ranges::find(units, lower(trim(text.substr(digits))), &Unit::name);
  if (!number || unit == units.end()) return -1;
  const auto value = static_cast<std::int64_t>(*number);
  return value > INT64_MAX / unit->factor ? -1 : value * unit->factor;
}

std::string resolve_path(std::string_view path, const std::string& folder) {
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, is_control);
}

std::optional<std::string> read_domain(std::string_view text) {
  auto canonical = message::canonical_domain(text);
  if (!canonical || canonical->empty() || canonical->front() == '[') return std::nullopt;
  return std::move(*canonical);
}

/// A name that a server may call itself by (RFC 5321 §4.1.2 "Domain"): letters, digits and hyphens, and no
/// address, whose last label would be a number.
std::optional<std::string> read_host_name(std::string_view text) {
  auto name = read_domain(text);
  if (!name) return std::nullopt;
  std::string_view label;
  for (std::string_view rest = *name; !rest.empty();) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    label = rest.substr(0, dot);
    const bool good = !label.empty() && label.front() != '-' && label.back() != '-' &&
                      std::ranges::all_of(label, [](char c) { return is_alnum(c) || c == '-'; });
    if (!good) return std::nullopt;
    rest.remove_prefix(std::min(dot + 1, rest.size()));
  }
  return std::ranges::all_of(label, is_digit) ? std::nullopt : std::move(name);
}

std::optional<std::string> read_host(std::string_view text) {
  if (net::parse_ip(text)) return std::string(text);
  return read_domain(text);
}

/// One element of a list kind, in the form that is kept.
std::optional<std::string> read_item(Kind kind, const std::string& text) {
  if (kind == Kind::domains) return read_domain(text);
  if (kind == Kind::origins) return text == "*" || http::is_origin(text) ? std::optional(text) : std::nullopt;
  if (kind == Kind::endpoints) {
    const auto endpoint = net::parse_endpoint(text, 1);
    return endpoint && read_host(endpoint->host) ? std::optional(text) : std::nullopt;
  }
  if (kind == Kind::networks) return net::Network::parse(text) ? std::optional(text) : std::nullopt;
  if (text == "*") return text;
  const bool subdomains = text.starts_with('.');
  auto domain = read_domain(std::string_view(text).substr(subdomains ? 1 : 0));
  if (domain && subdomains) domain->insert(0, ".");
  return domain;
}

bool is_list(Kind kind) {
  return kind == Kind::domains || kind == Kind::hop_domains || kind == Kind::networks ||
         kind == Kind::endpoints || kind == Kind::origins;
}

/// Reads a value of a text kind. Nothing: it is not what the kind allows.
std::optional<SettingValue> read_text(const Setting& setting, const std::string& text,
                                      const std::string& folder) {
  SettingValue value;
  value.text = text;
  switch (setting.kind) {
    case Kind::duration:
    case Kind::size:
      value.number = setting.kind == Kind::size ? parse_size(text) : parse_duration(text);
      if (value.number < setting.minimum || value.number > setting.maximum) return std::nullopt;
      return value;
    case Kind::choice:
      if (text.empty() ||
          ("|" + std::string(setting.choices) + "|").find("|" + text + "|") == std::string::npos) {
        return std::nullopt;
      }
      return value;
    case Kind::host_name:
    case Kind::host: {
      auto name = setting.kind == Kind::host ? read_host(text) : read_host_name(text);
      if (!name) return std::nullopt;
      value.text = std::move(*name);
      return value;
    }
    case Kind::ip:
      return net::parse_ip(text) ? std::optional(value) : std::nullopt;
    case Kind::path:
    case Kind::file:
      if (text.empty() || has_control(text)) return std::nullopt;
      value.text = resolve_path(text, folder);
      return value;
    case Kind::text:
    case Kind::secret:
      return text.empty() || has_control(text) ? std::nullopt : std::optional(value);
    default:
      return std::nullopt;
  }
}

/// The default of a key; the table's own defaults are right, which a test shows.
SettingValue default_of(const Setting& setting, const std::string& folder) {
  SettingValue value;
  if (setting.fallback.empty()) return value;
  const std::string text(setting.fallback);
  if (setting.kind == Kind::boolean) {
    value.number = text == "true" ? 1 : 0;
  } else if (setting.kind == Kind::integer) {
    value.number = static_cast<std::int64_t>(parse_number(text).value());
  } else {
    value = read_text(setting, text, folder).value();
  }
  return value;
}

}  // namespace

/// Walks the tree once. `folder` and `problems` live as long as the call of read_settings.
class SettingsReader {
 public:
  SettingsReader(const std::string& folder, ConfigUse use, Problems& problems, SettingsDocument& document)
      : folder_(folder), use_(use), problems_(problems), document_(document) {}

  void read(const TomlNode& root) {
    for (const Section& section : sections()) document_.groups_[section.name];
    read_table(root, "", nullptr);
    for (const Section& section : sections()) {
      auto& groups = document_.groups_[section.name];
      if (!section.many && groups.empty()) finish(groups.emplace_back(section.name, 0));
    }
  }

 private:
  void read_table(const TomlNode& table, std::string_view path, SectionValues* values) {
    for (const auto& [name, node] : table.members) {
      const std::string full = path.empty() ? name : std::string(path) + "." + name;
      const auto section = std::ranges::find(sections(), full, &Section::name);
      if (section != sections().end()) {
        read_section(*section, node);
        continue;
      }
      const auto setting = std::ranges::find_if(
          settings(), [&](const Setting& s) { return s.section == path && s.key == name; });
      if (setting == settings().end() || values == nullptr) {
        unknown(path, full, name, node.line);
      } else {
        read_value(*setting, node, *values);
      }
    }
  }

  void read_section(const Section& section, const TomlNode& node) {
    auto& groups = document_.groups_[section.name];
    if (section.many) {
      if (node.type != TomlNode::Type::array || !std::ranges::all_of(node.items, [](const TomlNode& item) {
            return item.type == TomlNode::Type::table;
          })) {
        const std::string found =
            node.type == TomlNode::Type::table ? fmt::format("[{}]", section.name) : describe(node);
        problems_.add(node.line, section.name, found,
                      fmt::format("[[{}]], in double brackets", section.name));
        return;
      }
      for (const TomlNode& item : node.items) read_group(section, item, groups);
    } else if (node.type != TomlNode::Type::table) {
      const std::string found =
          node.type == TomlNode::Type::array ? fmt::format("[[{}]]", section.name) : describe(node);
      problems_.add(node.line, section.name, found, fmt::format("[{}], in single brackets", section.name));
    } else {
      read_group(section, node, groups);
    }
  }

  void read_group(const Section& section, const TomlNode& table, std::vector<SectionValues>& groups) {
    SectionValues values(section.name, table.line);
    read_table(table, section.name, &values);
    finish(values);
    groups.push_back(std::move(values));
  }

  void finish(SectionValues& values) {
    for (const Setting& setting : settings()) {
      if (setting.section != values.section()) continue;
      if (values.has(setting.key)) continue;
      if (setting.required) {
        problems_.add(std::max<std::size_t>(1, values.line(setting.key)),
                      fmt::format("{}.{}", setting.section, setting.key), "nothing", allowed_values(setting));
      }
      values.set(setting.key, default_of(setting, folder_));
    }
  }

  void unknown(std::string_view path, std::string_view full, std::string_view name, std::size_t line) {
    std::vector<std::string_view> known;
    for (const Setting& setting : settings()) {
      if (setting.section == path) known.push_back(setting.key);
    }
    for (const Section& section : sections()) {
      const std::string prefix = path.empty() ? "" : std::string(path) + ".";
      if (!section.name.starts_with(prefix)) continue;
      const auto rest = section.name.substr(prefix.size());
      if (rest.find('.') == std::string_view::npos) known.push_back(rest);
    }
    const std::string near = nearest_word(name, known);
    std::string allowed = near.empty() ? "" : fmt::format("did you mean {}? ", quote(near));
    allowed += fmt::format("one of {}", fmt::join(known, ", "));
    problems_.add(line, full, "an unknown name", allowed);
  }

  void read_value(const Setting& setting, const TomlNode& node, SectionValues& values) {
    auto value = check(setting, node);
    if (!value) value = default_of(setting, folder_);
    value->line = node.line;
    values.set(setting.key, std::move(*value));
  }

  void wrong(const Setting& setting, std::size_t line, std::string_view found) {
    problems_.add(line, fmt::format("{}.{}", setting.section, setting.key),
                  setting.kind == Kind::secret ? "something else (not shown)" : found,
                  allowed_values(setting));
  }

  std::optional<SettingValue> check(const Setting& setting, const TomlNode& node) {
    std::optional<SettingValue> value;
    if (is_list(setting.kind)) return check_list(setting, node);
    if (setting.kind == Kind::boolean && node.type == TomlNode::Type::boolean) {
      value.emplace().number = node.boolean ? 1 : 0;
    } else if ((setting.kind == Kind::integer || setting.kind == Kind::size) &&
               node.type == TomlNode::Type::integer) {
      if (node.integer >= setting.minimum && node.integer <= setting.maximum)
        value.emplace().number = node.integer;
    } else if (setting.kind != Kind::integer && setting.kind != Kind::boolean &&
               node.type == TomlNode::Type::text) {
      value = read_text(setting, node.text, folder_);
    }
    if (!value) {
      wrong(setting, node.line, describe(node));
    } else if (setting.kind == Kind::file && !check_file(setting, node, *value)) {
      value.reset();
    }
    return value;
  }

  bool check_file(const Setting& setting, const TomlNode& node, const SettingValue& value) {
    if (use_ == ConfigUse::tool && setting.section != "redis") return true;
    std::error_code error;
    const bool readable = ::access(value.text.c_str(), R_OK) == 0;
    const bool denied = !readable && errno == EACCES;
    if (readable && std::filesystem::is_regular_file(value.text, error)) return true;
    const std::string reason = denied ? user_name(::geteuid()) + " may not read it"
                               : std::filesystem::exists(value.text, error) ? "cannot be read as a file"
                                                                            : "there is no such file";
    wrong(setting, node.line, fmt::format("{} ({})", describe(node), reason));
    return false;
  }

  std::optional<SettingValue> check_list(const Setting& setting, const TomlNode& node) {
    if (node.type != TomlNode::Type::array) {
      wrong(setting, node.line, describe(node));
      return std::nullopt;
    }
    if (setting.required && node.items.empty()) wrong(setting, node.line, "an empty list");
    SettingValue value;
    for (const TomlNode& item : node.items) {
      auto read = item.type == TomlNode::Type::text ? read_item(setting.kind, item.text) : std::nullopt;
      if (!read) {
        wrong(setting, item.line, describe(item));
      } else if (std::ranges::find(value.list, *read) != value.list.end()) {
        problems_.add(item.line, fmt::format("{}.{}", setting.section, setting.key),
                      describe(item) + " twice", "each of them once");
      } else {
        value.list.push_back(std::move(*read));
      }
    }
    return value;
  }

  const std::string& folder_;
  ConfigUse use_;
  Problems& problems_;
  SettingsDocument& document_;
};

SettingsDocument read_settings(const TomlNode& root, const std::string& folder, ConfigUse use,
                               Problems& problems) {
  SettingsDocument document;
  SettingsReader(folder, use, problems, document).read(root);
  return document;
}

const SettingValue& SectionValues::operator[](std::string_view key) const {
  const auto at = values_.find(key);
  // A key that is not in the table is a defect of config*.cc.
  if (at == values_.end()) throw std::logic_error("no such setting: " + std::string(key));
  read_.insert(at->first);
  return at->second;
}

std::size_t SectionValues::line(std::string_view key) const {
  const auto at = values_.find(key);
  return at == values_.end() || at->second.line == 0 ? line_ : at->second.line;
}

std::vector<std::string_view> SectionValues::unread() const {
  std::vector<std::string_view> out;
  for (const auto& [key, value] : values_) {
    if (!read_.contains(key)) out.push_back(key);
  }
  return out;
}

std::int64_t parse_duration(std::string_view text) {
  return with_unit(text, kDurationUnits);
}

std::int64_t parse_size(std::string_view text) {
  return with_unit(text, kSizeUnits);
}

std::string write_duration(std::int64_t milliseconds) {
  constexpr std::array<Unit, 4> units = {{{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
  for (const Unit& unit : units) {
    if (milliseconds >= unit.factor && milliseconds % unit.factor == 0) {
      return fmt::format("{}{}", milliseconds / unit.factor, unit.name);
    }
  }
  return "0s";
}

std::string write_size(std::int64_t octets) {
  constexpr std::array<Unit, 3> units = {{{"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1024}}};
  for (const Unit& unit : units) {
    if (octets >= unit.factor && octets % unit.factor == 0)
      return fmt::format("{}{}", octets / unit.factor, unit.name);
  }
  return std::to_string(octets);
}

std::string allowed_values(const Setting& setting) {
  switch (setting.kind) {
    case Kind::text:
    case Kind::secret:
      return "a text in quotes, not empty";
    case Kind::path:
      return "a path in quotes";
    case Kind::file:
      return "the path of a file that can be read";
    case Kind::boolean:
      return "true or false";
    case Kind::integer:
      return fmt::format("a whole number from {} to {}", setting.minimum, setting.maximum);
    case Kind::duration:
      return fmt::format("a time from \"{}\" to \"{}\"", write_duration(setting.minimum),
                         write_duration(setting.maximum));
    case Kind::size:
      return fmt::format("a size from \"{}\" to \"{}\"", write_size(setting.minimum),
                         write_size(setting.maximum));
    case Kind::choice:
      return quote_choices(setting.choices);
    case Kind::host_name:
      return "a domain name such as \"mx.example.org\"";
    case Kind::host:
      return "a domain name or an IP address";
    case Kind::ip:
      return "an IP address such as \"192.0.2.1\" or \"::1\"";
    case Kind::domains:
      return "a list of domain names such as [\"example.org\"]";
    case Kind::hop_domains:
      return "a list such as [\"example.org\", \".example.org\"], or [\"*\"] for all others";
    case Kind::networks:
      return "a list of networks such as [\"192.0.2.0/24\"]";
    case Kind::endpoints:
      return "a list of servers such as [\"192.0.2.1\", \"redis.example.org:26379\"]";
    case Kind::origins:
      return "a list such as [\"https://www.example.org\"], without paths, or [\"*\"] for every page";
  }
  return "";
}

}  // namespace kage::app
