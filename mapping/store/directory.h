// The one door to Redis for a worker: routes, phantoms and the ledger (contract chapter 4, R3.3 to R3.8).
//
// Keys in Redis (prefix `kage:`, none derived from an address without a key):
//   {kage}:gen          integer, raised by every apply and forget
//   {kage}:check        a constant sealed under the master key: tells a wrong key
//   {kage}:routes       hash: sealed domains, addresses, members with their wrapped keys
//   kage:p:<phantom>    seal_phantom_value()
//   kage:l:{<id>}       ledger hash of one message: copy tag → digest of the message that was served, and the
//                       status if it was refused for good instead; expires
//   kage:k:{<id>}       lock of a message in flight; expires
//
// Every trip also reads {kage}:gen: a change made on another node is seen before anything is decided on it.
// Where no trip is needed, watch() has seen it within a second.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mapping/phantom.h"
#include "mapping/routes/table.h"
#include "net/redis.h"

namespace kage::mapping {

/// What all workers share: master keys and the newest routes. Thread-safe. One worker's Directory::watch()
/// keeps it up to date.
class SharedRoutes {
 public:
  explicit SharedRoutes(std::string master_key_path);
  /// The newest snapshot, or why there is none (contract R3.8): Errc::unavailable with a reason for
  /// operators.
  [[nodiscard]] Result<Routes> current() const;
  /// The process ends: what is not ready any more is no news for the log.
  void silence();

 private:
  friend class Directory;
  struct State;
  std::shared_ptr<State> state_;
};

/// A phantom to be stored before the message that shows it is handed on (contract R4.4).
struct PhantomWrite {
  const Member* member;
  std::string local;
  std::string spelling;                         ///< the correspondent's address as last seen
  std::optional<Sighting> seen = std::nullopt;  ///< they wrote, and the member's address collects
};

/// Identity of a message for the ledger, and of a copy of it. Keyed hashes; see docs/architecture.md.
using MessageTag = std::array<char, 16>;
using CopyTag = std::array<char, 8>;
using Digest = std::array<char, 16>;  ///< of the message's octets as received

struct BeginRequest {
  std::vector<PhantomWrite> phantoms;
  MessageTag message{};
  std::vector<CopyTag> copies;
};

/// A message in flight. Holds the lock until finish().
struct Transaction {
  MessageTag message{};
  std::vector<CopyTag> copies;  ///< those of the request
  std::string owner;            ///< random, tells our lock from another's
  /// For each copy of the request: the digest it was served, or refused for good, with.
  std::vector<std::optional<Digest>> served;
  /// For each copy: the status (RFC 3463) that it was refused with; empty: it was not.
  std::vector<std::string> refused;
};

class Directory {
 public:
  Directory(net::Loop& loop, net::Redis& redis, SharedRoutes& shared);
  ~Directory();

  /// The routes, verified against Redis now (one round trip; more when they changed).
  net::Task<Result<Routes>> routes();
  /// The newest known routes without a round trip. For answers that a later trip verifies.
  [[nodiscard]] Result<Routes> known_routes() const;

  /// Resolves phantoms' local parts in one round trip, however many. Unknown, forgotten, foreign: nothing, in
  /// the same time. `routes` becomes the snapshot that the answers belong to.
  struct Resolved {
    Routes routes;
    std::vector<std::optional<PhantomValue>> values;  ///< one for each local part asked for
  };
  net::Task<Result<Resolved>> resolve(std::vector<std::string> locals);

  /// One round trip: stores the phantoms that Redis may not have yet, reads the ledger, takes the lock, and
  /// verifies that `routes` is still current. Errc::conflict: the routes changed (start over) or another
  /// attempt of this message is in flight (say 4xx).
  net::Task<Result<Transaction>> begin(Routes routes, BeginRequest request);

  /// Stores phantoms before an answer that shows them is handed on (contract R4.4): one round trip for those
  /// that Redis may not have, none when it has all. `routes`: the snapshot they were derived with;
  /// Errc::conflict when it is no longer the current one.
  net::Task<Result<>> store(Routes routes, std::vector<PhantomWrite> phantoms);

  /// Writes that a copy was served, at once when the next hop's 250 arrives. Does not wait for others.
  net::Task<Result<>> served(const Transaction& transaction, CopyTag copy, Digest digest_so_far);

  /// Whether a trip that is begun later is carried out later, without being waited for. Not in a cluster: on
  /// its way a trip may be sent on to another server.
  [[nodiscard]] bool keeps_order() const;

  /// Writes that copies were refused for good, each with its status (RFC 3463): a retry does not try them
  /// again.
  struct Refusal {
    CopyTag copy;
    std::string status;
  };
  net::Task<Result<>> refused(const Transaction& transaction, std::vector<Refusal> refusals, Digest digest);

  /// Keeps the lock of a long transaction, which lasts two minutes otherwise. To be called every 20 seconds.
  /// Errc::conflict when it was lost.
  net::Task<Result<>> keep_alive(const Transaction& transaction);

  /// Removes entries that a different message of the same identity left behind (digest differs).
  net::Task<Result<>> unserve(const Transaction& transaction, std::vector<CopyTag> copies);

  /// Releases the lock; with `forget_entries` this transaction's ledger entries go too (a message without
  /// Message-ID was fully served), not those of its other transactions, which may still have a retry before
  /// them.
  net::Task<Result<>> finish(const Transaction& transaction, bool forget_entries);

  /// One look at the key file and at Redis: what watch() does again and again. Call it on the thread that
  /// watches, not while watch() runs.
  net::Task<Result<Routes>> refresh();

  /// Watches Redis and the key file until stop(): loads routes first, again when the generation changed, the
  /// connection was lost, or the key file appeared or changed. Logs every change between ready and not ready
  /// once. Redis tells of changes at once, where it may (CLIENT TRACKING); in any case it is asked again
  /// and again. Has to end before the Directory does.
  net::Task<void> watch(net::Millis look_every = kLookEvery);
  /// Less than a second: a change is known everywhere within one even where Redis may not tell (R3.5).
  static constexpr net::Millis kLookEvery{750};
  /// Makes watch() return soon.
  void stop();

  /// Called on this Directory's own loop whenever known_routes() may give another snapshot than before,
  /// whichever worker watches: within a second of the change on any node (contract R3.5). Set it before
  /// watch() runs.
  void on_change(std::move_only_function<void()> changed);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kage::mapping
