// Sealed rows: a version octet, then elements of tag, 16-bit length and octets, each tag at most once.
#include "mapping/store/route_codec.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/text.h"
#include "mapping/routes/address_policy.h"

namespace kage::mapping {
namespace {

constexpr char kVersion = 2;
constexpr std::size_t kTags = 16;
constexpr std::string_view kCheckText = "kagemusha check v1";
constexpr std::string_view kTotalField = "t";

enum Tag : unsigned char {
  tag_name = 1,  // a domain's name, or a display name
  tag_phantom_domain,
  tag_address,  // the public address as spelled; for a member its canonical form
  tag_policies,
  tag_mailbox,
  tag_login,
  tag_password_hash,
  tag_provider,
  tag_count,
};

class Writer {
 public:
  Writer() : out_(1, kVersion) {}
  /// Empty elements are left out. Longer ones than a row may hold were refused by check_spec().
  Writer& add(Tag tag, std::string_view value) {
    if (value.empty()) return *this;
    value = value.substr(0, 0xffff);
    out_.push_back(static_cast<char>(tag));
    out_.push_back(static_cast<char>(value.size() >> 8U));
    out_.push_back(static_cast<char>(value.size() & 0xffU));
    out_.append(value);
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return out_; }

 private:
  std::string out_;
};

/// The elements of a row by tag; empty where there is none.
using Elements = std::array<std::string_view, kTags>;

std::optional<Elements> read_row(std::string_view row) {
  if (row.empty() || row[0] != kVersion) return std::nullopt;
  row.remove_prefix(1);
  Elements elements{};
  while (!row.empty()) {
    if (row.size() < 3) return std::nullopt;
    const auto tag = static_cast<unsigned char>(row[0]);
    const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(row[1])) << 8U |
                             static_cast<unsigned char>(row[2]);
    row.remove_prefix(3);
    if (tag == 0 || tag > tag_count || size == 0 || size > row.size() || !elements[tag].empty()) {
      return std::nullopt;
    }
    elements[tag] = row.substr(0, size);
    row.remove_prefix(size);
  }
  return elements;
}

std::string hashed_field(const MasterKeys& master, std::string_view prefix, std::string_view name) {
  std::string input("field\0", 6);
  input.append(prefix).append(name);
  return std::string(prefix) + hex(hmac_sha256(master.index_key(), input).first(16));
}

std::string id_text(MemberId id) {
  std::string octets(8, '\0');
  for (std::size_t i = 8; i-- > 0; id >>= 8U) octets[i] = static_cast<char>(id & 0xffU);
  return hex(octets);
}

std::optional<MemberId> read_id(std::string_view text) {
  if (text.size() != 16) return std::nullopt;
  MemberId id = 0;
  for (const char c : text) {
    const int digit = hex_value(c);
    if (digit < 0 || c != to_lower(c)) return std::nullopt;
    id = id << 4U | static_cast<unsigned>(digit);
  }
  return id;
}

/// Everything of the hash, opened as far as it can be without knowing the members' keys.
struct Rows {
  std::vector<DomainSpec> domains;
  std::vector<AddressSpec> addresses;
  std::unordered_map<MemberId, Secret> keys;
  std::vector<std::pair<MemberId, std::string_view>> members;  // still sealed
  std::optional<std::size_t> total;
};

std::unexpected<Error> corrupt() {
  return fail(Errc::corrupt, "the routes in Redis do not open");
}

bool open_domain(const Elements& row, Rows& rows) {
  if (row[tag_name].empty() || row[tag_phantom_domain].empty()) return false;
  rows.domains.push_back({std::string(row[tag_name]), std::string(row[tag_phantom_domain])});
  return true;
}

bool open_address(const Elements& row, Rows& rows) {
  auto parsed = message::parse_address(row[tag_address]);
  if (!parsed) return false;
  AddressSpec spec;
  spec.address = std::move(*parsed);
  spec.display_name = row[tag_name];
  if (!read_policies(row[tag_policies], spec)) return false;
  rows.addresses.push_back(std::move(spec));
  return true;
}

std::optional<RouteTable::Row> open_member(MemberId id, std::string_view key, std::string_view sealed) {
  MemberKeys keys(key);
  const auto opened = keys.seal().open(member_field(id), sealed);
  if (!opened) return std::nullopt;
  const auto row = read_row(*opened);
  if (!row) return std::nullopt;
  auto mailbox = message::parse_address((*row)[tag_mailbox]);
  if (!mailbox) return std::nullopt;
  RouteTable::Row out{id, std::move(keys), std::string((*row)[tag_address]), {}};
  out.spec.mailbox = std::move(*mailbox);
  out.spec.name = (*row)[tag_name];
  out.spec.login = (*row)[tag_login];
  out.spec.password_hash = (*row)[tag_password_hash];
  out.spec.provider = (*row)[tag_provider];
  return out;
}

bool open_field(const MasterKeys& master, std::string_view field, std::string_view value, Rows& rows) {
  const bool has_id = field.starts_with("k:") || field.starts_with("m:");
  const auto id = has_id ? read_id(field.substr(2)) : std::optional<MemberId>(0);
  if (!id) return false;
  if (field.starts_with("m:")) {
    rows.members.emplace_back(*id, value);
    return true;
  }
  auto opened = master.record().open(field, value);
  if (!opened) return false;
  if (has_id) {
    Secret key(std::move(*opened));
    return key.size() == 32 && rows.keys.emplace(*id, std::move(key)).second;
  }
  const auto row = read_row(*opened);
  if (!row) return false;
  if (field.starts_with("d:")) return open_domain(*row, rows);
  if (field.starts_with("a:")) return open_address(*row, rows);
  if (field != kTotalField) return false;
  rows.total = parse_number((*row)[tag_count]);
  return rows.total.has_value();
}

/// So that every node has the members in the same order.
void sort_rows(Rows& rows, std::vector<RouteTable::Row>& members) {
  std::ranges::sort(rows.domains, {}, &DomainSpec::name);
  std::ranges::sort(rows.addresses, {}, [](const AddressSpec& a) { return lower(a.address.spelling); });
  std::ranges::sort(members, [](const RouteTable::Row& a, const RouteTable::Row& b) {
    if (a.public_address != b.public_address) return a.public_address < b.public_address;
    const int order = lower(a.spec.mailbox.spelling).compare(lower(b.spec.mailbox.spelling));
    return order != 0 ? order < 0 : a.id < b.id;
  });
}

}  // namespace

std::string domain_field(const MasterKeys& master, std::string_view name) {
  return hashed_field(master, "d:", name);
}
std::string address_field(const MasterKeys& master, std::string_view canonical) {
  return hashed_field(master, "a:", canonical);
}
std::string key_field(MemberId id) {
  return "k:" + id_text(id);
}
std::string member_field(MemberId id) {
  return "m:" + id_text(id);
}

StoredRow seal_domain(const MasterKeys& master, const DomainSpec& domain) {
  Writer row;
  row.add(tag_name, domain.name).add(tag_phantom_domain, domain.phantom_domain);
  std::string field = domain_field(master, domain.name);
  std::string value = master.record().seal(field, row.bytes());
  return {std::move(field), std::move(value)};
}

StoredRow seal_address(const MasterKeys& master, const AddressSpec& address, std::string_view canonical) {
  Writer row;
  row.add(tag_address, address.address.spelling)
      .add(tag_name, address.display_name)
      .add(tag_policies, write_policies(address));
  std::string field = address_field(master, canonical);
  std::string value = master.record().seal(field, row.bytes());
  return {std::move(field), std::move(value)};
}

StoredRow seal_key(const MasterKeys& master, MemberId id, std::string_view member_key) {
  std::string field = key_field(id);
  std::string value = master.record().seal(field, member_key);
  return {std::move(field), std::move(value)};
}

StoredRow seal_member(const MemberKeys& keys, MemberId id, std::string_view public_address,
                      const MemberSpec& member) {
  Writer row;
  row.add(tag_address, public_address)
      .add(tag_mailbox, member.mailbox.spelling)
      .add(tag_name, member.name)
      .add(tag_login, member.login)
      .add(tag_password_hash, member.password_hash)
      .add(tag_provider, member.provider);
  std::string field = member_field(id);
  std::string value = keys.seal().seal(field, row.bytes());
  return {std::move(field), std::move(value)};
}

StoredRow seal_total(const MasterKeys& master, std::size_t fields) {
  Writer row;
  row.add(tag_count, std::to_string(fields));
  return {std::string(kTotalField), master.record().seal(kTotalField, row.bytes())};
}

std::string seal_check(const MasterKeys& master) {
  return master.record().seal(kCheckKey, kCheckText);
}

bool opens_check(const MasterKeys& master, std::string_view value) {
  return master.record().open(kCheckKey, value) == kCheckText;
}

void add_load_commands(net::RedisBatch& batch) {
  // The generation first: rows that change after it are then seen as newer, never as older.
  batch.add({"GET", kGenerationKey});
  batch.add({"GET", kCheckKey});
  batch.add({"HGETALL", kRoutesKey});
}

Result<std::uint64_t> read_generation(const net::RedisReply& reply) {
  if (reply.is_error()) return std::unexpected(reply_error(reply));
  if (reply.is_nil()) return 0;
  const auto number = parse_number(reply.text);
  if (!number) return fail(Errc::corrupt, "the generation in Redis is not a number");
  return *number;
}

Result<Routes> open_routes(const std::vector<net::RedisReply>& replies,
                           const std::shared_ptr<const MasterKeys>& master) {
  if (replies.size() != kLoadCommands) return fail(Errc::protocol, "Redis: replies missing");
  if (const auto good = check_replies(replies); !good) return std::unexpected(good.error());
  const auto generation = read_generation(replies[0]);
  if (!generation) return std::unexpected(generation.error());
  const net::RedisReply& check = replies[1];
  const std::vector<net::RedisReply>& hash = replies[2].elements;
  if (!check.is_nil() && !opens_check(*master, check.text)) {
    return fail(Errc::corrupt, "Redis is sealed under another master key");
  }
  if (*generation == 0 && check.is_nil() && hash.empty()) return RouteTable::build({}, {}, {}, master, 0);
  if (*generation == 0 || check.is_nil() || hash.empty()) {
    return fail(Errc::corrupt, "a part of the routes is missing in Redis");
  }

  Rows rows;
  for (std::size_t i = 0; i + 1 < hash.size(); i += 2) {
    if (!open_field(*master, hash[i].text, hash[i + 1].text, rows)) return corrupt();
  }
  if (rows.total != hash.size() / 2 - 1 || rows.keys.size() != rows.members.size()) {
    return fail(Errc::corrupt, "a part of the routes is missing in Redis");
  }
  std::vector<RouteTable::Row> members;
  members.reserve(rows.members.size());
  for (const auto& [id, sealed] : rows.members) {
    const auto key = rows.keys.find(id);
    if (key == rows.keys.end()) return corrupt();
    auto row = open_member(id, key->second, sealed);
    if (!row) return corrupt();
    members.push_back(std::move(*row));
  }
  sort_rows(rows, members);
  auto table = RouteTable::build(std::move(rows.domains), std::move(rows.addresses), std::move(members),
                                 master, *generation);
  if (!table) return fail(Errc::corrupt, table.error().detail);
  return table;
}

Error reply_error(const net::RedisReply& reply) {
  return Error{Errc::refused,
               "Redis answered " + reply.text.substr(0, std::min(reply.text.find(' '), std::size_t{32}))};
}

Result<> check_replies(const Replies& replies) {
  for (const auto& reply : replies) {
    if (reply.is_error()) return std::unexpected(reply_error(reply));
  }
  return {};
}

net::Task<Result<Replies>> run_all(net::Redis& redis, net::RedisBatch batch) {
  auto replies = co_await redis.run(std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  if (const auto good = check_replies(*replies); !good) co_return std::unexpected(good.error());
  co_return std::move(*replies);
}

net::Task<Result<Replies>> run_all_at(net::Redis& redis, net::Endpoint server, net::RedisBatch batch) {
  auto replies = co_await redis.run_at(std::move(server), std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  if (const auto good = check_replies(*replies); !good) co_return std::unexpected(good.error());
  co_return std::move(*replies);
}

}  // namespace kage::mapping
