// The main thread: signals, the embedded Redis, the master key, and the workers' beginning and end.
//
// Workers accept mail from the start and answer 4xx until the mapping is ready (contract R3.8); nothing here
// waits for Redis before listening.
#include "app/serve.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>

#include "app/embedded_redis.h"
#include "app/process.h"
#include "app/redis_access.h"
#include "app/serve_worker.h"
#include "app/signals.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/listener.h"
#include "net/worker.h"

namespace kage::app {
namespace {

constexpr net::Millis kLeastRetry{20};
constexpr net::Millis kMostRetry{1000};
constexpr net::Millis kRedisStart{2000};
constexpr net::Millis kRedisStop{10'000};

/// A worker's thread and what lives on it.
struct Slot {
  net::Worker thread;
  std::unique_ptr<ServeWorker> worker;  // touched on the thread only
};

/// A visitor waits at a browser: the answer has to come sooner than a mail server needs it.
submission::SessionOptions form_session(const Config& config) {
  submission::SessionOptions options = config.session;
  options.transaction_timeout = std::min(options.transaction_timeout, config.form.delivery_timeout);
  return options;
}

class Process {
 public:
  Process(const Config& config, net::RedisOptions redis, std::shared_ptr<tls::ServerContext> tls)
      : config_(config),
        retry_(loop_),
        shared_{.config = config,
                .redis = std::move(redis),
                .tls = std::move(tls),
                .routes = mapping::SharedRoutes(config.master_key),
                .providers = provider::Providers(config.providers),
                .throttle = net::LoginThrottle(),
                .form_session = form_session(config),
                .form_rates = FormRates(config.form)} {}

  int run(const std::string& ready_file);

 private:
  Result<> make_folders() const;
  Result<> start_redis();
  Result<> start_workers();
  Result<> write_ready_file(const std::string& path) const;
  void log_listeners() const;
  void watch_signals();
  void look_at_certificates() const;
  void on_stop_signal();
  void on_reload_signal();
  void announce_ready(bool routes);

  net::Task<void> begin(std::string ready_file);
  net::Task<void> open_mapping();
  net::Task<void> pause(net::Millis duration);
  net::Task<void> stop();
  static net::Task<void> stop_worker(Slot& slot, net::Millis timeout, Process& process);

  const Config& config_;
  net::Loop loop_;
  net::Timer retry_;
  net::Event retry_now_;
  Shared shared_;
  std::optional<EmbeddedRedis> embedded_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::uint16_t> ports_;
  std::vector<std::unique_ptr<SignalWatch>> signals_;
  net::Event mapping_opened_;  // begin() has no more to do
  net::Event workers_ended_;
  std::size_t workers_left_ = 0;
  bool stopping_ = false;
  bool announced_ = false;
  int exit_code_ = 0;
};

Result<> Process::make_folders() const {
  for (const std::string& folder : {config_.state_dir, config_.session.spool_dir}) {
    if (auto made = make_private_folder(folder); !made) return made;
  }
  return config_.redis.embedded ? make_private_folder(config_.redis.folder) : Result<>();
}

Result<> Process::start_redis() {
  if (!config_.redis.embedded) return {};
  embedded_.emplace(loop_, config_.redis, "serve");
  auto started = embedded_->start();
  if (!started && started.error().code == Errc::conflict) {
    return fail(Errc::conflict,
                fmt::format("{} is in use by \"{}\"", config_.state_dir, started.error().detail));
  }
  return started;
}

Result<> Process::start_workers() {
  for (const ListenConfig& listen : config_.listen) {
    if (auto free = net::Listener::check_free(listen.address, listen.port); !free) return free;
    ports_.push_back(listen.port);
  }
  for (unsigned i = 0; i < config_.workers; ++i) {
    Slot& slot = *slots_.emplace_back(std::make_unique<Slot>());
    Result<> bound;
    // One after the other: the first finds free ports, the others bind the same ones.
    slot.thread.start([&](net::Loop& loop) {
      slot.worker = std::make_unique<ServeWorker>(loop, shared_, i == 0);
      bound = slot.worker->listen(ports_);
    });
    if (!bound) return bound;
  }
  return {};
}

Result<> Process::write_ready_file(const std::string& path) const {
  if (path.empty()) return {};
  std::string text = "{\"listen\":[";
  for (std::size_t i = 0; i < config_.listen.size(); ++i) {
    const ListenConfig& listen = config_.listen[i];
    text += fmt::format("{}{{\"face\":\"{}\",\"address\":\"{}\",\"port\":{}}}", i == 0 ? "" : ",",
                        to_string(listen.face), listen.address, ports_[i]);
  }
  text += fmt::format("],\"pid\":{}}}\n", ::getpid());
  return write_file_durably(path, text);
}

void Process::log_listeners() const {
  for (std::size_t i = 0; i < config_.listen.size(); ++i) {
    const ListenConfig& listen = config_.listen[i];
    log::info("listening", {{"face", to_string(listen.face)},
                            {"address", std::string_view(listen.address)},
                            {"port", ports_[i]}});
  }
}

void Process::watch_signals() {
  for (const int signal : {SIGTERM, SIGINT}) {
    signals_.push_back(std::make_unique<SignalWatch>(loop_, signal, [this] { on_stop_signal(); }));
  }
  signals_.push_back(std::make_unique<SignalWatch>(loop_, SIGHUP, [this] { on_reload_signal(); }));
}

/// The first end is a metric, and one that is near or past is worth a line.
void Process::look_at_certificates() const {
  if (!shared_.tls) return;
  constexpr std::int64_t kDay = 24LL * 60 * 60;
  constexpr std::int64_t kNear = 14 * kDay;
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  for (const tls::CertificateEnd& end : shared_.tls->ends()) {
    first = std::min(first, end.seconds);
    const std::int64_t left = end.seconds - unix_seconds();
    if (left > kNear) continue;
    const std::int64_t days = left >= 0 ? left / kDay : -1 - (-left - 1) / kDay;
    log::warn("certificate.ends", {{"file", std::string_view(end.file)}, {"days", days}});
  }
  metrics::set(metrics::Gauge::certificate_end, first);
}

void Process::on_stop_signal() {
  if (stopping_) {
    log::warn("stopped", {{"reason", "second signal"}});
    // The kernel ends the embedded Redis with us.
    std::_Exit(1);
  }
  stopping_ = true;
  net::spawn(stop());
}

void Process::on_reload_signal() {
  if (!shared_.tls) {
    log::info("reloaded", {{"certificates", 0}});
    return;
  }
  if (const auto done = shared_.tls->reload(); !done) {
    log::error("reload.failed", {{"reason", std::string_view(done.error().detail)}});
    return;
  }
  log::info("reloaded", {{"certificates", config_.certificates.size()}});
  look_at_certificates();
}

void Process::announce_ready(bool routes) {
  if (announced_ || stopping_) return;
  announced_ = true;
  log::info("ready", {{"routes", routes}});
}

/// Suspends for a time, or until the process stops.
net::Task<void> Process::pause(net::Millis duration) {
  retry_now_.reset();
  retry_.start(duration, [this] { retry_now_.set(); });
  if (!stopping_) co_await retry_now_;
}

/// Makes the key at a first run, and says when the mapping is ready. An empty Redis is ready too: `apply` is
/// what it waits for. From then on Directory::watch() keeps the mapping up to date.
net::Task<void> Process::open_mapping() {
  net::Redis redis(loop_, shared_.redis);
  net::Millis wait = kLeastRetry;
  std::string last_reason;
  while (!stopping_) {
    if (embedded_ && !embedded_->started()) {
      if (!embedded_->start()) {
        co_await pause(kMostRetry);
        continue;
      }
    }
    const auto access = co_await open_master_key(redis, config_.master_key, true);
    if (access && access->created) log::info("key_created", {{"path", std::string_view(config_.master_key)}});
    if (access && access->store_empty) {
      announce_ready(false);
      break;
    }
    if (access && shared_.routes.current()) {
      announce_ready(true);
      break;
    }
    if (!access && !stopping_ && access.error().detail != last_reason) {
      last_reason = access.error().detail;
      log::warn("mapping.waiting", {{"reason", std::string_view(last_reason)}});
    }
    co_await pause(wait);
    wait = std::min(wait * 2, kMostRetry);
  }
  redis.close();
}

net::Task<void> Process::stop_worker(Slot& slot, net::Millis timeout, Process& process) {
  net::Loop& loop = process.loop_;
  ServeWorker& worker = *slot.worker;
  co_await worker.stop(worker.loop().now() + timeout);
  // Whoever resumed us may still be inside an object of the worker.
  co_await worker.loop().sleep(net::Millis(0));
  slot.worker.reset();
  loop.post([&process] {
    if (--process.workers_left_ == 0) process.workers_ended_.set();
  });
}

net::Task<void> Process::stop() {
  log::info("stopping");
  shared_.routes.silence();
  retry_.stop();
  retry_now_.set();
  workers_left_ = slots_.size();
  for (const auto& slot : slots_) {
    slot->thread.post(
        [this, &slot = *slot](net::Loop&) { net::spawn(stop_worker(slot, config_.stop_timeout, *this)); });
  }
  if (workers_left_ > 0) co_await workers_ended_;
  for (const auto& slot : slots_) slot->thread.stop();
  for (const auto& slot : slots_) slot->thread.join();
  co_await mapping_opened_;
  if (embedded_) co_await embedded_->stop(loop_.now() + kRedisStop);
  loop_.stop();
}

net::Task<void> Process::begin(std::string ready_file) {
  auto started = make_folders();
  if (started) started = start_redis();
  const net::TimePoint patience = loop_.now() + kRedisStart;
  while (!started && started.error().code == Errc::unavailable && !stopping_) {
    if (loop_.now() >= patience) {
      started = {};  // open_mapping() goes on trying
      break;
    }
    co_await pause(kLeastRetry);
    started = start_redis();
  }
  // The embedded one is there in a moment; a slow or broken one keeps nobody from listening.
  if (started && embedded_ && embedded_->started()) (void)co_await embedded_->wait_ready(patience);
  if (started && !stopping_) started = start_workers();
  if (started && !stopping_) started = write_ready_file(ready_file);
  if (started && !stopping_) {
    log_listeners();
    co_await open_mapping();
  }
  mapping_opened_.set();
  if (started) co_return;
  if (started.error().code != Errc::unavailable) {
    log::error("not_started", {{"reason", std::string_view(started.error().detail)}});
    exit_code_ = 1;
  }
  if (!std::exchange(stopping_, true)) co_await stop();
}

int Process::run(const std::string& ready_file) {
  watch_signals();
  look_at_certificates();
  net::spawn(begin(ready_file));
  loop_.run();
  log::info("stopped");
  return exit_code_;
}

}  // namespace

int serve(const Config& config, const std::string& ready_file) {
  log::configure(config.log_level);
  ignore_broken_pipes();
  protect_memory();
  raise_file_limit();
  std::shared_ptr<tls::ServerContext> tls;
  if (!config.certificates.empty()) {
    auto loaded = tls::ServerContext::load(config.certificates);
    if (!loaded) {
      log::error("not_started", {{"reason", std::string_view(loaded.error().detail)}});
      return 2;
    }
    tls = std::move(*loaded);
  }
  auto redis = redis_options(config.redis);
  if (!redis) {
    log::error("not_started", {{"reason", std::string_view(redis.error().detail)}});
    return 2;
  }
  log::info("starting", {{"version", KAGEMUSHA_VERSION},
                         {"allocator", std::string_view(allocator_name())},
                         {"workers", config.workers}});
  return Process(config, std::move(*redis), std::move(tls)).run(ready_file);
}

}  // namespace kage::app
