// What all workers share of the routes, and the watch over the key file. Internal to mapping.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "mapping/store/directory.h"

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
  void silence();

  /// Who is told on its own loop when the table became another.
  struct Listener {
    net::Loop& loop;
    std::move_only_function<void()> changed;
  };
  void add(std::shared_ptr<Listener> listener);
  /// On the listener's own thread: it is not called any more afterwards.
  void remove(const std::shared_ptr<Listener>& listener);

  /// Raised when changes may have been missed: whoever remembers what Redis holds forgets it.
  [[nodiscard]] std::uint64_t doubts() const { return doubts_.load(std::memory_order_acquire); }
  void doubt() { doubts_.fetch_add(1, std::memory_order_acq_rel); }

  /// Reads the key file when it is new or changed. One thread.
  Result<std::shared_ptr<const MasterKeys>> check_key();

 private:
  const std::string path;
  mutable std::mutex mutex_;
  Routes table_;
  std::shared_ptr<const MasterKeys> master_;
  std::string reason_ = "routes not loaded yet";  // empty: ready
  bool silent_ = false;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::atomic<std::uint64_t> doubts_ = 0;

  void replace(Routes table);  // with the mutex held

  struct FileState {
    dev_t device;
    ino_t inode;
    timespec modified;
    timespec changed;  // also by chmod and chown
  };
  std::optional<FileState> seen_;  // of the key that is in use; only check_key() touches it
};

}  // namespace kage::mapping
