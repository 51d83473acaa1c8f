// Choosing and comparing the fields behind ENVELOPE and BODYSTRUCTURE.
#include "proxy/structure/slots.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "base/text.h"

namespace kage::proxy {
namespace {

constexpr auto kNames = std::to_array<std::string_view>({
    "date",
    "subject",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "in-reply-to",
    "message-id",
    "content-type",
    "content-id",
    "content-description",
    "content-disposition",
    "content-transfer-encoding",
    "content-language",
    "content-location",
    "content-md5",
});
static_assert(kNames.size() == static_cast<std::size_t>(Slot::none));

constexpr std::size_t kSlots = kNames.size();

/// Which names begin with a letter, of either case: a bit for each.
constexpr auto kByInitial = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::size_t i = 0; i < kSlots; ++i) {
    table[static_cast<unsigned char>(kNames[i].front())] |= 1U << i;
    table[static_cast<unsigned char>(to_upper(kNames[i].front()))] |= 1U << i;
  }
  return table;
}();

bool ends_name(char c) {
  return c <= ' ' || c == ':';
}

/// The slot of a field, from the word that it begins with: most fields have none.
Slot slot_of(std::string_view raw) {
  for (std::uint32_t left = kByInitial[static_cast<unsigned char>(raw.front())]; left != 0;
       left &= left - 1) {
    const auto slot = static_cast<std::size_t>(std::countr_zero(left));
    const std::string_view name = kNames[slot];
    if (raw.size() > name.size() && ends_name(raw[name.size()]) &&
        equals_nocase(raw.substr(0, name.size()), name))
      return static_cast<Slot>(slot);
  }
  return Slot::none;
}

/// What Dovecot writes where an address lacks a part.
bool is_placeholder(std::string_view text) {
  return text == "MISSING_MAILBOX" || text == "MISSING_DOMAIN" || text == "SYNTAX_ERROR";
}

constexpr auto kEssential = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = '!'; c < 0x7f; ++c) table[c] = true;
  for (const char c : std::string_view("\"\\()<>,;:?")) table[static_cast<unsigned char>(c)] = false;
  return table;
}();

bool is_essential(char c) {
  return kEssential[static_cast<unsigned char>(c)];
}

}  // namespace

/// Most fields belong to no slot; they only count towards the bound.
SlotFields::SlotFields(std::string_view block) {
  constexpr message::HeaderLimits kLimits;
  if (block.size() > kLimits.max_octets) return;
  std::vector<std::pair<Slot, message::Field>> found;
  found.reserve(kSlots);
  std::size_t count = 0;
  while (!block.empty()) {
    const std::string_view raw = message::cut_field(block);
    if (++count > kLimits.max_fields) return;
    const Slot slot = slot_of(raw);
    if (slot == Slot::none) continue;
    const message::Field field = message::read_field(raw);
    // slot_of() compared a prefix only: the parsed name must have the slot's length.
    if (field.name.size() == kNames[static_cast<std::size_t>(slot)].size()) found.emplace_back(slot, field);
  }
  sort_in(found);
}

/// To their slots, in the order of the block.
void SlotFields::sort_in(std::span<const std::pair<Slot, message::Field>> found) {
  std::array<std::uint32_t, kSlots + 1> next{};  // where the next one of a slot goes
  for (const auto& [slot, field] : found) ++next[static_cast<std::size_t>(slot) + 1];
  for (std::size_t slot = 0; slot < kSlots; ++slot) next[slot + 1] += next[slot];
  std::ranges::copy(next, begins_.begin());
  fields_.resize(found.size());
  for (const auto& [slot, field] : found) fields_[next[static_cast<std::size_t>(slot)]++] = field;
}

bool SlotView::same() const {
  return std::ranges::equal(original, visible, {}, &message::Field::raw, &message::Field::raw);
}

std::string slot_text(std::string_view body) {
  static constexpr std::string_view kDropped("\r\n\0", 3);
  const auto is_dropped = [](char c) { return kDropped.contains(c); };
  // One that is nothing but white space loses the first of it only.
  if (trim(body).empty()) {
    body.remove_prefix(std::min<std::size_t>(body.size(), 1));
  } else {
    while (!body.empty() && (is_wsp(body.front()) || is_dropped(body.front()))) body.remove_prefix(1);
  }
  std::string out(body);
  if (std::ranges::any_of(kDropped, [&](char c) { return body.contains(c); })) std::erase_if(out, is_dropped);
  return out;
}

std::string essence(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_essential(c)) out.push_back(to_lower(c));
  }
  return out;
}

namespace {

/// Whether `find` finds every string at and below the node. `find(string, from, end)` looks from `from` on
/// and moves `end` behind what it found. A name may stand before its address or in a comment behind it;
/// addresses stand in their order.
template <class Find>
bool finds_in_order(const ImapValue& value, std::uint32_t node, const Find& find) {
  std::size_t from = 0;
  if (!value.is_list(node)) return find(node, from, from);
  for (std::uint32_t one = value.node(node).first; one != ImapValue::kNone; one = value.node(one).next) {
    std::size_t end = from;
    if (!value.is_list(one) && !find(one, from, end)) return false;
    for (std::uint32_t text = value.node(one).first; text != ImapValue::kNone; text = value.node(text).next) {
      if (value.is_list(text) || !find(text, from, end)) return false;
    }
    from = end;
  }
  return true;
}

}  // namespace

/// The usual case, told without making anything: each string stands in the only field word for word. As
/// vouches() would find it too, which looks for the same in a text that was cut down.
bool SlotView::vouches_plainly(const ImapValue& value, std::uint32_t node) const {
  if (original.size() != 1) return false;
  const std::string_view body = original.front().body;
  return finds_in_order(value, node, [&](std::uint32_t string, std::size_t from, std::size_t& end) {
    if (value.is_nil(string)) return true;
    if (value.node(string).kind != ImapValue::Kind::quoted) return false;
    std::string_view wanted = value.raw(string);
    wanted = wanted.substr(1, wanted.size() - 2);
    const std::size_t at = body.find(wanted, from);
    if (at == std::string_view::npos || wanted.find('\\') != std::string_view::npos) return false;
    end = std::max(end, at + wanted.size());
    return true;
  });
}

bool SlotView::vouches(const ImapValue& value, std::uint32_t node) const {
  if (vouches_plainly(value, node)) return true;
  std::string whole;
  for (const message::Field& field : original) whole += essence(field.body);
  return finds_in_order(value, node, [&](std::uint32_t string, std::size_t from, std::size_t& end) {
    const std::string text = value.text(string);
    if (is_placeholder(text)) return true;
    const std::string wanted = essence(text);
    if (wanted.empty()) return true;
    const std::size_t at = whole.find(wanted, from);
    if (at == std::string::npos) return false;
    end = std::max(end, at + wanted.size());
    return true;
  });
}

}  // namespace kage::proxy
