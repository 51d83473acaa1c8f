// Which phantoms Redis is known to have, so that they need not be written again with every message.
//
// Holds hashes only. Bounded in number and in time: another node may have stored another spelling meanwhile
// (contract R4.2), so an entry is believed for a minute at most. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/loop.h"

namespace kage::mapping {

class PhantomCache {
 public:
  explicit PhantomCache(std::size_t capacity = 200'000);

  /// Whether this phantom was stored with this spelling of late, and with no other since.
  [[nodiscard]] bool knows(std::string_view local, std::string_view spelling, net::TimePoint now);
  void remember(std::string_view local, std::string_view spelling, net::TimePoint now);
  void clear();
  [[nodiscard]] std::size_t size() const { return young_.size() + old_.size(); }

 private:
  using Map = std::unordered_map<std::uint64_t, std::uint64_t>;  // phantom → hash of the spelling
  void age(net::TimePoint now);
  [[nodiscard]] std::uint64_t hash(std::string_view text) const;

  std::size_t capacity_;
  std::string key_;
  Map young_, old_;  // entries die with the old generation
  net::TimePoint born_{}, old_born_{};
};

}  // namespace kage::mapping
