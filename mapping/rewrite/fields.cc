// Scanning one field of each class. What a scan leaves out is what may not cross.
#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "mapping/rewrite/header.h"
#include "message/address_list.h"
#include "message/encoded_word.h"
#include "message/guess.h"
#include "message/mime.h"
#include "message/msg_id.h"
#include "message/utf8.h"

namespace kage::mapping {
namespace {

using Kind = message::ListItem::Kind;

constexpr std::size_t kFirstIds = 10;  ///< ids of a long References that are kept: these and
constexpr std::size_t kLastIds = 90;   ///< the last ones, which are nearest to the message

constexpr std::array<std::string_view, 34> kExtensions = {
    ".asc", ".avi",  ".bmp", ".csv",  ".doc", ".docx", ".eml", ".gif", ".gz",   ".heic", ".htm", ".html",
    ".ics", ".jpeg", ".jpg", ".log",  ".mp3", ".mp4",  ".odp", ".ods", ".odt",  ".p7m",  ".p7s", ".pdf",
    ".pgp", ".png",  ".ppt", ".pptx", ".rtf", ".txt",  ".vcf", ".xls", ".xlsx", ".xml"};

/// Without white space: two spellings of one list that differ in folding only are equal.
std::string squeezed(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::ranges::copy_if(text, std::back_inserter(out), [](char c) { return !is_wsp(c); });
  return out;
}

/// The place behind the halves of two-byte characters that begin at `at`; `at` when none do. npos when
/// something in a state of ISO-2022-JP is no half, or nothing ends it: readers then disagree about what is
/// ASCII.
std::size_t behind_halves(std::string_view text, message::TwoByteOctets& opaque, std::size_t at) {
  if (text[at] != '\x1b') return opaque.skip(at);
  if (!text.substr(at + 1).starts_with('$')) return at;
  for (std::size_t i = at + 2; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      const std::string_view next = text.substr(i + 1, 2);
      if (next.size() == 2 && next[0] == '(') return i + 3;
      if (next.size() != 2 || next[0] != '$') return std::string_view::npos;
      ++i;
    } else if (text[i] <= ' ' || text[i] == 0x7f || !is_ascii(text[i])) {
      return std::string_view::npos;
    }
  }
  return std::string_view::npos;
}

/// Whether a phrase may stand before '<' as it came: quotes closed, no specials outside of them but in
/// two-byte characters.
bool is_safe_phrase(std::string_view phrase) {
  message::TwoByteOctets opaque(phrase);
  bool quoted = false;
  for (std::size_t i = 0; i < phrase.size(); ++i) {
    const char c = phrase[i];
    if (const std::size_t end = behind_halves(phrase, opaque, i); end > i) {
      if (end == std::string_view::npos) return false;
      i = end - 1;
    } else if (quoted && c == '\\') {
      if (++i == phrase.size()) return false;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && std::string_view("<>()[]:;@\\,").find(c) != std::string_view::npos) {
      return false;
    }
  }
  return !quoted;
}

bool is_safe_comment(std::string_view comment) {
  message::TwoByteOctets opaque(comment);
  std::size_t depth = 0;
  for (std::size_t i = 0; i < comment.size(); ++i) {
    if (const std::size_t end = behind_halves(comment, opaque, i); end > i) {
      if (end == std::string_view::npos) return false;
      i = end - 1;
    } else if (comment[i] == '\\') {
      if (++i == comment.size()) return false;
    } else if (comment[i] == '(') {
      ++depth;
    } else if (comment[i] == ')' && depth-- == 0) {
      return false;
    }
  }
  return depth == 0;
}

/// The list as it is usually spelled, white space apart.
std::string usual_spelling(const std::vector<message::ListItem>& items) {
  std::string out;
  bool comma = false;
  for (const message::ListItem& item : items) {
    if (item.kind == Kind::group_end) {
      out += ";";
      comma = true;
      continue;
    }
    if (comma) out += ",";
    comma = item.kind != Kind::group_start;
    out += item.phrase;
    if (item.kind == Kind::group_start) out += ":";
    if (item.kind == Kind::junk) out += item.raw;
    if (item.kind != Kind::mailbox || !item.address) continue;
    // "<a@b>" alone is as usual as "a@b"; the raw bytes tell which it was.
    const bool angle = !item.phrase.empty() || item.raw.starts_with('<');
    out += angle ? "<" + item.address->spelling + ">" : item.address->spelling;
    for (const std::string& comment : item.comments) out += "(" + comment + ")";
  }
  return squeezed(out);
}

/// Whether every byte parser reads it as it is meant: octets of two-byte characters can be specials.
bool is_plain(std::string_view text) {
  return text.find('\x1b') == std::string_view::npos && message::is_valid_utf8(text);
}

/// Without the backslashes of quoted-pairs.
std::string unescaped(std::string_view text) {
  message::TwoByteOctets opaque(text);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const std::size_t end = opaque.skip(i); end > i) {
      out += text.substr(i, end - i);
      i = end - 1;
      continue;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out.push_back(text[i]);
  }
  return out;
}

/// An '@' beside the addresses that were found, in text that names a host: parts of a broken list that ended
/// up in quotes, most probably. There is no telling what to replace.
bool is_garbled(std::string_view decoded, const ScannedText& scan) {
  auto span = scan.spans.begin();
  for (std::size_t at = decoded.find('@'); at != std::string_view::npos; at = decoded.find('@', at + 1)) {
    while (span != scan.spans.end() && span->offset + span->length <= at) ++span;
    const bool covered = span != scan.spans.end() && span->offset <= at;
    if (!covered && (!scan.harmless() || names_host(decoded))) return true;
  }
  return false;
}

WrittenText scan_phrase(std::string phrase, AddressIndex& index) {
  WrittenText text;
  text.scan = scan_text(phrase, true, Care::text, index);
  text.may_stay = is_safe_phrase(phrase);
  const bool writable = text.may_stay && is_plain(phrase);
  const bool has_sign = phrase.find('@') != std::string::npos;
  if (!text.scan.harmless() || has_sign || !writable) {
    std::string decoded = message::decode_words(phrase, true);
    if (phrase.find('\\') != std::string::npos) {
      // Of broken quotes it is not clear what a backslash does.
      ScannedText bare = scan_decoded(unescaped(decoded), Care::text, index);
      if (bare.spans.size() > text.scan.spans.size()) text.scan = std::move(bare);
    }
    if (is_garbled(text.scan.harmless() ? decoded : text.scan.decoded, text.scan)) return {};
    if (!writable) phrase = message::encode_phrase(decoded);
  }
  text.written = std::move(phrase);
  return text;
}

/// Nothing when the comment cannot stand anywhere.
std::optional<WrittenText> scan_comment(std::string comment, AddressIndex& index) {
  if (!is_safe_comment(comment)) return std::nullopt;
  const std::string bare = unescaped(comment);
  WrittenText text{.written = {}, .scan = scan_text(bare, false, Care::text, index), .may_stay = true};
  if (!is_plain(comment)) comment = message::encode_words(message::decode_words(bare));
  if (!is_safe_comment(comment)) return std::nullopt;  // escapes were taken off, and nothing was encoded
  text.written = std::move(comment);
  return text;
}

AddressItem scan_item(message::ListItem& item, AddressIndex& index) {
  AddressItem result;
  result.kind = item.kind;
  result.phrase = scan_phrase(std::move(item.phrase), index);
  for (std::string& comment : item.comments) {
    if (auto text = scan_comment(std::move(comment), index)) result.comments.push_back(std::move(*text));
  }
  if (item.address) {
    result.spelling = item.address->spelling;
    result.found = index.add(std::move(*item.address));
  }
  return result;
}

/// Comments gone (RFC 5322 §3.2.2); one that does not end takes the rest with it.
std::string without_comments(std::string_view text) {
  std::string out;
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size() && (quoted || depth > 0)) {
      if (depth == 0) out.append(text, i, 2);
      ++i;
    } else if (c == '"' && depth == 0) {
      quoted = !quoted;
      out.push_back(c);
    } else if (!quoted && c == '(') {
      ++depth;
    } else if (!quoted && c == ')' && depth > 0) {
      --depth;
    } else if (depth == 0) {
      out.push_back(c);
    }
  }
  return std::string(trim(out));
}

bool is_harmless(std::string_view text) {
  AddressIndex scratch;
  return scan_text(text, false, Care::strict, scratch).harmless() &&
         scan_text(unescaped(text), false, Care::strict, scratch).harmless();
}

bool may_pass(std::string_view text) {
  return is_harmless(text) && !names_host(message::decode_words(text));
}

bool is_file_name(const message::Parameter& parameter) {
  return parameter.name == "name" || parameter.name == "filename";
}

/// The file name's last part, when it is one that says what the file is. None of these is a top-level domain:
/// no mail domain ends so.
std::string_view extension_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view extension = name.substr(dot);
  return std::ranges::find(kExtensions, lower(extension)) == kExtensions.end() ? std::string_view()
                                                                               : extension;
}

/// File names are people's text; "Taro@Sales.pdf" and "icon@2x.png" are no addresses.
ScannedText scan_file_name(std::string_view name, AddressIndex& index) {
  name.remove_suffix(extension_of(name).size());
  return scan_decoded(std::string(name), Care::text, index);
}

/// In other values than file names an '@' is an address or an id.
bool is_harmless_value(const message::Parameter& parameter, AddressIndex& index) {
  if (parameter.intact && loses_sign(parameter.raw, parameter.value, true)) return false;
  if (is_file_name(parameter)) return scan_file_name(parameter.value, index).harmless();
  if (parameter_names_host(parameter.name, parameter.value)) return false;
  AddressIndex scratch;
  return scan_decoded(parameter.value, Care::strict, scratch).harmless();
}

bool is_parameter_name(std::string_view name) {
  return !name.empty() && name.size() <= 60 &&
         std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

std::optional<ParameterScan::Parameter> scan_parameter(const message::Parameter& parameter,
                                                       bool keep_boundary, AddressIndex& index) {
  if (!is_parameter_name(parameter.name)) return std::nullopt;
  ParameterScan::Parameter result;
  result.name = parameter.name;
  const bool plain = !parameter.raw.empty() && parameter.intact;
  if (keep_boundary || is_harmless_value(parameter, index)) {
    const bool keep = plain && (keep_boundary || is_file_name(parameter) || is_harmless(parameter.raw));
    result.value =
        keep ? std::string(trim(parameter.raw)) : message::write_parameter(parameter.name, parameter.value);
    return result;
  }
  if (!is_file_name(parameter)) return std::nullopt;
  // "report-taro@school.example.pdf" keeps its ".pdf".
  result.kind = ParameterScan::Parameter::Kind::rewritten;
  result.text = scan_file_name(parameter.value, index);
  result.extension = extension_of(parameter.value);
  return result;
}

/// The field without its well-formed parameters, which are looked at one by one: comments and debris. The
/// boundary is not looked at even when it is broken.
std::string without_parameters(std::string text, bool boundary,
                               const std::vector<message::Parameter>& parameters) {
  for (const message::Parameter& parameter : parameters) {
    if (!parameter.intact && !(boundary && parameter.name == "boundary")) continue;
    const std::string_view piece = parameter.raw.empty() ? std::string_view(parameter.pieces) : parameter.raw;
    const std::size_t at = piece.empty() ? std::string::npos : text.find(piece);
    if (at != std::string::npos) text.replace(at, piece.size(), " ");
  }
  return text;
}

}  // namespace

AddressScan scan_addresses(std::string_view body, AddressIndex& index, Result<>& status) {
  AddressScan scan;
  const std::string line = flat(body);
  auto items = message::parse_address_list(line);
  if (!items) {
    status = std::unexpected(items.error());
    return scan;
  }
  scan.faithful = usual_spelling(*items) == squeezed(line);
  for (message::ListItem& item : *items) {
    scan.faithful = scan.faithful && item.intact;
    if (item.kind == Kind::junk || (item.kind == Kind::mailbox && !item.address)) {
      scan.faithful = false;
      continue;
    }
    const std::size_t comments = item.comments.size();
    scan.items.push_back(scan_item(item, index));
    const AddressItem& scanned = scan.items.back();
    if (!scanned.phrase.may_stay || scanned.comments.size() != comments) scan.faithful = false;
    if (index.full()) break;
  }
  return scan;
}

IdScan scan_ids(std::string_view body) {
  IdScan scan;
  const std::string line = flat(body);
  const std::vector<std::string_view> ids = message::find_msg_ids(line);
  std::string spelling;
  for (const std::string_view id : ids) spelling.append("<").append(id).append(">");
  scan.faithful = squeezed(spelling) == squeezed(line);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i >= kFirstIds && i + kLastIds < ids.size()) {
      scan.faithful = false;
      continue;
    }
    scan.ids.emplace_back(ids[i]);
  }
  return scan;
}

ParameterScan scan_parameters(std::string_view body, bool boundary, AddressIndex& index) {
  ParameterScan scan;
  const auto is_boundary = [&](const message::Parameter& parameter) {
    return boundary && parameter.name == "boundary";
  };
  const std::string line = flat(body);
  const auto parsed = message::parse_parameters(line);
  if (!parsed) {
    scan.harmless = is_harmless(line);
    return scan;
  }
  const std::string rest = without_parameters(line, boundary, parsed->parameters);
  AddressIndex scratch;  // comments and encoded pieces: nothing in them is replaced
  const std::size_t comment = std::min(rest.find('('), rest.size());
  // What no parameter is made of is joined to one by some readers (name*0=taro; name*2="@corp.example").
  scan.harmless = !rest.contains('@') && !names_host(std::string_view(rest).substr(comment)) &&
                  scan_text(rest, false, Care::text, scratch).harmless() &&
                  scan_text(unescaped(rest), false, Care::text, scratch).harmless();
  for (const message::Parameter& parameter : parsed->parameters) {
    if (!is_boundary(parameter) && !is_harmless_value(parameter, index)) scan.harmless = false;
  }
  if (scan.harmless || !is_harmless(parsed->value)) return scan;
  scan.value = parsed->value;
  for (const message::Parameter& parameter : parsed->parameters) {
    const bool seen = std::ranges::any_of(
        scan.parameters, [&](const ParameterScan::Parameter& other) { return other.name == parameter.name; });
    if (seen) continue;
    if (auto result = scan_parameter(parameter, is_boundary(parameter), index))
      scan.parameters.push_back(std::move(*result));
  }
  return scan;
}

PassScan scan_pass(std::string_view body) {
  PassScan scan;
  const std::string line = flat(body);
  scan.harmless = may_pass(line);
  if (scan.harmless) return scan;
  std::string value = without_comments(line);
  // "Auto-Submitted: auto-notified; owner-email=…" (RFC 5436 §2.7.1): the keyword still means something.
  if (!may_pass(value)) {
    value = trim(std::string_view(value).substr(0, value.find(';')));
    if (!std::ranges::all_of(value, [](char c) { return is_alnum(c) || c == '-'; })) value.clear();
  }
  if (may_pass(value)) scan.value = std::move(value);
  return scan;
}

void scan_by_class(FieldClass what, ScannedField& field, AddressIndex& index) {
  const std::string_view body = field.field->body;
  switch (what) {
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
}

}  // namespace kage::mapping
