// Phantoms in Redis: which have to be written, and what their places held before (contract R4.4).
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "mapping/store/directory_state.h"
#include "mapping/store/route_codec.h"

namespace kage::mapping {
namespace {

/// How long store() believes that Redis has a phantom. That its member is gone is told by the generation;
/// the bound is for what nobody tells: somebody deleted it.
constexpr net::Millis kBelieved{60 * 60'000};

/// Being mentioned does not erase what is kept about a correspondent who wrote, and a correspondent who
/// writes again keeps the day of the first time. Version, member and day stand in clear
/// (seal_phantom_value()).
constexpr std::string_view kCollectScript =
    "local old, new = redis.call('GET', KEYS[1]), ARGV[1] "
    "if old and old:byte(1) == 2 and old:sub(2, 9) == new:sub(2, 9) then "
    "if new:byte(1) ~= 2 then return old end "
    "new = new:sub(1, 9) .. old:sub(10, 11) .. new:sub(12) end "
    "redis.call('SET', KEYS[1], new) return old";

/// What the cache knows a write by: the spelling, and of who wrote the day and the name too.
class CachedAs {
 public:
  explicit CachedAs(const PhantomWrite& write) : text_(write.spelling) {
    if (!write.seen) return;
    made_ = write.spelling + '\0' + std::to_string(write.seen->last) + write.seen->name;
    text_ = made_;
  }
  CachedAs(const CachedAs&) = delete;
  CachedAs& operator=(const CachedAs&) = delete;
  operator std::string_view() const { return text_; }

 private:
  std::string made_;
  std::string_view text_;
};

/// What has to be written once more, from `before`, the value that was in the phantom's place: who wrote with
/// a name before and now without keeps it, where names are kept at all; and who is registered stays so while
/// nothing is collected.
std::optional<Sighting> kept_sighting(const RouteTable& routes, const PhantomWrite& write,
                                      std::string_view before) {
  if (before.empty() || (write.seen && !write.seen->name.empty())) return std::nullopt;
  const AddressSpec& address = write.member->address->spec;
  const bool names = address.name == NamePolicy::keep;
  // The script has kept it, unless there is a name to add.
  if (write.seen ? !names : address.collect) return std::nullopt;
  auto old = open_phantom_value(routes, write.local, before);
  if (!old || old->member->id != write.member->id || !old->seen) return std::nullopt;
  if (write.seen && old->seen->name.empty()) return std::nullopt;
  return Sighting{old->seen->first, write.seen ? write.seen->last : old->seen->last,
                  names ? std::move(old->seen->name) : std::string()};
}

}  // namespace

std::string phantom_entry(std::string_view local) {
  return std::string(kPhantomPrefix) + lower(local);
}

/// Redis may have lost phantoms together with a connection, and a forgotten member's are being deleted.
void Directory::State::check_cache(std::uint64_t generation) {
  const Ground now{generation, redis.connection_epoch(), shared->doubts()};
  if (ground == now) return;
  cache.clear();
  ground = now;
}

std::vector<const PhantomWrite*> Directory::State::unknown_phantoms(const std::vector<PhantomWrite>& all,
                                                                    net::Millis believed) {
  std::vector<const PhantomWrite*> unknown;
  for (const PhantomWrite& write : all) {
    if (!cache.knows(write.local, CachedAs(write), loop.now(), believed)) unknown.push_back(&write);
  }
  if (unknown.size() < 2) return unknown;
  // An answer that shows a mailbox names the same people again and again.
  std::ranges::sort(unknown, {}, [](const PhantomWrite* write) {
    return std::pair(std::string_view(write->local), write);  // in order of appearance
  });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < unknown.size(); ++i) {
    if (i + 1 == unknown.size() || unknown[i]->local != unknown[i + 1]->local) unknown[kept++] = unknown[i];
  }
  unknown.resize(kept);
  return unknown;
}

void Directory::State::add_phantoms(net::RedisBatch& batch,
                                    const std::vector<const PhantomWrite*>& writes) const {
  for (const PhantomWrite* write : writes) {
    const std::string value = seal_phantom_value(*write->member, write->local, write->spelling, write->seen);
    if (write->member->address->spec.collect) {
      batch.add({"EVAL", kCollectScript, "1", phantom_entry(write->local), value});
    } else {
      batch.add({"SET", phantom_entry(write->local), value, "GET"});
    }
  }
}

/// Looks at what the phantoms' places held before (`replies`, one for each): what has to stay of it, and
/// another living member's phantom. That is a collision of 80-bit hashes: it is put back, and the message
/// waits for better times.
net::Task<Result<>> Directory::State::stored(Routes routes, std::vector<const PhantomWrite*> writes,
                                             Replies replies) {
  net::RedisBatch restore, again;
  std::uint64_t fresh = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    if (replies[i].is_nil()) ++fresh;
    const auto before = phantom_value_member(replies[i].text);
    if (before && *before != writes[i]->member->id && routes->find_member(*before) != nullptr) {
      restore.add({"SET", phantom_entry(writes[i]->local), replies[i].text});
    }
    if (const auto seen = kept_sighting(*routes, *writes[i], replies[i].text)) {
      again.add({"SET", phantom_entry(writes[i]->local),
                 seal_phantom_value(*writes[i]->member, writes[i]->local, writes[i]->spelling, seen)});
    }
  }
  if (restore.size() > 0) {
    log::error("phantom.collision", {{"count", restore.size()}});
    const auto restored = co_await run_all(redis, std::move(restore));
    if (!restored) co_return std::unexpected(restored.error());
    co_return fail(Errc::conflict, "a phantom of another member has this name");
  }
  if (again.size() > 0) {
    const auto written = co_await run_all(redis, std::move(again));
    if (!written) co_return std::unexpected(written.error());
  }
  metrics::add(metrics::Counter::phantoms_stored, fresh);
  for (const PhantomWrite* write : writes) cache.remember(write->local, CachedAs(*write), loop.now());
  co_return Result<>();
}

/// Those that were left out as known.
net::Task<Result<>> Directory::State::write_again(Routes routes, const std::vector<PhantomWrite>& phantoms) {
  const std::vector<const PhantomWrite*> writes = unknown_phantoms(phantoms, kBelieved);
  net::RedisBatch batch;
  add_phantoms(batch, writes);
  if (batch.size() == 0) co_return Result<>();
  auto replies = co_await run_all(redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return co_await stored(std::move(routes), writes, std::move(*replies));
}

net::Task<Result<>> Directory::store(Routes routes, std::vector<PhantomWrite> phantoms) {
  State& state = *state_;
  const auto known = known_routes();
  if (!known) co_return std::unexpected(known.error());
  if ((*known)->generation() != routes->generation())
    co_return fail(Errc::conflict, "the routes have changed");
  state.check_cache(routes->generation());
  const std::uint64_t connection = state.ground.connection;
  const std::vector<const PhantomWrite*> writes = state.unknown_phantoms(phantoms, kBelieved);
  if (writes.empty()) co_return Result<>();

  net::RedisBatch batch;
  batch.add({"GET", kGenerationKey});
  state.add_phantoms(batch, writes);
  auto replies = co_await run_all(state.redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  const auto generation = read_generation(replies->front());
  if (!generation) co_return std::unexpected(generation.error());
  if (*generation != routes->generation()) {
    const auto newer = co_await state.reload(false);
    co_return newer ? fail(Errc::conflict, "the routes have changed") : std::unexpected(newer.error());
  }
  // A connection made anew by this very batch: what was left out as known may be lost.
  const bool reconnected = state.redis.connection_epoch() != connection;
  state.check_cache(routes->generation());
  replies->erase(replies->begin());
  auto good = co_await state.stored(routes, writes, std::move(*replies));
  if (good && reconnected) good = co_await state.write_again(routes, phantoms);
  co_return good;
}

}  // namespace kage::mapping
