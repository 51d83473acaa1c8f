// Default-deny like the header table: a field that is not named here keeps neither its name nor its value.
#include "mapping/visible/report.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "message/header.h"

namespace kage::mapping {
namespace {

// RFC 3464 §2.2 and §2.3, RFC 8098 §3.2, RFC 5965 §3: nothing in these names anybody.
constexpr auto kShown = std::to_array<std::string_view>({
    "action",
    "arrival-date",
    "auth-failure",
    "content-type",
    "disposition",
    "error",
    "failure",
    "feedback-type",
    "incidents",
    "last-attempt-date",
    "status",
    "version",
    "warning",
    "will-retry-until",
});
constexpr auto kNamed = std::to_array<std::string_view>({
    "diagnostic-code",
    "dsn-gateway",
    "final-log-id",
    "final-recipient",
    "mdn-gateway",
    "original-envelope-id",
    "original-message-id",
    "original-recipient",
    "received-from-mta",
    "remote-mta",
    "reporting-mta",
    "reporting-ua",
});

bool is_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c > 32 && c < 127 && c != ':'; });
}

/// Whether the value of a field that may be shown holds what could be an address or its encoding.
bool harmless(std::string_view body) {
  return all_ascii(body) && body.find('@') == std::string_view::npos &&
         body.find("=?") == std::string_view::npos;
}

/// Filler behind the first octet of each line after the first, so that they stay folds of one field.
void append_folded_filler(std::string_view body, std::string& out) {
  bool line_begins = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    const bool line_end = c == '\n' || (c == '\r' && body.substr(i + 1).starts_with('\n'));
    if (line_end) {
      out.push_back(c);
    } else {
      out.push_back(line_begins ? ' ' : '.');
    }
    line_begins = c == '\n';
  }
}

void show_field(std::string_view field, std::string& out) {
  const std::string_view line = field.substr(0, field.find('\n'));
  const std::size_t colon = line.find(':');
  const std::string_view name = trim(line.substr(0, colon == std::string_view::npos ? 0 : colon));
  if (!is_name(name)) {
    append_blanked(field, out);
    return;
  }
  const std::string key = lower(name);
  const std::string_view body = field.substr(colon + 1);
  if (std::ranges::binary_search(kShown, key) && harmless(body)) {
    out.append(field);
    return;
  }
  if (std::ranges::binary_search(kNamed, key)) {
    out.append(field.substr(0, colon + 1));
  } else {
    out.append("X").append(colon - 1, '-').append(":");
  }
  const bool spaced = body.size() > 1 && body.starts_with(' ');
  if (spaced) out.push_back(' ');
  append_folded_filler(body.substr(spaced ? 1 : 0), out);
}

}  // namespace

void append_blanked(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool line_end = text[i] == '\n' || (text[i] == '\r' && text.substr(i + 1).starts_with('\n'));
    out.push_back(line_end ? text[i] : '.');
  }
}

void show_report_block(std::string_view block, std::string& out) {
  while (!block.empty()) {
    const std::string_view field = message::cut_field(block);
    if (field == "\r\n" || field == "\n") {
      out.append(field);
    } else {
      show_field(field, out);
    }
  }
}

}  // namespace kage::mapping
