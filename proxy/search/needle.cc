// Search strings: phantoms and sealed ids in them.
#include "proxy/search/needle.h"

#include <algorithm>

#include "base/text.h"
#include "mapping/phantom.h"
#include "proxy/search/text.h"

namespace kage::proxy {

namespace {

constexpr std::size_t kPhantom = 16;
constexpr std::size_t kMaxPhantoms = 8;
constexpr std::size_t kMaxStrings = 12;

bool in_alphabet(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz") == std::string_view::npos;
}

/// Whether a command can have it.
bool can_be_asked(const std::string& text) {
  return !text.empty() && text.find_first_of({"\r\n\0", 3}) == std::string::npos;
}

void add_apart(Needle& needle, const std::string& local, const std::string& domain) {
  // A letter or three are in every second address at a large provider.
  if (local.size() < 4) return;
  if (can_be_asked(local) && can_be_asked(domain)) needle.apart.emplace_back(local, domain);
}

void add_string(Needle& needle, std::string text) {
  if (!can_be_asked(text) || text == needle.text || needle.upstream.size() == kMaxStrings) return;
  if (std::ranges::find(needle.upstream, text) == needle.upstream.end()) {
    needle.upstream.push_back(std::move(text));
  }
}

const mapping::Member* find_member(const mapping::Audience& audience, const mapping::Member* member) {
  for (const mapping::Member* known : audience.members) {
    if (member != nullptr && known->id == member->id) return known;
  }
  return nullptr;
}

}  // namespace

Needle make_needle(std::string text) {
  Needle needle;
  needle.form = search_form(text);
  const std::string folded = lower(text);
  for (std::size_t at = 0; at < folded.size();) {
    if (!is_alnum(folded[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < folded.size() && is_alnum(folded[end])) ++end;
    const auto word = std::string_view(folded).substr(at, end - at);
    if (word.size() == kPhantom && mapping::looks_like_phantom(word) &&
        needle.phantoms.size() < kMaxPhantoms) {
      needle.phantoms.emplace_back(word);
    }
    at = end;
  }
  needle.text = std::move(text);
  return needle;
}

void use_phantoms(Needle& needle, const mapping::Audience& audience,
                  const std::vector<mapping::PhantomValue>& values) {
  for (const mapping::PhantomValue& value : values) {
    // Anybody else's phantom is a word like any other (contract R3.3).
    if (find_member(audience, value.member) == nullptr) continue;
    needle.whole = true;
    add_string(needle, value.correspondent.spelling);
    add_string(needle, value.correspondent.canonical());
    add_string(needle, value.correspondent.quoted());
    add_string(needle, value.correspondent.local + "@" + value.correspondent.domain);
    add_apart(needle, value.correspondent.local, value.correspondent.domain);
  }
}

void use_id(Needle& needle, const mapping::Audience& audience) {
  std::string_view id = trim(needle.text);
  if (id.starts_with('<') && id.ends_with('>') && id.size() > 2) id = id.substr(1, id.size() - 2);
  const std::size_t at = id.rfind('@');
  if (at == id.npos || at == 0 || id.find_first_of("<> \t\r\n") != id.npos || id.size() > 2000) return;
  needle.id = id;
  const std::string domain = lower(id.substr(at + 1));
  const mapping::RouteTable& routes = *audience.routes;
  if (const auto opened = mapping::open_msg_id(routes, id, domain);
      opened && find_member(audience, opened->member) != nullptr) {
    add_string(needle, opened->original);
  }
  // An id of the member's own writing comes back sealed and is shown opened (contract R4.6).
  for (const mapping::Member* member : audience.members) {
    add_string(needle, mapping::seal_msg_id(routes.master(), *member, id, member->address->domain->name));
  }
}

bool could_be_in_phantom(const Needle& needle, const mapping::Audience& audience) {
  std::string text = lower(trim(needle.text));
  while (!text.empty() && (text.front() == '<' || text.front() == '"')) text.erase(0, 1);
  while (!text.empty() && (text.back() == '>' || text.back() == '"')) text.pop_back();
  if (text.empty()) return false;
  const std::size_t at = text.find('@');
  const auto local = std::string_view(text).substr(0, at);
  const bool fits = local.size() <= kPhantom && in_alphabet(local);
  if (fits && at == text.npos) return true;
  return std::ranges::any_of(audience.members, [&](const mapping::Member* member) {
    const std::string& domain = member->address->domain->phantom_domain;
    if (at == text.npos) return domain.find(text) != domain.npos;
    return fits && domain.starts_with(std::string_view(text).substr(at + 1));
  });
}

}  // namespace kage::proxy
