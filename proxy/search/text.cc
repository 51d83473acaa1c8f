// What of a header block may count for a search: fields compared before and after.
#include "proxy/search/text.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <algorithm>

#include "base/text.h"
#include "mapping/rewrite/field_policy.h"
#include "message/address.h"
#include "message/address_list.h"
#include "message/address_text.h"
#include "message/encoded_word.h"
#include "message/msg_id.h"

namespace kage::proxy {

namespace {

using mapping::FieldClass;
using message::Field;

std::u16string to_utf16(std::string_view utf8) {
  std::u16string out(utf8.size(), u'\0');
  std::int32_t size = 0;
  UErrorCode error = U_ZERO_ERROR;
  u_strFromUTF8WithSub(out.data(), static_cast<std::int32_t>(out.size()), &size, utf8.data(),
                       static_cast<std::int32_t>(utf8.size()), 0xFFFD, nullptr, &error);
  out.resize(U_SUCCESS(error) ? static_cast<std::size_t>(size) : 0);
  return out;
}

std::string to_utf8(const std::u16string& text) {
  std::string out(text.size() * 3, '\0');
  std::int32_t size = 0;
  UErrorCode error = U_ZERO_ERROR;
  u_strToUTF8WithSub(out.data(), static_cast<std::int32_t>(out.size()), &size, text.data(),
                     static_cast<std::int32_t>(text.size()), 0xFFFD, nullptr, &error);
  out.resize(U_SUCCESS(error) ? static_cast<std::size_t>(size) : 0);
  return out;
}

std::u16string decomposed(const std::u16string& text) {
  UErrorCode error = U_ZERO_ERROR;
  const UNormalizer2* form = unorm2_getNFKDInstance(&error);
  if (U_FAILURE(error)) return text;
  const auto size = static_cast<std::int32_t>(text.size());
  std::u16string out(text.size() + text.size() / 2 + 16, u'\0');
  for (int tries = 0; tries < 2; ++tries) {
    error = U_ZERO_ERROR;
    const std::int32_t needed =
        unorm2_normalize(form, text.data(), size, out.data(), static_cast<std::int32_t>(out.size()), &error);
    out.resize(static_cast<std::size_t>(std::max(needed, 0)));
    if (error != U_BUFFER_OVERFLOW_ERROR) break;
  }
  return U_SUCCESS(error) ? out : text;
}

std::u16string titled(const std::u16string& text) {
  std::u16string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    UChar32 c = 0;
    U16_NEXT(text.data(), i, text.size(), c);
    c = u_totitle(c);
    if (U_IS_BMP(c)) {
      out += static_cast<char16_t>(c);
    } else {
      out += static_cast<char16_t>(U16_LEAD(c));
      out += static_cast<char16_t>(U16_TRAIL(c));
    }
  }
  return out;
}

bool contains(std::string_view text, std::string_view needle) {
  return text.find(needle) != std::string_view::npos;
}

/// The text of a field as readers show it: decoded, and decoded without its quotes.
std::vector<std::string> readings(std::string_view body) {
  const std::string line = message::unfold(body);
  std::vector<std::string> out{message::decode_words(line)};
  if (line.find('"') != std::string::npos) out.push_back(message::decode_words(line, true));
  return out;
}

/// The addresses in a text, and what stands between them: what is left where one was replaced. Also
/// without the brackets around an address, which came with it.
void add_text_pieces(std::string_view text, std::vector<std::string>& out) {
  constexpr std::string_view kAround = " \t()<>\"";
  const auto add = [&](std::string_view piece) {
    out.emplace_back(piece);
    const std::size_t begin = piece.find_first_not_of(kAround);
    if (begin == std::string_view::npos) return;
    out.emplace_back(piece.substr(begin, piece.find_last_not_of(kAround) + 1 - begin));
  };
  std::size_t begin = 0;
  for (const message::TextAddress& hit : message::find_addresses(text)) {
    add(text.substr(begin, hit.offset - begin));
    out.emplace_back(text.substr(hit.offset, hit.length));
    begin = hit.offset + hit.length;
  }
  add(text.substr(begin));
}

std::vector<std::string> text_pieces(std::string_view body) {
  std::vector<std::string> out;
  add_text_pieces(message::decode_words(message::unfold(body)), out);
  return out;
}

/// Of names and comments also the text around the addresses in them: a sender who is shown stands in the name
/// (contract R7.2).
std::vector<std::string> address_pieces(std::string_view body) {
  const std::string line = message::unfold(body);
  const auto items = message::parse_address_list(line);
  std::vector<std::string> out;
  if (!items) return out;
  for (const message::ListItem& item : *items) {
    out.push_back(message::decode_words(item.raw));
    if (!item.phrase.empty()) add_text_pieces(message::decode_words(item.phrase, true), out);
    if (item.address) out.push_back(item.address->spelling);
    for (const std::string& comment : item.comments) add_text_pieces(message::decode_words(comment), out);
  }
  return out;
}

std::vector<std::string> id_pieces(std::string_view body) {
  std::vector<std::string> out;
  const std::string line = message::unfold(body);
  for (const std::string_view id : message::find_msg_ids(line)) out.emplace_back(id);
  return out;
}

std::vector<std::string> pieces(const Field& field) {
  switch (mapping::find_rule(lower(field.name)).towards_member) {
    case FieldClass::addresses:
      return address_pieces(field.body);
    case FieldClass::ids:
      return id_pieces(field.body);
    default:
      return text_pieces(field.body);
  }
}

bool any_has(const std::vector<std::string>& texts, std::string_view needle) {
  return std::ranges::any_of(texts,
                             [&](const std::string& text) { return contains(search_form(text), needle); });
}

std::vector<Field> fields_of(std::string_view block) {
  auto fields = message::tokenize(block);
  // A block beyond its bounds shows nothing (R8.1).
  if (!fields) return {};
  std::erase_if(*fields, [](const Field& field) { return field.name.empty(); });
  return std::move(*fields);
}

}  // namespace

std::string casemap(std::string_view utf8) {
  if (all_ascii(utf8)) {
    std::string out(utf8);
    for (char& c : out) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    }
    return out;
  }
  return to_utf8(decomposed(titled(decomposed(to_utf16(utf8)))));
}

std::string search_form(std::string_view utf8) {
  std::string out = casemap(utf8);
  std::size_t to = 0;
  bool space = false;
  for (const char c : out) {
    const bool white = is_wsp(c) || c == '\r' || c == '\n';
    if (!white || !space) out[to++] = white ? ' ' : c;
    space = white;
  }
  out.resize(to);
  return out;
}

SearchedHeader::SearchedHeader(std::string_view original, std::string_view visible)
    : original_(fields_of(original)), visible_(fields_of(visible)) {
  raw_.reserve(original_.size());
  for (const Field& field : original_) raw_.insert(field.raw);
}

bool SearchedHeader::unchanged(const Field& field) const {
  return raw_.contains(field.raw);
}

const SearchedHeader::Pieces& SearchedHeader::pieces_before(std::string_view name) const {
  const auto [entry, is_new] = before_.try_emplace(lower(name));
  if (is_new) {
    for (const Field& field : original_) {
      if (!field.is(name)) continue;
      for (std::string& piece : pieces(field)) entry->second.insert(std::move(piece));
    }
  }
  return entry->second;
}

std::vector<std::string> SearchedHeader::kept_pieces(const Field& field) const {
  const Pieces& before = pieces_before(field.name);
  auto kept = pieces(field);
  std::erase_if(kept, [&](const std::string& piece) { return !before.contains(piece); });
  return kept;
}

bool SearchedHeader::field_has(std::string_view name, std::string_view needle, SearchScope scope) const {
  return std::ranges::any_of(visible_, [&](const Field& field) {
    if (!field.is(name)) return false;
    const bool whole = scope == SearchScope::shown || unchanged(field);
    return any_has(whole ? readings(field.body) : kept_pieces(field), needle);
  });
}

bool SearchedHeader::has_field(std::string_view name) const {
  return std::ranges::any_of(visible_, [&](const Field& field) { return field.is(name); });
}

bool SearchedHeader::field_has_id(std::string_view name, std::string_view id) const {
  return std::ranges::any_of(visible_, [&](const Field& field) {
    if (!field.is(name)) return false;
    const auto ids = id_pieces(field.body);
    return std::ranges::find(ids, id) != ids.end();
  });
}

void SearchedHeader::texts(std::vector<std::string>& kept, std::vector<std::string>& shown) const {
  for (const Field& field : visible_) {
    const std::string name = std::string(field.name) + ": ";
    auto& whole = unchanged(field) ? kept : shown;
    for (const std::string& text : readings(field.body)) whole.push_back(search_form(name + text));
    if (&whole == &kept) continue;
    for (const std::string& piece : kept_pieces(field)) kept.push_back(search_form(piece));
    const bool named =
        std::ranges::any_of(original_, [&](const Field& other) { return other.is(field.name); });
    if (named) kept.push_back(search_form(name));
  }
}

bool SearchedHeader::has(std::string_view needle, SearchScope scope) const {
  std::vector<std::string> kept, shown;
  texts(kept, shown);
  const auto found = [&](const std::string& text) { return contains(text, needle); };
  return std::ranges::any_of(kept, found) ||
         (scope == SearchScope::shown && std::ranges::any_of(shown, found));
}

bool SearchedHeader::hides(std::string_view needle) const {
  return std::ranges::any_of(original_, [&](const Field& field) {
    const bool same =
        std::ranges::any_of(visible_, [&](const Field& other) { return other.raw == field.raw; });
    return !same && (contains(search_form(message::unfold(field.raw)), needle) ||
                     any_has(readings(field.body), needle));
  });
}

}  // namespace kage::proxy
