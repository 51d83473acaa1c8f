// Reply lines: "250-text", "250 text", "250".
#include "submission/smtp_reply.h"

#include <algorithm>

#include "base/text.h"
#include "submission/enhanced_status.h"

namespace kage::submission {

Result<bool> SmtpReplyParser::line(std::string_view text) {
  if (++count_ > kMaxLines) return fail(Errc::limit, "reply too long");
  if (text.size() < 3 || text[0] < '2' || text[0] > '5' || !is_digit(text[1]) || !is_digit(text[2])) {
    return fail(Errc::protocol, "not a reply");
  }
  const int code = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
  const bool more = text.size() > 3 && text[3] == '-';
  if (text.size() > 3 && !more && !is_wsp(text[3])) return fail(Errc::protocol, "not a reply");
  if (count_ > 1 && code != reply_.code) return fail(Errc::protocol, "codes differ in one reply");
  reply_.code = code;
  const std::string_view rest = text.substr(std::min<std::size_t>(text.size(), 4));
  if (count_ == 1) reply_.status = enhanced_status(rest, text[0]);
  if (keep_text_) reply_.lines.emplace_back(rest);
  return !more;
}

CopyResult result_of(const SmtpReply& reply) {
  if (reply.transient()) return {Outcome::deferred, reply.status.empty() ? "4.0.0" : reply.status};
  // RFC 4954 §6 and RFC 3207 §4: authentication or encryption required.
  const bool ours = reply.code == 530 || reply.code == 534 || reply.code == 535 || reply.code == 538;
  if (ours) return {Outcome::deferred, "4.3.5"};
  if (reply.permanent()) return {Outcome::refused, reply.status.empty() ? "5.0.0" : reply.status};
  return {Outcome::deferred, "4.5.0"};
}

}  // namespace kage::submission
