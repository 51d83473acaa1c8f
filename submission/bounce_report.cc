// Reading delivery reports line by line (RFC 3464), and the words that replace them.
#include "submission/bounce_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/text.h"
#include "message/address_text.h"
#include "message/base64_lines.h"
#include "message/encoded_word.h"
#include "message/header.h"
#include "message/mime.h"
#include "submission/enhanced_status.h"
#include "submission/report.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMostCopies = 20;
constexpr std::size_t kMostMentioned = 20;

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

/// The fields of one recipient (RFC 3464 §2.3). A group ends with an empty line, or where a field comes that
/// it has already.
class Groups {
 public:
  BounceReport read(std::string_view body) {
    while (!body.empty() && report_.copies.size() < kMostCopies) {
      const std::size_t end = body.find('\n');
      take(trim(body.substr(0, end)));
      body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    }
    close();
    if (!failed_ && delayed_) report_.kind = BounceReport::Kind::delayed;
    if (!failed_ && !delayed_ && arrived_) report_.kind = BounceReport::Kind::none;
    return std::move(report_);
  }

 private:
  struct Group {
    std::optional<std::string_view> original, final, action, status;
  };

  void take(std::string_view line) {
    if (line.empty()) return close();
    const auto set = [&](std::string_view name, std::optional<std::string_view> Group::* field) {
      const auto value = value_of(line, name);
      if (!value) return;
      if (group_.*field) close();
      group_.*field = value;
    };
    set("Original-Recipient", &Group::original);
    set("Final-Recipient", &Group::final);
    set("Action", &Group::action);
    set("Status", &Group::status);
  }

  /// A group without Final-Recipient is none: what is given back of a message may have the other fields.
  void close() {
    const Group group = std::exchange(group_, {});
    if (!group.final || report_.copies.size() == kMostCopies) return;
    const std::string_view action = group.action.value_or("failed");
    const auto is = [&](std::string_view word) { return starts_with_nocase(action, word); };
    const bool delayed = is("delayed");
    const bool arrived = is("delivered") || is("relayed") || is("expanded");
    arrived_ |= arrived;
    delayed_ |= delayed;
    failed_ |= !arrived && !delayed;
    if (arrived) return;
    // A correspondent whose mailbox forwards is known by the address that was written to; the final one may
    // be nobody's business (RFC 3464 §2.3.1, contract R3.1).
    auto recipient = group.original ? recipient_of(*group.original) : std::nullopt;
    if (!recipient) recipient = recipient_of(*group.final);
    if (!recipient) return;
    std::string status(delayed ? "4.0.0" : "5.0.0");
    if (group.status) {
      const std::string_view number = group.status->substr(0, group.status->find_first_of(" \t("));
      if (is_enhanced_status(number, '4') || is_enhanced_status(number, '5')) status = number;
    }
    report_.copies.push_back({std::move(*recipient), std::move(status), delayed});
  }

  BounceReport report_;
  Group group_;
  bool failed_ = false, delayed_ = false, arrived_ = false;
};

/// Where the message that is given back begins: its recipients are no failures. Ours begin with Received.
bool begins_original(std::string_view line) {
  while (line.starts_with('>')) line = trim(line.substr(1));
  constexpr std::array<std::string_view, 6> kFields = {"Return-Path", "Received",       "From",
                                                       "Message-ID",  "DKIM-Signature", "MIME-Version"};
  if (std::ranges::any_of(kFields, [&](std::string_view name) { return value_of(line, name).has_value(); }))
    return true;
  if (const auto type = value_of(line, "Content-Type")) {
    return starts_with_nocase(*type, "message/rfc822") || starts_with_nocase(*type, "text/rfc822-headers") ||
           starts_with_nocase(*type, "message/global");
  }
  // qmail, Exim, sendmail
  constexpr std::array<std::string_view, 4> kRules = {"--- Below this line", "------ This is a copy",
                                                      "----- Unsent message", "----- Original message"};
  return std::ranges::any_of(kRules, [&](std::string_view rule) { return starts_with_nocase(line, rule); });
}

std::string_view before_original(std::string_view body) {
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = std::min(body.find('\n', at), body.size());
    if (begins_original(trim(body.substr(at, end - at)))) return body.substr(0, at);
    at = end + 1;
  }
  return body;
}

std::vector<message::Address> mentioned_in(std::string_view text) {
  std::vector<message::Address> mentioned;
  std::vector<std::string> seen;
  for (message::TextAddress& found : message::find_addresses(text)) {
    std::string canonical = found.address.canonical();
    if (std::ranges::find(seen, canonical) != seen.end()) continue;
    seen.push_back(std::move(canonical));
    mentioned.push_back(std::move(found.address));
    if (mentioned.size() == kMostMentioned) break;
  }
  return mentioned;
}

constexpr std::string_view kFailed =
    "The mail system of a recipient gave your message back. What it wrote is not shown, since it may "
    "name\r\n"
    "addresses.\r\n\r\n"
    "宛先のメールシステムからメッセージが戻りました。アドレスが含まれることがあるため、元の文面は表示しませ"
    "ん。\r\n";
constexpr std::string_view kDelayed =
    "The mail system of a recipient could not deliver your message yet and goes on trying: do not send it\r\n"
    "again. What it wrote is not shown, since it may name addresses.\r\n\r\n"
    "まだ届いていませんが、宛先のメールシステムが再試行を続けています。送り直す必要はありません。アドレスが"
    "含まれることがあるため、元の文面は表示しません。\r\n";
constexpr std::string_view kMentioned =
    "Its text names these, without saying in a form that can be read what became of them:\r\n"
    "次の宛先が文面に書かれていました（結果は読み取れません）。\r\n";
/// Words for a status tell why somebody refused; who is tried again is not refused.
constexpr Reason kStillTried{"Not delivered yet; it is tried again.",
                             "まだ届いていません。再試行が続いています。"};

}  // namespace

bool is_delivery_report(const mapping::ParsedHeader& header) {
  const auto author = header.author();
  if (!author) return true;
  constexpr std::array<std::string_view, 4> kDaemons = {"mailer-daemon", "postmaster", "mail-daemon",
                                                        "mailerdaemon"};
  if (std::ranges::any_of(kDaemons,
                          [&](std::string_view name) { return equals_nocase(author->local, name); }))
    return true;
  const std::string written = message::unfold(header.body_of("Content-Type"));
  const auto type = message::parse_parameters(written);
  return (!type && !written.empty()) || (type && equals_nocase(type->value, "multipart/report"));
}

std::string bounce_header(const mapping::ParsedHeader& header, const mapping::RouteTable& routes,
                          const mapping::Member& member, BounceReport::Kind kind) {
  std::string out;
  message::write_field(out, "From", mail_system(routes, member));
  message::write_field(out, "To", "<" + member.spec.mailbox.quoted() + ">");
  message::write_field(out, "Subject",
                       message::encode_words(kind == BounceReport::Kind::delayed
                                                 ? "Delayed: not delivered yet / まだ届いていません"
                                                 : "Returned: not delivered / 届きませんでした"));
  for (const std::string_view name : {"Date", "Message-ID"}) {
    const std::string_view body = header.body_of(name);
    if (!body.empty()) message::write_field(out, name, message::unfold(body));
  }
  message::write_field(out, "Auto-Submitted", "auto-replied");  // RFC 3834 §5
  message::write_field(out, "MIME-Version", "1.0");
  message::write_field(out, "Content-Type", "text/plain; charset=UTF-8");
  message::write_field(out, "Content-Transfer-Encoding", "base64");
  return out;
}

BounceReport read_bounce_report(std::string_view body) {
  body = body.substr(0, kBounceRead);
  BounceReport report = Groups().read(body);
  if (report.copies.empty() && report.kind == BounceReport::Kind::failed)
    report.mentioned = mentioned_in(before_original(body));
  return report;
}

std::string bounce_body(const BounceReport& report, const mapping::Member& member) {
  std::string text(report.kind == BounceReport::Kind::delayed ? kDelayed : kFailed);
  for (const BounceReport::Copy& copy : report.copies) {
    const Reason reason = copy.delayed ? kStillTried : reason_of(copy.status);
    text += fmt::format("\r\n  {}\r\n    {} {} {}\r\n",
                        mapping::phantom_address(member, copy.recipient.canonical()), copy.status,
                        reason.english, reason.japanese);
  }
  if (!report.mentioned.empty()) text.append("\r\n").append(kMentioned);
  for (const message::Address& address : report.mentioned)
    text.append("  ").append(mapping::phantom_address(member, address.canonical())).append("\r\n");
  std::string out;
  message::append_base64_lines(out, text);
  return out;
}

}  // namespace kage::submission
