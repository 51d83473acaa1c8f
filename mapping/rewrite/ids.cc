// Which ids are sealed, opened or left alone.
#include "mapping/rewrite/ids.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "mapping/phantom.h"

namespace kage::mapping {
namespace {

/// An id's domain in lower case, which most are: those are not copied.
class IdDomain {
 public:
  explicit IdDomain(std::string_view id) {
    const std::size_t at = id.rfind('@');
    if (at == std::string_view::npos) return;
    text_ = trim(id.substr(at + 1));
    if (std::ranges::none_of(text_, [](char c) { return c != to_lower(c); })) return;
    lowered_ = lower(text_);
    text_ = lowered_;
  }
  IdDomain(const IdDomain&) = delete;
  IdDomain& operator=(const IdDomain&) = delete;
  operator std::string_view() const { return text_; }

 private:
  std::string lowered_;
  std::string_view text_;
};

bool is_within(std::string_view domain, std::string_view parent) {
  if (domain == parent) return true;
  return domain.size() > parent.size() && domain.ends_with(parent) &&
         domain[domain.size() - parent.size() - 1] == '.' && parent.find('.') != std::string_view::npos;
}

/// Whether somebody at `domain` made this id, as far as its domain tells.
bool is_id_of(std::string_view id, std::string_view domain) {
  const IdDomain domain_of_id(id);
  const std::string_view made_at = domain_of_id;
  return !made_at.empty() && !domain.empty() && (is_within(made_at, domain) || is_within(domain, made_at));
}

/// Outlook's "image001.png@01DA1B2C.3D4E5F60": a time, not a host.
bool is_outlook_time(std::string_view domain) {
  if (domain.size() != 17 || domain[8] != '.') return false;
  return std::ranges::all_of(domain, [](char c) {
    const char l = to_lower(c);
    return c == '.' || is_digit(c) || (l >= 'a' && l <= 'f');
  });
}

/// Letters and digits of `text` from `begin` on become others, the same for the same member and id. Each hash
/// is made from the one before it, so that a long id costs no more than its size.
void mask(const Member& member, std::string_view id, std::string& text, std::size_t begin) {
  constexpr std::string_view kLabel("content-id\0", 11);
  std::optional<Mac> block;
  std::string hash;
  std::size_t used = 0;
  for (std::size_t i = begin; i < text.size(); ++i) {
    if (!is_alnum(text[i]) && is_ascii(text[i])) continue;
    if (used == hash.size()) {
      block = hmac_sha256(member.keys.phantom_key(), {kLabel, block ? std::string_view(*block) : id});
      hash = base32(*block);
      used = 0;
    }
    text[i] = hash[used++];
  }
}

/// Letters, digits, '-' and '_': what we make, and nothing that a name or a domain could be put into.
bool is_plain_local(std::string_view local) {
  return !local.empty() &&
         std::ranges::all_of(local, [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
}

/// id_towards_member() behind `out`; `domain` is that of the id.
void append_towards_member(std::string& out, const RouteTable& routes, const Member& member,
                           std::string_view id, std::string_view domain) {
  if (routes.find_public_domain(domain) != nullptr) {
    if (const auto opened = open_msg_id(routes, id, domain)) {
      if (opened->member == &member) {
        out.append(opened->original);
        return;
      }
      // Other organisations know it as it is; here it is known, if at all, by the id of a shared or an inside
      // copy (contract R4.6, R7.3).
      const bool inside = opened->member->address->domain == member.address->domain ||
                          routes.stands_behind(*member.address, opened->member->mailbox_canonical);
      if (!inside) {
        out.append(id);
        return;
      }
    }
  }
  append_sealed_msg_id(out, routes.master(), member, id, member.address->domain->phantom_domain);
}

}  // namespace

bool stays_in_view(const RouteTable& routes, const Member& member, const std::string& canonical) {
  if (canonical == member.mailbox_canonical || routes.find_address(canonical) != nullptr) return true;
  const std::size_t at = canonical.rfind('@');
  return at != std::string::npos &&
         routes.find_phantom_domain(std::string_view(canonical).substr(at + 1)) != nullptr &&
         is_plain_local(std::string_view(canonical).substr(0, at));
}

void append_id_in_view(std::string& out, const RouteTable& routes, const Member& member,
                       std::string_view id) {
  const IdDomain domain(id);
  if (routes.find_phantom_domain(domain) != nullptr && is_plain_local(id.substr(0, id.rfind('@')))) {
    out.append(id);
  } else {
    append_towards_member(out, routes, member, id, domain);
  }
}

std::size_t longest_id_in_view(const Member& member, std::size_t octets) {
  // Sealed, it has 24 octets more, in base64; one that cannot be sealed gets a hash of 32 (seal_msg_id()).
  const std::size_t sealed = (std::max<std::size_t>(octets, 32) + 24 + 2) / 3 * 4;
  return sealed + 1 + member.address->domain->phantom_domain.size();
}

std::string short_id(const Member& member, std::string_view id) {
  constexpr std::string_view kLabel("short id\0", 9);
  return base32(hmac_sha256(member.keys.phantom_key(), {kLabel, id}).first(10)) + "@" +
         member.address->domain->phantom_domain;
}

std::string masked_content_id(const Member& member, std::string_view id) {
  std::string masked(id);
  const std::size_t at = id.find('@');
  if (at != std::string_view::npos && !is_outlook_time(id.substr(at + 1))) mask(member, id, masked, at + 1);
  // "taro%40corp.example@host", "taro&#64;corp.example"
  AddressIndex scratch;
  const std::string_view local = id.substr(0, at);
  if (!scan_text(local, false, Care::strict, scratch).harmless()) mask(member, id, masked, 0);
  return masked;
}

std::string id_towards_member(const RouteTable& routes, const Member& member, std::string_view id) {
  std::string out;
  append_towards_member(out, routes, member, id, IdDomain(id));
  return out;
}

namespace {

/// An id that correspondents know as ours. Nothing for every other id.
std::optional<std::string> public_id(const IdAudience& to, std::string_view id) {
  const IdDomain domain(id);
  if (to.routes.find_public_domain(domain) == nullptr) return std::nullopt;
  auto opened = open_msg_id(to.routes, id, domain);
  if (!opened) return std::nullopt;
  if (opened->member->mailbox_canonical == to.mailbox) return std::move(opened->original);
  return std::string(id);
}

}  // namespace

bool is_made_by(const RouteTable& routes, const Member& member, std::string_view id) {
  const IdDomain domain(id);
  if (routes.find_public_domain(domain) == nullptr) return false;
  const auto opened = open_msg_id(routes, id, domain);
  return opened && opened->member == &member;
}

std::string id_towards_correspondent(const IdAudience& to, std::string_view id) {
  const IdDomain domain(id);
  if (to.routes.find_phantom_domain(domain) != nullptr) {
    auto opened = open_msg_id(to.routes, id, domain);
    const bool own = opened && opened->member == &to.member;
    if (own) {
      if (auto known = public_id(to, opened->original)) return std::move(*known);
      const bool answered = !id.empty() && id == to.answered;
      if (!to.only_own || answered || is_id_of(opened->original, to.domain))
        return std::move(opened->original);
    }
  } else if (auto known = public_id(to, id)) {
    return std::move(*known);
  }
  // A phantom-domain id is sealed as it stands: opened on its way back it is what the member knows.
  return seal_msg_id(to.routes.master(), to.member, id, to.member.address->domain->name);
}

bool is_loop(const ParsedHeader& header, const RouteTable& routes) {
  const std::string_view id = header.message_id();
  const IdDomain domain(id);
  return routes.find_phantom_domain(domain) != nullptr && open_msg_id(routes, id, domain).has_value();
}

}  // namespace kage::mapping
