// A buffer that everybody who reads on a loop shares. What a read left in it may stay there until the next
// read needs the room: most of it is used before, and is then never copied.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace kage::net {

/// Whether all of `part` lies in `whole`. A part that begins where `whole` ends does not: buffers may be
/// neighbours.
inline bool lies_within(std::string_view part, std::string_view whole) {
  const std::less_equal<const char*> le;
  return le(whole.data(), part.data()) && le(part.data() + part.size(), whole.data() + whole.size());
}

class SharedBuffer {
 public:
  /// Who has octets in the buffer; one at a time.
  class Tenant {
   public:
    /// The octets are about to go: copy what is still wanted. Called once for each settle().
    virtual void move_out() = 0;

   protected:
    ~Tenant() = default;
  };

  explicit SharedBuffer(std::size_t size) : room_(size) {}
  ~SharedBuffer() { evict(); }
  SharedBuffer(const SharedBuffer&) = delete;
  SharedBuffer& operator=(const SharedBuffer&) = delete;

  /// The room, to be written to.
  [[nodiscard]] std::span<char> take() {
    evict();
    return room_;
  }
  [[nodiscard]] bool holds(std::string_view octets) const {
    return lies_within(octets, {room_.data(), room_.size()});
  }
  /// From now on the tenant is told before the octets change.
  void settle(Tenant& tenant) {
    evict();
    tenant_ = &tenant;
  }
  /// It wants none of them any more.
  void leave(const Tenant& tenant) {
    if (tenant_ == &tenant) tenant_ = nullptr;
  }

 private:
  void evict() {
    if (tenant_ != nullptr) std::exchange(tenant_, nullptr)->move_out();
  }

  std::vector<char> room_;
  Tenant* tenant_ = nullptr;
};

}  // namespace kage::net
