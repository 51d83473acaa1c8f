// The report's words and its MIME parts.
#include "submission/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "mapping/keys/keys.h"
#include "message/base64_lines.h"
#include "message/encoded_word.h"
#include "message/header.h"

namespace kage::submission {
namespace {

constexpr std::size_t kSubjectShown = 200;  // octets
constexpr std::size_t kDateShown = 64;      // octets
constexpr std::size_t kLongestMsgId = 500;  // octets

struct StatusWords {
  std::string_view status;  ///< without its class; with a dot at its end: the whole subject (RFC 3463 §3)
  Reason reason;
};

constexpr auto kWords = std::to_array<StatusWords>({
    {"1.1", {"There is no such mailbox.", "その宛先のメールボックスはありません。"}},
    {"1.2", {"The mail domain does not exist.", "宛先のメールドメインがありません。"}},
    {"1.6", {"The mailbox has moved.", "宛先のメールボックスは移転しました。"}},
    {"1.10", {"The domain takes no mail.", "宛先のドメインはメールを受け取りません。"}},
    {"1.", {"The address is not valid.", "宛先のアドレスが正しくありません。"}},
    {"2.1", {"The mailbox is disabled.", "宛先のメールボックスは停止されています。"}},
    {"2.2", {"The mailbox is full.", "宛先のメールボックスがいっぱいです。"}},
    {"2.3", {"The message is too long for the mailbox.", "メッセージが宛先の上限より大きいです。"}},
    {"2.", {"The mailbox cannot take the message.", "宛先のメールボックスが受け取れません。"}},
    {"3.4", {"The message is too big.", "メッセージが大きすぎます。"}},
    {"3.",
     {"The recipient's mail system cannot take the message.", "宛先のメールシステムが受け取れません。"}},
    {"4.", {"The recipient's mail system cannot be reached.", "宛先のメールシステムに届きません。"}},
    {"6.",
     {"The recipient's mail system cannot handle this kind of message.",
      "宛先のメールシステムはこの形式のメッセージを扱えません。"}},
    {"7.",
     {"The recipient's mail system does not allow the message.",
      "宛先のメールシステムの規則により拒否されました。"}},
});
constexpr Reason kAnyReason{"The recipient's mail system refused the message.",
                            "宛先のメールシステムに拒否されました。"};

/// One line that is safe in a text, at most `most` octets, not cut inside a character.
std::string plain_line(std::string_view text, std::size_t most) {
  std::string line;
  for (const char c : text.substr(0, most)) {
    if (!is_control(c)) line.push_back(c);
  }
  if (text.size() > most) {
    while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xc0U) == 0x80U) line.pop_back();
    if (!line.empty() && !is_ascii(line.back())) line.pop_back();
  }
  return line;
}

/// How many of the refused copies were for recipients, and how many for members behind a public address: of
/// those a message may have more than recipients.
struct Counts {
  std::size_t recipients = 0, members = 0;
};

Counts count(const Report& report) {
  Counts counts;
  for (const RefusedCopy& copy : report.refused) ++(copy.position == 0 ? counts.members : counts.recipients);
  return counts;
}

std::string subject_of(const Report& report) {
  const Counts refused = count(report);
  if (refused.recipients == 0) {
    return fmt::format("Not delivered to {0} behind a public address / 担当者 {0} 名に届きませんでした",
                       refused.members);
  }
  return fmt::format("Not delivered to {0} of {1} recipients / {1} 件中 {0} 件に届きませんでした",
                     refused.recipients, report.recipients);
}

std::string opening(const Report& report) {
  const Counts refused = count(report);
  if (refused.recipients == 0) {
    return fmt::format(
        "Your message was not delivered to {0} of those behind a public address of this system.\r\n"
        "Everybody else has it: do not send it again.\r\n\r\n"
        "公開アドレスの担当者のうち {0} 名に届きませんでした。ほかの宛先にはすべて届いています。\r\n"
        "もう一度送る必要はありません。\r\n\r\n",
        refused.members);
  }
  std::string out = fmt::format(
      "Your message was not delivered to {0} of its {1} recipients. Everybody else has it:\r\n"
      "do not send it to all of them again.\r\n\r\n"
      "{1} 件の宛先のうち {0} 件に届きませんでした。ほかの宛先にはすべて届いています。\r\n"
      "全員にもう一度送る必要はありません。\r\n\r\n",
      refused.recipients, report.recipients);
  if (refused.members > 0) {
    out += fmt::format(
        "Nor was it delivered to {0} of those behind a public address of this system.\r\n"
        "公開アドレスの担当者のうち {0} 名にも届いていません。\r\n\r\n",
        refused.members);
  }
  return out;
}

std::string text_for_people(const Report& report) {
  std::string out = opening(report);
  const std::string subject =
      plain_line(message::decode_words(message::unfold(report.subject)), kSubjectShown);
  if (!subject.empty()) out.append("  Subject: ").append(subject).append("\r\n");
  const std::string date = plain_line(message::unfold(report.date), kDateShown);
  if (!date.empty() && all_ascii(date)) out.append("  Date: ").append(date).append("\r\n");
  for (const RefusedCopy& copy : report.refused) {
    const Reason reason = reason_of(copy.status);
    const std::string who = copy.position == 0 ? "one of those behind it / 担当者の一人"
                                               : fmt::format("recipient {}", copy.position);
    out += fmt::format("\r\n  {}  ({})\r\n    {} {} {}\r\n", copy.address, who, copy.status, reason.english,
                       reason.japanese);
  }
  return out;
}

/// RFC 3464 §2: the same for programs.
std::string text_for_programs(const Report& report) {
  std::string out = fmt::format("Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n", report.hostname,
                                rfc5322_date(report.now));
  for (const RefusedCopy& copy : report.refused) {
    out += fmt::format("\r\nFinal-Recipient: rfc822; {}\r\nAction: failed\r\nStatus: {}\r\n", copy.address,
                       copy.status);
  }
  return out;
}

}  // namespace

Reason reason_of(std::string_view status) {
  status.remove_prefix(std::min<std::size_t>(status.size(), 2));
  for (const StatusWords& words : kWords) {
    if (words.status.ends_with('.') ? status.starts_with(words.status) : status == words.status)
      return words.reason;
  }
  return kAnyReason;
}

std::string mail_system(const mapping::RouteTable& routes, const mapping::Member& member) {
  const auto* postmaster = routes.find_address("postmaster@" + member.address->domain->name);
  const auto& author = (postmaster != nullptr ? postmaster : member.address)->spec.address;
  return "Mail Delivery System <" + author.quoted() + ">";
}

ReportMail write_report(const Report& report) {
  const mapping::DomainSpec& domain = *report.member.address->domain;
  const std::string name =
      base32(mapping::hmac_sha256(report.routes.master().index_key(), "report " + std::string(report.seed))
                 .first(15));
  const std::string boundary = "=_" + name;
  ReportMail mail;
  std::string& header = mail.header;
  message::write_field(header, "Date", rfc5322_date(report.now));
  message::write_field(header, "From", mail_system(report.routes, report.member));
  message::write_field(header, "To", "<" + report.member.spec.mailbox.quoted() + ">");
  message::write_field(header, "Subject", message::encode_words(subject_of(report)));
  message::write_field(header, "Message-ID", "<" + name + "@" + domain.phantom_domain + ">");
  if (!report.message_id.empty() && report.message_id.size() <= kLongestMsgId) {
    const std::string original = fmt::format("<{}>", report.message_id);
    message::write_field(header, "In-Reply-To", original);
    message::write_field(header, "References", original);
  }
  message::write_field(header, "Auto-Submitted", "auto-replied");  // RFC 3834 §5
  message::write_field(header, "MIME-Version", "1.0");
  message::write_field(header, "Content-Type",
                       "multipart/report; report-type=delivery-status; boundary=\"" + boundary + "\"");
  mail.body = "--" + boundary +
              "\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\n";
  message::append_base64_lines(mail.body, text_for_people(report));
  mail.body += "\r\n--" + boundary + "\r\nContent-Type: message/delivery-status\r\n\r\n" +
               text_for_programs(report) + "\r\n--" + boundary + "--\r\n";
  return mail;
}

}  // namespace kage::submission
