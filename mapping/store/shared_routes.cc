// The newest routes and why there may be none. Every change between ready and not ready is logged once.
#include "mapping/store/shared_routes.h"

#include <utility>

#include "base/log.h"

namespace kage::mapping {

SharedRoutes::SharedRoutes(std::string master_key_path)
    : state_(std::make_shared<State>(std::move(master_key_path))) {}

Result<Routes> SharedRoutes::current() const {
  return state_->current();
}

Result<Routes> SharedRoutes::State::current() const {
  const std::lock_guard lock(mutex_);
  if (!reason_.empty()) return fail(Errc::unavailable, reason_);
  return table_;
}

void SharedRoutes::silence() {
  state_->silence();
}

void SharedRoutes::State::silence() {
  const std::lock_guard lock(mutex_);
  silent_ = true;
}

Routes SharedRoutes::State::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

std::shared_ptr<const MasterKeys> SharedRoutes::State::master() const {
  const std::lock_guard lock(mutex_);
  return master_;
}

Result<Routes> SharedRoutes::State::publish(Routes table) {
  if (table->generation() == 0) {
    suspend("no routes in Redis", true);
    return fail(Errc::not_found, "no routes in Redis");
  }
  log::info("routes.loaded", {{"addresses", table->addresses().size()}, {"members", table->member_count()}});
  const std::lock_guard lock(mutex_);
  replace(table);
  if (!reason_.empty() && !silent_) log::info("mapping.ready");
  reason_.clear();
  return table;
}

void SharedRoutes::State::replace(Routes table) {
  table_ = std::move(table);
  for (const auto& listener : listeners_) {
    listener->loop.post([weak = std::weak_ptr(listener)] {
      if (const auto alive = weak.lock()) alive->changed();
    });
  }
}

void SharedRoutes::State::add(std::shared_ptr<Listener> listener) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

void SharedRoutes::State::remove(const std::shared_ptr<Listener>& listener) {
  const std::lock_guard lock(mutex_);
  std::erase(listeners_, listener);
}

void SharedRoutes::State::suspend(const std::string& reason, bool drop) {
  const std::lock_guard lock(mutex_);
  if (drop && table_) replace(nullptr);
  if (reason_ == reason) return;
  if (!silent_) log::warn("mapping.not_ready", {{"reason", std::string_view(reason)}});
  reason_ = reason;
}

void SharedRoutes::State::resume() {
  const std::lock_guard lock(mutex_);
  if (reason_.empty() || table_ == nullptr) return;
  if (!silent_) log::info("mapping.ready");
  reason_.clear();
}

Result<std::shared_ptr<const MasterKeys>> SharedRoutes::State::check_key() {
  struct stat now{};
  const bool there = ::stat(path.c_str(), &now) == 0;
  const auto same = [](const timespec& a, const timespec& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
  };
  if (there && seen_ && seen_->device == now.st_dev && seen_->inode == now.st_ino &&
      same(seen_->modified, now.st_mtim) && same(seen_->changed, now.st_ctim)) {
    return master();
  }
  seen_.reset();
  auto bytes = read_master_key(path);
  std::shared_ptr<const MasterKeys> keys;
  if (bytes) {
    keys = std::make_shared<const MasterKeys>(*bytes);
    if (there) seen_ = FileState{now.st_dev, now.st_ino, now.st_mtim, now.st_ctim};
  }
  {
    const std::lock_guard lock(mutex_);
    master_ = keys;
  }
  if (!bytes) return std::unexpected(bytes.error());
  return keys;
}

}  // namespace kage::mapping
