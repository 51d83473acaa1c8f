// A message in flight: its lock, and the ledger that tells which of its copies were served (contract R3.7).
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "mapping/store/directory_state.h"
#include "mapping/store/route_codec.h"

namespace kage::mapping {
namespace {

/// How long begin() believes that a phantom was stored with its spelling: another node may have seen another
/// one meanwhile (contract R4.2).
constexpr net::Millis kSpellingBelieved{60'000};
constexpr std::string_view kLockMillis = "120000";
/// Five days: as long as senders try (RFC 5321 §4.5.4.1).
constexpr std::string_view kLedgerSeconds = "432000";

// Only the owner of a lock may touch it.
constexpr std::string_view kUnlockScript =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
constexpr std::string_view kExtendScript =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return "
    "0";

/// The braces have a cluster keep lock and ledger of a message on one server, where their order counts.
std::string named(std::string_view prefix, const MessageTag& message) {
  const std::string id = hex(std::string_view(message.data(), message.size()));
  std::string name;
  name.reserve(prefix.size() + id.size() + 2);
  name.append(prefix).append("{").append(id).append("}");
  return name;
}
template <std::size_t N>
std::string_view octets(const std::array<char, N>& array) {
  return {array.data(), array.size()};
}

void add_unlock(net::RedisBatch& batch, const MessageTag& message, std::string_view owner) {
  batch.add({"EVAL", kUnlockScript, "1", named(kLockPrefix, message), owner});
}

void add_removal(net::RedisBatch& batch, const MessageTag& message, const std::vector<CopyTag>& copies) {
  const std::string ledger = named(kLedgerPrefix, message);
  std::vector<std::string_view> command{"HDEL", ledger};
  for (const CopyTag& copy : copies) command.push_back(octets(copy));
  batch.add(command);
}

/// For a lock that may or may not have been taken. What comes of it changes nothing: it expires.
net::Task<void> try_unlock(net::Redis& redis, MessageTag message, std::string owner) {
  net::RedisBatch batch;
  add_unlock(batch, message, owner);
  const auto ignored = co_await redis.run(std::move(batch));
  if (!ignored) log::debug("lock.left", {{"reason", to_string(ignored.error().code)}});
}

/// What begin() read, before its phantoms.
struct Opening {
  std::uint64_t generation = 0;
  bool locked = false;
  std::vector<std::optional<Digest>> served;
  std::vector<std::string> refused;
  Replies phantoms;
};

Result<Opening> read_opening(Replies replies, std::size_t copies) {
  if (const auto good = check_replies(replies); !good) return std::unexpected(good.error());
  const auto generation = read_generation(replies[0]);
  if (!generation) return std::unexpected(generation.error());
  Opening opening{*generation, !replies[1].is_nil(), {}, {}, {}};
  opening.served.resize(copies);
  opening.refused.resize(copies);
  if (copies > 0) {
    const auto& digests = replies[2].elements;
    for (std::size_t i = 0; i < copies && i < digests.size(); ++i) {
      const std::string_view entry = digests[i].text;
      if (entry.size() < sizeof(Digest)) continue;
      std::ranges::copy(entry.substr(0, sizeof(Digest)), opening.served[i].emplace().begin());
      opening.refused[i] = entry.substr(sizeof(Digest));
    }
  }
  replies.erase(replies.begin(), replies.begin() + (copies > 0 ? 3 : 2));
  opening.phantoms = std::move(replies);
  return opening;
}

}  // namespace

net::Task<Result<Transaction>> Directory::begin(Routes routes, BeginRequest request) {
  State& state = *state_;
  Transaction transaction{request.message, request.copies, base32(random_bytes(16)), {}, {}};
  state.check_cache(routes->generation());
  const std::uint64_t connection = state.ground.connection;
  const std::vector<const PhantomWrite*> writes = state.unknown_phantoms(request.phantoms, kSpellingBelieved);

  net::RedisBatch batch;
  batch.add({"GET", kGenerationKey});
  // The lock before the ledger: what an earlier attempt served was written before it let the lock go. They
  // lie in one slot, where commands keep their order; the others need none (docs/architecture.md).
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
  if (opening && !opening->locked) {
    // Its phantoms were written all the same: what has to stay of what they replaced would be lost.
    const auto kept = co_await state.stored(routes, writes, std::move(opening->phantoms));
    if (!kept) co_return std::unexpected(kept.error());
    co_return fail(Errc::conflict, "this message is in flight already");
  }

  Result<> good;
  if (!opening) {
    good = std::unexpected(opening.error());
  } else if (opening->generation != routes->generation()) {
    good = co_await state.stored(routes, writes, std::move(opening->phantoms));
    const auto newer = co_await state.reload(false);
    good = newer ? fail(Errc::conflict, "the routes have changed") : std::unexpected(newer.error());
  } else {
    // A connection made anew by this very batch: what was left out as known may be lost.
    const bool reconnected = state.redis.connection_epoch() != connection;
    state.check_cache(routes->generation());
    good = co_await state.stored(routes, writes, std::move(opening->phantoms));
    if (good && reconnected) good = co_await state.write_again(routes, request.phantoms);
  }
  if (!good) {
    net::spawn(try_unlock(state.redis, transaction.message, transaction.owner));
    co_return std::unexpected(good.error());
  }
  transaction.served = std::move(opening->served);
  transaction.refused = std::move(opening->refused);
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

bool Directory::keeps_order() const {
  return !state_->redis.is_cluster();
}

net::Task<Result<>> Directory::refused(const Transaction& transaction, std::vector<Refusal> refusals,
                                       Digest digest) {
  if (refusals.empty()) co_return Result<>();
  const std::string ledger = named(kLedgerPrefix, transaction.message);
  std::vector<std::string> values;
  values.reserve(refusals.size());  // `command` looks into it
  std::vector<std::string_view> command{"HSET", ledger};
  for (const Refusal& refusal : refusals) {
    values.push_back(std::string(octets(digest)) + refusal.status);
    command.push_back(octets(refusal.copy));
    command.push_back(values.back());
  }
  net::RedisBatch batch;
  batch.add(command);
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
  net::RedisBatch batch;
  add_removal(batch, transaction.message, copies);
  const auto replies = co_await run_all(state_->redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return Result<>();
}

net::Task<Result<>> Directory::finish(const Transaction& transaction, bool forget_entries) {
  net::RedisBatch batch;
  const bool forgets = forget_entries && !transaction.copies.empty();
  // Entries before the lock: who takes the lock next must not find them.
  if (forgets) add_removal(batch, transaction.message, transaction.copies);
  // While their slot is being moved, one may be gone to another server and the other not.
  if (forgets && !keeps_order()) {
    const auto deleted = co_await run_all(state_->redis, std::exchange(batch, {}));
    if (!deleted) co_return std::unexpected(deleted.error());
  }
  add_unlock(batch, transaction.message, transaction.owner);
  const auto replies = co_await run_all(state_->redis, std::move(batch));
  if (!replies) co_return std::unexpected(replies.error());
  co_return Result<>();
}

}  // namespace kage::mapping
