// Fixed keys and the ordinary way of making copies.
#include "rewrite_world.h"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "base/text.h"
#include "mapping/routes/address_policy.h"

namespace kage::mapping::test {

message::Address address(std::string_view text) {
  auto parsed = message::parse_address(text);
  if (!parsed) throw std::runtime_error("not an address in a test: " + std::string(text));
  return std::move(*parsed);
}

World& World::add(std::string_view public_address, std::string_view display_name,
                  std::vector<std::string> mailboxes, NamePolicy names, RecipientPolicy recipients) {
  AddressSpec spec;
  spec.address = address(public_address);
  spec.display_name = display_name;
  spec.name = names;
  spec.recipients = recipients;
  const std::string domain = spec.address.canonical_domain();
  if (std::ranges::find(domains_, domain, &DomainSpec::name) == domains_.end()) {
    domains_.push_back({domain, "p." + domain});
  }
  for (const std::string& mailbox : mailboxes) {
    members_.push_back({spec.address.canonical(), {}});
    members_.back().spec.mailbox = address(mailbox);
  }
  addresses_.push_back(std::move(spec));
  return *this;
}

World& World::named(std::string_view name) {
  members_.back().spec.name = name;
  return *this;
}

World& World::policy(std::string_view key, std::string_view value) {
  for (const AddressPolicy& each : address_policies()) {
    if (each.key != key) continue;
    each.set(addresses_.back(), policy_number(each, value).value());
    return *this;
  }
  throw std::runtime_error("no such policy: " + std::string(key));
}

World& World::build() {
  auto master = std::make_shared<const MasterKeys>(sha256("test master key"));
  std::vector<RouteTable::Row> rows;
  for (const Behind& member : members_) {
    const MemberId id = rows.size() + 1;
    rows.push_back(
        {id, MemberKeys(sha256("test member " + std::to_string(id))), member.public_address, member.spec});
  }
  auto built = RouteTable::build(domains_, addresses_, std::move(rows), std::move(master), 1);
  if (!built) throw std::runtime_error("routes of a test: " + built.error().detail);
  routes_ = std::move(*built);
  return *this;
}

const Member& World::member(MemberId number) const {
  const Member* found = routes_->find_member(number);
  if (found == nullptr) throw std::runtime_error("no such member in a test");
  return *found;
}

std::string World::phantom(MemberId number, std::string_view real) const {
  return phantom_address(member(number), address(real).canonical());
}

std::string World::sealed(MemberId number, std::string_view id) const {
  return seal_msg_id(routes_->master(), member(number), id, member(number).address->domain->phantom_domain);
}

std::string World::sent(MemberId number, std::string_view id) const {
  return seal_msg_id(routes_->master(), member(number), id, member(number).address->domain->name);
}

std::string with_crlf(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out.push_back('\r');
    out.push_back(text[i]);
  }
  return out;
}

std::string with_lf(std::string_view text) {
  std::string out(text);
  std::erase(out, '\r');
  return out;
}

ParsedHeader parsed(std::string_view block) {
  auto header = ParsedHeader::parse(with_crlf(block));
  if (!header) throw std::runtime_error("a header of a test does not parse: " + header.error().detail);
  return std::move(*header);
}

std::string inward(const World& world, MemberId member, std::string_view block,
                   std::string_view envelope_from, std::string_view message_id) {
  const ParsedHeader header = parsed(block);
  std::optional<message::Address> from;
  if (!envelope_from.empty()) from = address(envelope_from);
  const PhantomMap phantoms = derive_phantoms(header, world.routes(), world.member(member), from);
  return rewrite_inward(header, {.routes = world.routes(),
                                 .member = world.member(member),
                                 .phantoms = phantoms,
                                 .envelope_from = from,
                                 .received = {},
                                 .message_id = message_id});
}

std::string outward(const World& world, MemberId member, std::string_view block,
                    std::string_view correspondent, const Sent& sent, std::string_view message_id) {
  const ParsedHeader header = parsed(block);
  const message::Address real = address(correspondent);
  std::unordered_map<std::string, message::Address> resolved;
  std::vector<std::string> recipients;
  std::string phantom;
  for (const std::string& to : sent.phantoms) {
    std::string local = phantom_local(world.member(member), address(to).canonical());
    if (address(to).canonical() == real.canonical()) phantom = local;
    recipients.push_back(address(to).canonical());
    resolved.emplace(std::move(local), address(to));
  }
  for (const std::string& to : sent.direct) recipients.push_back(address(to).canonical());
  return rewrite_outward(header, {.routes = world.routes(),
                                  .member = world.member(member),
                                  .correspondent = real,
                                  .phantom = phantom,
                                  .resolved = resolved,
                                  .recipients = recipients,
                                  .several = recipients.size() > 1,
                                  .received = {},
                                  .message_id = message_id});
}

std::string malformed(std::string_view block) {
  if (block.find('\0') != std::string_view::npos) return "NUL";
  std::string_view rest = block;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n");
    if (end == std::string_view::npos) return "no CRLF at the end";
    const std::string_view line = rest.substr(0, end);
    if (line.find_first_of("\r\n") != std::string_view::npos) return "bare CR or LF";
    if (line.size() > 998) return "long line";
    if (trim(line).empty()) return "empty line";
    rest.remove_prefix(end + 2);
  }
  const auto fields = message::tokenize(block, {.max_octets = 64U << 20U, .max_fields = 100'000});
  if (!fields) return "does not tokenize";
  for (const message::Field& field : *fields) {
    if (field.name.empty()) return "a line that is no field: " + std::string(field.raw);
  }
  return {};
}

World small_world() {
  World world;
  world.add("pta@school.example", "PTA", {"officer@home.example", "colleague@work.example"});
  world.add("open@school.example", "", {"open@home.example"}, NamePolicy::keep, RecipientPolicy::open);
  world.add("other@club.example", "Club", {"officer@home.example"});
  world.build();
  return world;
}

std::string value(std::string_view block, std::string_view name) {
  const auto fields = message::tokenize(block);
  if (!fields) throw std::runtime_error("not a header block");
  for (const message::Field& field : *fields) {
    if (field.is(name)) return message::unfold(field.body);
  }
  return "(none)";
}

std::size_t count(std::string_view block, std::string_view name) {
  std::size_t found = 0;
  const auto fields = message::tokenize(block);
  if (!fields) throw std::runtime_error("not a header block");
  for (const message::Field& field : *fields) found += field.is(name) ? 1 : 0;
  return found;
}

}  // namespace kage::mapping::test
