// ENVELOPE slot by slot (RFC 9051 §7.5.2): what the upstream says, or what the visible fields say.
#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/text.h"
#include "message/address.h"
#include "proxy/imap_slots.h"
#include "proxy/imap_structure.h"

namespace kage::proxy {
namespace {

/// One element of an address list as ENVELOPE shows it. Group: no host, and no mailbox at its end.
struct Entry {
  std::string name;
  std::string mailbox;
  std::string host;
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

/// Lists as this program and most others write them, in plain ASCII: words or one quoted-string before
/// "<local@domain>", or an address alone, and commas between. Gives what the parser of all lists would.
class PlainList {
 public:
  explicit PlainList(std::string_view body) : body_(body) {}

  /// False: it is not that plain.
  bool read(std::vector<Entry>& out) {
    const std::size_t before = out.size();
    do {
      skip_space();
      Entry entry;
      if (!read_one(entry)) {
        out.resize(before);
        return false;
      }
      out.push_back(std::move(entry));
      skip_space();
    } while (take(','));
    if (at_ == body_.size()) return true;
    out.resize(before);
    return false;
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
    while (!take('<')) {
      const std::string_view word = run(is_word);
      if (word.empty()) return false;
      if (at_ < body_.size() && body_[at_] == '@') return entry.name.empty() && read_address(entry, word);
      if (!entry.name.empty()) entry.name.push_back(' ');
      entry.name += word;
      skip_space();
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

void read_addresses(std::string_view body, std::vector<Entry>& out) {
  using Kind = message::ListItem::Kind;
  if (PlainList(body).read(out)) return;
  auto items = message::parse_address_list(body);
  if (!items) return;
  bool in_group = false;
  for (message::ListItem& item : *items) {
    if (item.kind == Kind::group_start) {
      in_group = true;
      out.push_back({{}, plain_phrase(item.phrase), {}, true});
    } else if (item.kind == Kind::group_end) {
      if (std::exchange(in_group, false)) out.push_back({{}, {}, {}, true});
    } else if (item.kind == Kind::mailbox && item.address) {
      std::string name = plain_phrase(item.phrase);
      if (name.empty() && !item.comments.empty()) name = item.comments.back();
      out.push_back(
          {std::move(name), std::move(item.address->local), std::move(item.address->domain), false});
    }
  }
  if (in_group) out.push_back({{}, {}, {}, true});
}

std::vector<Entry> read_addresses(std::span<const message::Field> fields) {
  std::vector<Entry> out;
  for (const message::Field& field : fields) read_addresses(field.body, out);
  return out;
}

/// Mailboxes of a list, to tell lists apart.
std::vector<std::string> mailboxes(const std::vector<Entry>& entries) {
  std::vector<std::string> out;
  for (const Entry& entry : entries) {
    if (!entry.group) out.push_back(essence(entry.mailbox) + "@" + essence(entry.host));
  }
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

std::string write_addresses(const std::vector<Entry>& entries, bool utf8) {
  if (entries.empty()) return "NIL";
  std::string out = "(";
  for (const Entry& entry : entries) {
    out.append("(").append(imap_nstring(entry.name, utf8)).append(" NIL ");
    // A mailbox without octets is still one: "" <@x> is no end of a group.
    out += entry.group ? imap_nstring(entry.mailbox, utf8) : imap_value_string(entry.mailbox, utf8);
    out.append(" ").append(entry.group ? "NIL" : imap_value_string(entry.host, utf8)).append(")");
  }
  out += ")";
  return out;
}

/// Of several visible fields, the one for the original that the upstream took.
std::size_t visible_index(const SlotView& view, std::size_t original) {
  return view.visible.size() == view.original.size() ? original : view.visible.size() - 1;
}

/// Servers differ in what they make of several fields of one name: Dovecot joins the lists, others take the
/// first or the last.
std::string address_slot(const ImapValue& value, std::uint32_t node, const SlotView& view, bool utf8) {
  if (view.visible.empty()) return "NIL";
  if (view.same() && view.vouches(value, node)) return std::string(value.raw(node));
  if (view.original.size() > 1) {
    const auto told = mailboxes(value, node);
    if (mailboxes(read_addresses(view.original)) != told) {
      for (std::size_t i = view.original.size(); i-- > 0;) {
        std::vector<Entry> one;
        read_addresses(view.original[i].body, one);
        if (mailboxes(one) != told) continue;
        std::vector<Entry> shown;
        read_addresses(view.visible[visible_index(view, i)].body, shown);
        return write_addresses(shown, utf8);
      }
    }
  }
  return write_addresses(read_addresses(view.visible), utf8);
}

std::string string_slot(const ImapValue& value, std::uint32_t node, Slot slot, const SlotView& view,
                        bool utf8) {
  if (view.visible.empty()) return "NIL";
  if (view.same() && view.vouches(value, node)) return std::string(value.raw(node));
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
  return text.empty() && value.is_nil(node) ? "NIL" : imap_value_string(text, utf8);
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

}  // namespace

Result<std::string> write_envelope(const ImapValue& value, std::uint32_t node, const SlotPair& fields,
                                   bool utf8) {
  const auto slots = value.elements(node);
  if (!value.is_list(node) || slots.size() != kEnvelopeSlots) return fail(Errc::protocol, "not an envelope");
  std::string out = "(";
  out.reserve(2 * value.raw(node).size());
  std::string from = "NIL";
  for (std::size_t i = 0; i < kEnvelopeSlots; ++i) {
    const auto slot = static_cast<Slot>(i);
    if (auto checked = check_slot(value, slots[i], slot); !checked) return std::unexpected(checked.error());
    const SlotView view(fields, slot);
    std::string text = is_address_slot(slot) ? address_slot(value, slots[i], view, utf8)
                                             : string_slot(value, slots[i], slot, view, utf8);
    if (slot == Slot::from) from = text;
    // RFC 9051 §7.5.2: without these fields, or with empty ones, the server puts From in their place.
    if ((slot == Slot::sender || slot == Slot::reply_to) && (text == "NIL" || view.visible.empty()))
      text = from;
    if (i > 0) out.push_back(' ');
    out += text;
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
