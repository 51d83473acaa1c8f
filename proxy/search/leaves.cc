// Sensitive search keys: the upstream narrows, what its candidates show decides.
#include "proxy/search/leaves.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "mapping/rewrite/field_policy.h"
#include "mapping/visible/message.h"
#include "message/header.h"
#include "proxy/imap/command.h"
#include "proxy/imap/session_send.h"

namespace kage::proxy {

namespace {

constexpr std::size_t kMaxLeaves = 16;
/// Octets of a command that narrows, but for its strings.
constexpr std::size_t kMaxContext = kMaxCommandLine - 1000;
constexpr std::size_t kMaxHeader = 256 * 1024;
/// Octets of a message whose parts have to be looked at: most texts stand at its front. What is not found
/// there is looked for behind photos and the like, in the newest of the messages that are longer.
constexpr std::size_t kMaxBody = 512 * 1024;
constexpr std::size_t kMaxLongBody = 4 * 1024 * 1024;
constexpr std::size_t kMaxLong = 10;
/// In a mailbox of this size all messages can be looked at, so that pieces of phantoms are found as well.
constexpr std::uint32_t kSmallMailbox = 2000;

bool is_ids(std::string_view field) {
  return mapping::find_rule(field).towards_member == mapping::FieldClass::ids;
}

bool is_addresses(std::string_view field) {
  return mapping::find_rule(field).towards_member == mapping::FieldClass::addresses;
}

bool has_number(const std::vector<std::uint32_t>& numbers, std::uint32_t number) {
  return std::ranges::binary_search(numbers, number);
}

void make_ascending(std::vector<std::uint32_t>& numbers) {
  if (!std::ranges::is_sorted(numbers)) std::ranges::sort(numbers);
  const auto rest = std::ranges::unique(numbers);
  numbers.erase(rest.begin(), rest.end());
}

/// Where the parts of an address are looked for: in fields, since texts that have both may be many; and by
/// HEADER, which looks at a field as it stands: FROM may be blind for an address that the server cannot read.
std::vector<std::string> address_keys(const SearchKey& asked, const std::string& key) {
  if (asked.kind == SearchKey::Kind::field) return {key.starts_with("HEADER ") ? key : "HEADER " + key};
  if (key == "BODY") return {};
  return {"HEADER FROM", "HEADER TO", "HEADER CC"};
}

ImapStatus limit(std::string_view what) {
  return {"NO", "[LIMIT] " + std::string(what)};
}

std::string show(ImapCore& core, std::string_view block) {
  const auto viewer = mapping::choose_viewer(*core.audience.routes, core.audience.members, block);
  std::string visible;
  // Nothing of it is shown, so no phantom has to be in Redis (R4.4).
  std::vector<mapping::PhantomWrite> fresh;
  core.view.show(viewer, mapping::BlockKind::message, block, visible, fresh);
  return visible;
}

std::string show_message(ImapCore& core, std::string_view octets) {
  auto message = mapping::VisibleMessage::whole(core.view, core.audience);
  std::string visible;
  visible.reserve(octets.size());
  while (!octets.empty()) visible += message.next(octets);
  for (auto tail = message.finish(); !tail.empty(); tail = message.finish()) visible += tail;
  return visible;
}

}  // namespace

SearchLeaves::SearchLeaves(ImapCore& core, const SearchRequest& request) : core_(core), request_(request) {}

net::Task<Result<SearchLeaves::Outcome>> SearchLeaves::resolve() {
  Outcome outcome;
  outcome.status = collect();
  if (!outcome.status) outcome.status = co_await resolve_phantoms();
  if (outcome.status) co_return outcome;
  find_context();
  for (Leaf& leaf : leaves_) {
    auto answer = co_await narrow(leaf);
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    outcome.status = std::move(*answer);
    if (outcome.status) co_return outcome;
  }
  auto looked = co_await look_at_headers();
  if (looked) looked = co_await look_at_bodies();
  if (!looked) co_return std::unexpected(std::move(looked.error()));
  auto answer = co_await look_everywhere();
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  outcome.status = std::move(*answer);
  if (!outcome.status) outcome.instead = written();
  co_return outcome;
}

/// One leaf for all keys that ask the same.
SearchLeaves::Answer SearchLeaves::collect() {
  const auto& keys = request_.keys;
  leaf_of_.assign(keys.size(), 0);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const SearchKey& key = keys[i];
    if (!key.sensitive()) continue;
    const auto same = [&](const Leaf& leaf) {
      return leaf.key->written == key.written && leaf.key->value == key.value;
    };
    const auto known = std::ranges::find_if(leaves_, same);
    leaf_of_[i] = static_cast<std::size_t>(known - leaves_.begin());
    if (known != leaves_.end()) continue;
    if (leaves_.size() == kMaxLeaves) return limit("too many search strings");
    Leaf& leaf = leaves_.emplace_back();
    leaf.key = &key;
    leaf.needle = make_needle(key.value);
    if (key.kind == SearchKey::Kind::field && is_ids(key.name)) use_id(leaf.needle, core_.audience);
  }
  return std::nullopt;
}

/// Those keys that stand beside the sensitive ones at the top: they keep the candidates few.
void SearchLeaves::find_context() {
  const auto& keys = request_.keys;
  for (std::size_t i = 1; i < keys.size(); i = keys[i].end) {
    const auto first = keys.begin() + static_cast<std::ptrdiff_t>(i);
    const auto last = keys.begin() + static_cast<std::ptrdiff_t>(keys[i].end);
    // MODSEQ would have the upstream say more than is asked for.
    const bool skip = std::any_of(first, last, [](const SearchKey& key) {
      return key.sensitive() || key.written.starts_with("MODSEQ");
    });
    if (skip) continue;
    const std::string key = write_keys(keys, i);
    if (context_.size() + key.size() < kMaxContext) context_ += " " + key;
  }
}

net::Task<SearchLeaves::Answer> SearchLeaves::resolve_phantoms() {
  std::vector<std::string> locals;
  for (const Leaf& leaf : leaves_) {
    locals.insert(locals.end(), leaf.needle.phantoms.begin(), leaf.needle.phantoms.end());
  }
  if (locals.empty()) co_return std::nullopt;
  const auto resolved = co_await core_.directory.resolve(std::move(locals));
  if (!resolved) co_return ImapStatus{"NO", "[UNAVAILABLE] try again later"};
  std::size_t at = 0;
  for (Leaf& leaf : leaves_) {
    std::vector<mapping::PhantomValue> values;
    for (std::size_t i = 0; i < leaf.needle.phantoms.size(); ++i, ++at) {
      if (const auto& value = resolved->values.at(at)) values.push_back(*value);
    }
    use_phantoms(leaf.needle, core_.audience, values);
  }
  co_return std::nullopt;
}

net::Task<Result<FoundNumbers>> SearchLeaves::narrow_by(const Leaf& leaf, std::string key,
                                                        std::string among) {
  std::vector<std::string> strings = leaf.needle.upstream;
  strings.push_back(leaf.key->value);
  std::string command = request_.uid ? "UID SEARCH" : "SEARCH";
  bool ascii = std::ranges::all_of(strings, [](const std::string& text) { return all_ascii(text); });
  for (const auto& [local, domain] : leaf.needle.apart)
    ascii = ascii && all_ascii(local) && all_ascii(domain);
  if (!ascii && !core_.utf8) command += " CHARSET UTF-8";
  command += context_;
  command += among;
  for (const std::string& field : address_keys(*leaf.key, key)) {
    for (const auto& [local, domain] : leaf.needle.apart) {
      command += " OR (" + field + " ";
      command += imap_string(local);
      command += " " + field + " ";
      command += imap_string(domain);
      command += ")";
    }
  }
  for (std::size_t i = 0; i < strings.size(); ++i) {
    command += i + 1 < strings.size() ? " OR " : " ";
    command += key;
    command += " ";
    command += imap_string(strings[i]);
  }
  auto found = co_await ask_numbers(core_, std::move(command));
  if (found) make_ascending(found->numbers);
  co_return found;
}

net::Task<Result<SearchLeaves::Answer>> SearchLeaves::narrow(Leaf& leaf) {
  const bool is_text = leaf.key->kind == SearchKey::Kind::text;
  if (leaf.key->kind != SearchKey::Kind::field && leaf.key->value.empty()) co_return std::nullopt;
  auto found = co_await narrow_by(leaf, leaf.key->written, {});
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (found->status.name != "OK") co_return std::move(found->status);
  leaf.candidates = std::move(found->numbers);
  if (leaf.key->kind == SearchKey::Kind::body) leaf.in_body = leaf.candidates;
  if (!is_text || leaf.candidates.empty()) co_return std::nullopt;
  // Where the body has it too, the header need not.
  std::string among = write_set(leaf.candidates);
  if (context_.size() + among.size() > kMaxContext)
    among = std::to_string(leaf.candidates.front()) + ":" + std::to_string(leaf.candidates.back());
  found = co_await narrow_by(leaf, "BODY", (request_.uid ? " UID " : " ") + among);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (found->status.name != "OK") co_return std::move(found->status);
  std::ranges::set_intersection(leaf.candidates, found->numbers, std::back_inserter(leaf.in_body));
  co_return std::nullopt;
}

SearchLeaves::Numbers SearchLeaves::all(Numbers Leaf::* which) const {
  Numbers numbers;
  for (const Leaf& leaf : leaves_) {
    Numbers merged;
    merged.reserve(numbers.size());
    std::ranges::set_union(numbers, leaf.*which, std::back_inserter(merged));
    numbers = std::move(merged);
  }
  return numbers;
}

net::Task<Result<>> SearchLeaves::look_at_headers() {
  const Numbers numbers = all(&Leaf::candidates);
  SeenOctets seen = [this](std::uint32_t number, std::string block) { see_header(number, block); };
  auto looked = co_await look(core_, request_.uid, numbers, "BODY.PEEK[HEADER]", kMaxHeader + 1, &seen);
  for (Leaf& leaf : leaves_) make_ascending(leaf.matches);
  co_return looked;
}

bool SearchLeaves::may_be_in_header(const Leaf& leaf, const SearchedHeader& header) const {
  const Needle& needle = leaf.needle;
  if (leaf.key->kind == SearchKey::Kind::body) return false;
  if (leaf.key->kind == SearchKey::Kind::text) return header.has(needle.form, leaf.scope());
  const std::string& name = leaf.key->name;
  if (needle.form.empty()) return header.has_field(name);
  if (!needle.id.empty() && header.field_has_id(name, needle.id)) return true;
  return header.field_has(name, needle.form, leaf.scope());
}

void SearchLeaves::see_header(std::uint32_t number, std::string_view block) {
  if (block.size() > kMaxHeader) return;  // shown as filler
  const std::string visible = show(core_, block);
  const SearchedHeader header(block, visible);
  const auto kind = mapping::content_kind(visible);
  const bool plain = kind.kind == mapping::ContentKind::Kind::leaf && !kind.html;
  for (Leaf& leaf : leaves_) {
    if (!has_number(leaf.candidates, number)) continue;
    if (may_be_in_header(leaf, header)) {
      leaf.matches.push_back(number);
    } else if (leaf.key->kind != SearchKey::Kind::field && !leaf.everywhere) {
      // TEXT may mean the header of a part or of a nested message.
      if (plain && !has_number(leaf.in_body, number)) continue;
      // The upstream is right about a body that is shown as it is, unless what it calls a body holds hidden
      // fields.
      const bool sure = plain && leaf.needle.upstream.empty() && !header.hides(leaf.needle.form);
      (sure ? leaf.matches : leaf.bodies).push_back(number);
    }
  }
}

net::Task<Result<>> SearchLeaves::look_at_bodies() {
  auto looked = co_await look_at_bodies(&Leaf::bodies, kMaxBody);
  if (looked) looked = co_await look_at_bodies(&Leaf::long_bodies, kMaxLongBody);
  for (Leaf& leaf : leaves_) make_ascending(leaf.matches);
  co_return looked;
}

net::Task<Result<>> SearchLeaves::look_at_bodies(Numbers Leaf::* which, std::size_t max) {
  for (Leaf& leaf : leaves_) make_ascending(leaf.*which);
  Numbers numbers = all(which);
  if (which == &Leaf::long_bodies && numbers.size() > kMaxLong)
    numbers.erase(numbers.begin(), numbers.end() - static_cast<std::ptrdiff_t>(kMaxLong));
  SeenOctets seen = [this, which, max](std::uint32_t number, std::string octets) {
    see_body(number, octets, which, octets.size() >= max);
  };
  co_return co_await look(core_, request_.uid, numbers, "BODY.PEEK[]<0." + std::to_string(max) + ">", max,
                          &seen);
}

/// `cut`: the message goes on behind the octets.
void SearchLeaves::see_body(std::uint32_t number, std::string_view octets, Numbers Leaf::* which, bool cut) {
  const std::string visible = show_message(core_, octets);
  if (visible.size() != octets.size()) return;
  const std::size_t end = std::min(message::HeaderEnd().find(visible), visible.size());
  const SearchedHeader header(octets.substr(0, end), std::string_view(visible).substr(0, end));
  const bool same = !cut && octets.substr(end) == std::string_view(visible).substr(end);
  std::optional<SearchedBody> body;
  for (Leaf& leaf : leaves_) {
    if (!has_number(leaf.*which, number)) continue;
    bool matches = same && leaf.needle.upstream.empty() && !header.hides(leaf.needle.form);
    if (!matches) {
      if (!body) body = searched_body(octets, visible);
      matches = body->has(leaf.needle.form, leaf.scope());
    }
    if (matches) {
      leaf.matches.push_back(number);
    } else if (cut && which == &Leaf::bodies) {
      leaf.long_bodies.push_back(number);
    }
  }
}

/// Strings that found nothing and may be pieces of phantoms, in a mailbox that is small enough.
net::Task<Result<SearchLeaves::Answer>> SearchLeaves::look_everywhere() {
  bool any = false;
  for (Leaf& leaf : leaves_) {
    const bool field = leaf.key->kind == SearchKey::Kind::field && is_addresses(leaf.key->name);
    leaf.everywhere = (field || leaf.key->kind == SearchKey::Kind::text) && leaf.matches.empty() &&
                      !leaf.needle.whole && could_be_in_phantom(leaf.needle, core_.audience);
    any = any || leaf.everywhere;
  }
  if (!any || core_.exists == 0 || core_.exists > kSmallMailbox) co_return std::nullopt;
  std::string command = request_.uid ? "UID SEARCH" : "SEARCH";
  command += context_.empty() ? " ALL" : context_;
  auto found = co_await ask_numbers(core_, std::move(command));
  if (!found) co_return std::unexpected(std::move(found.error()));
  if (found->status.name != "OK") co_return std::move(found->status);
  make_ascending(found->numbers);
  for (Leaf& leaf : leaves_) {
    leaf.candidates = leaf.everywhere ? found->numbers : Numbers();
    leaf.in_body.clear();
  }
  const auto looked = co_await look_at_headers();
  if (!looked) co_return std::unexpected(looked.error());
  co_return std::nullopt;
}

std::vector<std::string> SearchLeaves::written() {
  std::vector<std::string> out(request_.keys.size());
  for (std::size_t i = 0; i < request_.keys.size(); ++i) {
    const SearchKey& key = request_.keys[i];
    if (!key.sensitive()) continue;
    const Leaf& leaf = leaves_.at(leaf_of_[i]);
    if (key.kind != SearchKey::Kind::field && key.value.empty()) {
      out[i] = "ALL";
    } else if (leaf.matches.empty()) {
      out[i] = kNoMessage;
    } else {
      out[i] = (request_.uid ? "UID " : "") + write_set(leaf.matches);
    }
  }
  return out;
}

}  // namespace kage::proxy
