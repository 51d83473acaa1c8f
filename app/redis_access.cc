// Reaching Redis and opening the master key, for `serve` and for commands alike.
#include "app/redis_access.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "app/process.h"
#include "app/terminal.h"
#include "base/random.h"
#include "mapping/store/route_store.h"
#include "net/ip.h"
#include "tls/client_context.h"
#include "tls/tls_stream.h"

namespace kage::app {
namespace {

constexpr net::Millis kStartTimeout{60'000};  // a large append-only file takes its time to load
constexpr net::Millis kStopTimeout{10'000};
constexpr net::Millis kPatience{2'000};  // without a word

/// Where the configuration says that Redis is.
std::string place_of(const RedisConfig& config) {
  const net::RedisOptions& options = config.options;
  if (!options.unix_path.empty()) return options.unix_path;
  const bool sentinels = !options.sentinels.endpoints.empty();
  const auto& servers = sentinels ? options.sentinels.endpoints : options.cluster;
  if (servers.empty()) return net::format_endpoint(options.host, options.port);
  std::string out = sentinels ? "sentinels" : "cluster";
  for (const net::Endpoint& server : servers) out += " " + net::format_endpoint(server.host, server.port);
  return out;
}

/// For an operator, who has several servers to think of.
std::unexpected<Error> explain(Error error, const RedisConfig& config) {
  constexpr std::string_view kPrefix = "Redis: ";
  if (config.embedded) return std::unexpected(std::move(error));
  if (error.detail.starts_with(kPrefix)) error.detail.erase(0, kPrefix.size());
  if (error.detail.empty()) error.detail = to_string(error.code);
  error.detail = "Redis at " + place_of(config) + ": " + error.detail +
                 (error.code == Errc::denied ? "; see [redis]" : "; is it running? See [redis]");
  return std::unexpected(std::move(error));
}

}  // namespace

Result<net::RedisOptions> redis_options(const RedisConfig& config) {
  net::RedisOptions options = config.options;
  if (!config.tls) return options;
  auto context = tls::ClientContext::verified(config.ca_file);
  if (!context) return std::unexpected(context.error());
  options.secure = [context = *context](net::StreamPtr stream, std::string host, net::TimePoint deadline) {
    return tls::connect_tls(std::move(stream), context, std::move(host), deadline);
  };
  return options;
}

CommandRedis::CommandRedis(net::Loop& loop, RedisConfig config, std::string command)
    : loop_(loop), config_(config), embedded_(loop, std::move(config), std::move(command)) {}

CommandRedis::~CommandRedis() = default;

net::Task<Result<>> CommandRedis::open_embedded() {
  const std::string parent = config_.folder.substr(0, config_.folder.rfind('/'));
  for (const std::string& folder : {parent, config_.folder}) {
    if (auto made = make_private_folder(folder); !made) co_return made;
  }
  const net::TimePoint deadline = loop_.now() + kStartTimeout;
  net::Timer patience(loop_);
  patience.start(kPatience, [folder = config_.folder] {
    print_error(fmt::format("kagemusha: waiting for the Redis in {} to answer, for {} seconds at most\n",
                            printable(folder),
                            std::chrono::duration_cast<std::chrono::seconds>(kStartTimeout).count()));
  });
  while (true) {
    const auto started = embedded_.start();
    if (started) break;
    if (started.error().code == Errc::conflict) {
      // A serve runs it, or another command that is about to end and give the lock back.
      if (co_await EmbeddedRedis::probe(loop_, config_.options.unix_path)) co_return Result<>();
    } else if (started.error().code != Errc::unavailable) {
      co_return started;
    }
    if (loop_.now() >= deadline)
      co_return fail(Errc::timed_out, "Redis does not answer: " + started.error().detail);
    co_await loop_.sleep(net::Millis(50));
  }
  co_return co_await embedded_.wait_ready(deadline);
}

net::Task<Result<>> CommandRedis::open() {
  if (config_.embedded) {
    if (auto opened = co_await open_embedded(); !opened) co_return opened;
  }
  auto options = redis_options(config_);
  if (!options) co_return std::unexpected(options.error());
  redis_ = std::make_unique<net::Redis>(loop_, std::move(*options));
  if (redis_->is_cluster()) {
    // Not all of its servers are needed for everything.
    const auto servers = co_await redis_->servers();
    co_return servers ? Result<>() : explain(servers.error(), config_);
  }
  net::RedisBatch batch;
  batch.add({"PING"});
  const auto answer = co_await redis_->run(std::move(batch));
  if (!answer) co_return explain(answer.error(), config_);
  co_return Result<>();
}

net::Task<void> CommandRedis::close() {
  if (redis_) redis_->close();
  if (embedded_.started()) co_await embedded_.stop(loop_.now() + kStopTimeout);
}

net::Task<Result<MasterKeyAccess>> open_master_key(net::Redis& redis, std::string path, bool may_create) {
  MasterKeyAccess access;
  const bool there = ::access(path.c_str(), F_OK) == 0 || errno != ENOENT;
  Secret key;
  if (there) {
    auto read = mapping::read_master_key(path);
    if (!read) co_return std::unexpected(read.error());
    key = std::move(*read);
  } else {
    // Only to ask whether anything is there.
    key = Secret(random_bytes(32));
  }
  access.keys = std::make_shared<const mapping::MasterKeys>(key);
  const auto state = co_await mapping::inspect_store(redis, access.keys);
  if (!state) co_return std::unexpected(state.error());
  access.store_empty = *state == mapping::StoreState::empty;
  if (*state == mapping::StoreState::foreign) {
    co_return fail(Errc::corrupt,
                   there ? path + ": Redis holds data that is sealed under another master key"
                         : path + ": no such file, and Redis holds data that is sealed under a master key");
  }
  if (there || !may_create) co_return access;
  auto made = mapping::create_master_key(path);
  // Another of us was a moment faster.
  if (!made && made.error().code == Errc::conflict) made = mapping::read_master_key(path);
  if (!made) co_return std::unexpected(made.error());
  access.keys = std::make_shared<const mapping::MasterKeys>(*made);
  access.created = true;
  co_return access;
}

}  // namespace kage::app
