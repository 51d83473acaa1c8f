// Cutting and scanning. Never fails on content; what is beyond the bounds is not shown at all.
#include "mapping/visible/scan.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "message/encoded_word.h"
#include "message/mime.h"

namespace kage::mapping {
namespace {

/// A CR that ends no line and NUL are read in different ways by different readers: they become white space,
/// or '?' at the beginning of a line, where white space would make a continuation of it.
void replace_odd_octets(std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool odd = text[i] == '\0' || (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n'));
    if (odd) text[i] = i == 0 || text[i - 1] == '\n' ? '?' : ' ';
  }
}

struct Seen {
  bool crlf = false;
  bool lf = false;
  bool odd = false;
};

Seen look(std::string_view text) {
  Seen seen;
  seen.odd = text.find('\0') != std::string_view::npos;
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    (at > 0 && text[at - 1] == '\r' ? seen.crlf : seen.lf) = true;
  }
  for (std::size_t at = text.find('\r'); at != std::string_view::npos; at = text.find('\r', at + 1)) {
    if (at + 1 == text.size() || text[at + 1] != '\n') seen.odd = true;
  }
  return seen;
}

}  // namespace

BlockText::BlockText(std::string_view block) : fields(block) {
  const auto take_empty = [&](std::string_view line) {
    if (!fields.ends_with(line)) return false;
    const std::string_view before = fields.substr(0, fields.size() - line.size());
    if (!before.empty() && !before.ends_with('\n')) return false;
    empty = fields.substr(before.size());
    fields = before;
    return true;
  };
  if (!take_empty("\r\n")) take_empty("\n");
  if (fields.empty()) return;
  const Seen seen = look(fields);
  ends = !seen.lf ? LineEnds::crlf : seen.crlf ? LineEnds::mixed : LineEnds::lf;
  const bool cut = !fields.ends_with('\n');
  if (!cut && !seen.odd) return;
  copy = fields;
  if (cut) {
    if (copy.ends_with('\r')) {
      added = "\n";
    } else {
      added = ends == LineEnds::lf ? "\n" : "\r\n";
    }
    copy += added;
  }
  replace_odd_octets(copy);
  fields = copy;
}

bool may_be_shown(const FieldRule& rule, BlockKind kind) {
  if (rule.towards_member == FieldClass::drop) return false;
  return kind == BlockKind::message || rule.towards_member == FieldClass::pass ||
         rule.name.starts_with("content-");
}

bool VisibleScan::scan(BlockKind kind, std::string_view block) {
  auto cut = message::tokenize(block);
  if (!cut) return false;
  fields = std::move(*cut);
  for (const message::Field& field : fields) {
    if (field.name.empty()) continue;
    const FieldRule& rule = find_rule(field.name);
    if (may_be_shown(rule, kind)) shown.push_back({&field, &rule, {}});
  }
  // Address fields first: other text is compared with what they hold.
  return std::ranges::all_of(shown, [&](ScannedField& field) { return scan_address_field(field); }) &&
         std::ranges::all_of(shown, [&](ScannedField& field) { return scan_other(field); });
}

bool VisibleScan::scan_alone(const message::Field& field, const FieldRule& rule) {
  shown.push_back({&field, &rule, {}});
  return scan_address_field(shown.back()) && scan_other(shown.back());
}

bool VisibleScan::scan_address_field(ScannedField& field) {
  if (field.rule->towards_member != FieldClass::addresses) return true;
  Result<> status;
  field.scan = scan_addresses(field.field->body, index, status);
  return status.has_value() && !index.full();
}

bool VisibleScan::scan_other(ScannedField& field) {
  scan_by_class(field.rule->towards_member, field, index);
  return !index.full();
}

namespace {

constexpr char kEscape = '\x1b';

/// Whether decoded text could hold a word with an '@', an escaped one included.
bool may_hold_sign(std::string_view decoded) {
  return decoded.find('@') != std::string_view::npos || decoded.find("=40") != std::string_view::npos ||
         may_refer_to_sign(decoded);
}

/// Octets that nothing is to be decided about by looking at them alone.
bool has_odd_charset(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c == kEscape || !is_ascii(c); });
}

/// All '@' of an address field are those of its addresses.
bool has_other_signs(const AddressScan& scan, std::string_view body) {
  if (has_odd_charset(body)) return true;
  const std::string decoded = message::decode_words(flat(body), true);
  const auto signs = std::ranges::count(decoded, '@');
  const auto addresses =
      std::ranges::count_if(scan.items, [](const AddressItem& item) { return item.found != kNoAddress; });
  return signs != addresses || std::ranges::count(body, '@') != addresses ||
         decoded.find("=40") != std::string::npos || may_refer_to_sign(decoded);
}

/// What an octet of a body can mean, as bits.
enum Sign : unsigned char {
  kSuspicious = 1,  ///< '@' or a backslash, 8-bit, '%', '*', '&' and control octets but line ends
  kEquals = 2,
  kDot = 4,
};

constexpr auto kSigns = [] {
  std::array<unsigned char, 256> table{};
  for (std::size_t c = 0; c < table.size(); ++c) table[c] = c < 0x20 || c >= 0x7f ? kSuspicious : 0;
  for (const char c : {'@', '\\', '%', '*', '&'}) table[static_cast<unsigned char>(c)] = kSuspicious;
  table['\r'] = table['\n'] = table['\t'] = 0;
  table['='] = kEquals;
  table['.'] = kDot;
  return table;
}();

/// "=?", "=40", "=\r\n": what stands behind a '=' decides.
bool has_escape(std::string_view text) {
  for (std::size_t at = text.find('='); at != std::string_view::npos; at = text.find('=', at + 1)) {
    if (at + 1 == text.size()) return false;
    const char next = text[at + 1];
    if (next == '?' || next == '4' || next == '\r' || next == '\n') return true;
  }
  return false;
}

/// A text of encoded-words, none of its octets suspicious, in which no form of '@' is found, nor what could
/// decode to one, before it is decoded or after.
bool decodes_to_harmless(std::string_view body) {
  if (may_hold_sign(body)) return false;
  const bool folded = body.find('\r') != std::string_view::npos || body.find('\n') != std::string_view::npos;
  const std::string decoded = folded ? message::decode_words(flat(body)) : message::decode_words(trim(body));
  return !may_hold_sign(decoded) && decoded.find('%') == std::string::npos &&
         decoded.find("\xEF\xBC\xA0") == std::string::npos &&  // U+FF20, U+FE6B: other signs
         decoded.find("\xEF\xB9\xAB") == std::string::npos;
}

}  // namespace

bool needs_context(const ScannedField& scanned) {
  const std::string_view body = scanned.field->body;
  if (const auto* addresses = std::get_if<AddressScan>(&scanned.scan))
    return has_other_signs(*addresses, body);
  if (const auto* text = std::get_if<TextScan>(&scanned.scan)) {
    return !text->text.harmless() || may_hold_sign(body) || has_odd_charset(body) ||
           may_hold_sign(message::decode_words(flat(body)));
  }
  if (std::holds_alternative<ParameterScan>(scanned.scan)) {
    const auto parsed = message::parse_parameters(flat(body));
    return !parsed || std::ranges::any_of(parsed->parameters, [](const message::Parameter& parameter) {
      return (parameter.name == "name" || parameter.name == "filename") && may_hold_sign(parameter.value);
    });
  }
  return false;
}

bool is_surely_harmless(FieldClass what, std::string_view body) {
  if (what == FieldClass::addresses || what == FieldClass::ids || what == FieldClass::drop) return false;
  unsigned seen = 0;
  for (const char c : body) seen |= kSigns[static_cast<unsigned char>(c)];
  if ((seen & kSuspicious) != 0) return false;
  const bool equals = (seen & kEquals) != 0;
  if (equals && what == FieldClass::text && body.find("=?") != std::string_view::npos) {
    return decodes_to_harmless(body);
  }
  if (equals && has_escape(body)) return false;
  const bool may_name_host = what == FieldClass::pass || what == FieldClass::parameters;
  return !may_name_host || (seen & kDot) == 0 || !names_host(body);
}

}  // namespace kage::mapping
