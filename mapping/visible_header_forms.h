// What fields looked like of late (one worker's), for QuickView.
//
// A pure function remembered: bounded, and no choice of keys makes it slow. A look-up is made for a place in
// memory that was not read for long: it reads a few tags, one slot and one text, in which a field and all
// that it becomes stand together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/visible_header_cache.h"

namespace kage::mapping {

/// Several texts in one string, each behind its length.
class PackedTexts {
 public:
  void add(std::string_view text);
  /// All of them, for take().
  [[nodiscard]] std::string_view octets() const { return octets_; }
  /// The first of those that are left; not to be called when nothing is.
  static std::string_view take(std::string_view& left);

 private:
  std::string octets_;
};

/// What one field looks like.
struct FieldForm {
  enum class Kind : unsigned char {
    stays,
    made,
    context,  ///< other fields decide
  };
  Kind kind = Kind::context;
  std::uint32_t lines = 0;  ///< of what was made
  /// The field as it came, what was made of it (empty: nothing is left), then for each phantom that it shows
  /// the local part and the spelling.
  PackedTexts texts;
};

class FormCache {
 public:
  /// `sets`: a power of two; each holds eight fields.
  explicit FormCache(std::size_t sets) : count_(sets) {}
  ~FormCache() { clear(); }
  FormCache(const FormCache&) = delete;
  FormCache& operator=(const FormCache&) = delete;

  /// Valid until the next put().
  const FieldForm* find(const RecentKey& key) const;
  /// For what find() did not find; the oldest of its set gives way. Long fields are not kept: theirs is valid
  /// until the next put() all the same.
  const FieldForm& put(const RecentKey& key, FieldForm form);
  void clear();

 private:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kLongestField = 512;
  static constexpr std::size_t kLongest = 2048;  ///< with all that it becomes
  struct Slot {
    ViewKey view;
    FieldForm form;
  };
  [[nodiscard]] std::size_t set_of(const RecentKey& key) const { return key.hash & (count_ - 1); }

  std::size_t count_;
  std::size_t size_ = 0;
  std::vector<std::array<std::uint32_t, kWays>> tags_;  ///< by set, 0: none
  std::vector<Slot> slots_;                             ///< kWays for each set, the newest first
  FieldForm last_;                                      ///< of a field that is not kept
};

}  // namespace kage::mapping
