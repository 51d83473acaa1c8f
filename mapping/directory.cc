// Trips to Redis. What each batch holds is written where it is built; nothing is retried here but the reading
// of routes, since a caller that gets an error answers 4xx and the sender tries again (contract R3.7, R3.8).
#include "mapping/directory.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/text.h"
#include "mapping/phantom_cache.h"
#include "mapping/route_codec.h"
#include "mapping/shared_routes.h"

namespace kage::mapping {
namespace {

constexpr net::Millis kWatchEvery{500};
constexpr std::string_view kLockMillis = "120000";
constexpr std::string_view kLedgerSeconds =
    "432000";  // five days: as long as senders try (RFC 5321 §4.5.4.1)
constexpr int kMostResolves = 3;

// Only the owner of a lock may touch it.
constexpr std::string_view kUnlockScript =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
constexpr std::string_view kExtendScript =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return "
    "0";

using Replies = std::vector<net::RedisReply>;

std::string named(std::string_view prefix, const MessageTag& message) {
  return std::string(prefix) + hex(std::string_view(message.data(), message.size()));
}
std::string phantom_key(std::string_view local) {
  return std::string(kPhantomPrefix) + lower(local);
}
template <std::size_t N>
std::string_view octets(const std::array<char, N>& array) {
  return {array.data(), array.size()};
}

void add_unlock(net::RedisBatch& batch, const MessageTag& message, std::string_view owner) {
  batch.add({"EVAL", kUnlockScript, "1", named(kLockPrefix, message), owner});
}

/// Runs a batch of which every reply has to be good.
net::Task<Result<Replies>> run_all(net::Redis& redis, net::RedisBatch batch) {
  auto replies = co_await redis.run(std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  if (const auto good = check_replies(*replies); !good) co_return std::unexpected(good.error());
  co_return std::move(*replies);
}

/// For a lock that may or may not have been taken. What comes of it changes nothing: it expires.
net::Task<void> try_unlock(net::Redis& redis, MessageTag message, std::string owner) {
  net::RedisBatch batch;
  add_unlock(batch, message, owner);
  const auto ignored = co_await redis.run(std::move(batch));
  if (!ignored) log::debug("lock.left", {{"reason", to_string(ignored.error().code)}});
}

/// Redis is away, as opposed to holding what cannot be used.
bool is_away(const Error& error) {
  return error.code != Errc::corrupt;
}

/// One reason for every way not to reach Redis: net logs the details, and a reason that changed with every
/// attempt would be logged with every attempt.
std::string reason_of(const Error& error) {
  const bool reached = error.code == Errc::corrupt || !error.detail.starts_with("Redis") ||
                       error.detail.starts_with("Redis answered");
  return reached && error.code != Errc::timed_out ? error.detail : "Redis is not reachable";
}

/// What a miss opens instead, so that it takes the time of a hit (contract R3.3).
struct Decoy {
  Siv siv{random_bytes(64)};
  std::string sealed = random_bytes(16 + 24);

  void open(std::string_view local) const {
    if (siv.open(local, sealed)) log::error("decoy.opened");
  }
};

}  // namespace

struct Directory::State {
  State(net::Loop& l, net::Redis& r, std::shared_ptr<SharedRoutes::State> s)
      : loop(l), redis(r), shared(std::move(s)), timer(l) {}

  /// A reading of the routes that several callers wait for.
  struct Reading {
    net::Event done;
    Result<Routes> result = fail(Errc::closed);
  };

  net::Loop& loop;
  net::Redis& redis;
  std::shared_ptr<SharedRoutes::State> shared;
  std::shared_ptr<Reading> reading;  // null: nobody reads now
  Decoy decoy;

  PhantomCache cache;
  std::uint64_t cache_generation = 0;
  std::uint64_t cache_epoch = 0;

  net::Timer timer;
  net::Event wake;
  bool stopped = false;
  std::uint64_t loaded_epoch = 0;  // of the connection that watch() last loaded over

  /// Routes that refresh() could not use: not read again until the key or the generation is another.
  struct Refused {
    std::shared_ptr<const MasterKeys> master;
    std::uint64_t generation;
    Error error;
  };
  std::optional<Refused> refused;

  net::Task<Result<Routes>> reload(bool even_if_known);
  net::Task<Result<Routes>> read_routes(bool even_if_known);
  net::Task<Result<std::uint64_t>> generation();

  void check_cache(std::uint64_t generation);
  std::vector<const PhantomWrite*> unknown_phantoms(const std::vector<PhantomWrite>& all);
  void add_phantoms(net::RedisBatch& batch, const std::vector<const PhantomWrite*>& writes) const;
  net::Task<Result<>> stored(Routes routes, std::vector<const PhantomWrite*> writes, Replies replies);
  net::Task<Result<>> write_again(Routes routes, const BeginRequest& request);
};

net::Task<Result<std::uint64_t>> Directory::State::generation() {
  net::RedisBatch batch;
  batch.add({"GET", kGenerationKey});
  const auto replies = co_await run_all(redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return read_generation(replies->front());
}

net::Task<Result<Routes>> Directory::State::reload(bool even_if_known) {
  if (reading) {
    const auto joined = reading;
    co_await joined->done;
    co_return joined->result;
  }
  const auto mine = std::make_shared<Reading>();
  reading = mine;
  mine->result = co_await read_routes(even_if_known);
  reading = nullptr;
  mine->done.set();
  co_return mine->result;
}

net::Task<Result<Routes>> Directory::State::read_routes(bool even_if_known) {
  const auto master = shared->master();
  if (!master) co_return fail(Errc::unavailable, "no master key");
  net::RedisBatch batch;
  add_load_commands(batch);
  const auto replies = co_await redis.run(std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  // Another worker may have read this generation already.
  const auto seen = replies->empty() ? Result<std::uint64_t>(0) : read_generation(replies->front());
  const Routes known = shared->table();
  if (!even_if_known && seen && known && known->generation() == *seen && &known->master() == master.get()) {
    co_return known;
  }
  Result<Routes> opened = fail(Errc::closed);
  co_await loop.offload([&] { opened = open_routes(*replies, master); });
  if (opened) co_return shared->publish(std::move(*opened));
  if (!is_away(opened.error())) shared->suspend(opened.error().detail, true);
  co_return opened;
}

Directory::Directory(net::Loop& loop, net::Redis& redis, SharedRoutes& shared)
    : state_(std::make_unique<State>(loop, redis, shared.state_)) {}
Directory::~Directory() = default;

Result<Routes> Directory::known_routes() const {
  return state_->shared->current();
}

net::Task<Result<Routes>> Directory::routes() {
  auto known = known_routes();
  if (!known) co_return known;
  const auto generation = co_await state_->generation();
  if (!generation) co_return std::unexpected(generation.error());
  if ((*known)->generation() == *generation) co_return known;
  co_return co_await state_->reload(false);
}

net::Task<Result<Directory::Resolved>> Directory::resolve(std::vector<std::string> locals) {
  for (int tries = 0; tries < kMostResolves; ++tries) {
    const auto known = known_routes();
    if (!known) co_return std::unexpected(known.error());
    net::RedisBatch batch;
    batch.add({"GET", kGenerationKey});
    for (const std::string& local : locals) {
      if (looks_like_phantom(local)) batch.add({"GET", phantom_key(local)});
    }
    const auto replies = co_await run_all(state_->redis, std::move(batch));
    if (!replies) co_return std::unexpected(replies.error());
    const auto generation = read_generation(replies->front());
    if (!generation) co_return std::unexpected(generation.error());
    if (*generation != (*known)->generation()) {
      const auto newer = co_await state_->reload(false);
      if (!newer) co_return std::unexpected(newer.error());
      continue;
    }
    Resolved resolved{*known, {}};
    resolved.values.reserve(locals.size());
    std::size_t next = 1;
    for (const std::string& local : locals) {
      auto& value = resolved.values.emplace_back();
      if (!looks_like_phantom(local)) continue;
      const std::string& sealed = (*replies)[next++].text;
      const auto member = phantom_value_member(sealed);
      if (member && (*known)->find_member(*member) != nullptr) {
        value = open_phantom_value(**known, local, sealed);
      } else {
        state_->decoy.open(local);
      }
    }
    co_return resolved;
  }
  co_return fail(Errc::unavailable, "the routes keep changing");
}

/// Redis may have lost phantoms together with a connection, and a forgotten member's are being deleted.
void Directory::State::check_cache(std::uint64_t generation) {
  if (cache_generation == generation && cache_epoch == redis.connection_epoch()) return;
  cache.clear();
  cache_generation = generation;
  cache_epoch = redis.connection_epoch();
}

std::vector<const PhantomWrite*> Directory::State::unknown_phantoms(const std::vector<PhantomWrite>& all) {
  std::vector<const PhantomWrite*> unknown;
  for (const PhantomWrite& write : all) {
    if (!cache.knows(write.local, write.spelling, loop.now())) unknown.push_back(&write);
  }
  return unknown;
}

void Directory::State::add_phantoms(net::RedisBatch& batch,
                                    const std::vector<const PhantomWrite*>& writes) const {
  for (const PhantomWrite* write : writes) {
    const std::string value = seal_phantom_value(*write->member, write->local, write->spelling);
    batch.add({"SET", phantom_key(write->local), value, "GET"});
  }
}

/// Looks at what the phantoms' places held before (`replies`, one for each). Another living member's phantom
/// there is a collision of 80-bit hashes: it is put back, and the message waits for better times.
net::Task<Result<>> Directory::State::stored(Routes routes, std::vector<const PhantomWrite*> writes,
                                             Replies replies) {
  net::RedisBatch restore;
  std::uint64_t fresh = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    if (replies[i].is_nil()) ++fresh;
    const auto before = phantom_value_member(replies[i].text);
    if (before && *before != writes[i]->member->id && routes->find_member(*before) != nullptr) {
      restore.add({"SET", phantom_key(writes[i]->local), replies[i].text});
    }
  }
  if (restore.size() > 0) {
    log::error("phantom.collision", {{"count", restore.size()}});
    const auto restored = co_await run_all(redis, std::move(restore));
    if (!restored) co_return std::unexpected(restored.error());
    co_return fail(Errc::conflict, "a phantom of another member has this name");
  }
  metrics::add(metrics::Counter::phantoms_stored, fresh);
  for (const PhantomWrite* write : writes) cache.remember(write->local, write->spelling, loop.now());
  co_return Result<>();
}

/// The phantoms of the message that were left out as known.
net::Task<Result<>> Directory::State::write_again(Routes routes, const BeginRequest& request) {
  const std::vector<const PhantomWrite*> writes = unknown_phantoms(request.phantoms);
  net::RedisBatch batch;
  add_phantoms(batch, writes);
  if (batch.size() == 0) co_return Result<>();
  auto replies = co_await run_all(redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return co_await stored(std::move(routes), writes, std::move(*replies));
}

namespace {

/// What begin() read, before its phantoms.
struct Opening {
  std::uint64_t generation = 0;
  bool locked = false;
  std::vector<std::optional<Digest>> served;
  Replies phantoms;
};

Result<Opening> read_opening(Replies replies, std::size_t copies) {
  if (const auto good = check_replies(replies); !good) return std::unexpected(good.error());
  const auto generation = read_generation(replies[0]);
  if (!generation) return std::unexpected(generation.error());
  Opening opening{*generation, !replies[1].is_nil(), {}, {}};
  opening.served.resize(copies);
  if (copies > 0) {
    const auto& digests = replies[2].elements;
    for (std::size_t i = 0; i < copies && i < digests.size(); ++i) {
      if (digests[i].text.size() != sizeof(Digest)) continue;
      std::ranges::copy(digests[i].text, opening.served[i].emplace().begin());
    }
  }
  replies.erase(replies.begin(), replies.begin() + (copies > 0 ? 3 : 2));
  opening.phantoms = std::move(replies);
  return opening;
}

}  // namespace

net::Task<Result<Transaction>> Directory::begin(Routes routes, BeginRequest request) {
  State& state = *state_;
  Transaction transaction{request.message, base32(random_bytes(16)), {}};
  state.check_cache(routes->generation());
  const std::uint64_t epoch = state.cache_epoch;
  const std::vector<const PhantomWrite*> writes = state.unknown_phantoms(request.phantoms);

  net::RedisBatch batch;
  batch.add({"GET", kGenerationKey});
  // The lock before the ledger: what an earlier attempt served was written before it let the lock go.
  batch.add({"SET", named(kLockPrefix, request.message), transaction.owner, "NX", "PX", kLockMillis});
  const std::string ledger = named(kLedgerPrefix, request.message);
  std::vector<std::string_view> lookup{"HMGET", ledger};
  for (const CopyTag& copy : request.copies) lookup.push_back(octets(copy));
  if (!request.copies.empty()) batch.add(lookup);
  state.add_phantoms(batch, writes);
  auto replies = co_await state.redis.run(std::move(batch));
  if (!replies) {
    net::spawn(try_unlock(state.redis, transaction.message, transaction.owner));
    co_return std::unexpected(replies.error());
  }
  auto opening = read_opening(std::move(*replies), request.copies.size());
  if (opening && !opening->locked) co_return fail(Errc::conflict, "this message is in flight already");

  Result<> good;
  if (!opening) {
    good = std::unexpected(opening.error());
  } else if (opening->generation != routes->generation()) {
    const auto newer = co_await state.reload(false);
    good = newer ? fail(Errc::conflict, "the routes have changed") : std::unexpected(newer.error());
  } else {
    // A connection made anew by this very batch: what was left out as known may be lost.
    const bool reconnected = state.redis.connection_epoch() != epoch;
    state.check_cache(routes->generation());
    good = co_await state.stored(routes, writes, std::move(opening->phantoms));
    if (good && reconnected) good = co_await state.write_again(routes, request);
  }
  if (!good) {
    net::spawn(try_unlock(state.redis, transaction.message, transaction.owner));
    co_return std::unexpected(good.error());
  }
  transaction.served = std::move(opening->served);
  co_return transaction;
}

net::Task<Result<>> Directory::served(const Transaction& transaction, CopyTag copy, Digest digest_so_far) {
  const std::string ledger = named(kLedgerPrefix, transaction.message);
  net::RedisBatch batch;
  batch.add({"HSET", ledger, octets(copy), octets(digest_so_far)});
  batch.add({"EXPIRE", ledger, kLedgerSeconds});
  const auto replies = co_await run_all(state_->redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return Result<>();
}

net::Task<Result<>> Directory::keep_alive(const Transaction& transaction) {
  net::RedisBatch batch;
  batch.add(
      {"EVAL", kExtendScript, "1", named(kLockPrefix, transaction.message), transaction.owner, kLockMillis});
  const auto replies = co_await run_all(state_->redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  if (replies->front().integer != 1) co_return fail(Errc::conflict, "the lock was lost");
  co_return Result<>();
}

net::Task<Result<>> Directory::unserve(const Transaction& transaction, std::vector<CopyTag> copies) {
  if (copies.empty()) co_return Result<>();
  const std::string ledger = named(kLedgerPrefix, transaction.message);
  std::vector<std::string_view> command{"HDEL", ledger};
  for (const CopyTag& copy : copies) command.push_back(octets(copy));
  net::RedisBatch batch;
  batch.add(command);
  const auto replies = co_await run_all(state_->redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return Result<>();
}

net::Task<Result<>> Directory::finish(const Transaction& transaction, bool forget_entries) {
  net::RedisBatch batch;
  // Entries before the lock: who takes the lock next must not find them.
  if (forget_entries) batch.add({"DEL", named(kLedgerPrefix, transaction.message)});
  add_unlock(batch, transaction.message, transaction.owner);
  const auto replies = co_await run_all(state_->redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return Result<>();
}

net::Task<Result<Routes>> Directory::refresh() {
  State& state = *state_;
  const auto master = state.shared->check_key();
  if (!master) {
    state.shared->suspend(master.error().detail, true);
    co_return fail(Errc::unavailable, master.error().detail);
  }
  const auto generation = co_await state.generation();
  if (!generation) {
    state.shared->suspend(reason_of(generation.error()), false);
    co_return std::unexpected(generation.error());
  }
  const Routes known = state.shared->table();
  const bool same_connection = state.loaded_epoch == state.redis.connection_epoch();
  if (known && known->generation() == *generation && &known->master() == master->get() && same_connection) {
    state.shared->resume();
    co_return known;
  }
  const auto& refused = state.refused;
  if (refused && refused->master == *master && refused->generation == *generation && same_connection) {
    state.shared->suspend(refused->error.detail, true);
    co_return std::unexpected(refused->error);
  }
  auto loaded = co_await state.reload(true);
  state.loaded_epoch = state.redis.connection_epoch();
  state.refused.reset();
  if (!loaded) {
    state.shared->suspend(reason_of(loaded.error()), false);
    if (!is_away(loaded.error())) state.refused = State::Refused{*master, *generation, loaded.error()};
  }
  co_return loaded;
}

net::Task<void> Directory::watch() {
  State& state = *state_;
  while (!state.stopped) {
    const auto ignored = co_await refresh();  // its failure is in the shared state
    if (!ignored) log::debug("watch.failed", {{"reason", to_string(ignored.error().code)}});
    if (state.stopped) break;
    state.wake.reset();
    state.timer.start(kWatchEvery, [&state] { state.wake.set(); });
    co_await state.wake;
  }
}

void Directory::stop() {
  state_->stopped = true;
  state_->timer.stop();
  state_->wake.set();
}

}  // namespace kage::mapping
