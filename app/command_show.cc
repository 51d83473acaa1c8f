// `kagemusha show`: the routes as they are, for people and for programs. Never a key or a hash.
#include <fmt/format.h>

#include <algorithm>

#include "app/command_session.h"
#include "app/commands.h"
#include "app/terminal.h"
#include "mapping/routes/address_policy.h"

namespace kage::app {
namespace {

using AddressList = std::vector<const mapping::PublicAddress*>;

/// What the log calls a member, so that an operator can tell who it was.
std::string log_tag(const mapping::RouteTable& routes, const mapping::Member& member) {
  return routes.master().log_tag(member.mailbox_canonical);
}

std::string member_text(const mapping::MemberSpec& member, std::string_view tag) {
  std::string line = "    " + member.mailbox.spelling;
  if (!member.name.empty()) line += "  \"" + member.name + "\"";
  if (!member.login.empty()) line += "  login " + member.login;
  if (!member.password_hash.empty()) {
    line += "  own password";
  } else if (!member.provider.empty()) {
    line += "  password at " + member.provider;
  }
  line.append("  in the log ").append(tag);
  return printable(line) + "\n";
}

std::string address_text(const mapping::RouteTable& routes, const mapping::PublicAddress& address) {
  std::string title = address.spec.address.spelling;
  if (!address.spec.display_name.empty()) title += "  \"" + address.spec.display_name + "\"";
  std::string out = "  " + coloured(Colour::bold, printable(title));
  out += "\n";
  std::string policies;
  for (const mapping::AddressPolicy& policy : mapping::address_policies()) {
    policies += fmt::format("{}{}: {}", policies.empty() ? "" : ", ", policy.key,
                            mapping::policy_value(policy, address.spec));
  }
  out += "    " + policies + "\n";
  for (const mapping::Member* member : address.members) {
    out += member_text(member->spec, log_tag(routes, *member));
  }
  return out;
}

void print_text(const mapping::RouteTable& routes, const AddressList& addresses) {
  std::size_t members = 0;
  for (const mapping::DomainSpec& domain : routes.domains()) {
    std::string block;
    for (const auto* address : addresses) {
      if (address->domain->name != domain.name) continue;
      block += address_text(routes, *address);
      members += address->members.size();
    }
    if (!block.empty())
      print(fmt::format("{} (phantoms at {})\n{}\n", domain.name, domain.phantom_domain, block));
  }
  print(fmt::format("{}, {}\n", count_of(addresses.size(), "public address"), count_of(members, "member")));
}

std::string member_json(const mapping::MemberSpec& member, std::string_view tag) {
  return fmt::format(
      R"({{"mailbox":{},"name":{},"login":{},"own_password":{},"provider":{},"log_tag":"{}"}})",
      json_string(member.mailbox.spelling), json_string(member.name),
      json_string(member.login.empty() ? member.mailbox.spelling : member.login),
      !member.password_hash.empty(), json_string(member.provider), tag);
}

void print_json(const mapping::RouteTable& routes, const AddressList& addresses) {
  std::string out = R"({"domains":[)";
  for (const mapping::DomainSpec& domain : routes.domains()) {
    out += fmt::format(R"({}{{"name":{},"phantom_domain":{}}})", out.ends_with('[') ? "" : ",",
                       json_string(domain.name), json_string(domain.phantom_domain));
  }
  out += R"(],"addresses":[)";
  for (const auto* address : addresses) {
    out += fmt::format(R"({}{{"address":{},"display_name":{},)", out.ends_with('[') ? "" : ",",
                       json_string(address->spec.address.spelling), json_string(address->spec.display_name));
    for (const mapping::AddressPolicy& policy : mapping::address_policies()) {
      const std::string_view value = mapping::policy_value(policy, address->spec);
      const bool bare = value == "true" || value == "false";
      out += fmt::format("{}:{},", json_string(policy.key), bare ? std::string(value) : json_string(value));
    }
    out += R"("members":[)";
    for (const mapping::Member* member : address->members) {
      out += out.ends_with('[') ? "" : ",";
      out += member_json(member->spec, log_tag(routes, *member));
    }
    out += "]}";
  }
  print(out + "]}\n");
}

net::Task<int> show_routes(CommandSession& session, const Command& command) {
  AddressList addresses;
  if (command.address.empty()) {
    for (const auto& address : session.routes->addresses()) addresses.push_back(address.get());
    std::ranges::sort(addresses, {},
                      [](const auto* address) { return std::string_view(address->canonical); });
  } else {
    const auto* found = find_address(*session.routes, command.address);
    if (found == nullptr) co_return 1;
    addresses.push_back(found);
  }
  if (command.json) {
    print_json(*session.routes, addresses);
  } else if (addresses.empty()) {
    print("No routes yet: `kagemusha apply ROUTES` brings them.\n");
  } else {
    print_text(*session.routes, addresses);
  }
  co_return 0;
}

}  // namespace

int show(const Config& config, const Command& command) {
  return run_command(config, "show", false,
                     [&](CommandSession& session) { return show_routes(session, command); });
}

}  // namespace kage::app
