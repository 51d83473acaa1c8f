// The table of answers. A row stands at the index of its Answer; the compiler checks that.
#include "submission/answer.h"

#include <array>

#include "base/metrics.h"
#include "submission/enhanced_status.h"

namespace kage::submission {
namespace {

struct Row {
  Answer answer;
  bool client_error;  ///< counts towards max_errors
  std::string_view line;
};

constexpr std::size_t kCount = static_cast<std::size_t>(Answer::size_);

constexpr std::array<Row, kCount> kTable = {{
    {Answer::bye, false, "221 2.0.0 Bye\r\n"},
    {Answer::ok, false, "250 2.0.0 Ok\r\n"},
    {Answer::sender_ok, false, "250 2.1.0 Ok\r\n"},
    {Answer::recipient_ok, false, "250 2.1.5 Ok\r\n"},
    {Answer::delivered, false, "250 2.0.0 Ok: delivered\r\n"},
    {Answer::start_data, false, "354 End data with <CR><LF>.<CR><LF>\r\n"},
    {Answer::start_tls, false, "220 2.0.0 Ready to start TLS\r\n"},
    {Answer::auth_ok, false, "235 2.7.0 Authentication successful\r\n"},
    {Answer::help, false, "214 2.0.0 See RFC 5321\r\n"},
    {Answer::cannot_verify, false, "252 2.5.2 Cannot verify, send a message and see\r\n"},
    {Answer::shutting_down, false, "421 4.3.2 Service shutting down\r\n"},
    {Answer::timed_out, false, "421 4.4.2 Timeout, closing connection\r\n"},
    {Answer::too_many_errors, false, "421 4.7.0 Too many errors\r\n"},
    {Answer::too_many_logins, false, "421 4.7.0 Too many failed logins\r\n"},
    {Answer::no_mapping, false, "451 4.3.0 Temporary failure: mapping not available\r\n"},
    {Answer::try_again, false, "451 4.3.2 Not now, try again later\r\n"},
    {Answer::nobody_behind, false, "450 4.2.1 Mailbox not in use now, try again later\r\n"},
    {Answer::delivery_deferred, false, "451 4.4.0 Delivery deferred, try again later\r\n"},
    {Answer::auth_unavailable, false, "454 4.7.0 Temporary authentication failure\r\n"},
    {Answer::auth_throttled, false, "454 4.7.0 Too many failed logins, try again later\r\n"},
    {Answer::auth_no_mapping, false, "454 4.7.0 Temporary failure: mapping not available\r\n"},
    {Answer::tls_unavailable, false, "454 4.7.0 TLS not available\r\n"},
    {Answer::too_many_recipients, false, "452 4.5.3 Too many recipients\r\n"},
    {Answer::unknown_command, true, "500 5.5.2 Command not recognized\r\n"},
    {Answer::line_too_long, true, "500 5.5.2 Line too long\r\n"},
    {Answer::bare_lf_command, true, "500 5.5.2 Lines must end with CR LF\r\n"},
    {Answer::bad_arguments, true, "501 5.5.4 Syntax error in arguments\r\n"},
    {Answer::bad_sender, true, "501 5.1.7 Bad sender address syntax\r\n"},
    {Answer::bad_recipient, true, "501 5.1.3 Bad recipient address syntax\r\n"},
    {Answer::bad_response, true, "501 5.5.2 Cannot decode response\r\n"},
    {Answer::auth_cancelled, true, "501 5.7.0 Authentication cancelled\r\n"},
    {Answer::tls_injection, true, "501 5.5.4 Nothing may follow STARTTLS before the handshake\r\n"},
    {Answer::bad_sequence, true, "503 5.5.1 Bad sequence of commands\r\n"},
    {Answer::already_authenticated, true, "503 5.5.1 Already authenticated\r\n"},
    {Answer::unknown_mechanism, true, "504 5.5.4 Unrecognized authentication mechanism\r\n"},
    {Answer::auth_required, true, "530 5.7.0 Authentication required\r\n"},
    {Answer::tls_required, true, "530 5.7.0 Must issue a STARTTLS command first\r\n"},
    {Answer::auth_failed, true, "535 5.7.8 Authentication credentials invalid\r\n"},
    {Answer::no_such_user, true, "550 5.1.1 No such user here\r\n"},
    {Answer::relaying_denied, true, "550 5.7.1 Relaying denied\r\n"},
    {Answer::phantoms_only, true, "550 5.7.1 Only phantoms may be written to from here\r\n"},
    {Answer::bare_line_end, true, "550 5.6.11 Bare CR or LF in message\r\n"},
    {Answer::message_too_big, true, "552 5.3.4 Message too big\r\n"},
    {Answer::header_too_large, true, "552 5.3.4 Header too large\r\n"},
    {Answer::needs_smtputf8, true, "553 5.6.7 Address needs SMTPUTF8\r\n"},
    {Answer::routing_loop, true, "554 5.4.6 Routing loop detected\r\n"},
    {Answer::no_valid_recipients, true, "554 5.5.1 No valid recipients\r\n"},
    {Answer::unknown_parameter, true, "555 5.5.4 Unrecognized parameter\r\n"},
}};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (kTable[i].answer != static_cast<Answer>(i) || !kTable[i].line.ends_with("\r\n")) return false;
  }
  return true;
}
static_assert(rows_in_order());

const Row& row(Answer answer) {
  return kTable[static_cast<std::size_t>(answer)];
}

std::string with_status(std::string_view code, std::string_view status, std::string_view text) {
  std::string out;
  out.append(code).append(" ").append(status).append(" ").append(text).append("\r\n");
  return out;
}

}  // namespace

void count_refusal(Answer answer) {
  using metrics::Counter;
  if (line(answer)[0] < '4') return;
  switch (answer) {
    case Answer::no_such_user:
    case Answer::bad_recipient:
      return metrics::add(Counter::refusals_unknown);
    case Answer::relaying_denied:
      return metrics::add(Counter::refusals_relaying);
    case Answer::phantoms_only:
      return metrics::add(Counter::refusals_phantoms_only);
    case Answer::auth_required:
    case Answer::auth_failed:
    case Answer::auth_throttled:
    case Answer::auth_unavailable:
    case Answer::too_many_logins:
      return metrics::add(Counter::refusals_login);
    case Answer::tls_required:
    case Answer::tls_unavailable:
      return metrics::add(Counter::refusals_tls);
    case Answer::no_mapping:
    case Answer::auth_no_mapping:
      return metrics::add(Counter::refusals_mapping);
    case Answer::try_again:
    case Answer::nobody_behind:
    case Answer::delivery_deferred:
      return metrics::add(Counter::refusals_again);
    case Answer::too_many_recipients:
      return metrics::add(Counter::refusals_recipients);
    case Answer::message_too_big:
      return metrics::add(Counter::refusals_size);
    case Answer::header_too_large:
      return metrics::add(Counter::refusals_header);
    case Answer::bare_line_end:
    case Answer::bare_lf_command:
      return metrics::add(Counter::refusals_line_ends);
    case Answer::needs_smtputf8:
      return metrics::add(Counter::refusals_smtputf8);
    case Answer::routing_loop:
      return metrics::add(Counter::refusals_loop);
    case Answer::timed_out:
      return metrics::add(Counter::refusals_timed_out);
    case Answer::too_many_errors:
      return metrics::add(Counter::refusals_errors);
    case Answer::shutting_down:
      return metrics::add(Counter::refusals_stopping);
    default:
      return metrics::add(Counter::refusals_syntax);
  }
}

std::string_view line(Answer answer) {
  return row(answer).line;
}

bool is_client_error(Answer answer) {
  return row(answer).client_error;
}

std::string deferred_line(std::string_view status) {
  return with_status("451", is_enhanced_status(status, '4') ? status : "4.4.0",
                     "Delivery deferred, try again later");
}

std::string refused_line(std::string_view status) {
  return with_status("554", refused_status(status), "Delivery refused");
}

std::string_view refused_status(std::string_view status) {
  return is_enhanced_status(status, '5') ? status : "5.0.0";
}

}  // namespace kage::submission
