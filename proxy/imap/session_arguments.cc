// One small function for the arguments of each command, and the words that may stand in them.
#include "proxy/imap/session_arguments.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/text.h"
#include "proxy/imap/capability.h"
#include "proxy/imap/command.h"

namespace kage::proxy {
namespace {

struct Context {
  std::string_view capabilities;
  bool gmail = false;
  [[nodiscard]] bool can(std::string_view capability) const {
    return passes(capability, capabilities, gmail);
  }
};

/// A word that may stand somewhere, and the capability that it needs.
struct Word {
  std::string_view name;
  std::string_view capability;  ///< empty: none
};

constexpr std::array kStatusItems = std::to_array<Word>({
    {"MESSAGES", ""},
    {"RECENT", ""},
    {"UIDNEXT", ""},
    {"UIDVALIDITY", ""},
    {"UNSEEN", ""},
    {"HIGHESTMODSEQ", "CONDSTORE"},
    {"SIZE", "STATUS=SIZE"},
    {"MAILBOXID", "OBJECTID"},
});
constexpr std::array kListSelections = std::to_array<Word>({
    {"SUBSCRIBED", "LIST-EXTENDED"},
    {"REMOTE", "LIST-EXTENDED"},
    {"RECURSIVEMATCH", "LIST-EXTENDED"},
    {"SPECIAL-USE", "SPECIAL-USE"},
});
constexpr std::array kListReturns = std::to_array<Word>({
    {"SUBSCRIBED", "LIST-EXTENDED"},
    {"CHILDREN", "LIST-EXTENDED"},
    {"SPECIAL-USE", "SPECIAL-USE"},
});
constexpr std::array kEnabled = std::to_array<Word>({
    {"CONDSTORE", "CONDSTORE"},
    {"QRESYNC", "QRESYNC"},
    {"UTF8=ACCEPT", "UTF8=ACCEPT"},
    {"IMAP4REV2", "IMAP4REV2"},
});

bool knows(std::span<const Word> words, std::string_view name, const Context& context) {
  const auto word =
      std::ranges::find_if(words, [&](const Word& known) { return equals_nocase(known.name, name); });
  return word != words.end() && (word->capability.empty() || context.can(word->capability));
}

/// "(A B C)" of known words; `empty_too`: "()" as well.
bool words(ImapCursor& cursor, std::span<const Word> known, const Context& context, bool empty_too) {
  if (!cursor.take('(')) return false;
  if (cursor.take(')')) return empty_too;
  do {
    if (!knows(known, cursor.atom(), context)) return false;
  } while (cursor.take_space());
  return cursor.take(')');
}

bool mailbox(ImapCursor& cursor) {
  return cursor.astring().has_value();
}

bool set(std::string_view text, const Context& context) {
  if (text == "$") return context.can("SEARCHRES");
  return is_sequence_set(text);
}

bool flag(std::string_view word) {
  if (word.starts_with('\\')) word.remove_prefix(1);
  return !word.empty() &&
         std::ranges::none_of(word, [](char c) { return !is_ascii(c) || c == '\\' || c == '%' || c == '*'; });
}

/// "(\Seen x)" or "\Seen x".
bool flags(ImapCursor& cursor) {
  const bool list = cursor.take('(');
  if (list && cursor.take(')')) return true;
  do {
    if (!flag(cursor.atom())) return false;
  } while (cursor.take_space());
  return !list || cursor.take(')');
}

/// A date-time (RFC 9051 §9): " 1-Jan-2026 10:51:00 +0900" without its quotes.
bool date_time(std::string_view text) {
  constexpr std::string_view kForm = "dd-aaa-dddd dd:dd:dd zdddd";
  constexpr auto kMonths = std::to_array<std::string_view>(
      {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"});
  const auto fits = [](char form, char c) {
    if (form == 'd') return is_digit(c);
    if (form == 'a') return is_alpha(c);
    return form == 'z' ? c == '+' || c == '-' : form == c;
  };
  // Some clients leave the space out.
  std::string day_first(text.substr(text.starts_with(' ') ? 1 : 0));
  if (day_first.size() + 1 == kForm.size()) day_first.insert(0, 1, '0');
  return std::ranges::equal(kForm, day_first, fits) &&
         std::ranges::any_of(
             kMonths, [&](std::string_view month) { return equals_nocase(month, day_first.substr(3, 3)); });
}

/// Flags and date of APPEND. A server that refuses them may take the message behind them for commands.
bool append_options(ImapCursor& cursor) {
  constexpr auto kSystem =
      std::to_array<std::string_view>({"\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"});
  if (cursor.peek() == '(') {
    ImapCursor look = cursor;
    if (!flags(cursor)) return false;
    look.take('(');
    for (auto word = look.atom(); !word.empty();
         word = look.take_space() ? look.atom() : std::string_view()) {
      const auto same = [word](std::string_view each) { return equals_nocase(each, word); };
      if (word.starts_with('\\') && std::ranges::none_of(kSystem, same)) return false;
    }
    if (!cursor.take_space()) return false;
  }
  if (cursor.peek() != '"') return true;
  const auto date = cursor.astring();
  return date && date_time(*date) && cursor.take_space();
}

/// The announcement of a message and nothing else.
bool literal_only(std::string_view text) {
  if (text.starts_with('~')) text.remove_prefix(1);
  if (!text.starts_with("{") || !text.ends_with('}')) return false;
  text = text.substr(1, text.size() - 2);
  if (text.ends_with('+')) text.remove_suffix(1);
  return parse_number(text).has_value();
}

bool no_arguments(ImapCursor& cursor, const Context& /*context*/) {
  return cursor.at_end();
}

bool one_mailbox(ImapCursor& cursor, const Context& /*context*/) {
  return mailbox(cursor);
}

bool two_mailboxes(ImapCursor& cursor, const Context& /*context*/) {
  return mailbox(cursor) && cursor.take_space() && mailbox(cursor);
}

bool quota(ImapCursor& cursor, const Context& context) {
  return context.can("QUOTA") && mailbox(cursor);
}

bool name_spaces(ImapCursor& cursor, const Context& context) {
  return context.can("NAMESPACE") && cursor.at_end();
}

bool unselect(ImapCursor& cursor, const Context& context) {
  return context.can("UNSELECT") && cursor.at_end();
}

/// RFC 6154 §3: CREATE mailbox (USE (\Drafts)).
bool create(ImapCursor& cursor, const Context& context) {
  if (!mailbox(cursor)) return false;
  if (cursor.at_end()) return true;
  if (!context.can("CREATE-SPECIAL-USE") || !cursor.take_space() || !cursor.take('(')) return false;
  return equals_nocase(cursor.atom(), "USE") && cursor.take_space() && cursor.peek() == '(' &&
         flags(cursor) && cursor.take(')');
}

/// RFC 7162 §3.2.5: QRESYNC (uidvalidity modseq [known-uids [seq-match]]).
bool qresync(ImapCursor& cursor) {
  if (!cursor.take_space() || !cursor.take('(')) return false;
  if (!parse_number(cursor.atom(), UINT32_MAX) || !cursor.take_space()) return false;
  if (!parse_number(cursor.atom(), INT64_MAX)) return false;
  bool known = false;
  if (cursor.take_space() && cursor.peek() != '(') {
    if (!is_sequence_set(cursor.atom())) return false;
    known = true;
  }
  if ((!known || cursor.take_space()) && cursor.take('(')) {
    if (!is_sequence_set(cursor.atom()) || !cursor.take_space()) return false;
    if (!is_sequence_set(cursor.atom()) || !cursor.take(')')) return false;
  }
  return cursor.take(')');
}

bool select(ImapCursor& cursor, const Context& context) {
  if (!mailbox(cursor)) return false;
  if (cursor.at_end()) return true;
  if (!cursor.take_space() || !cursor.take('(')) return false;
  do {
    const auto name = upper(cursor.atom());
    if (name == "QRESYNC" && context.can("QRESYNC")) {
      if (!qresync(cursor)) return false;
    } else if (name != "CONDSTORE" || !context.can("CONDSTORE")) {
      return false;
    }
  } while (cursor.take_space());
  return cursor.take(')');
}

bool status(ImapCursor& cursor, const Context& context) {
  return mailbox(cursor) && cursor.take_space() && words(cursor, kStatusItems, context, false);
}

/// RFC 5258 §3, RFC 5819: RETURN (CHILDREN STATUS (MESSAGES)).
bool list_return(ImapCursor& cursor, const Context& context) {
  if (!equals_nocase(cursor.atom(), "RETURN") || !cursor.take_space() || !cursor.take('(')) return false;
  if (cursor.take(')')) return true;
  do {
    const auto name = cursor.atom();
    if (equals_nocase(name, "STATUS") && context.can("LIST-STATUS")) {
      if (!cursor.take_space() || !words(cursor, kStatusItems, context, false)) return false;
    } else if (!knows(kListReturns, name, context)) {
      return false;
    }
  } while (cursor.take_space());
  return cursor.take(')');
}

bool list_patterns(ImapCursor& cursor, const Context& context) {
  if (!cursor.take('(')) return cursor.astring().has_value();
  if (!context.can("LIST-EXTENDED")) return false;
  do {
    if (!mailbox(cursor)) return false;
  } while (cursor.take_space());
  return cursor.take(')');
}

bool list(ImapCursor& cursor, const Context& context) {
  if (cursor.peek() == '(' && (!words(cursor, kListSelections, context, true) || !cursor.take_space())) {
    return false;
  }
  if (!mailbox(cursor) || !cursor.take_space() || !list_patterns(cursor, context)) return false;
  return cursor.at_end() || (cursor.take_space() && list_return(cursor, context));
}

bool lsub(ImapCursor& cursor, const Context& /*context*/) {
  return mailbox(cursor) && cursor.take_space() && mailbox(cursor);
}

bool copy(ImapCursor& cursor, const Context& context) {
  return set(cursor.atom(), context) && cursor.take_space() && mailbox(cursor);
}

bool move(ImapCursor& cursor, const Context& context) {
  return context.can("MOVE") && copy(cursor, context);
}

bool uid_expunge(ImapCursor& cursor, const Context& context) {
  return context.can("UIDPLUS") && set(cursor.atom(), context);
}

bool store_item(std::string_view name, const Context& context) {
  if (name.starts_with('+') || name.starts_with('-')) name.remove_prefix(1);
  if (name.size() > 7 && equals_nocase(name.substr(name.size() - 7), ".SILENT")) name.remove_suffix(7);
  return equals_nocase(name, "FLAGS") || (equals_nocase(name, "X-GM-LABELS") && context.can("X-GM-EXT-1"));
}

bool store(ImapCursor& cursor, const Context& context) {
  if (!set(cursor.atom(), context) || !cursor.take_space()) return false;
  if (cursor.take('(')) {
    // RFC 7162 §3.1.3.
    if (!context.can("CONDSTORE") || !equals_nocase(cursor.atom(), "UNCHANGEDSINCE") || !cursor.take_space())
      return false;
    if (!parse_number(cursor.atom(), INT64_MAX) || !cursor.take(')') || !cursor.take_space()) return false;
  }
  const auto item = cursor.atom();
  if (!store_item(item, context) || !cursor.take_space()) return false;
  if (item.size() > 1 && item.find_first_of("Xx") <= 1) return cursor.value(2).has_value();
  return flags(cursor);
}

struct Syntax {
  std::string_view name;
  bool (*fits)(ImapCursor& cursor, const Context& context);
};
constexpr std::array kSyntax = std::to_array<Syntax>({
    {"NOOP", no_arguments},
    {"CHECK", no_arguments},
    {"CLOSE", no_arguments},
    {"EXPUNGE", no_arguments},
    {"UNSELECT", unselect},
    {"NAMESPACE", name_spaces},
    {"SELECT", select},
    {"EXAMINE", select},
    {"CREATE", create},
    {"DELETE", one_mailbox},
    {"RENAME", two_mailboxes},
    {"SUBSCRIBE", one_mailbox},
    {"UNSUBSCRIBE", one_mailbox},
    {"LIST", list},
    {"LSUB", lsub},
    {"STATUS", status},
    {"GETQUOTA", quota},
    {"GETQUOTAROOT", quota},
    {"STORE", store},
    {"UID STORE", store},
    {"COPY", copy},
    {"UID COPY", copy},
    {"MOVE", move},
    {"UID MOVE", move},
    {"UID EXPUNGE", uid_expunge},
});

}  // namespace

bool arguments_fit(std::string_view name, std::string_view arguments, std::string_view capabilities,
                   bool gmail) {
  const auto syntax = std::ranges::find(kSyntax, name, &Syntax::name);
  if (syntax == kSyntax.end()) return false;
  ImapCursor cursor(arguments);
  return syntax->fits(cursor, Context{capabilities, gmail}) && cursor.at_end();
}

std::optional<std::string> enable_names(std::string_view arguments, std::string_view capabilities,
                                        bool gmail) {
  const Context context{capabilities, gmail};
  const bool upstream_enables = capabilities.find(" ENABLE ") != std::string_view::npos;
  ImapCursor cursor(arguments);
  std::string out;
  do {
    const std::string name = upper(cursor.atom());
    if (name.empty()) return std::nullopt;
    if (!upstream_enables || !knows(kEnabled, name, context)) continue;
    if (!out.empty()) out += ' ';
    out += name;
  } while (cursor.take_space());
  if (!cursor.at_end()) return std::nullopt;
  return out;
}

bool append_fits(std::string_view line, bool first, bool& utf8, const ImapCore& core) {
  const Context context{core.capabilities, core.gmail};
  ImapCursor cursor(line);
  if (first) {
    if (!mailbox(cursor)) return false;
  } else {
    if (!context.can("MULTIAPPEND")) return false;
    if (utf8 && !cursor.take(')')) return false;
    utf8 = false;
  }
  if (!cursor.take_space()) return false;
  if (!append_options(cursor)) return false;
  if (starts_with_nocase(cursor.rest(), "UTF8 (~{")) {
    utf8 = core.utf8;
    return core.utf8 && literal_only(cursor.rest().substr(6));
  }
  if (cursor.peek() == '~' && !context.can("BINARY")) return false;
  return literal_only(cursor.rest());
}

}  // namespace kage::proxy
