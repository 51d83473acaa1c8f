// What the header of a message or part says about its content.
#include "mapping/visible/kind.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/text.h"
#include "message/boundary_scanner.h"
#include "message/lexical.h"
#include "message/mime.h"

namespace kage::mapping {
namespace {

using Kind = ContentKind::Kind;

/// The body of the field when `line` begins it: what follows the colon.
std::optional<std::size_t> body_of(std::string_view line, std::string_view lower_name) {
  if (!starts_with_nocase(line, lower_name)) return std::nullopt;
  std::size_t at = lower_name.size();
  while (at < line.size() && is_wsp(line[at])) ++at;
  if (at == line.size() || line[at] != ':') return std::nullopt;
  return at + 1;
}

std::size_t behind_line(std::string_view block, std::size_t at) {
  const std::size_t line_end = block.find('\n', at);
  return line_end == std::string_view::npos ? block.size() : line_end + 1;
}

/// Text up to its first white space or comment.
std::string_view first_word(std::string_view text) {
  return text.substr(0, text.find_first_of(" \t\r\n("));
}

/// Without white space and comments at its front (RFC 5322 §3.2.2).
std::string_view behind_comments(std::string_view text) {
  text = trim(text);
  while (text.starts_with('(')) {
    const std::size_t end = message::comment_end(text, 0);
    if (end == 0) return {};
    text = trim(text.substr(end));
  }
  return text;
}

/// The boundary as its octets stand in the delimiter lines: not decoded, unless RFC 2231 says so. Comments,
/// and words behind it that nothing separates, are none of it.
std::string boundary_of(const message::Parameter& parameter) {
  constexpr std::string_view kName = "boundary";
  if (!starts_with_nocase(parameter.raw, kName)) return parameter.value;
  std::string_view written = behind_comments(parameter.raw.substr(kName.size()));
  if (!written.starts_with('=')) return parameter.value;  // "boundary*=", "boundary*0="
  written = behind_comments(written.substr(1));
  if (!written.starts_with('"')) return std::string(first_word(written));
  std::string boundary;
  for (std::size_t i = 1; i < written.size() && written[i] != '"'; ++i) {
    if (written[i] == '\\' && i + 1 < written.size()) ++i;
    if (written[i] != '\r' && written[i] != '\n') boundary.push_back(written[i]);
  }
  boundary.resize(boundary.find_last_not_of(" \t") + 1);  // white space may follow a delimiter
  return boundary;
}

void read_multipart(const Result<message::ParameterizedValue>& value, bool digest, ContentKind& kind) {
  if (!value) {
    kind.kind = Kind::hidden;
    return;
  }
  const auto boundary = std::ranges::find(value->parameters, "boundary", &message::Parameter::name);
  if (boundary == value->parameters.end()) return;
  kind.boundary = boundary_of(*boundary);
  if (kind.boundary.empty()) return;
  kind.kind = kind.boundary.size() > message::BoundaryScanner::kMaxBoundary ? Kind::hidden : Kind::multipart;
  kind.digest = digest;
}

/// Servers take "base64 x" and "base64; x" for no encoding that they know, and tell the octets as they are.
ContentKind::Encoding encoding_of(std::string_view body) {
  const std::string word = body.contains(';') ? std::string() : lower(message::parse_value(body));
  if (word == "quoted-printable") return ContentKind::Encoding::quoted_printable;
  return word == "base64" ? ContentKind::Encoding::base64 : ContentKind::Encoding::identity;
}

/// "message / rfc822 x" is message/rfc822: some readers take it for that.
std::string media_type(std::string_view body) {
  const std::string value = lower(message::parse_value(body));
  const std::size_t slash = value.find('/');
  const std::string_view type = first_word(trim(std::string_view(value).substr(0, slash)));
  if (slash == std::string::npos) return std::string(type);
  return std::string(type).append("/").append(first_word(trim(std::string_view(value).substr(slash + 1))));
}

/// What is in a message/… that is not known could be a header.
Kind kind_of_type(std::string_view type) {
  constexpr auto kTypes = std::to_array<std::pair<std::string_view, Kind>>({
      {"message/rfc822", Kind::message},
      {"message/global", Kind::message},                          // RFC 6532 §3.7
      {"message/partial", Kind::message},                         // RFC 2046 §5.2.2
      {"message/external-body", Kind::message},                   // RFC 2046 §5.2.3
      {"message/news", Kind::message},                            // RFC 5537 §7.1
      {"text/rfc822-headers", Kind::headers},                     // RFC 6522 §4
      {"message/global-headers", Kind::headers},                  // RFC 6533 §6.3
      {"message/delivery-status", Kind::report},                  // RFC 3464
      {"message/global-delivery-status", Kind::report},           // RFC 6533
      {"message/disposition-notification", Kind::report},         // RFC 8098
      {"message/global-disposition-notification", Kind::report},  // RFC 6533
      {"message/feedback-report", Kind::report},                  // RFC 5965
      {"message/tracking-status", Kind::report},                  // RFC 3886
  });
  const auto* const found = std::ranges::find(kTypes, type, &std::pair<std::string_view, Kind>::first);
  if (found != kTypes.end()) return found->second;
  return type.starts_with("message/") ? Kind::hidden : Kind::leaf;
}

}  // namespace

ContentFields content_fields(std::string_view block) {
  ContentFields found;
  std::size_t next = 0;
  for (std::size_t begin = 0; begin < block.size(); begin = next) {
    next = behind_line(block, begin);
    if (to_lower(block[begin]) != 'c') continue;  // a continuation line too
    const auto body_in = [&](std::string_view name) -> std::optional<std::string_view> {
      const auto at = body_of(block.substr(begin, next - begin), name);
      if (!at) return std::nullopt;
      while (next < block.size() && is_wsp(block[next])) next = behind_line(block, next);
      return block.substr(begin + *at, next - begin - *at);
    };
    if (!found.type) found.type = body_in("content-type");
    if (!found.encoding) found.encoding = body_in("content-transfer-encoding");
  }
  return found;
}

ContentKind content_kind(std::string_view header_block, bool in_digest) {
  return content_kind(content_fields(header_block), in_digest);
}

ContentKind content_kind_of_front(std::string_view front, bool in_digest) {
  ContentKind kind = content_kind(front, in_digest);
  if (kind.kind == ContentKind::Kind::leaf && !kind.html) kind.kind = ContentKind::Kind::hidden;
  return kind;
}

ContentKind content_kind(const ContentFields& fields, bool in_digest) {
  ContentKind kind;
  if (fields.encoding) kind.encoding = encoding_of(*fields.encoding);
  std::string type = in_digest ? "message/rfc822" : "text/plain";
  if (fields.type) {
    type = media_type(*fields.type);
    if (type.starts_with("multipart/")) {
      read_multipart(message::parse_parameters(*fields.type), type == "multipart/digest", kind);
      return kind;
    }
  }
  kind.html = type == "text/html";
  // Quoted-printable leaves a header readable, and servers read it so. In base64 it is an attachment as
  // others.
  if (kind.encoding != ContentKind::Encoding::base64) kind.kind = kind_of_type(type);
  return kind;
}

}  // namespace kage::mapping
