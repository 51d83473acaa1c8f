// Reading and changing the routes in Redis. Every change is one script: all of it or nothing, and only on
// the generation that it was made from.
#include "mapping/store/route_store.h"

#include <unordered_set>
#include <utility>

#include "base/random.h"
#include "base/text.h"
#include "mapping/store/route_codec.h"

namespace kage::mapping {
namespace {

constexpr std::size_t kLongestText = 4096;  // of one value in a routes file
constexpr std::size_t kProgressStep = 100;

// ARGV: expected generation, first generation, check, number of deletions, fields to delete, then pairs.
// In steps of 1000, since Lua's stack is small.
// The first generation is random: a Redis that was emptied and filled again is never taken for the old one.
constexpr std::string_view kApplyScript = R"(
local have = redis.call('GET', KEYS[1]) or '0'
if have ~= ARGV[1] then return 0 end
if have == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('INCR', KEYS[1]) end
redis.call('SET', KEYS[3], ARGV[3])
local first = 5 + tonumber(ARGV[4])
for i = 5, first - 1, 1000 do
  redis.call('HDEL', KEYS[2], unpack(ARGV, i, math.min(i + 999, first - 1)))
end
for i = first, #ARGV, 1000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
return 1
)";

struct Plan {
  std::vector<std::string> deletions;
  std::vector<StoredRow> rows;
  std::size_t fields = 0;  // that the hash holds afterwards
};

std::uint64_t random_number(unsigned bits) {
  std::uint64_t number = 0;
  for (const char c : random_bytes(8)) number = number << 8U | static_cast<unsigned char>(c);
  return number >> (64 - bits);
}

MemberId new_member_id(const RouteTable& now, std::unordered_set<MemberId>& taken) {
  for (;;) {
    const MemberId id = random_number(64);
    if (id != 0 && now.find_member(id) == nullptr && taken.insert(id).second) return id;
  }
}

net::Task<Result<>> commit(net::Redis& redis, Routes now, Plan plan) {
  const MasterKeys& master = now->master();
  plan.rows.push_back(seal_total(master, plan.fields));
  const std::string generation = std::to_string(now->generation());
  // 48 bits leave room for counting within what Redis and Lua hold exactly.
  const std::string first = std::to_string(1 + random_number(48));
  const std::string check = seal_check(master);
  const std::string deletions = std::to_string(plan.deletions.size());
  std::vector<std::string_view> arguments{"EVAL",    kApplyScript, "3",   kGenerationKey, kRoutesKey,
                                          kCheckKey, generation,   first, check,          deletions};
  arguments.reserve(arguments.size() + plan.deletions.size() + 2 * plan.rows.size());
  for (const std::string& field : plan.deletions) arguments.push_back(field);
  for (const StoredRow& row : plan.rows) {
    arguments.push_back(row.field);
    arguments.push_back(row.value);
  }
  net::RedisBatch batch;
  batch.add(arguments);
  const auto replies = co_await run_all(redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  if (replies->front().integer != 1) co_return fail(Errc::conflict, "the routes were changed meanwhile");
  co_return Result<>();
}

void delete_member(Plan& plan, const Member& member) {
  plan.deletions.push_back(key_field(member.id));
  plan.deletions.push_back(member_field(member.id));
}

void add_member(Plan& plan, const MasterKeys& master, MemberId id, std::string_view address,
                const MemberSpec& spec) {
  const Secret key(random_bytes(32));
  plan.rows.push_back(seal_key(master, id, key));
  plan.rows.push_back(seal_member(MemberKeys(key), id, address, spec));
}

/// What must be written so that `now` becomes `wanted`. Calls progress for every address and member.
class Planner {
 public:
  Planner(const RouteTable& now, const RouteSpec& wanted,
          const std::function<void(std::size_t, std::size_t)>& progress)
      : now_(now), wanted_(wanted), progress_(progress) {
    for (const auto& address : wanted.addresses) total_ += 1 + address.members.size();
  }

  Plan run() {
    plan_domains();
    std::unordered_set<std::string> names;
    for (const AddressSpec& address : wanted_.addresses) {
      std::string canonical = address.address.canonical();
      plan_address(address, canonical);
      names.insert(std::move(canonical));
    }
    for (const auto& address : now_.addresses()) {
      if (names.contains(address->canonical)) continue;
      plan_.deletions.push_back(address_field(now_.master(), address->canonical));
      for (const Member* member : address->members) delete_member(plan_, *member);
    }
    plan_.fields = wanted_.domains.size() + 2 * total_ - wanted_.addresses.size();
    return std::move(plan_);
  }

  [[nodiscard]] std::size_t total() const { return total_; }

 private:
  void plan_domains() {
    std::unordered_set<std::string> names;
    for (const DomainSpec& domain : wanted_.domains) {
      const DomainSpec* const have = now_.find_public_domain(domain.name);
      if (have == nullptr || !(*have == domain)) plan_.rows.push_back(seal_domain(now_.master(), domain));
      names.insert(domain.name);
    }
    for (const DomainSpec& domain : now_.domains()) {
      if (!names.contains(domain.name)) plan_.deletions.push_back(domain_field(now_.master(), domain.name));
    }
  }

  void plan_address(const AddressSpec& address, const std::string& canonical) {
    const PublicAddress* const have = now_.find_address(canonical);
    StoredRow row = seal_address(now_.master(), address, canonical);
    if (have == nullptr || seal_address(now_.master(), have->spec, canonical).value != row.value) {
      plan_.rows.push_back(std::move(row));
    }
    step();
    std::unordered_map<std::string_view, const Member*> left;
    if (have != nullptr) {
      for (const Member* member : have->members) left.emplace(member->mailbox_canonical, member);
    }
    for (const MemberSpec& member : address.members) {
      const std::string mailbox = member.mailbox.canonical();
      const auto found = left.find(mailbox);
      if (found == left.end()) {
        add_member(plan_, now_.master(), new_member_id(now_, taken_), canonical, member);
      } else {
        const Member& stays = *found->second;
        if (!(stays.spec == member)) {
          plan_.rows.push_back(seal_member(stays.keys, stays.id, canonical, member));
        }
        left.erase(found);
      }
      step();
    }
    for (const auto& [mailbox, member] : left) delete_member(plan_, *member);
  }

  void step() {
    ++done_;
    if (progress_ && done_ % kProgressStep == 0 && done_ < total_) progress_(done_, total_);
  }

  const RouteTable& now_;
  const RouteSpec& wanted_;
  const std::function<void(std::size_t, std::size_t)>& progress_;
  Plan plan_;
  std::unordered_set<MemberId> taken_;
  std::size_t total_ = 0;  // addresses and members
  std::size_t done_ = 0;
};

bool good_text(std::string_view text) {
  if (text.size() > kLongestText) return false;
  for (const char c : text) {
    if (is_control(c)) return false;
  }
  return true;
}

}  // namespace

Result<> check_spec(const RouteSpec& spec) {
  std::vector<RouteTable::Row> rows;
  MemberId id = 0;
  for (const AddressSpec& address : spec.addresses) {
    if (!good_text(address.display_name)) return fail(Errc::invalid, "a display name is not a line of text");
    const std::string canonical = address.address.canonical();
    for (const MemberSpec& member : address.members) {
      for (const std::string* text : {&member.name, &member.login, &member.password_hash, &member.provider}) {
        if (!good_text(*text)) return fail(Errc::invalid, "a value of a member is not a line of text");
      }
      rows.push_back({++id, MemberKeys(std::string(32, '\0')), canonical, member});
    }
  }
  const auto table = RouteTable::build(spec.domains, spec.addresses, std::move(rows), nullptr, 0);
  if (!table) return std::unexpected(table.error());
  return {};
}

net::Task<Result<StoreState>> inspect_store(net::Redis& redis, std::shared_ptr<const MasterKeys> master) {
  net::RedisBatch batch;
  batch.add({"GET", kCheckKey});
  batch.add({"EXISTS", kGenerationKey, kRoutesKey});
  const auto replies = co_await run_all(redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  const net::RedisReply& check = (*replies)[0];
  if (check.is_nil()) co_return (*replies)[1].integer == 0 ? StoreState::empty : StoreState::foreign;
  co_return opens_check(*master, check.text) ? StoreState::ours : StoreState::foreign;
}

net::Task<Result<Routes>> load_routes(net::Redis& redis, std::shared_ptr<const MasterKeys> master) {
  net::RedisBatch batch;
  add_load_commands(batch);
  const auto replies = co_await redis.run(std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return open_routes(*replies, master);
}

net::Task<Result<>> apply_routes(net::Redis& redis, Routes now, RouteSpec wanted,
                                 std::function<void(std::size_t, std::size_t)> progress) {
  for (DomainSpec& domain : wanted.domains) {
    if (auto good = normalise(domain); !good) co_return good;
  }
  if (auto good = check_spec(wanted); !good) co_return good;
  Planner planner(*now, wanted, progress);
  Plan plan = planner.run();
  if (!plan.rows.empty() || !plan.deletions.empty()) {
    if (auto done = co_await commit(redis, now, std::move(plan)); !done) co_return done;
  }
  if (progress) progress(planner.total(), planner.total());
  co_return Result<>();
}

net::Task<Result<>> forget(net::Redis& redis, Routes now, std::string public_address, std::string mailbox) {
  const auto parsed = message::parse_address(public_address);
  const PublicAddress* const address = parsed ? now->find_address(parsed->canonical()) : nullptr;
  if (address == nullptr) co_return fail(Errc::not_found, "no such public address");
  Plan plan;
  plan.fields = now->domains().size() + now->addresses().size() + 2 * now->member_count();
  if (mailbox.empty()) {
    plan.deletions.push_back(address_field(now->master(), address->canonical));
    for (const Member* member : address->members) delete_member(plan, *member);
  } else {
    const auto wanted = message::parse_address(mailbox);
    const std::string canonical = wanted ? wanted->canonical() : std::string();
    for (const Member* member : address->members) {
      if (member->mailbox_canonical == canonical) delete_member(plan, *member);
    }
    if (plan.deletions.empty()) co_return fail(Errc::not_found, "no such member behind this address");
  }
  plan.fields -= plan.deletions.size();
  co_return co_await commit(redis, std::move(now), std::move(plan));
}

}  // namespace kage::mapping
