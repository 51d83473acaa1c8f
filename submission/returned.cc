// Reading delivery reports line by line (RFC 3464), and the words that replace them.
#include "submission/returned.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/text.h"
#include "message/encoded_word.h"
#include "message/header.h"
#include "message/mime.h"
#include "submission/report.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMostCopies = 20;
constexpr std::size_t kBase64Line = 76;  // RFC 2045 §6.8

std::string_view body_of(const mapping::ParsedHeader& header, std::string_view name) {
  for (const message::Field& field : header.fields()) {
    if (field.is(name)) return field.body;
  }
  return {};
}

/// The value of "Name: value" when the line is of that field.
std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
  if (!starts_with_nocase(line, name) || !line.substr(name.size()).starts_with(':')) return std::nullopt;
  return trim(line.substr(name.size() + 1));
}

/// "rfc822; address", also without the type.
std::optional<message::Address> recipient_of(std::string_view value) {
  const std::size_t type = value.find(';');
  if (type != std::string_view::npos) value = trim(value.substr(type + 1));
  if (value.starts_with('<') && value.ends_with('>')) value = value.substr(1, value.size() - 2);
  auto address = message::parse_address(value);
  if (!address) return std::nullopt;
  return std::move(*address);
}

bool is_status(std::string_view text) {
  return text.size() >= 5 && text.size() <= 9 && (text[0] == '4' || text[0] == '5') && text[1] == '.' &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; });
}

}  // namespace

bool is_delivery_report(const mapping::ParsedHeader& header) {
  const auto author = header.author();
  if (!author) return true;
  constexpr std::array<std::string_view, 4> kDaemons = {"mailer-daemon", "postmaster", "mail-daemon",
                                                        "mailerdaemon"};
  if (std::ranges::any_of(kDaemons,
                          [&](std::string_view name) { return equals_nocase(author->local, name); }))
    return true;
  const std::string written = message::unfold(body_of(header, "Content-Type"));
  const auto type = message::parse_parameters(written);
  return (!type && !written.empty()) || (type && equals_nocase(type->value, "multipart/report"));
}

std::string returned_header(const mapping::ParsedHeader& header, const mapping::RouteTable& routes,
                            const mapping::Member& member) {
  const auto* postmaster = routes.find_address("postmaster@" + member.address->domain->name);
  const auto& author = (postmaster != nullptr ? postmaster : member.address)->spec.address;
  std::string out;
  message::write_field(out, "From", "Mail Delivery System <" + author.quoted() + ">");
  message::write_field(out, "To", "<" + member.spec.mailbox.quoted() + ">");
  message::write_field(out, "Subject", message::encode_words("Returned: not delivered / 届きませんでした"));
  for (const std::string_view name : {"Date", "Message-ID"}) {
    const std::string_view body = body_of(header, name);
    if (!body.empty()) message::write_field(out, name, message::unfold(body));
  }
  message::write_field(out, "Auto-Submitted", "auto-replied");  // RFC 3834 §5
  message::write_field(out, "MIME-Version", "1.0");
  message::write_field(out, "Content-Type", "text/plain; charset=UTF-8");
  message::write_field(out, "Content-Transfer-Encoding", "base64");
  return out;
}

Returned read_returned(std::string_view body) {
  body = body.substr(0, kReturnedRead);
  Returned returned;
  while (!body.empty() && returned.copies.size() < kMostCopies) {
    const std::size_t end = body.find('\n');
    const std::string_view line = trim(body.substr(0, end));
    body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    if (const auto final = value_of(line, "Final-Recipient")) {
      if (auto recipient = recipient_of(*final)) returned.copies.push_back({std::move(*recipient), "5.0.0"});
    } else if (const auto status = value_of(line, "Status"); status && !returned.copies.empty()) {
      const std::string_view number = status->substr(0, status->find_first_of(" \t("));
      if (is_status(number)) returned.copies.back().status = number;
    }
  }
  return returned;
}

std::string returned_body(const Returned& returned, const mapping::Member& member) {
  std::string text =
      "The mail system of a recipient gave your message back. What it wrote is not shown, since it may "
      "name\r\n"
      "addresses.\r\n\r\n"
      "宛先のメールシステムからメッセージが戻りました。アドレスが含まれることがあるため、元の文面は表示しませ"
      "ん。\r\n";
  for (const Returned::Copy& copy : returned.copies) {
    const Reason reason = reason_of(copy.status);
    text += fmt::format("\r\n  {}\r\n    {} {} {}\r\n",
                        mapping::phantom_address(member, copy.recipient.canonical()), copy.status,
                        reason.english, reason.japanese);
  }
  std::string out;
  const std::string encoded = base64(text);
  for (std::size_t at = 0; at < encoded.size(); at += kBase64Line) {
    out.append(encoded, at, kBase64Line).append("\r\n");
  }
  return out;
}

}  // namespace kage::submission
