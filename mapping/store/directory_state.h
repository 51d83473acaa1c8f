// What the parts of Directory share: reading routes, phantoms, the ledger. Internal to mapping.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/store/directory.h"
#include "mapping/store/phantom_cache.h"
#include "mapping/store/route_codec.h"
#include "mapping/store/shared_routes.h"
#include "net/redis_tracking.h"

namespace kage::mapping {

/// The name of a phantom's entry in Redis.
std::string phantom_entry(std::string_view local);

/// What a miss opens instead, so that it takes the time of a hit (contract R3.3).
struct Decoy {
  Decoy();
  void open(std::string_view local) const;

  Siv siv;
  std::string sealed;
};

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

  std::shared_ptr<SharedRoutes::State::Listener> listener;  // null: nobody asked for changes

  PhantomCache cache;
  /// What has to be as it was for the cache to be believed.
  struct Ground {
    std::uint64_t generation = 0;
    std::uint64_t connection = 0;
    std::uint64_t doubts = 0;
    bool operator==(const Ground&) const = default;
  };
  Ground ground;

  net::Timer timer;
  net::Event wake;
  bool stopped = false;
  bool changed = false;  // since the last look began

  std::unique_ptr<net::RedisTracking> tracking;  // null: nobody tells of changes
  net::Endpoint tracked;                         // the server that tells
  net::Event tracking_ended;
  net::TimePoint track_at{};
  bool tracking_denied = false;    // logged
  std::uint64_t loaded_epoch = 0;  // of the connection that watch() last loaded over

  /// Routes that refresh() could not use: not read again until the key or the generation is another, or a
  /// while has passed.
  struct Refused {
    std::shared_ptr<const MasterKeys> master;
    std::uint64_t generation;
    Error error;
    net::TimePoint until;
  };
  std::optional<Refused> refused;

  net::Task<Result<Routes>> reload(bool even_if_known);
  net::Task<Result<Routes>> read_routes(bool even_if_known);
  net::Task<Result<std::uint64_t>> generation();
  net::Task<void> track();
  [[nodiscard]] bool has_moved() const;
  void look_again();

  void check_cache(std::uint64_t generation);
  /// Those that Redis may not have with this spelling, the last spelling of each.
  std::vector<const PhantomWrite*> unknown_phantoms(const std::vector<PhantomWrite>& all,
                                                    net::Millis believed);
  void add_phantoms(net::RedisBatch& batch, const std::vector<const PhantomWrite*>& writes) const;
  net::Task<Result<>> stored(Routes routes, std::vector<const PhantomWrite*> writes, Replies replies);
  net::Task<Result<>> write_again(Routes routes, const std::vector<PhantomWrite>& phantoms);
};

}  // namespace kage::mapping
