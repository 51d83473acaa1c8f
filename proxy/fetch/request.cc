// The grammar of FETCH as a table of plain items and a few rules for sections.
#include "proxy/fetch/request.h"

#include <algorithm>

#include "base/text.h"
#include "proxy/imap/command.h"
#include "proxy/imap/core.h"

namespace kage::proxy {
namespace {

constexpr std::size_t kMaxItems = 100;
constexpr std::size_t kMaxNames = 500;
constexpr std::size_t kMaxSection = 200;  // "1.1.1.…": deeper than any message that is looked into

FetchItem simple(FetchKind kind, std::string_view name) {
  FetchItem item;
  item.kind = kind;
  item.ask = item.label = name;
  return item;
}

FetchItem section_item(FetchKind kind, std::string_view section, std::string_view label, bool peek) {
  FetchItem item = simple(kind, label);
  item.section = section;
  item.ask = "BODY[" + std::string(section) + "]";
  item.peek = peek;
  return item;
}

/// RFC 9051 §6.4.5: the three macros stand alone.
bool add_macro(std::string_view name, std::vector<FetchItem>& items) {
  if (name != "ALL" && name != "FAST" && name != "FULL") return false;
  for (const std::string_view plain : {"FLAGS", "INTERNALDATE", "RFC822.SIZE"}) {
    items.push_back(simple(FetchKind::plain, plain));
  }
  if (name != "FAST") items.push_back(simple(FetchKind::envelope, "ENVELOPE"));
  if (name == "FULL") items.push_back(simple(FetchKind::structure, "BODY"));
  return true;
}

std::optional<FetchItem> whole_word(std::string_view name, bool gmail) {
  if (is_plain_fetch_item(gmail, name)) return simple(FetchKind::plain, name);
  if (name == "ENVELOPE") return simple(FetchKind::envelope, name);
  if (name == "BODY" || name == "BODYSTRUCTURE") return simple(FetchKind::structure, name);
  // Asked for in the newer words: one provider answers RFC822 with nothing.
  if (name == "RFC822") return section_item(FetchKind::whole, "", name, false);
  if (name == "RFC822.HEADER") return section_item(FetchKind::header, "HEADER", name, true);
  if (name == "RFC822.TEXT") return section_item(FetchKind::content, "TEXT", name, false);
  return std::nullopt;
}

/// "1.2.3" from the front; the rest is what follows its dot.
bool take_numbers(std::string_view& section) {
  bool any = false;
  while (!section.empty() && is_digit(section.front())) {
    const std::size_t dot = std::min(section.find('.'), section.size());
    const std::string_view number = section.substr(0, dot);
    if (number.front() == '0' || !parse_number(number, 999'999'999)) return any = false;
    any = true;
    if (dot + 1 == section.size()) return false;  // ends with a dot
    section.remove_prefix(std::min(dot + 1, section.size()));
  }
  return any;
}

/// Fills in the kind; false: no such section.
bool classify(FetchItem& item) {
  if (item.section.size() > kMaxSection) return false;
  std::string_view rest = item.section;
  const bool nested = !rest.empty() && is_digit(rest.front());
  if (nested && !take_numbers(rest)) return false;
  item.fields = rest == "HEADER.FIELDS" || rest == "HEADER.FIELDS.NOT";
  item.without = rest == "HEADER.FIELDS.NOT";
  if (item.binary && !rest.empty()) return false;
  if (rest.empty()) {
    item.kind = nested ? FetchKind::content : FetchKind::whole;
  } else if (rest == "TEXT") {
    item.kind = FetchKind::content;
  } else if (rest == "HEADER" || item.fields) {
    item.kind = nested ? FetchKind::part_header : FetchKind::header;
  } else if (rest == "MIME" && nested) {
    item.kind = FetchKind::part_header;
  } else {
    return false;
  }
  if (item.fields) item.section.resize(item.section.rfind("HEADER") + 6);
  return true;
}

/// " (FROM TO)" behind HEADER.FIELDS; `label` gets it as it is told to the client.
bool take_names(ImapCursor& cursor, FetchItem& item, std::string& label) {
  if (!cursor.take_space() || !cursor.take('(')) return false;
  label += " (";
  do {
    while (cursor.take_space()) {
    }
    // Told as it was asked for: clients compare the whole item.
    const bool is_atom = cursor.peek() != '"' && cursor.peek() != '{';
    const auto name = cursor.astring();
    if (!name || name->empty() || item.names.size() == kMaxNames) return false;
    if (!std::ranges::all_of(*name, [](char c) { return c > ' ' && c < 0x7f; })) return false;
    item.names.push_back(upper(*name));
    const std::string& added = item.names.back();
    const bool safe = added.find_first_of("(){%*\"\\]") == std::string::npos;
    if (item.names.size() > 1) label += ' ';
    label += is_atom && safe ? added : imap_string(added);
  } while (!cursor.take(')'));
  label += ')';
  return true;
}

/// "<0.2048>"
bool read_partial(std::string_view text, FetchItem& item) {
  if (text.empty()) return true;
  if (text.size() < 5 || text.front() != '<' || text.back() != '>') return false;
  text = text.substr(1, text.size() - 2);
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return false;
  const auto offset = parse_number(text.substr(0, dot), INT64_MAX);
  const auto count = parse_number(text.substr(dot + 1), INT64_MAX);
  if (!offset || !count || *count == 0) return false;
  item.partial = FetchPartial{*offset, *count};
  item.label += "<" + std::to_string(*offset) + ">";
  return true;
}

/// BODY[…], BODY.PEEK[…], BINARY[…], BINARY.PEEK[…], BINARY.SIZE[…]; `word` is all up to the first space.
bool read_sectioned(ImapCursor& cursor, std::string_view word, FetchItem& item) {
  const std::size_t open = word.find('[');
  const std::string name = upper(word.substr(0, open));
  if (open == std::string_view::npos) return false;
  const bool size = name == "BINARY.SIZE";
  item.binary = name.starts_with("BINARY");
  item.peek = name.ends_with(".PEEK") || size;
  if (name != "BODY" && name != "BODY.PEEK" && name != "BINARY" && name != "BINARY.PEEK" && !size)
    return false;

  std::string_view rest = word.substr(open + 1);
  std::size_t close = rest.find(']');
  item.section = upper(rest.substr(0, close));
  std::string label = item.section;
  if (!classify(item)) return false;
  if (item.fields != (close == std::string_view::npos)) return false;
  if (item.fields) {
    if (!take_names(cursor, item, label)) return false;
    rest = cursor.atom();
    close = rest.find(']');
    if (close != 0) return false;
  }
  const std::string_view method = size ? "BINARY.SIZE[" : item.binary ? "BINARY[" : "BODY[";
  item.ask.append(method).append(item.section).append("]");
  item.label.append(method).append(label).append("]");
  if (!size) return read_partial(rest.substr(close + 1), item);
  item.kind = FetchKind::plain;
  return close + 1 == rest.size();
}

bool read_item(ImapCursor& cursor, bool gmail, std::vector<FetchItem>& items) {
  const std::string_view word = cursor.atom();
  if (auto simple_item = whole_word(upper(word), gmail)) {
    items.push_back(std::move(*simple_item));
    return true;
  }
  FetchItem item;
  if (!read_sectioned(cursor, word, item)) return false;
  items.push_back(std::move(item));
  return true;
}

bool read_items(ImapCursor& cursor, bool gmail, std::vector<FetchItem>& items) {
  if (!cursor.take('(')) {
    ImapCursor look = cursor;
    if (!add_macro(upper(look.atom()), items)) return read_item(cursor, gmail, items);
    cursor = look;
    return true;
  }
  do {
    if (items.size() == kMaxItems || !read_item(cursor, gmail, items)) return false;
  } while (cursor.take_space());
  return cursor.take(')');
}

/// RFC 7162 §3.1.4, §3.2.6: "(CHANGEDSINCE 12345 VANISHED)".
bool read_modifiers(ImapCursor& cursor, FetchRequest& request) {
  if (!cursor.take('(')) return false;
  do {
    const std::string name = upper(cursor.atom());
    if (name == "VANISHED" && !request.vanished) {
      request.vanished = true;
    } else if (name == "CHANGEDSINCE" && !request.has_changed_since && cursor.take_space()) {
      const auto number = parse_number(cursor.atom(), INT64_MAX);
      if (!number) return false;
      request.changed_since = *number;
      request.has_changed_since = true;
    } else {
      return false;
    }
  } while (cursor.take_space());
  return cursor.take(')') && (request.has_changed_since || !request.vanished);
}

}  // namespace

Result<FetchRequest> parse_fetch(std::string_view rest, bool gmail) {
  ImapCursor cursor(rest);
  FetchRequest request;
  request.set = cursor.atom();
  if (request.set != "$" && !is_sequence_set(request.set)) return fail(Errc::invalid, "not a sequence set");
  if (!cursor.take_space() || !read_items(cursor, gmail, request.items)) {
    return fail(Errc::invalid, "not a known item of FETCH");
  }
  if (cursor.take_space() && !read_modifiers(cursor, request)) {
    return fail(Errc::invalid, "not a known modifier of FETCH");
  }
  if (!cursor.at_end()) return fail(Errc::invalid, "more behind FETCH");
  return request;
}

std::string peeking(std::string_view ask) {
  const std::size_t open = ask.find('[');
  if (open == std::string_view::npos || ask.starts_with("BINARY.SIZE")) return std::string(ask);
  return std::string(ask.substr(0, open)) + ".PEEK" + std::string(ask.substr(open));
}

std::string upstream_items(const std::vector<FetchItem>& items, bool with_uid) {
  std::string out = with_uid ? "UID" : "";
  for (auto item = items.begin(); item != items.end(); ++item) {
    if (item->ask == "UID" && with_uid) continue;
    const auto same = [&](const FetchItem& other) { return other.ask == item->ask; };
    if (std::any_of(items.begin(), item, same)) continue;
    const bool peek =
        std::all_of(item, items.end(), [&](const FetchItem& other) { return !same(other) || other.peek; });
    if (!out.empty()) out += ' ';
    out += peek ? peeking(item->ask) : item->ask;
  }
  return out;
}

std::uint32_t single_number(std::string_view set) {
  return static_cast<std::uint32_t>(parse_number(set, UINT32_MAX).value_or(0));
}

}  // namespace kage::proxy
