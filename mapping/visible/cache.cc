// Look-ups before derivations.
#include "mapping/visible/cache.h"

#include <algorithm>
#include <cstring>

#include "mapping/phantom.h"
#include "mapping/rewrite/ids.h"

namespace kage::mapping {
std::optional<std::string_view> RecentTexts::find(const RecentKey& key) const {
  if (sets_.empty()) return std::nullopt;
  for (const Slot& slot : sets_[key.place(sets_.size())].slots) {
    if (!slot.may_be(key.hash) || is_overwritten(slot)) continue;
    const char* const entry = &ring_[slot.position() % size_.octets];
    Head head;
    std::memcpy(&head, entry, sizeof head);
    const std::string_view text(entry + sizeof head, head.key_size);
    if (head.view == key.view && text == key.text) {
      return std::string_view(text.data() + text.size(), head.value_size);
    }
  }
  return std::nullopt;
}

void RecentTexts::put(const RecentKey& key, std::string_view value) {
  if (key.text.size() > size_.longest || value.size() > size_.longest) return;
  if (sets_.empty()) {
    sets_.resize(size_.sets);
    ring_ = std::make_unique_for_overwrite<char[]>(size_.octets);
  }
  const Head head{key.view, static_cast<std::uint32_t>(key.text.size()),
                  static_cast<std::uint32_t>(value.size())};
  const std::size_t size = sizeof head + key.text.size() + value.size();
  const std::size_t left = size_.octets - next_ % size_.octets;
  if (size > left) next_ += left;
  char* const entry = &ring_[next_ % size_.octets];
  std::memcpy(entry, &head, sizeof head);
  std::ranges::copy(value, std::ranges::copy(key.text, entry + sizeof head).out);
  Slot& oldest = *std::ranges::min_element(sets_[key.place(sets_.size())].slots, {}, &Slot::position);
  if (!oldest.is_used()) {
    ++used_;
    metrics::add(gauge_, 1);
  }
  oldest = Slot(next_, key.hash);
  next_ += size;
}

void RecentTexts::clear() {
  sets_ = {};
  ring_.reset();
  metrics::add(gauge_, -static_cast<std::int64_t>(used_));
  used_ = 0;
}

std::string_view Deriver::phantom(const Viewer& viewer, std::string_view canonical) {
  const RecentKey key(ViewKey(viewer), canonical);
  if (const auto known = phantoms_.find(key)) return *known;
  made_ = phantom_local(*viewer.member, canonical);
  phantoms_.put(key, made_);
  return made_;
}

std::string_view Deriver::id(const Viewer& viewer, std::string_view id) {
  const RecentKey key(ViewKey(viewer), id);
  if (const auto known = ids_.find(key)) return *known;
  made_.clear();
  append_id_in_view(made_, *viewer.routes, *viewer.member, id);
  ids_.put(key, made_);
  return made_;
}

void Deriver::clear() {
  phantoms_.clear();
  ids_.clear();
  made_ = {};
}

}  // namespace kage::mapping
