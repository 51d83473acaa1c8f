// Building the routes' snapshot and its indexes. Error texts name no address: they may be logged.
#include "mapping/routes/table.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/text.h"

namespace kage::mapping {
namespace {

bool same(const message::Address& a, const message::Address& b) {
  return a.local == b.local && a.domain == b.domain && a.spelling == b.spelling;
}

template <class Map>
auto lookup(const Map& map, std::string_view key) -> typename Map::mapped_type {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : found->second;
}

template <class Map>
std::span<const Member* const> lookup_all(const Map& map, std::string_view key) {
  const auto found = map.find(key);
  if (found == map.end()) return {};
  return found->second;
}

}  // namespace

std::string login_name(std::string_view login) {
  if (login.find('@') != std::string_view::npos) {
    if (const auto address = message::parse_address(login)) return address->canonical();
  }
  return lower(login);
}

Result<> normalise(DomainSpec& domain) {
  auto name = message::canonical_domain(domain.name);
  if (!name) return fail(Errc::invalid, "a public domain is not a domain name");
  domain.name = std::move(*name);
  if (domain.phantom_domain.empty()) domain.phantom_domain = "p." + domain.name;
  auto phantom = message::canonical_domain(domain.phantom_domain);
  if (!phantom) return fail(Errc::invalid, "a phantom domain is not a domain name");
  domain.phantom_domain = std::move(*phantom);
  return {};
}

bool MemberSpec::operator==(const MemberSpec& other) const {
  return same(mailbox, other.mailbox) && name == other.name && login == other.login &&
         password_hash == other.password_hash && provider == other.provider;
}

Result<std::shared_ptr<const RouteTable>> RouteTable::build(std::vector<DomainSpec> domains,
                                                            std::vector<AddressSpec> addresses,
                                                            std::vector<Row> members,
                                                            std::shared_ptr<const MasterKeys> master,
                                                            std::uint64_t generation) {
  const std::shared_ptr<RouteTable> table(new RouteTable);
  table->master_ = std::move(master);
  table->generation_ = generation;
  if (auto done = table->add_domains(std::move(domains)); !done) return std::unexpected(done.error());
  if (auto done = table->add_addresses(std::move(addresses)); !done) return std::unexpected(done.error());
  if (auto done = table->add_members(std::move(members)); !done) return std::unexpected(done.error());
  return table;
}

Result<> RouteTable::add_domains(std::vector<DomainSpec> domains) {
  domains_ = std::move(domains);
  for (DomainSpec& domain : domains_) {
    if (auto done = normalise(domain); !done) return done;
    if (!by_public_domain_.emplace(domain.name, &domain).second) {
      return fail(Errc::invalid, "a public domain appears twice");
    }
    if (!by_phantom_domain_.emplace(domain.phantom_domain, &domain).second) {
      return fail(Errc::invalid, "a phantom domain appears twice");
    }
  }
  for (const DomainSpec& domain : domains_) {
    if (by_public_domain_.contains(domain.phantom_domain)) {
      return fail(Errc::invalid, "a phantom domain is also a public domain");
    }
  }
  return {};
}

Result<> RouteTable::add_addresses(std::vector<AddressSpec> addresses) {
  addresses_.reserve(addresses.size());
  by_address_.reserve(addresses.size());
  for (AddressSpec& spec : addresses) {
    auto address = std::make_unique<PublicAddress>();
    address->canonical = spec.address.canonical();
    address->domain = find_public_domain(spec.address.canonical_domain());
    address->spec = std::move(spec);
    address->spec.members.clear();
    if (address->domain == nullptr) return fail(Errc::invalid, "a public address has no domain entry");
    if (!by_address_.emplace(address->canonical, address.get()).second) {
      return fail(Errc::invalid, "a public address appears twice");
    }
    addresses_.push_back(std::move(address));
  }
  return {};
}

Result<> RouteTable::add_members(std::vector<Row> rows) {
  std::unordered_map<std::string_view, PublicAddress*> owners;
  owners.reserve(addresses_.size());
  for (const auto& address : addresses_) owners.emplace(address->canonical, address.get());
  std::unordered_set<std::string> pairs;
  pairs.reserve(rows.size());
  members_.reserve(rows.size());
  by_id_.reserve(rows.size());
  for (Row& row : rows) {
    const auto owner = owners.find(row.public_address);
    if (owner == owners.end()) return fail(Errc::invalid, "a member's public address is not there");
    if (row.id == 0) return fail(Errc::invalid, "a member has no identity");
    auto member =
        std::make_unique<Member>(Member{row.id, std::move(row.spec), std::move(row.keys), owner->second, {}});
    member->mailbox_canonical = member->spec.mailbox.canonical();
    // Such a member would send every message around in a circle.
    if (by_address_.contains(member->mailbox_canonical) ||
        by_phantom_domain_.contains(member->spec.mailbox.canonical_domain())) {
      return fail(Errc::invalid, "a member's mailbox is an address of this gateway");
    }
    if (!pairs.insert(row.public_address + '\n' + member->mailbox_canonical).second) {
      return fail(Errc::invalid, "a mailbox appears twice behind one public address");
    }
    if (!by_id_.emplace(row.id, member.get()).second) return fail(Errc::invalid, "two members are one");
    const std::string& login = member->spec.login;
    by_login_[login.empty() ? member->mailbox_canonical : login_name(login)].push_back(member.get());
    by_mailbox_[member->mailbox_canonical].push_back(member.get());
    owner->second->members.push_back(member.get());
    members_.push_back(std::move(member));
  }
  // The same on every node and after every start: the first is a login's default.
  for (auto& [login, members] : by_login_) {
    std::ranges::sort(members, {},
                      [](const Member* each) { return std::string_view(each->address->canonical); });
  }
  return {};
}

const PublicAddress* RouteTable::find_address(std::string_view canonical) const {
  return lookup(by_address_, canonical);
}

const Member* RouteTable::find_member(MemberId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

std::span<const Member* const> RouteTable::find_login(std::string_view login) const {
  return lookup_all(by_login_, login_name(login));
}

std::span<const Member* const> RouteTable::find_mailbox(std::string_view canonical) const {
  return lookup_all(by_mailbox_, canonical);
}

bool RouteTable::stands_behind(const PublicAddress& address, std::string_view canonical) const {
  return std::ranges::any_of(find_mailbox(canonical),
                             [&address](const Member* member) { return member->address == &address; });
}

const DomainSpec* RouteTable::find_public_domain(std::string_view canonical_domain) const {
  return lookup(by_public_domain_, canonical_domain);
}

const DomainSpec* RouteTable::find_phantom_domain(std::string_view canonical_domain) const {
  return lookup(by_phantom_domain_, canonical_domain);
}

}  // namespace kage::mapping
