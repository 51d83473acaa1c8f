// Large buffers that one loop uses again, the last one first: it is still in the processor's caches, where a
// new one from the allocator is not.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace kage::net {

class SpareBuffers {
 public:
  /// Octets that a buffer has room for at least.
  static constexpr std::size_t kRoom = 68 * 1024;  // 64 kB and what TLS adds to it

  /// Empty, with room.
  std::string take() {
    if (spare_.empty()) {
      std::string made;
      made.reserve(kRoom);
      return made;
    }
    std::string buffer = std::move(spare_.back());
    spare_.pop_back();
    return buffer;
  }

  /// Any string: one that is no such buffer, or of which there are enough, is freed.
  void give(std::string&& buffer) {
    std::string given = std::move(buffer);
    if (given.capacity() < kRoom || given.capacity() > 2 * kRoom || spare_.size() == kMost) return;
    given.clear();
    spare_.push_back(std::move(given));
  }

 private:
  static constexpr std::size_t kMost = 8;
  std::vector<std::string> spare_;
};

}  // namespace kage::net
