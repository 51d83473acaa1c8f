// What the header of a message or part says about its content.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/text.h"
#include "mapping/visible/message.h"
#include "message/boundary_scanner.h"
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

/// The boundary as its octets stand in the delimiter lines: not decoded, unless RFC 2231 says so.
std::string boundary_of(const message::Parameter& parameter) {
  const std::size_t equals = parameter.raw.find('=');
  if (equals == std::string_view::npos) return parameter.value;
  if (parameter.raw.substr(0, equals).find('*') != std::string_view::npos) return parameter.value;
  std::string_view written = trim(parameter.raw.substr(equals + 1));
  const bool quoted = written.size() >= 2 && written.starts_with('"') && written.ends_with('"');
  if (quoted) written = written.substr(1, written.size() - 2);
  std::string boundary;
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (quoted && written[i] == '\\' && i + 1 < written.size()) ++i;
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

Kind kind_of_type(std::string_view type) {
  constexpr auto kTypes = std::to_array<std::pair<std::string_view, Kind>>({
      {"message/rfc822", Kind::message},
      {"message/global", Kind::message},                          // RFC 6532 §3.7
      {"text/rfc822-headers", Kind::headers},                     // RFC 6522 §4
      {"message/global-headers", Kind::headers},                  // RFC 6533 §6.3
      {"message/delivery-status", Kind::report},                  // RFC 3464
      {"message/global-delivery-status", Kind::report},           // RFC 6533
      {"message/disposition-notification", Kind::report},         // RFC 8098
      {"message/global-disposition-notification", Kind::report},  // RFC 6533
      {"message/feedback-report", Kind::report},                  // RFC 5965
  });
  const auto* const found = std::ranges::find(kTypes, type, &std::pair<std::string_view, Kind>::first);
  return found == kTypes.end() ? Kind::leaf : found->second;
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
  if (fields.encoding) {
    const std::string encoding =
        lower(message::parse_value(fields.encoding->substr(0, fields.encoding->find(';'))));
    if (encoding == "quoted-printable") kind.encoding = ContentKind::Encoding::quoted_printable;
    if (encoding == "base64") kind.encoding = ContentKind::Encoding::base64;
  }
  std::string type = in_digest ? "message/rfc822" : "text/plain";
  if (fields.type) {
    type = lower(message::parse_value(*fields.type));
    if (type.starts_with("multipart/")) {
      read_multipart(message::parse_parameters(*fields.type), type == "multipart/digest", kind);
      return kind;
    }
  }
  kind.html = type == "text/html";
  if (kind.encoding == ContentKind::Encoding::identity) kind.kind = kind_of_type(type);
  return kind;
}

}  // namespace kage::mapping
