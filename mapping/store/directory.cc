// Routes from Redis and phantoms resolved with them. Nothing is retried in Directory but the reading
// of routes, since a caller that gets an error answers 4xx and the sender tries again (contract R3.7, R3.8).

#include <utility>

#include "base/log.h"
#include "base/random.h"
#include "mapping/store/directory_state.h"
#include "mapping/store/route_codec.h"

namespace kage::mapping {
namespace {

constexpr net::Millis kTrackDenied{60'000};
/// Refused routes may be mended without a new generation (a backup restored key by key), so they are read
/// again now and then, but not at every look: the table may be large.
constexpr net::Millis kRefusedAgain{5'000};
constexpr int kMostResolves = 3;

/// Redis is away, as opposed to holding what cannot be used.
bool is_away(const Error& error) {
  return error.code != Errc::corrupt;
}

/// One reason for every way not to reach Redis: net logs the details, and a reason that changed with every
/// attempt would be logged with every attempt.
std::string reason_of(const Error& error) {
  switch (error.code) {
    case Errc::corrupt:
    case Errc::refused:
    case Errc::not_found:
    case Errc::tls:
      return error.detail;
    default:
      return "Redis is not reachable";
  }
}

/// A phantom whose value is damaged, or of a newer version: it is not gone (contract R3.8).
std::unexpected<Error> unreadable() {
  log::error("phantom.unreadable");
  return fail(Errc::corrupt, "a phantom's value cannot be read");
}

}  // namespace

Decoy::Decoy() : siv(random_bytes(64)), sealed(random_bytes(16 + 24)) {}

void Decoy::open(std::string_view local) const {
  if (siv.open(local, sealed)) log::error("decoy.opened");
}

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
  if (!master) co_return fail(Errc::not_found, "no master key");
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

Directory::~Directory() {
  if (state_->listener) state_->shared->remove(state_->listener);
}

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
      if (looks_like_phantom(local)) batch.add({"GET", phantom_entry(local)});
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
        if (!value) co_return unreadable();
      } else {
        state_->decoy.open(local);
        if (!member && !sealed.empty()) co_return unreadable();
      }
    }
    co_return resolved;
  }
  co_return fail(Errc::unavailable, "the routes keep changing");
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
  if (refused && refused->master == *master && refused->generation == *generation && same_connection &&
      state.loop.now() < refused->until) {
    state.shared->suspend(refused->error.detail, true);
    co_return std::unexpected(refused->error);
  }
  auto loaded = co_await state.reload(true);
  state.loaded_epoch = state.redis.connection_epoch();
  state.refused.reset();
  if (!loaded) {
    state.shared->suspend(reason_of(loaded.error()), false);
    if (!is_away(loaded.error())) {
      state.refused = State::Refused{*master, *generation, loaded.error(), state.loop.now() + kRefusedAgain};
    }
  }
  co_return loaded;
}

/// One connection's life: from being told to being told no more.
net::Task<void> Directory::State::track() {
  bool told = false;
  net::RedisOptions server = redis.options_for(kGenerationKey);
  tracked = {server.host, server.port};
  tracking = std::make_unique<net::RedisTracking>(loop, std::move(server), std::string(kGenerationKey));
  const Error end = co_await tracking->run([this, &told] {
    told = true;
    look_again();
  });
  tracking = nullptr;
  if (told) shared->doubt();
  const bool denied = end.code == Errc::denied;
  if (denied && !tracking_denied) {
    log::warn("redis.not_tracking", {{"reason", std::string_view(end.detail)}});
  }
  tracking_denied = denied || (tracking_denied && !told);
  track_at = loop.now() + (denied ? kTrackDenied : kLookEvery);
  if (told) look_again();
  tracking_ended.set();
}

/// In a cluster the generation may move to another server; the one that had it tells of nothing any more.
bool Directory::State::has_moved() const {
  if (!redis.is_cluster()) return false;
  const net::RedisOptions server = redis.options_for(kGenerationKey);
  return tracked != net::Endpoint{server.host, server.port};
}

void Directory::State::look_again() {
  changed = true;
  wake.set();
}

net::Task<void> Directory::watch(net::Millis look_every) {
  State& state = *state_;
  while (!state.stopped) {
    state.changed = false;
    const auto looked = co_await refresh();  // its failure is in the shared state
    if (!looked) log::debug("watch.failed", {{"reason", to_string(looked.error().code)}});
    if (state.stopped) break;
    if (state.tracking && looked && state.has_moved()) state.tracking->close();
    if (!state.tracking && looked && state.loop.now() >= state.track_at) {
      state.tracking_ended.reset();
      net::spawn(state.track());
    }
    if (state.changed) continue;
    state.wake.reset();
    state.timer.start(look_every, [&state] { state.wake.set(); });
    co_await state.wake;
  }
  if (!state.tracking) co_return;
  state.tracking->close();
  co_await state.tracking_ended;
}

void Directory::on_change(std::move_only_function<void()> changed) {
  State& state = *state_;
  if (state.listener) state.shared->remove(state.listener);
  state.listener = std::make_shared<SharedRoutes::State::Listener>(state.loop, std::move(changed));
  state.shared->add(state.listener);
}

void Directory::stop() {
  state_->stopped = true;
  state_->timer.stop();
  state_->wake.set();
}

}  // namespace kage::mapping
