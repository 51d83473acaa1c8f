// What was derived of late for what was seen: fields, ids, phantoms (one worker's).
//
// Every answer is a pure function of the viewer and the key, so that it makes no difference whether it comes
// from here. Bounded, and no choice of keys makes it slow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "mapping/visible_header.h"

namespace kage::mapping {

/// Whose view: of another member, or after another change of the routes, nothing is found.
struct ViewKey {
  MemberId member = 0;
  std::uint64_t generation = 0;

  ViewKey() = default;
  explicit ViewKey(const Viewer& viewer)
      : member(viewer.member->id), generation(viewer.routes->generation()) {}
  bool operator==(const ViewKey&) const = default;
};

/// What is asked for: one hash serves the look-up and what is put in after it.
class RecentKey {
 public:
  RecentKey(const ViewKey& view, std::string_view text)
      : view(view), text(text), hash(std::hash<std::string_view>()(text) ^ view.member * kSpread) {}

  /// The first of two places that are beside each other, of `count`, a power of two.
  [[nodiscard]] std::size_t place(std::size_t count) const { return (hash ^ hash >> 32U) & (count - 1); }

  const ViewKey view;
  const std::string_view text;
  const std::uint64_t hash;

 private:
  static constexpr std::uint64_t kSpread = 0x9E3779B97F4A7C15;
};

/// Short texts derived from texts, one behind the other in a ring where new ones overwrite the oldest. Many
/// of them are new and never asked for again: putting one in reads no memory that is not at hand. A key has
/// two slots, and the older of two entries gives way.
class RecentTexts {
 public:
  /// `slots`: a power of two. `octets`: of the ring. `gauge` tells how many slots are used, over all.
  RecentTexts(std::size_t slots, std::size_t octets, metrics::Gauge gauge)
      : count_(slots), octets_(octets), gauge_(gauge), next_(2 * octets) {}
  ~RecentTexts() { clear(); }
  RecentTexts(const RecentTexts&) = delete;
  RecentTexts& operator=(const RecentTexts&) = delete;

  /// Valid until the next put().
  [[nodiscard]] std::optional<std::string_view> find(const RecentKey& key) const;
  /// For what find() did not find. What is long is not kept.
  void put(const RecentKey& key, std::string_view value);
  void clear();

 private:
  struct Slot {
    std::uint64_t position = 0;  ///< of the entry, among all octets that were ever put in
    std::uint64_t hash = 0;
  };
  /// What an entry begins with; key and value follow.
  struct Head {
    ViewKey view;
    std::uint32_t key_size = 0, value_size = 0;
  };

  /// 0 is always long ago: counting begins with the second round.
  [[nodiscard]] bool is_overwritten(const Slot& slot) const { return next_ > slot.position + octets_; }

  std::size_t count_;
  std::size_t octets_;
  metrics::Gauge gauge_;
  std::uint64_t next_;  ///< where the next entry stands
  std::size_t size_ = 0;
  std::vector<Slot> slots_;
  std::unique_ptr<char[]> ring_;
};

/// What is derived with keys. A result is valid until the next question.
class Deriver {
 public:
  /// The local part that stands for an address.
  std::string_view phantom(const Viewer& viewer, std::string_view canonical);
  /// What append_id_in_view() writes.
  std::string_view id(const Viewer& viewer, std::string_view id);
  void clear();

 private:
  RecentTexts phantoms_{8192, 768 * 1024, metrics::Gauge::cache_phantoms_derived};
  RecentTexts ids_{512, 96 * 1024, metrics::Gauge::cache_ids_derived};
  std::string made_;
};

}  // namespace kage::mapping
