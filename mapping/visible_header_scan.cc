// Cutting and scanning. Never fails on content; what is beyond the bounds is not shown at all.
#include "mapping/visible_header_scan.h"

#include <algorithm>

#include "base/text.h"

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
  std::size_t returns = 0;
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    const bool crlf = at > 0 && text[at - 1] == '\r';
    returns += crlf ? 1 : 0;
    (crlf ? seen.crlf : seen.lf) = true;
  }
  if (static_cast<std::size_t>(std::ranges::count(text, '\r')) != returns) seen.odd = true;
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
  Result<> status;
  for (ScannedField& field : shown) {
    if (field.rule->towards_member != FieldClass::addresses) continue;
    field.scan = scan_addresses(field.field->body, index, status);
    if (!status || index.full()) return false;
  }
  for (ScannedField& field : shown) {
    const std::string_view body = field.field->body;
    switch (field.rule->towards_member) {
      case FieldClass::ids:
        field.scan = scan_ids(body);
        break;
      case FieldClass::text:
        field.scan = TextScan{scan_text(flat(body), false, care_of(body), index)};
        break;
      case FieldClass::parameters:
        field.scan = scan_parameters(body, field.rule->name == "content-type", index);
        break;
      case FieldClass::pass:
        field.scan = scan_pass(body);
        break;
      case FieldClass::addresses:
      case FieldClass::drop:
        break;
    }
    if (index.full()) return false;
  }
  return true;
}

}  // namespace kage::mapping
