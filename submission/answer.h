// Every answer that the SMTP server gives, in one table: code, enhanced status code (RFC 3463, RFC 5248),
// text.
//
// Texts are fixed: no answer carries a client's words, a next hop's words or an address (contract R3.2,
// R3.3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kage::submission {

enum class Answer : std::uint8_t {
  bye,
  ok,
  sender_ok,
  recipient_ok,
  delivered,
  start_data,
  start_tls,
  auth_ok,
  help,
  cannot_verify,
  shutting_down,
  timed_out,
  too_many_errors,
  too_many_logins,
  no_mapping,
  try_again,
  nobody_behind,
  delivery_deferred,
  auth_unavailable,
  auth_throttled,
  auth_no_mapping,
  tls_unavailable,
  too_many_recipients,
  unknown_command,
  line_too_long,
  bare_lf_command,
  bad_arguments,
  bad_sender,
  bad_recipient,
  bad_response,
  auth_cancelled,
  tls_injection,
  bad_sequence,
  already_authenticated,
  unknown_mechanism,
  auth_required,
  tls_required,
  auth_failed,
  no_such_user,
  relaying_denied,
  phantoms_only,
  bare_line_end,
  message_too_big,
  header_too_large,
  needs_smtputf8,
  routing_loop,
  no_valid_recipients,
  unknown_parameter,
  size_,  // how many there are
};

/// The whole line, CRLF included.
std::string_view line(Answer answer);

/// Counts a refusal by its reason; does nothing for other answers.
void count_refusal(Answer answer);

/// Whether it counts towards the errors that a client may make.
bool is_client_error(Answer answer);

/// "451 4.x.y …" or "554 5.x.y …" with the status of one of the copies; a status that does not have the form
/// of RFC 3463, or not this class, becomes "4.4.0" or "5.0.0".
std::string deferred_line(std::string_view status);
std::string refused_line(std::string_view status);
/// The status of a refused copy as it may be shown: of RFC 3463's form and class 5, else "5.0.0".
std::string_view refused_status(std::string_view status);

}  // namespace kage::submission
