// What all workers share of the routes, and the watch over the key file. Internal to mapping.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "mapping/directory.h"

namespace kage::mapping {

/// Everything but check_key() may be called from any thread.
struct SharedRoutes::State {
  explicit State(std::string master_key_path) : path(std::move(master_key_path)) {}

  [[nodiscard]] Result<Routes> current() const;
  /// The newest table, whether or not it may be used now.
  [[nodiscard]] Routes table() const;
  [[nodiscard]] std::shared_ptr<const MasterKeys> master() const;

  /// Makes a table that was read from Redis the newest. One of generation 0 is none: Redis lost its data or
  /// never had any, and to answer 550 for lack of routes would bounce mail (contract R3.8).
  Result<Routes> publish(Routes table);
  /// Nothing may be used until resume() or publish(). `drop`: the table will not be good again.
  void suspend(const std::string& reason, bool drop);
  void resume();

  /// Reads the key file when it is new or changed. One thread.
  Result<std::shared_ptr<const MasterKeys>> check_key();

 private:
  const std::string path;
  mutable std::mutex mutex_;
  Routes table_;
  std::shared_ptr<const MasterKeys> master_;
  std::string reason_ = "routes not loaded yet";  // empty: ready

  struct FileState {
    dev_t device;
    ino_t inode;
    timespec modified;
    timespec changed;  // also by chmod and chown
  };
  std::optional<FileState> seen_;  // of the key that is in use; only check_key() touches it
};

}  // namespace kage::mapping
