// Which ids are sealed, opened or left alone.
#include "mapping/rewrite_ids.h"

#include "base/text.h"
#include "mapping/phantom.h"

namespace kage::mapping {
namespace {

std::string domain_of(std::string_view id) {
  const std::size_t at = id.rfind('@');
  return at == std::string_view::npos ? std::string() : lower(trim(id.substr(at + 1)));
}

bool is_within(std::string_view domain, std::string_view parent) {
  if (domain == parent) return true;
  return domain.size() > parent.size() && domain.ends_with(parent) &&
         domain[domain.size() - parent.size() - 1] == '.' && parent.find('.') != std::string_view::npos;
}

/// Whether somebody at `domain` made this id, as far as its domain tells.
bool is_id_of(std::string_view id, std::string_view domain) {
  const std::string made_at = domain_of(id);
  return !made_at.empty() && !domain.empty() && (is_within(made_at, domain) || is_within(domain, made_at));
}

}  // namespace

std::string id_towards_member(const RouteTable& routes, const Member& member, std::string_view id) {
  const std::string domain = domain_of(id);
  if (routes.find_public_domain(domain) != nullptr) {
    if (auto opened = open_msg_id(routes, id, domain)) {
      return opened->member == &member ? std::move(opened->original) : std::string(id);
    }
  }
  return seal_msg_id(routes.master(), member, id, member.address->domain->phantom_domain);
}

std::string id_towards_correspondent(const IdAudience& to, std::string_view id) {
  const std::string domain = domain_of(id);
  if (to.routes.find_phantom_domain(domain) != nullptr) {
    auto opened = open_msg_id(to.routes, id, domain);
    const bool own = opened && opened->member == &to.member;
    if (own && (!to.only_own || is_id_of(opened->original, to.domain))) return std::move(opened->original);
  } else if (to.routes.find_public_domain(domain) != nullptr && open_msg_id(to.routes, id, domain)) {
    return std::string(id);
  }
  // A phantom-domain id is sealed as it stands: opened on its way back it is what the member knows.
  return seal_msg_id(to.routes.master(), to.member, id, to.member.address->domain->name);
}

bool is_loop(const ParsedHeader& header, const RouteTable& routes) {
  const std::string_view id = header.message_id();
  const std::string domain = domain_of(id);
  return routes.find_phantom_domain(domain) != nullptr && open_msg_id(routes, id, domain).has_value();
}

}  // namespace kage::mapping
