// The two readers of routes files; routes_builder.cc has the rules.
#include "app/routes_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "app/csv.h"
#include "app/routes_builder.h"
#include "app/toml_file.h"
#include "base/text.h"
#include "message/utf8.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxFile = 256u << 20;

// ---- TOML

/// Where the keys of one table go.
struct Slot {
  std::string_view key;
  RouteText* target;
  bool boolean = false;  ///< true and false may stand there without quotes
};

/// Takes the texts of a table; `nested` is a key that the caller reads itself.
void take_texts(const TomlNode& table, const std::string& prefix, std::span<const Slot> slots,
                std::string_view nested, Problems& problems) {
  for (const auto& [name, node] : table.members) {
    if (name == nested) continue;
    const auto slot = std::ranges::find(slots, name, &Slot::key);
    if (slot == slots.end()) {
      std::vector<std::string_view> known;
      for (const Slot& each : slots) known.push_back(each.key);
      if (!nested.empty()) known.push_back(nested);
      const std::string near = nearest_word(name, known);
      const std::string meant = near.empty() ? "" : fmt::format("did you mean {}? ", quote(near));
      problems.add(node.line, prefix + name, "an unknown name",
                   fmt::format("{}one of {}", meant, fmt::join(known, ", ")));
    } else if (slot->boolean && node.type == TomlNode::Type::boolean) {
      *slot->target = {node.boolean ? "true" : "false", node.line};
    } else if (node.type != TomlNode::Type::text || node.text.empty()) {
      problems.add(node.line, prefix + name, describe(node), "a text in quotes, not empty");
      slot->target->line = node.line;
    } else {
      *slot->target = {node.text, node.line};
    }
  }
}

/// The tables of [[name]]; nothing when it is something else.
std::span<const TomlNode> tables(const TomlNode* node, const std::string& name, Problems& problems) {
  if (node == nullptr) return {};
  const auto is_table = [](const TomlNode& item) { return item.type == TomlNode::Type::table; };
  if (node->type == TomlNode::Type::array && std::ranges::all_of(node->items, is_table)) return node->items;
  const std::string found = node->type == TomlNode::Type::table ? "[" + name + "]" : describe(*node);
  problems.add(node->line, name, found, "[[" + name + "]], in double brackets");
  return {};
}

void read_toml_member(const TomlNode& table, std::size_t address, RoutesBuilder& builder,
                      Problems& problems) {
  RawMember raw;
  raw.line = table.line;
  const std::array<Slot, 5> slots = {{{"mailbox", &raw.mailbox},
                                      {"name", &raw.name},
                                      {"login", &raw.login},
                                      {"password_hash", &raw.password_hash},
                                      {"provider", &raw.provider}}};
  take_texts(table, "address.member.", slots, "", problems);
  builder.add_member(address, raw);
}

void read_toml(const TomlNode& root, RoutesBuilder& builder, Problems& problems) {
  for (const auto& [name, node] : root.members) {
    if (name != "domain" && name != "address") {
      problems.add(node.line, name, "an unknown name", "[[domain]] and [[address]]");
    }
  }
  for (const TomlNode& table : tables(root.find("domain"), "domain", problems)) {
    RawDomain raw;
    raw.line = table.line;
    const std::array<Slot, 2> slots = {{{"name", &raw.name}, {"phantom_domain", &raw.phantom_domain}}};
    take_texts(table, "domain.", slots, "", problems);
    builder.add_domain(raw);
  }
  for (const TomlNode& table : tables(root.find("address"), "address", problems)) {
    RawAddress raw;
    raw.line = table.line;
    std::vector<Slot> slots = {{"address", &raw.address}, {"display_name", &raw.display_name}};
    const auto policies = mapping::address_policies();
    for (std::size_t i = 0; i < policies.size(); ++i) {
      slots.push_back({policies[i].key, &raw.policies[i], policies[i].takes_boolean()});
    }
    take_texts(table, "address.", slots, "member", problems);
    const std::size_t address = builder.add_address(raw, false);
    for (const TomlNode& member : tables(table.find("member"), "address.member", problems)) {
      read_toml_member(member, address, builder, problems);
    }
  }
}

// ---- CSV

constexpr std::array<std::string_view, 8> kColumns = {
    "address", "display_name", "mailbox", "name", "login", "password_hash", "provider", "phantom_domain"};

/// All columns there are: those above, then one for each policy. "name" is the member's, as in TOML.
std::vector<std::string_view> columns_known() {
  std::vector<std::string_view> names(kColumns.begin(), kColumns.end());
  for (const mapping::AddressPolicy& policy : mapping::address_policies()) {
    names.push_back(policy.key == "name" ? "name_policy" : policy.key);
  }
  return names;
}

/// For each column of the file, which of columns_known() it is; empty when the header row is wrong.
std::vector<std::size_t> read_header(const CsvRow& row, Problems& problems) {
  std::vector<std::size_t> columns;
  const std::vector<std::string_view> known = columns_known();
  const std::string all = fmt::format("a header row of {}", fmt::join(known, ","));
  if (row.fields.size() == 1 && row.fields[0].find_first_of(";\t") != std::string::npos) {
    problems.add(row.line, "header", "columns that are not separated by commas",
                 "commas; save as CSV (comma separated)");
    return {};
  }
  for (const std::string& field : row.fields) {
    const std::string name = lower(trim(field));
    const auto at = std::ranges::find(known, name);
    const auto index = static_cast<std::size_t>(at - known.begin());
    if (at == known.end()) {
      problems.add(row.line, "header", "the column " + quote(field), all);
    } else if (std::ranges::find(columns, index) != columns.end()) {
      problems.add(row.line, "header", fmt::format("the column {} twice", quote(name)), "each column once");
    }
    columns.push_back(index);
  }
  for (const std::size_t needed : {std::size_t{0}, std::size_t{2}}) {
    if (std::ranges::find(columns, needed) == columns.end()) {
      problems.add(row.line, "header", fmt::format("no column {}", quote(kColumns[needed])),
                   "the columns address and mailbox at least");
    }
  }
  if (!problems.empty()) columns.clear();
  return columns;
}

void read_csv_row(const CsvRow& row, const std::vector<std::size_t>& columns, RoutesBuilder& builder) {
  std::vector<RouteText> texts(kColumns.size() + mapping::address_policies().size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string_view text = trim(row.fields[i]);
    if (!text.empty()) texts[columns[i]] = {std::string(text), row.line};
  }
  RawAddress address;
  address.line = row.line;
  address.address = texts[0];
  address.display_name = texts[1];
  for (std::size_t i = 0; i < address.policies.size(); ++i) address.policies[i] = texts[kColumns.size() + i];
  RawMember member;
  member.line = row.line;
  member.mailbox = texts[2];
  member.name = texts[3];
  member.login = texts[4];
  member.password_hash = texts[5];
  member.provider = texts[6];
  const std::size_t index = builder.add_address(address, true);
  builder.set_phantom_domain(index, texts[7]);
  builder.add_member(index, member);
}

/// What a spreadsheet saves when "CSV UTF-8" was not chosen.
bool check_encoding(std::string_view text, Problems& problems) {
  constexpr std::string_view kAllowed = "UTF-8; in a spreadsheet save as \"CSV UTF-8\"";
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    problems.add(1, "file", "UTF-16", kAllowed);
    return false;
  }
  std::size_t line = 1;
  for (std::size_t at = 0; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (!message::is_valid_utf8(text.substr(at, end - at))) {
      problems.add(line, "file", "bytes that are not UTF-8 (Shift_JIS, perhaps)", kAllowed);
      return false;
    }
    at = end + 1;
  }
  return true;
}

void read_csv(std::string_view text, RoutesBuilder& builder, Problems& problems) {
  if (!check_encoding(text, problems)) return;
  CsvReader reader(text);
  CsvRow row;
  std::vector<std::size_t> columns;
  for (bool header = true;; header = false) {
    const auto more = reader.next(row);
    if (!more) {
      problems.add(reader.line(), "syntax", more.error().detail, "CSV as in RFC 4180");
      return;
    }
    if (!*more) {
      if (header)
        problems.add(1, "header", "nothing",
                     fmt::format("a header row of {}", fmt::join(columns_known(), ",")));
      return;
    }
    if (header) {
      columns = read_header(row, problems);
      if (columns.empty()) return;
    } else if (row.fields.size() != columns.size()) {
      problems.add(row.line, "row", fmt::format("{} columns", row.fields.size()),
                   fmt::format("{}, as in the header row", columns.size()));
    } else if (!std::ranges::all_of(row.fields,
                                    [](const std::string& field) { return trim(field).empty(); })) {
      // Spreadsheets write rows of nothing but commas.
      read_csv_row(row, columns, builder);
    }
  }
}

}  // namespace

std::optional<mapping::RouteSpec> parse_routes(std::string_view text, RoutesFormat format,
                                               const std::vector<std::string>& providers,
                                               Problems& problems) {
  if (format == RoutesFormat::csv) {
    RoutesBuilder builder({"", "", "", "name_policy"}, providers, problems);
    read_csv(text, builder, problems);
    return builder.finish();
  }
  const auto root = parse_toml(text, problems);
  if (!root) return std::nullopt;
  RoutesBuilder builder({"domain.", "address.", "address.member.", "name"}, providers, problems);
  read_toml(*root, builder, problems);
  return builder.finish();
}

std::optional<mapping::RouteSpec> load_routes_file(const std::string& path,
                                                   const std::vector<std::string>& providers,
                                                   Problems& problems) {
  const auto text = read_file(path, kMaxFile, problems);
  if (!text) return std::nullopt;
  const auto format = lower(path).ends_with(".csv") ? RoutesFormat::csv : RoutesFormat::toml;
  return parse_routes(*text, format, providers, problems);
}

}  // namespace kage::app
