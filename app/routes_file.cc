// Routes files in TOML, and which reader a file gets; routes_csv.cc is the other one, routes_builder.cc has
// the rules.
#include "app/routes_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <unordered_map>
#include <utility>

#include "app/routes_builder.h"
#include "app/toml_file.h"
#include "base/text.h"
#include "mapping/routes/address_policy.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxFile = 256u << 20;
constexpr std::array<std::string_view, 4> kSpreadsheets = {".xlsx", ".xlsm", ".xls", ".ods"};
constexpr std::string_view kZip = "PK\x03\x04";  ///< what the newer kinds of them begin with

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

}  // namespace

RoutesEncoding routes_encoding(std::string_view name) {
  return name == "shift_jis" ? RoutesEncoding::shift_jis : RoutesEncoding::utf8;
}

std::optional<RoutesFile> parse_routes(std::string_view text, RoutesFormat format,
                                       const std::vector<std::string>& providers, Problems& problems,
                                       RoutesEncoding encoding) {
  if (format == RoutesFormat::csv) {
    problems.count_rows();
    RoutesBuilder builder({"", "", "", "name_policy"}, providers, problems);
    LeftOut left_out = read_csv_routes(text, encoding, builder, problems);
    auto spec = builder.finish();
    if (!spec) return std::nullopt;
    return RoutesFile{std::move(*spec), std::move(left_out)};
  }
  const auto root = parse_toml(text, problems);
  if (!root) return std::nullopt;
  RoutesBuilder builder({"domain.", "address.", "address.member.", "name"}, providers, problems);
  read_toml(*root, builder, problems);
  auto spec = builder.finish();
  if (!spec) return std::nullopt;
  return RoutesFile{std::move(*spec), {}};
}

std::optional<RoutesFile> load_routes_file(const std::string& path, const std::vector<std::string>& providers,
                                           Problems& problems, RoutesEncoding encoding) {
  const auto text = read_file(path, kMaxFile, problems);
  if (!text) return std::nullopt;
  const std::string name = lower(path);
  const bool spreadsheet = std::ranges::any_of(kSpreadsheets, [&](auto end) { return name.ends_with(end); });
  if (spreadsheet || text->starts_with(kZip)) {
    problems.add(1, "file", "a spreadsheet", "CSV; in the spreadsheet save as \"CSV UTF-8\"");
    return std::nullopt;
  }
  const auto format = name.ends_with(".csv") ? RoutesFormat::csv : RoutesFormat::toml;
  return parse_routes(*text, format, providers, problems, encoding);
}

namespace {

void keep_member(mapping::MemberSpec& member, const LeftOut& left_out, const mapping::MemberSpec& now) {
  if (left_out.name) member.name = now.name;
  if (left_out.login) member.login = now.login;
  if (left_out.password_hash) member.password_hash = now.password_hash;
  if (left_out.provider) member.provider = now.provider;
}

void keep_address(mapping::AddressSpec& spec, const LeftOut& left_out, const mapping::PublicAddress& now) {
  if (left_out.display_name) spec.display_name = now.spec.display_name;
  const auto policies = mapping::address_policies();
  for (std::size_t i = 0; i < left_out.policies.size(); ++i) {
    if (left_out.policies[i]) policies[i].set(spec, policies[i].get(now.spec));
  }
  std::unordered_map<std::string_view, const mapping::Member*> members;
  for (const mapping::Member* member : now.members) members.emplace(member->mailbox_canonical, member);
  for (mapping::MemberSpec& member : spec.members) {
    const auto stays = members.find(member.mailbox.canonical());
    if (stays != members.end()) keep_member(member, left_out, stays->second->spec);
  }
}

}  // namespace

mapping::RouteSpec complete(RoutesFile file, const mapping::RouteTable& now) {
  for (mapping::DomainSpec& domain : file.spec.domains) {
    const auto* known = now.find_public_domain(domain.name);
    if (file.left_out.phantom_domain && known != nullptr) domain.phantom_domain = known->phantom_domain;
  }
  for (mapping::AddressSpec& address : file.spec.addresses) {
    const auto* known = now.find_address(address.address.canonical());
    if (known != nullptr) keep_address(address, file.left_out, *known);
  }
  return std::move(file.spec);
}

}  // namespace kage::app
