// Routes in Redis: reading all of them, and changing them in one atomic step (contract R3.5, R9.1).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mapping/routes/table.h"
#include "net/redis.h"

namespace kage::mapping {

/// Whether this Redis belongs to this master key.
enum class StoreState { empty, ours, foreign };  ///< foreign: sealed under another key
net::Task<Result<StoreState>> inspect_store(net::Redis& redis, std::shared_ptr<const MasterKeys> master);

/// Reads everything in one round trip.
net::Task<Result<Routes>> load_routes(net::Redis& redis, std::shared_ptr<const MasterKeys> master);

/// Whether a routes file can be applied: what RouteTable::build() refuses, and values that are longer than
/// 4096 octets or hold control characters. Errc::invalid; the text names no address.
Result<> check_spec(const RouteSpec& spec);

/// One line of the difference between what is and what a routes file wants.
struct RouteChange {
  enum class Kind {
    add_domain,
    remove_domain,
    change_domain,
    add_address,
    remove_address,
    change_address,
    add_member,
    remove_member,
    change_member
  };
  Kind kind;
  std::string public_address;  ///< or the domain
  std::string mailbox;         ///< for members
  std::string detail;          ///< "name: \"A\" → \"B\"" for changes; never a password hash
  MemberId member = 0;         ///< who is removed
};
/// In a stable order: by address, then member. Empty: Redis matches already.
std::vector<RouteChange> diff_routes(const RouteTable& now, const RouteSpec& wanted);

/// Makes Redis match `wanted`, atomically: other nodes see all or nothing. Members that stay keep their id
/// and key; a removed member's key is gone with the same step (R3.5). Errc::conflict when somebody else
/// changed routes meanwhile, Errc::invalid as check_spec(). `progress` is called with (done, total) rows.
/// Afterwards purge() removes what files still hold.
net::Task<Result<>> apply_routes(net::Redis& redis, Routes now, RouteSpec wanted,
                                 std::function<void(std::size_t, std::size_t)> progress);

/// Removes one member, or with an empty mailbox a whole public address. Errc::not_found.
net::Task<Result<>> forget(net::Redis& redis, Routes now, std::string public_address, std::string mailbox);

/// Deletes phantoms whose member is gone, as PhantomScan walks, and has Redis rewrite its AOF and dump, so
/// that no file keeps a removed member's key. Returns how many phantoms were deleted and what could not be
/// purged (an ACL that forbids it). May end anywhere: what is left cannot be opened, and the next one takes
/// it. `progress` is called with (done, total) keys.
struct PurgeReport {
  std::uint64_t phantoms_deleted = 0;
  bool aof_rewritten = false;
  bool dump_rewritten = false;
  std::string problem;  ///< empty, or what an operator must do by hand
};
net::Task<Result<PurgeReport>> purge(net::Redis& redis, net::Loop& loop,
                                     std::shared_ptr<const MasterKeys> master,
                                     std::function<void(std::uint64_t, std::uint64_t)> progress);

}  // namespace kage::mapping
