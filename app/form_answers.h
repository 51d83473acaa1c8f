// What a visitor of a web form is told: one table of outcomes in English and Japanese, as a page or as JSON.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "http/server.h"
#include "message/form_letter.h"

namespace kage::app {

enum class FormOutcome : std::uint8_t {
  sent,
  deferred,
  refused,
  malformed,
  unknown_field,
  twice,  ///< one field a second time
  file_in_text,
  charset,
  control,  ///< a control character where none belongs
  too_long,
  no_email,
  bad_email,
  no_message,
  bad_redirect,
  trapped,  ///< the field that people do not see is filled in
  too_fast,
  stale,  ///< no token, or one that is not good any more
  wrong_origin,
  no_form,
  wrong_method,
  too_slow,
  too_large,
  too_many_files,
  wrong_type,
  throttled,
  code_sent,
  wrong_code,
  size_,  // how many there are
};

struct FormOutcomeRow {
  FormOutcome outcome;
  int status;
  metrics::Counter counter;
  std::string_view code;  ///< in JSON and in logs
  std::string_view english, japanese;
};
const FormOutcomeRow& form_outcome(FormOutcome outcome);

/// How this visitor wants to be answered.
struct FormManner {
  bool json = false;
  bool japanese = false;
};

http::Response form_answer(FormOutcome outcome, FormManner manner);

/// A page with the form itself, for visitors without scripts. `title`: a text, escaped here.
http::Response form_page(std::string_view title, std::string_view token, unsigned max_files, bool japanese);

/// Asks for the code, with all that the visitor wrote in the page; files have to be chosen again. The
/// letter's redirect has to be one that is allowed.
http::Response code_page(FormOutcome outcome, const message::FormLetter& letter, bool japanese);

/// {"token": "…"}
http::Response token_answer(std::string_view token);

}  // namespace kage::app
