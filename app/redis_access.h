// How the program reaches its Redis, and its master key, before anything else can be done (contract R3.8,
// R9.3).
#pragma once

#include <memory>
#include <string>

#include "app/config.h"
#include "app/embedded_redis.h"
#include "mapping/keys/keys.h"
#include "net/redis.h"

namespace kage::app {

/// Options with the TLS of the configuration. Errc::invalid: its ca_file does not load.
Result<net::RedisOptions> redis_options(const RedisConfig& config);

/// A command's connection. With an embedded Redis it uses the one that runs, or runs one for its own time.
class CommandRedis {
 public:
  CommandRedis(net::Loop& loop, RedisConfig config, std::string command);
  ~CommandRedis();

  /// Before anything else. Errors are for the operator.
  net::Task<Result<>> open();
  [[nodiscard]] net::Redis& redis() { return *redis_; }
  /// After open(), however it ended.
  net::Task<void> close();

 private:
  net::Task<Result<>> open_embedded();

  net::Loop& loop_;
  RedisConfig config_;
  EmbeddedRedis embedded_;
  std::unique_ptr<net::Redis> redis_;
};

/// The master key, which must fit what Redis holds. Without a key file and with an empty Redis it makes one
/// (a first run) and sets `created`; `may_create` forbids that. Errc::corrupt: Redis belongs to another key.
struct MasterKeyAccess {
  std::shared_ptr<const mapping::MasterKeys> keys;
  bool created = false;
  bool store_empty = false;
};
net::Task<Result<MasterKeyAccess>> open_master_key(net::Redis& redis, std::string path, bool may_create);

}  // namespace kage::app
