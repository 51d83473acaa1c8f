// The rules of a routes file that do not depend on its format.
#include "app/routes_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "app/routes_file.h"
#include "base/text.h"
#include "message/address_text.h"
#include "message/invisible.h"
#include "message/utf8.h"
#include "submission/auth.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxName = 200;  // octets of a display name

constexpr std::string_view kPublicAddress = "a public address such as \"pta@school.example\"";
constexpr std::string_view kMailbox = "a mailbox such as \"officer@gmail.com\"";

std::string login_form(const std::string& login) {
  const auto address = message::parse_address(login);
  return address ? address->canonical() : lower(login);
}

/// What no address has, though RFC 6531 would allow it: full-width letters (an input method was left on), and
/// what nobody sees (copied from a web page or a chat). Empty: neither.
std::string strange_characters(std::string_view text) {
  if (message::half_width(text) != text) return "which has full-width characters";
  const std::int32_t unseen = message::find_unseen(text);
  return unseen < 0 ? std::string() : fmt::format("which has an invisible character, U+{:04X}", unseen);
}

bool is_printable(std::string_view text) {
  return message::is_valid_utf8(text) && std::ranges::none_of(text, is_control);
}

}  // namespace

RoutesBuilder::RoutesBuilder(Names names, const std::vector<std::string>& providers, Problems& problems)
    : names_(std::move(names)), providers_(providers), problems_(problems) {}

std::optional<message::Address> RoutesBuilder::read_address(const std::string& where, const RouteText& text,
                                                            std::string_view allowed) {
  if (const std::string strange = strange_characters(text.value); !strange.empty()) {
    const std::string meant = message::without_unseen(message::half_width(text.value));
    problems_.add(text.line, where, fmt::format("{}, {}", quote(text.value), strange),
                  meant.empty() ? std::string(allowed) : quote(meant) + ", if that is meant");
    return std::nullopt;
  }
  auto address = message::parse_address(text.value);
  if (address && address->domain.starts_with('[')) {
    problems_.add(text.line, where, quote(text.value), "an address with a domain name");
    return std::nullopt;
  }
  if (!address || !message::canonical_domain(address->domain)) {
    problems_.add(text.line, where, text.value.empty() ? "nothing" : quote(text.value), allowed);
    return std::nullopt;
  }
  return std::move(*address);
}

std::string RoutesBuilder::display_name(const std::string& where, const RouteText& text) {
  if (text.value.size() > kMaxName) {
    problems_.add(text.line, where, fmt::format("{} octets", text.value.size()), "at most 200 octets");
  } else if (!is_printable(text.value)) {
    problems_.add(text.line, where, quote(text.value), "a name of one line, without control characters");
  } else if (!message::find_addresses(text.value).empty()) {
    // It would show an address to correspondents (contract R3.2).
    problems_.add(text.line, where, quote(text.value), "a name without an address in it");
  }
  return text.value;
}

void RoutesBuilder::add_domain(const RawDomain& raw) {
  const auto name = message::canonical_domain(raw.name.value);
  if (!name || name->starts_with('[')) {
    problems_.add(raw.name.given() ? raw.name.line : raw.line, names_.domain + "name",
                  raw.name.given() ? quote(raw.name.value) : "nothing",
                  "a domain name such as \"school.example\"");
    return;
  }
  const auto [at, fresh] = domains_.try_emplace(*name, raw);
  if (!fresh) {
    problems_.add(
        raw.line, names_.domain + "name",
        fmt::format("{} a second time ({})", quote(raw.name.value), problems_.place(at->second.line)),
        "each domain once");
  }
}

std::string RoutesBuilder::policy_key(const mapping::AddressPolicy& policy) const {
  return policy.key == "name" ? names_.name_policy : std::string(policy.key);
}

void RoutesBuilder::set_policy(mapping::AddressSpec& spec, const mapping::AddressPolicy& policy,
                               const RouteText& text) {
  if (const auto number = mapping::policy_number(policy, text.value)) {
    policy.set(spec, *number);
    return;
  }
  std::vector<std::string> allowed;
  for (const std::string_view choice : mapping::policy_choices(policy)) {
    const bool bare = choice == "true" || choice == "false";
    allowed.push_back(bare ? std::string(choice) : quote(choice));
  }
  problems_.add(text.line, names_.address + policy_key(policy), quote(text.value),
                fmt::format("{}", fmt::join(allowed, " or ")));
}

std::size_t RoutesBuilder::add_address(const RawAddress& raw, bool again_allowed) {
  const std::string where = names_.address + "address";
  RouteText text = raw.address;
  if (!text.given()) text.line = raw.line;
  auto address = read_address(where, text, kPublicAddress);
  if (!address) return npos;
  const std::string canonical = address->canonical();
  const auto [at, fresh] = by_address_.try_emplace(canonical, spec_.addresses.size());
  if (!fresh) {
    if (again_allowed) {
      merge(known_[at->second], spec_.addresses[at->second], raw);
    } else {
      problems_.add(
          text.line, where,
          fmt::format("{} a second time ({})", quote(text.value), problems_.place(known_[at->second].line)),
          "each public address once");
    }
    return at->second;
  }
  mapping::AddressSpec& spec = spec_.addresses.emplace_back();
  KnownAddress& known = known_.emplace_back();
  known.line = raw.line;
  known.canonical = canonical;
  spec.address = std::move(*address);
  merge(known, spec, raw);
  const std::string domain = spec.address.canonical_domain();
  if (!all_ascii(spec.address.domain)) {
    // It goes out in fields and envelopes of messages that need no SMTPUTF8 (contract R5.4).
    spec.address.spelling.replace(spec.address.spelling.size() - spec.address.domain.size(),
                                  std::string::npos, domain);
    spec.address.domain = domain;
  }
  domains_.try_emplace(domain, RawDomain{raw.line, {domain, text.line}, {}});
  return at->second;
}

void RoutesBuilder::merge(KnownAddress& known, mapping::AddressSpec& spec, const RawAddress& raw) {
  const auto take = [&](RouteText& kept, const RouteText& now, std::string_view key) {
    if (!now.given()) return false;
    if (!kept.given()) {
      kept = now;
      return true;
    }
    if (kept.value != now.value) {
      problems_.add(
          now.line, names_.address + std::string(key),
          fmt::format("{}, but {} in {}", quote(now.value), quote(kept.value), problems_.place(kept.line)),
          "one value for each public address");
    }
    return false;
  };
  if (take(known.display_name, raw.display_name, "display_name")) {
    spec.display_name = display_name(names_.address + "display_name", raw.display_name);
  }
  const auto policies = mapping::address_policies();
  for (std::size_t i = 0; i < policies.size(); ++i) {
    if (take(known.policies[i], raw.policies[i], policy_key(policies[i]))) {
      set_policy(spec, policies[i], raw.policies[i]);
    }
  }
}

void RoutesBuilder::set_phantom_domain(std::size_t address, const RouteText& text) {
  if (address == npos || !text.given()) return;
  RawDomain& domain = domains_.at(spec_.addresses[address].address.canonical_domain());
  if (!domain.phantom_domain.given()) {
    domain.phantom_domain = text;
  } else if (domain.phantom_domain.value != text.value) {
    problems_.add(text.line, names_.domain + "phantom_domain",
                  fmt::format("{}, but {} in {}", quote(text.value), quote(domain.phantom_domain.value),
                              problems_.place(domain.phantom_domain.line)),
                  "one phantom domain for each domain");
  }
}

void RoutesBuilder::add_member(std::size_t address, const RawMember& raw) {
  const std::string& prefix = names_.member;
  if (address != npos) known_[address].has_rows = true;
  RouteText text = raw.mailbox;
  if (!text.given()) text.line = raw.line;
  auto mailbox = read_address(prefix + "mailbox", text, kMailbox);
  mapping::MemberSpec member;
  member.name = display_name(prefix + "name", raw.name);
  member.login = raw.login.value;
  if (const std::int32_t unseen = message::find_unseen(member.login); unseen >= 0) {
    problems_.add(raw.login.line, prefix + "login",
                  fmt::format("{}, which has an invisible character, U+{:04X}", quote(member.login), unseen),
                  "a login without it");
  } else if (!is_printable(member.login) || member.login.size() > 320) {
    problems_.add(raw.login.line, prefix + "login", quote(member.login),
                  "a login of one line and at most 320 octets");
  }
  member.password_hash = raw.password_hash.value;
  if (!member.password_hash.empty() && !submission::check_password_hash(member.password_hash)) {
    // What stands there may be a password.
    problems_.add(raw.password_hash.line, prefix + "password_hash", "something else (not shown)",
                  "what `kagemusha hash-password` prints");
  }
  member.provider = raw.provider.value;
  if (!member.provider.empty() && std::ranges::find(providers_, member.provider) == providers_.end()) {
    problems_.add(raw.provider.line, prefix + "provider", quote(member.provider),
                  providers_.empty()
                      ? "the name of a [[provider]] of the configuration, which has none"
                      : fmt::format("a [[provider]] of the configuration: {}", fmt::join(providers_, ", ")));
  }
  if (!mailbox || address == npos) return;
  member.mailbox = std::move(*mailbox);
  std::string canonical = member.mailbox.canonical();
  const auto [at, fresh] = known_[address].mailboxes.try_emplace(canonical, text.line);
  if (!fresh) {
    problems_.add(text.line, prefix + "mailbox",
                  fmt::format("{} a second time ({})", quote(text.value), problems_.place(at->second)),
                  "each mailbox once behind a public address");
    return;
  }
  check_login(member, raw);
  mailboxes_.push_back({std::move(canonical), member.mailbox.canonical_domain(), text.value, text.line});
  spec_.addresses[address].members.push_back(std::move(member));
}

void RoutesBuilder::check_login(const mapping::MemberSpec& member, const RawMember& raw) {
  if (member.password_hash.empty()) return;
  const std::string login = member.login.empty() ? member.mailbox.canonical() : login_form(member.login);
  const auto [at, fresh] = hashes_.try_emplace(login, member.password_hash, raw.password_hash.line);
  if (!fresh && at->second.first != member.password_hash) {
    problems_.add(
        raw.password_hash.line, names_.member + "password_hash",
        fmt::format("another hash than in {} for the same login", problems_.place(at->second.second)),
        "one password for each login");
  }
}

void RoutesBuilder::finish_domains() {
  std::map<std::string, std::string> phantom_owners;
  for (const auto& [name, raw] : domains_) {
    mapping::DomainSpec domain{name, "p." + name};
    const std::string where = names_.domain + "phantom_domain";
    const std::size_t line = raw.phantom_domain.given() ? raw.phantom_domain.line : raw.line;
    if (raw.phantom_domain.given()) {
      auto phantom = message::canonical_domain(raw.phantom_domain.value);
      if (!phantom || phantom->starts_with('[')) {
        problems_.add(line, where, quote(raw.phantom_domain.value),
                      "a domain name such as \"p.school.example\"");
        continue;
      }
      domain.phantom_domain = std::move(*phantom);
    }
    const auto [at, fresh] = phantom_owners.try_emplace(domain.phantom_domain, name);
    if (!fresh) {
      problems_.add(line, where,
                    fmt::format("{}, which {} has too", quote(domain.phantom_domain), quote(at->second)),
                    "a phantom domain of its own for each public domain");
    }
    if (domains_.contains(domain.phantom_domain)) {
      problems_.add(line, where, fmt::format("{}, which is a public domain", quote(domain.phantom_domain)),
                    "a domain that no public address is in");
    }
    spec_.domains.push_back(std::move(domain));
  }
}

void RoutesBuilder::finish_mailboxes() {
  std::set<std::string, std::less<>> phantom_domains;
  for (const mapping::DomainSpec& domain : spec_.domains) phantom_domains.insert(domain.phantom_domain);
  for (const KnownMailbox& mailbox : mailboxes_) {
    const std::string where = names_.member + "mailbox";
    if (const auto at = by_address_.find(mailbox.canonical); at != by_address_.end()) {
      problems_.add(mailbox.line, where,
                    fmt::format("{}, the public address of {}", quote(mailbox.shown),
                                problems_.place(known_[at->second].line)),
                    "a mailbox that is no public address; mail would go in a circle");
    }
    if (phantom_domains.contains(mailbox.domain)) {
      problems_.add(mailbox.line, where,
                    fmt::format("{}, an address in a phantom domain", quote(mailbox.shown)),
                    "a mailbox outside the gateway; mail would go in a circle");
    }
  }
}

std::optional<mapping::RouteSpec> RoutesBuilder::finish() {
  for (std::size_t i = 0; i < known_.size(); ++i) {
    if (!known_[i].has_rows) {
      problems_.add(known_[i].line, names_.address + "member", "none",
                    "at least one member for each public address");
    }
  }
  finish_domains();
  finish_mailboxes();
  if (known_.empty() && problems_.empty()) {
    // An empty file would forget everybody.
    problems_.add(1, "address", "no public address", "at least one");
  }
  if (!problems_.empty()) return std::nullopt;
  return std::move(spec_);
}

}  // namespace kage::app
