// ENVELOPE slot by slot (RFC 9051 §7.5.2): what the upstream says, or what the visible fields say.
#include "proxy/structure/envelope.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/text.h"
#include "message/address.h"
#include "message/address_list.h"
#include "proxy/structure/slots.h"
#include "proxy/structure/structure.h"

namespace kage::proxy {
namespace {

/// One element of an address list as ENVELOPE shows it. Group: no host, and no mailbox at its end.
struct Entry {
  std::string_view name;
  std::string_view mailbox;
  std::string_view host;
  bool group = false;
};

/// Text for people: folds and tabs are one space, as are several.
std::string one_line(std::string_view body) {
  std::string out;
  for (const char c : message::unfold(body)) {
    if (!is_wsp(c)) {
      out.push_back(c);
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  return out;
}

/// A phrase without quotes and escapes, its white space outside quotes made one space.
std::string plain_phrase(std::string_view phrase) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < phrase.size(); ++i) {
    const char c = phrase[i];
    if (c == '"') {
      quoted = !quoted;
    } else if (quoted && c == '\\' && i + 1 < phrase.size()) {
      out.push_back(phrase[++i]);
    } else if (!quoted && is_wsp(c)) {
      if (!out.empty() && out.back() != ' ') out.push_back(' ');
    } else {
      out.push_back(c);
    }
  }
  return out;
}

/// Lists as this program and most others write them, in plain ASCII: words, one space apart, or one
/// quoted-string before "<local@domain>", or an address alone, and commas between. Gives what the parser of
/// all lists would, without making anything: the entries are views of the list.
class PlainList {
 public:
  explicit PlainList(std::string_view body) : body_(body) {}

  /// False: it is not that plain.
  bool read(std::vector<Entry>& out) {
    do {
      skip_space();
      if (!read_one(out.emplace_back())) return false;
      skip_space();
    } while (take(','));
    return at_ == body_.size();
  }

 private:
  static constexpr std::size_t kMaxWord = 200;

  bool read_one(Entry& entry) {
    if (take('"')) {
      const std::string_view quoted =
          run([](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
      if (!take('"')) return false;
      entry.name = quoted;
      skip_space();
      return take('<') && read_address(entry, run(is_word)) && take('>');
    }
    const std::size_t begin = at_;
    while (!take('<')) {
      const std::string_view word = run(is_word);
      if (word.empty()) return false;
      if (at_ < body_.size() && body_[at_] == '@') return entry.name.empty() && read_address(entry, word);
      entry.name = body_.substr(begin, at_ - begin);
      if (!take(' ')) return false;
    }
    return read_address(entry, run(is_word)) && take('>');
  }

  bool read_address(Entry& entry, std::string_view local) {
    if (local.empty() || local.size() > kMaxWord || !take('@')) return false;
    const std::string_view domain = run([](char c) { return is_alnum(c) || c == '-' || c == '.'; });
    if (domain.empty() || domain.size() > kMaxWord || !is_alnum(domain.front())) return false;
    entry.mailbox = local;
    entry.host = domain;
    return true;
  }

  static constexpr auto kWord = [] {
    std::array<bool, 256> table{};
    for (std::size_t c = 0; c < table.size(); ++c) table[c] = c == '.' || is_atext(static_cast<char>(c));
    return table;
  }();
  static bool is_word(char c) { return kWord[static_cast<unsigned char>(c)]; }

  template <class Predicate>
  std::string_view run(Predicate belongs) {
    const std::size_t begin = at_;
    while (at_ < body_.size() && belongs(body_[at_])) ++at_;
    return body_.substr(begin, at_ - begin);
  }
  bool take(char c) {
    if (at_ == body_.size() || body_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    run([](char c) { return is_wsp(c) || c == '\r' || c == '\n'; });
  }

  std::string_view body_;
  std::size_t at_ = 0;
};

/// Calls `use` with each entry of any list; what an entry holds is gone then.
template <class Use>
void each_parsed(std::string_view body, const Use& use) {
  using Kind = message::ListItem::Kind;
  const auto items = message::parse_address_list(body);
  if (!items) return;
  bool in_group = false;
  for (const message::ListItem& item : *items) {
    if (item.kind == Kind::group_start) {
      in_group = true;
      use({{}, plain_phrase(item.phrase), {}, true});
    } else if (item.kind == Kind::group_end) {
      if (std::exchange(in_group, false)) use({{}, {}, {}, true});
    } else if (item.kind == Kind::mailbox && item.address) {
      std::string name = plain_phrase(item.phrase);
      if (name.empty() && !item.comments.empty()) name = item.comments.back();
      use({name, item.address->local, item.address->domain, false});
    }
  }
  if (in_group) use({{}, {}, {}, true});
}

template <class Use>
void each_entry(std::span<const message::Field> fields, const Use& use) {
  std::vector<Entry> plain;
  for (const message::Field& field : fields) {
    plain.clear();
    if (PlainList(field.body).read(plain)) {
      std::ranges::for_each(plain, use);
    } else {
      each_parsed(field.body, use);
    }
  }
}

/// Mailboxes of lists, to tell lists apart.
std::vector<std::string> mailboxes(std::span<const message::Field> fields) {
  std::vector<std::string> out;
  each_entry(fields, [&](const Entry& entry) {
    if (!entry.group) out.push_back(essence(entry.mailbox) + "@" + essence(entry.host));
  });
  return out;
}

std::vector<std::string> mailboxes(const ImapValue& value, std::uint32_t node) {
  std::vector<std::string> out;
  for (const std::uint32_t address : value.elements(node)) {
    const auto parts = value.elements(address);
    if (parts.size() != 4 || value.is_nil(parts[2]) || value.is_nil(parts[3])) continue;
    out.push_back(essence(value.text(parts[2])) + "@" + essence(value.text(parts[3])));
  }
  return out;
}

void append_addresses(std::string& out, std::span<const message::Field> fields, bool utf8) {
  const std::size_t before = out.size();
  out += "(";
  each_entry(fields, [&](const Entry& entry) {
    out += "(";
    append_nstring(out, entry.name, utf8);
    out += " NIL ";
    // A mailbox without octets is still one: "" <@x> is no end of a group.
    if (entry.group) {
      append_nstring(out, entry.mailbox, utf8);
      out += " NIL)";
      return;
    }
    append_value_string(out, entry.mailbox, utf8);
    out += " ";
    append_value_string(out, entry.host, utf8);
    out += ")";
  });
  if (out.size() == before + 1) {
    out.replace(before, 1, "NIL");
  } else {
    out += ")";
  }
}

/// Of several visible fields, the one for the original that the upstream took.
std::size_t visible_index(const SlotView& view, std::size_t original) {
  return view.visible.size() == view.original.size() ? original : view.visible.size() - 1;
}

/// The field, or the fields, that the upstream told a list from. Servers differ in what they make of several
/// fields of one name: Dovecot joins the lists, others take the first or the last.
std::span<const message::Field> told_from(const ImapValue& value, std::uint32_t node, const SlotView& view) {
  if (view.original.size() < 2) return view.visible;
  const auto told = mailboxes(value, node);
  if (mailboxes(view.original) == told) return view.visible;
  for (std::size_t i = view.original.size(); i-- > 0;) {
    if (mailboxes(view.original.subspan(i, 1)) == told)
      return view.visible.subspan(visible_index(view, i), 1);
  }
  return view.visible;
}

void append_string_slot(std::string& out, const ImapValue& value, std::uint32_t node, Slot slot,
                        const SlotView& view, bool utf8) {
  std::size_t index = view.visible.size() - 1;
  if (index > 0) {
    const std::string told = essence(value.text(node));
    std::size_t taken = view.original.size();
    while (taken > 0 && essence(view.original[taken - 1].body) != told) --taken;
    if (taken > 0) index = visible_index(view, taken - 1);
  }
  // Dovecot tells an empty field as "", others as NIL.
  const std::string_view body = view.visible[index].body;
  const std::string text = slot == Slot::subject ? one_line(body) : slot_text(body);
  if (text.empty() && value.is_nil(node)) {
    out += "NIL";
  } else {
    append_value_string(out, text, utf8);
  }
}

bool is_address_slot(Slot slot) {
  return slot >= Slot::from && slot <= Slot::bcc;
}

Result<> check_slot(const ImapValue& value, std::uint32_t node, Slot slot) {
  constexpr auto kNone = ImapValue::kNone;
  if (value.is_nil(node)) return {};
  if (value.is_list(node) != is_address_slot(slot)) return fail(Errc::protocol, "not an envelope");
  for (std::uint32_t one = value.node(node).first; one != kNone; one = value.node(one).next) {
    if (!value.is_list(one) || value.node(one).children != 4) return fail(Errc::protocol, "not an address");
    for (std::uint32_t part = value.node(one).first; part != kNone; part = value.node(part).next) {
      if (value.is_list(part)) return fail(Errc::protocol, "not an address");
    }
  }
  return {};
}

void append_slot(std::string& out, const ImapValue& value, std::uint32_t node, Slot slot,
                 const SlotView& view, bool utf8) {
  if (view.visible.empty()) {
    out += "NIL";
  } else if (view.same() && view.vouches(value, node)) {
    out += value.raw(node);
  } else if (is_address_slot(slot)) {
    append_addresses(out, told_from(value, node, view), utf8);
  } else {
    append_string_slot(out, value, node, slot, view, utf8);
  }
}

}  // namespace

Result<std::string> write_envelope(const ImapValue& value, std::uint32_t node, const SlotPair& fields,
                                   bool utf8) {
  if (!value.is_list(node) || value.node(node).children != kEnvelopeSlots)
    return fail(Errc::protocol, "not an envelope");
  std::string out = "(";
  out.reserve(2 * value.raw(node).size());
  std::size_t from = 0;  // where the text of From lies
  std::size_t from_size = 0;
  std::uint32_t element = value.node(node).first;
  for (std::size_t i = 0; i < kEnvelopeSlots; ++i, element = value.node(element).next) {
    const auto slot = static_cast<Slot>(i);
    if (auto checked = check_slot(value, element, slot); !checked) return std::unexpected(checked.error());
    if (i > 0) out.push_back(' ');
    const SlotView view(fields, slot);
    const std::size_t begin = out.size();
    append_slot(out, value, element, slot, view, utf8);
    if (slot == Slot::from) {
      from = begin;
      from_size = out.size() - begin;
    }
    // RFC 9051 §7.5.2: without these fields, or with empty ones, the server puts From in their place.
    if ((slot == Slot::sender || slot == Slot::reply_to) && std::string_view(out).substr(begin) == "NIL")
      out.replace(begin, std::string::npos, out, from, from_size);
  }
  out.push_back(')');
  return out;
}

Result<std::string> visible_envelope(std::string_view upstream, std::string_view original,
                                     std::string_view visible, bool utf8) {
  const auto value = ImapValue::parse(upstream);
  if (!value) return std::unexpected(value.error());
  return write_envelope(*value, ImapValue::kRoot, {SlotFields(original), SlotFields(visible)}, utf8);
}

}  // namespace kage::proxy
