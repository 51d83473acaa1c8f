// Sets of eight: a mailbox is read from one end to the other, so of a set with one field too many all would
// be thrown out before they come again. A quarter full, hardly a set in ten thousand is that crowded.
#include "mapping/visible_header_forms.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/metrics.h"

namespace kage::mapping {
namespace {

using Length = std::uint32_t;

std::uint32_t tag_of(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash >> 32U) | 1U;
}

}  // namespace

void PackedTexts::add(std::string_view text) {
  const auto length = static_cast<Length>(text.size());
  octets_.append(reinterpret_cast<const char*>(&length), sizeof length).append(text);
}

std::string_view PackedTexts::take(std::string_view& left) {
  Length length = 0;
  std::memcpy(&length, left.data(), sizeof length);
  const std::string_view text = left.substr(sizeof length, length);
  left.remove_prefix(sizeof length + length);
  return text;
}

const FieldForm* FormCache::find(const RecentKey& key) const {
  if (tags_.empty()) return nullptr;
  const std::size_t set = set_of(key);
  for (std::size_t way = 0; way < kWays; ++way) {
    if (tags_[set][way] != tag_of(key.hash)) continue;
    const Slot& slot = slots_[set * kWays + way];
    std::string_view texts = slot.form.texts.octets();
    if (slot.view == key.view && PackedTexts::take(texts) == key.text) return &slot.form;
  }
  return nullptr;
}

const FieldForm& FormCache::put(const RecentKey& key, FieldForm form) {
  if (key.text.size() > kLongestField || form.texts.octets().size() > kLongest)
    return last_ = std::move(form);
  if (tags_.empty()) {
    tags_.resize(count_);
    slots_.resize(count_ * kWays);
  }
  auto& tags = tags_[set_of(key)];
  Slot* const slots = &slots_[set_of(key) * kWays];
  if (tags.back() == 0) {
    ++size_;
    metrics::add(metrics::Gauge::cache_fields_derived, 1);
  }
  std::shift_right(tags.begin(), tags.end(), 1);
  std::shift_right(slots, slots + kWays, 1);
  tags.front() = tag_of(key.hash);
  *slots = {key.view, std::move(form)};
  return slots->form;
}

void FormCache::clear() {
  metrics::add(metrics::Gauge::cache_fields_derived, -static_cast<std::int64_t>(size_));
  size_ = 0;
  tags_ = {};
  slots_ = {};
  last_ = {};
}

}  // namespace kage::mapping
