// Scanning one field of each class. What a scan leaves out is what may not cross.
#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "mapping/rewrite_header.h"
#include "message/encoded_word.h"
#include "message/mime.h"

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

/// Whether a phrase can stand before '<' as it is: quotes closed, no specials outside of them. Two-byte
/// ISO-2022-JP is opaque.
bool is_safe_phrase(std::string_view phrase) {
  bool quoted = false;
  for (std::size_t i = 0; i < phrase.size(); ++i) {
    const char c = phrase[i];
    if (c == '\x1b' && i + 1 < phrase.size() && phrase[i + 1] == '$') {
      i = phrase.find("\x1b(", i + 1);
      if (i == std::string_view::npos || i + 2 >= phrase.size()) return false;
      i += 2;
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
  std::size_t depth = 0;
  for (std::size_t i = 0; i < comment.size(); ++i) {
    if (comment[i] == '\\') {
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

WrittenText scan_phrase(std::string phrase, AddressIndex& index) {
  WrittenText text;
  text.scan = scan_text(phrase, true, false, index);
  if (!is_safe_phrase(phrase)) {
    phrase = message::encode_phrase(message::decode_words(phrase, true));
  }
  text.written = std::move(phrase);
  return text;
}

AddressItem scan_item(message::ListItem& item, AddressIndex& index) {
  AddressItem result;
  result.kind = item.kind;
  result.phrase = scan_phrase(std::move(item.phrase), index);
  for (std::string& comment : item.comments) {
    if (!is_safe_comment(comment)) continue;
    WrittenText text{.written = {}, .scan = scan_text(comment, false, false, index)};
    text.written = std::move(comment);
    result.comments.push_back(std::move(text));
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
  return scan_text(text, false, true, scratch).harmless();
}

bool is_harmless_value(const std::string& utf8) {
  AddressIndex scratch;
  return scan_decoded(utf8, true, scratch).harmless();
}

bool is_parameter_name(std::string_view name) {
  return !name.empty() && name.size() <= 60 &&
         std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

/// The file name's last part, when it is one that says what the file is.
std::string_view extension_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view extension = name.substr(dot);
  return std::ranges::find(kExtensions, lower(extension)) == kExtensions.end() ? std::string_view()
                                                                               : extension;
}

/// A name in which an address stands: "report-taro@school.example.pdf" keeps its ".pdf".
ParameterScan::Parameter scan_file_name(const message::Parameter& parameter, AddressIndex& index) {
  ParameterScan::Parameter result{.kind = ParameterScan::Parameter::Kind::rewritten,
                                  .name = parameter.name,
                                  .value = {},
                                  .text = {},
                                  .extension = {}};
  const std::string_view extension = extension_of(parameter.value);
  if (!extension.empty()) {
    const std::string_view stem =
        std::string_view(parameter.value).substr(0, parameter.value.size() - extension.size());
    if (!is_harmless_value(std::string(stem))) {
      result.text = scan_decoded(std::string(stem), true, index);
      result.extension = extension;
      return result;
    }
  }
  result.text = scan_decoded(parameter.value, true, index);
  return result;
}

std::optional<ParameterScan::Parameter> scan_parameter(const message::Parameter& parameter,
                                                       AddressIndex& index) {
  if (!is_parameter_name(parameter.name)) return std::nullopt;
  ParameterScan::Parameter result;
  result.name = parameter.name;
  const bool plain = !parameter.raw.empty() && parameter.raw.find('(') == std::string_view::npos;
  const bool boundary = parameter.name == "boundary";  // the body's bytes are what they are
  if (boundary || is_harmless_value(parameter.value)) {
    const bool keep = plain && (boundary || is_harmless(parameter.raw));
    result.value =
        keep ? std::string(trim(parameter.raw)) : message::write_parameter(parameter.name, parameter.value);
    return result;
  }
  if (parameter.name == "name" || parameter.name == "filename") return scan_file_name(parameter, index);
  return std::nullopt;
}

/// The field without its boundary, which is not looked at.
std::string without_boundary(std::string text, const std::vector<message::Parameter>& parameters) {
  for (const message::Parameter& parameter : parameters) {
    if (parameter.name != "boundary") continue;
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
    if (item.kind == Kind::junk || (item.kind == Kind::mailbox && !item.address)) {
      scan.faithful = false;
      continue;
    }
    scan.items.push_back(scan_item(item, index));
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

ParameterScan scan_parameters(std::string_view body, AddressIndex& index) {
  ParameterScan scan;
  const std::string line = flat(body);
  const auto parsed = message::parse_parameters(line);
  if (!parsed) {
    scan.harmless = is_harmless(line);
    return scan;
  }
  scan.harmless = is_harmless(without_boundary(line, parsed->parameters));
  for (const message::Parameter& parameter : parsed->parameters) {
    if (parameter.name != "boundary" && !is_harmless_value(parameter.value)) scan.harmless = false;
  }
  if (scan.harmless || !is_harmless(parsed->value)) return scan;
  scan.value = parsed->value;
  for (const message::Parameter& parameter : parsed->parameters) {
    const bool seen = std::ranges::any_of(
        scan.parameters, [&](const ParameterScan::Parameter& other) { return other.name == parameter.name; });
    if (seen) continue;
    if (auto result = scan_parameter(parameter, index)) scan.parameters.push_back(std::move(*result));
  }
  return scan;
}

PassScan scan_pass(std::string_view body) {
  PassScan scan;
  const std::string line = flat(body);
  scan.harmless = is_harmless(line);
  if (scan.harmless) return scan;
  std::string value = without_comments(line);
  // "Auto-Submitted: auto-notified; owner-email=…" (RFC 5436 §2.7.1): the keyword still means something.
  if (!is_harmless(value)) value = trim(std::string_view(value).substr(0, value.find(';')));
  if (is_harmless(value)) scan.value = std::move(value);
  return scan;
}

}  // namespace kage::mapping
