// How routes lie in Redis: names of keys and hash fields, and the sealed values. Internal to mapping.
//
// Fields of the hash {kage}:routes, each value sealed with its field's name as context:
//   d:<keyed hash>   a domain                       under the record key
//   a:<keyed hash>   a public address               under the record key
//   k:<member id>    a member's key                 under the record key
//   m:<member id>    what is known of the member    under that member's own seal key
//   t                how many fields there are      under the record key
// So the loss of k: is the loss of m: and of every phantom (contract R3.5), and a hash from which Redis
// evicted something is noticed. Reading never trusts a length and never guesses: what does not open or does
// not fit is Errc::corrupt.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/routes/table.h"
#include "net/redis.h"

namespace kage::mapping {

inline constexpr std::string_view kGenerationKey = "{kage}:gen";
inline constexpr std::string_view kCheckKey = "{kage}:check";
inline constexpr std::string_view kRoutesKey = "{kage}:routes";
inline constexpr std::string_view kPhantomPrefix = "kage:p:";
inline constexpr std::string_view kLedgerPrefix = "kage:l:";
inline constexpr std::string_view kLockPrefix = "kage:k:";

/// A field of the hash and its sealed value.
struct StoredRow {
  std::string field;
  std::string value;
};

/// Names of fields; equal input, equal name.
std::string domain_field(const MasterKeys& master, std::string_view name);
std::string address_field(const MasterKeys& master, std::string_view canonical);
std::string key_field(MemberId id);
std::string member_field(MemberId id);

StoredRow seal_domain(const MasterKeys& master, const DomainSpec& domain);
StoredRow seal_address(const MasterKeys& master, const AddressSpec& address, std::string_view canonical);
StoredRow seal_key(const MasterKeys& master, MemberId id, std::string_view member_key);
StoredRow seal_member(const MemberKeys& keys, MemberId id, std::string_view public_address,
                      const MemberSpec& member);
/// `fields`: of all other kinds together.
StoredRow seal_total(const MasterKeys& master, std::size_t fields);

/// The value of {kage}:check.
std::string seal_check(const MasterKeys& master);
bool opens_check(const MasterKeys& master, std::string_view value);

/// The commands that read everything, and the table from their replies. Opening costs some 40 µs a member.
/// Redis without anything of ours: an empty table of generation 0.
void add_load_commands(net::RedisBatch& batch);
inline constexpr std::size_t kLoadCommands = 3;
Result<Routes> open_routes(const std::vector<net::RedisReply>& replies,
                           const std::shared_ptr<const MasterKeys>& master);

/// A reply of {kage}:gen; 0 when there is none.
Result<std::uint64_t> read_generation(const net::RedisReply& reply);

using Replies = std::vector<net::RedisReply>;

/// An error reply as a Result: Errc::refused with the first word of Redis ("READONLY", "OOM"), which is all
/// of it that may be logged.
Error reply_error(const net::RedisReply& reply);
/// The first error among the replies.
Result<> check_replies(const Replies& replies);
/// Runs a batch of which every reply has to be good.
net::Task<Result<Replies>> run_all(net::Redis& redis, net::RedisBatch batch);
/// The same at one server.
net::Task<Result<Replies>> run_all_at(net::Redis& redis, net::Endpoint server, net::RedisBatch batch);

}  // namespace kage::mapping
