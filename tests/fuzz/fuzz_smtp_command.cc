// Command lines and SASL messages of a client that is not authenticated yet.
#include <algorithm>
#include <string>

#include "base/sasl.h"
#include "base/text.h"
#include "submission/answer.h"
#include "submission/smtp_command.h"
#include "tests/fuzz/fuzz.h"

namespace {

using kage::fuzz::require;
using namespace kage;
using namespace kage::submission;

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// What is accepted can be written into another server's command without breaking out of it.
void check_address(const kage::message::Address& address) {
  const std::string quoted = address.quoted();
  require(!has_control(quoted), "no control characters in an accepted address");
  require(!address.canonical().empty(), "an accepted address has a canonical form");
  const std::string again = "FROM:<" + quoted + "> SMTPUTF8";
  const auto parsed = parse_mail(again, true);
  require(parsed && parsed->sender && parsed->sender->canonical() == address.canonical(),
          "an accepted address is accepted again as it goes out");
}

void check_mail(std::string_view rest, bool extended) {
  const auto mail = parse_mail(rest, extended);
  if (!mail) {
    require(is_client_error(mail.error()) && line(mail.error()).front() == '5', "a refusal is a 5xx");
    return;
  }
  if (mail->sender) {
    check_address(*mail->sender);
    require(mail->smtputf8 || !mail->sender->needs_utf8(), "UTF-8 needs SMTPUTF8");
  }
  require(mail->ret.empty() || mail->ret == "FULL" || mail->ret == "HDRS", "RET is one of two");
  require(extended || (mail->size == 0 && !mail->smtputf8 && mail->ret.empty()), "no parameters after HELO");
}

void check_rcpt(std::string_view rest, bool extended, bool smtputf8) {
  const auto rcpt = parse_rcpt(rest, extended, smtputf8);
  if (!rcpt) return;
  require(rcpt->notify.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ,") == std::string::npos,
          "NOTIFY is words and commas");
  if (rcpt->recipient.domain.empty()) {
    require(rcpt->recipient.local == "postmaster", "only postmaster has no domain");
  } else {
    check_address(rcpt->recipient);
  }
}

void check_sasl(const std::string& message) {
  for (const auto read : {read_plain, read_xoauth2, read_oauthbearer}) {
    const auto credentials = read(message);
    if (!credentials) continue;
    require(!credentials->login.empty() && credentials->login.size() <= 320, "logins are bounded");
    require(!has_control(credentials->login), "no control characters in a login");
    require(!credentials->secret.empty() && credentials->secret.size() <= message.size(),
            "there is a secret");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of exactly that size, so that a read beyond it is seen.
  const std::string text(kage::fuzz::text_of(data, size));
  const CommandLine command = split_command(text);
  require(command.rest.size() <= text.size(), "the rest lies in the line");
  for (const bool extended : {false, true}) {
    check_mail(command.rest, extended);
    check_rcpt(command.rest, extended, false);
    check_rcpt(command.rest, extended, true);
  }
  if (const auto bdat = parse_bdat(command.rest)) require(bdat->size <= INT64_MAX, "BDAT is bounded");
  if (const auto auth = parse_auth(command.rest)) {
    require(auth->mechanism.size() <= 20 && !has_control(auth->mechanism), "mechanisms are short words");
  }
  if (is_helo_name(command.rest)) require(!has_control(command.rest), "no control characters in a name");
  check_sasl(text);
  if (const auto decoded = decode_response(command.rest)) check_sasl(*decoded);
  return 0;
}
