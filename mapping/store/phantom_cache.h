// Which phantoms Redis is known to have, so that they need not be written again with every message.
//
// Holds keyed hashes only. Bounded in number; the caller says how old an entry it believes, since another
// node may have stored another spelling meanwhile (contract R4.2). Cheap to ask: a proxy that shows a large
// mailbox asks for hundreds of thousands of phantoms. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/siphash.h"
#include "net/loop.h"

namespace kage::mapping {

class PhantomCache {
 public:
  /// At most `capacity` phantoms, 16 octets each; memory grows with what is held.
  explicit PhantomCache(std::size_t capacity = 1 << 18);
  ~PhantomCache() { clear(); }
  PhantomCache(const PhantomCache&) = delete;
  PhantomCache& operator=(const PhantomCache&) = delete;

  /// Whether this phantom was stored with this spelling less than `most_age` ago (within a second), and with
  /// no other since.
  [[nodiscard]] bool knows(std::string_view local, std::string_view spelling, net::TimePoint now,
                           net::Millis most_age) const;
  void remember(std::string_view local, std::string_view spelling, net::TimePoint now);
  /// Gives its memory back too.
  void clear();
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kWays = 8;
  struct Entry {
    std::uint64_t phantom;  // 0: none
    std::uint32_t spelling;
    std::uint32_t seconds;
  };
  struct alignas(64) Bucket {  // two cache lines
    std::array<Entry, kWays> entries{};
  };

  [[nodiscard]] std::uint64_t phantom_hash(std::string_view local) const;
  [[nodiscard]] std::uint32_t spelling_hash(std::string_view spelling) const;
  Entry& place(std::uint64_t phantom);
  void put(const Entry& entry);
  void grow();

  std::size_t most_buckets_;
  SipKey key_;
  std::vector<Bucket> buckets_;  // none or a power of two
  std::size_t size_ = 0;
};

}  // namespace kage::mapping
