// Choosing and comparing the fields behind ENVELOPE and BODYSTRUCTURE.
#include "proxy/imap_slots.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "message/encoded_word.h"

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
    "content-language",
    "content-location",
    "content-md5",
});
static_assert(kNames.size() == static_cast<std::size_t>(Slot::none));

/// First letters of the names, either case.
constexpr auto kInitials = [] {
  std::array<bool, 256> table{};
  for (const std::string_view name : kNames) {
    table[static_cast<unsigned char>(name.front())] = true;
    table[static_cast<unsigned char>(to_upper(name.front()))] = true;
  }
  return table;
}();

/// What a field's name has to be, if it has one.
std::string_view first_word(std::string_view raw) {
  std::size_t end = 0;
  while (end < raw.size() && raw[end] > ' ' && raw[end] != ':') ++end;
  return raw.substr(0, end);
}

Slot slot_of(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name.size() == kNames[i].size() && equals_nocase(name, kNames[i])) return static_cast<Slot>(i);
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

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char l = to_lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

/// The forms of '@' that message::find_addresses and the rewriting know, in UTF-8.
bool shows_at(std::string_view text) {
  return text.find('@') != std::string_view::npos || text.find("%40") != std::string_view::npos ||
         text.find("=40") != std::string_view::npos || text.find("&#") != std::string_view::npos ||
         text.find("\xEF\xBC\xA0") != std::string_view::npos ||
         text.find("\xEF\xB9\xAB") != std::string_view::npos;
}

}  // namespace

/// Cut as message::tokenize() does; but most fields are none of a slot's, and are only counted.
SlotFields::SlotFields(std::string_view block) {
  constexpr message::HeaderLimits kLimits;
  if (block.size() > kLimits.max_octets) return;
  std::vector<std::pair<Slot, message::Field>> found;
  std::size_t count = 0;
  for (std::size_t begin = 0; begin < block.size();) {
    std::size_t end = begin;
    do {
      const std::size_t line_end = block.find('\n', end);
      end = line_end == std::string_view::npos ? block.size() : line_end + 1;
    } while (end < block.size() && is_wsp(block[end]));
    const std::string_view raw = block.substr(begin, end - begin);
    begin = end;
    if (++count > kLimits.max_fields) return;
    if (!kInitials[static_cast<unsigned char>(raw.front())] || slot_of(first_word(raw)) == Slot::none)
      continue;
    const auto fields = message::tokenize(raw);
    if (!fields || fields->empty()) return;
    const Slot slot = slot_of(fields->front().name);
    if (slot != Slot::none) found.emplace_back(slot, fields->front());
  }
  fields_.reserve(found.size());
  for (std::size_t slot = 0; slot < static_cast<std::size_t>(Slot::none); ++slot) {
    begins_[slot] = fields_.size();
    for (const auto& [its, field] : found) {
      if (its == static_cast<Slot>(slot)) fields_.push_back(field);
    }
  }
  begins_.back() = fields_.size();
}

bool SlotView::same() const {
  return std::ranges::equal(original, visible, {}, &message::Field::raw, &message::Field::raw);
}

std::string slot_text(std::string_view body) {
  const auto is_dropped = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  // One that is nothing but white space loses the first of it only.
  if (trim(body).empty()) {
    body.remove_prefix(std::min<std::size_t>(body.size(), 1));
  } else {
    while (!body.empty() && (is_wsp(body.front()) || is_dropped(body.front()))) body.remove_prefix(1);
  }
  std::string out(body);
  if (std::ranges::any_of(out, is_dropped)) std::erase_if(out, is_dropped);
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

bool may_hold_address(std::string_view text) {
  if (shows_at(text)) return true;
  const bool percent = text.find('%') != std::string_view::npos;
  if (all_ascii(text) && !percent && text.find("=?") == std::string_view::npos &&
      text.find('\x1b') == std::string_view::npos) {
    return false;
  }
  const std::string octets = percent ? percent_decode(text) : std::string(text);
  if (shows_at(octets) || shows_at(message::decode_words(octets))) return true;
  // RFC 2231 §4: charset'language'octets.
  const std::size_t charset = text.find('\'');
  if (!percent || charset == std::string_view::npos) return false;
  const std::size_t language = text.find('\'', charset + 1);
  if (language == std::string_view::npos) return false;
  const std::string value = percent_decode(text.substr(language + 1));
  return shows_at(message::to_utf8(value, text.substr(0, charset)));
}

}  // namespace kage::proxy
