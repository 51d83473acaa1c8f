// The difference between the routes that are and those that a file wants, in words for an operator.
#include <algorithm>
#include <map>
#include <tuple>

#include "mapping/routes/address_policy.h"
#include "mapping/store/route_store.h"

namespace kage::mapping {
namespace {

using Kind = RouteChange::Kind;

/// `what: "old" → "new"`, joined by "; ".
void note(std::string& detail, std::string_view what, std::string_view old_value,
          std::string_view new_value) {
  if (old_value == new_value) return;
  if (!detail.empty()) detail.append("; ");
  detail.append(what).append(": \"").append(old_value).append("\" → \"").append(new_value).append("\"");
}

std::string address_detail(const AddressSpec& now, const AddressSpec& wanted) {
  std::string detail;
  note(detail, "spelling", now.address.spelling, wanted.address.spelling);
  note(detail, "display_name", now.display_name, wanted.display_name);
  for (const AddressPolicy& policy : address_policies()) {
    note(detail, policy.key, policy_value(policy, now), policy_value(policy, wanted));
  }
  return detail;
}

std::string member_detail(const MemberSpec& now, const MemberSpec& wanted) {
  std::string detail;
  note(detail, "spelling", now.mailbox.spelling, wanted.mailbox.spelling);
  note(detail, "name", now.name, wanted.name);
  note(detail, "login", now.login, wanted.login);
  note(detail, "provider", now.provider, wanted.provider);
  if (now.password_hash != wanted.password_hash) {
    if (!detail.empty()) detail.append("; ");
    detail.append("password ");
    detail.append(now.password_hash.empty() ? "set" : wanted.password_hash.empty() ? "removed" : "changed");
  }
  return detail;
}

void diff_domains(const RouteTable& now, const RouteSpec& wanted, std::vector<RouteChange>& changes) {
  std::map<std::string, std::string> names;
  for (DomainSpec domain : wanted.domains) {
    if (!normalise(domain)) continue;
    names.emplace(domain.name, domain.phantom_domain);
    const DomainSpec* const have = now.find_public_domain(domain.name);
    if (have == nullptr) {
      std::string detail = "phantom_domain: \"" + domain.phantom_domain + "\"";
      changes.push_back({Kind::add_domain, domain.name, {}, std::move(detail)});
    } else if (have->phantom_domain != domain.phantom_domain) {
      std::string detail;
      note(detail, "phantom_domain", have->phantom_domain, domain.phantom_domain);
      changes.push_back({Kind::change_domain, domain.name, {}, std::move(detail)});
    }
  }
  for (const DomainSpec& domain : now.domains()) {
    if (!names.contains(domain.name)) changes.push_back({Kind::remove_domain, domain.name, {}, {}});
  }
}

void diff_members(const PublicAddress* now, const AddressSpec& wanted, const std::string& address,
                  std::vector<RouteChange>& changes) {
  std::map<std::string, const Member*> left;
  if (now != nullptr) {
    for (const Member* member : now->members) left.emplace(member->mailbox_canonical, member);
  }
  for (const MemberSpec& member : wanted.members) {
    const auto have = left.find(member.mailbox.canonical());
    if (have == left.end()) {
      changes.push_back({Kind::add_member, address, member.mailbox.spelling, {}});
      continue;
    }
    std::string detail = member_detail(have->second->spec, member);
    if (!detail.empty()) {
      changes.push_back({Kind::change_member, address, member.mailbox.spelling, std::move(detail)});
    }
    left.erase(have);
  }
  for (const auto& [canonical, member] : left) {
    changes.push_back({Kind::remove_member, address, member->spec.mailbox.spelling, {}, member->id});
  }
}

}  // namespace

std::vector<RouteChange> diff_routes(const RouteTable& now, const RouteSpec& wanted) {
  std::vector<RouteChange> changes;
  diff_domains(now, wanted, changes);
  std::map<std::string, const AddressSpec*> names;
  for (const AddressSpec& address : wanted.addresses) {
    const std::string canonical = address.address.canonical();
    names.emplace(canonical, &address);
    const PublicAddress* const have = now.find_address(canonical);
    if (have == nullptr) {
      changes.push_back({Kind::add_address, canonical, {}, {}});
    } else if (std::string detail = address_detail(have->spec, address); !detail.empty()) {
      changes.push_back({Kind::change_address, canonical, {}, std::move(detail)});
    }
    diff_members(have, address, canonical, changes);
  }
  for (const auto& address : now.addresses()) {
    if (names.contains(address->canonical)) continue;
    changes.push_back({Kind::remove_address, address->canonical, {}, {}});
    for (const Member* member : address->members) {
      changes.push_back(
          {Kind::remove_member, address->canonical, member->spec.mailbox.spelling, {}, member->id});
    }
  }
  std::ranges::sort(changes, [](const RouteChange& a, const RouteChange& b) {
    const bool a_domain = a.kind <= Kind::change_domain;
    const bool b_domain = b.kind <= Kind::change_domain;
    return std::tuple(!a_domain, std::string_view(a.public_address), std::string_view(a.mailbox), a.kind) <
           std::tuple(!b_domain, std::string_view(b.public_address), std::string_view(b.mailbox), b.kind);
  });
  return changes;
}

}  // namespace kage::mapping
