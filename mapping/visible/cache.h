// What was derived of late for what was seen: fields, ids, phantoms (one worker's).
//
// Every answer is a pure function of the viewer and the key, so that it makes no difference whether it comes
// from here. Bounded, and no choice of keys makes it slow.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "mapping/visible/viewer.h"

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

  /// One of `count` places, a power of two.
  [[nodiscard]] std::size_t place(std::size_t count) const { return (hash ^ hash >> 32U) & (count - 1); }

  const ViewKey view;
  const std::string_view text;
  const std::uint64_t hash;

 private:
  static constexpr std::uint64_t kSpread = 0x9E3779B97F4A7C15;
};

/// Texts derived from texts, one behind the other in a ring where new ones overwrite the oldest. Many of them
/// are new and never asked for again: putting one in reads no memory that is not at hand; and finding one
/// reads one line of an index and the text itself.
///
/// A mailbox is read from end to end again and again: if a set had to hold nine texts, each would be evicted
/// just before it was needed. Sets hold eight and are a third full, so that hardly one in two thousand
/// overflows.
class RecentTexts {
 public:
  struct Size {
    std::size_t sets;           ///< of eight each; a power of two
    std::size_t octets;         ///< of the ring
    std::size_t longest = 512;  ///< octets of a key, or of a value, that is kept
  };
  /// `gauge` tells how many texts the index names, over all.
  RecentTexts(const Size& size, metrics::Gauge gauge) : size_(size), gauge_(gauge), next_(2 * size.octets) {}
  ~RecentTexts() { clear(); }
  RecentTexts(const RecentTexts&) = delete;
  RecentTexts& operator=(const RecentTexts&) = delete;

  /// Valid until the next put().
  [[nodiscard]] std::optional<std::string_view> find(const RecentKey& key) const;
  /// For what find() did not find. What is long is not kept.
  void put(const RecentKey& key, std::string_view value);
  void clear();

 private:
  /// Where an entry stands, among all octets that were ever put in, and 16 bits of its hash. 0: none.
  class Slot {
   public:
    static constexpr unsigned kTagBits = 16;

    Slot() = default;
    Slot(std::uint64_t position, std::uint64_t hash) : bits_(position << kTagBits | tag_of(hash)) {}
    [[nodiscard]] bool is_used() const { return bits_ != 0; }
    [[nodiscard]] std::uint64_t position() const { return bits_ >> kTagBits; }
    [[nodiscard]] bool may_be(std::uint64_t hash) const { return (bits_ & kTagMask) == tag_of(hash); }

   private:
    static constexpr std::uint64_t kTagMask = (1U << kTagBits) - 1;
    static std::uint64_t tag_of(std::uint64_t hash) { return hash >> (64U - kTagBits); }
    std::uint64_t bits_ = 0;
  };
  struct alignas(64) Set {  // a cache line
    std::array<Slot, 8> slots;
  };
  /// What an entry begins with; key and value follow.
  struct Head {
    ViewKey view;
    std::uint32_t key_size = 0, value_size = 0;
  };

  /// 0 is always long ago: counting begins with the second round.
  [[nodiscard]] bool is_overwritten(const Slot& slot) const { return next_ > slot.position() + size_.octets; }

  Size size_;
  metrics::Gauge gauge_;
  std::uint64_t next_;  ///< where the next entry stands
  std::size_t used_ = 0;
  std::vector<Set> sets_;
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
  RecentTexts phantoms_{{.sets = 2048, .octets = 768 * 1024}, metrics::Gauge::cache_phantoms_derived};
  // Small: to seal one takes less time than to wait for memory.
  RecentTexts ids_{{.sets = 128, .octets = 96 * 1024}, metrics::Gauge::cache_ids_derived};
  std::string made_;
};

}  // namespace kage::mapping
