// A visitor of a web form proves the mail address: a code goes there by mail, and the form comes again with
// it.
//
// Nothing is kept meanwhile. What was written stays in the visitor's browser; the code is a keyed hash of the
// form's token, the public address and the visitor's, and good as long as the token. The mail has no word of
// what the visitor wrote, since the address may be somebody else's. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mapping/routes/table.h"
#include "message/address.h"

namespace kage::app {

/// Eight digits. `address`: the public one, canonical. `token`: one that open_form_token took.
std::string form_code(const mapping::MasterKeys& master, std::string_view address,
                      const message::Address& visitor, std::string_view token);

/// Whether the digits in `given`, of any width, are that code; what is no digit is passed over.
bool is_form_code(std::string_view given, std::string_view code);

struct CodeMail {
  std::string header;  ///< CRLF line ends, without the empty line
  std::string body;
};

/// `id`: Message-ID without brackets. `now`: seconds.
CodeMail write_code_mail(const mapping::PublicAddress& from, const message::Address& visitor,
                         std::string_view code, std::string_view id, std::int64_t now, bool japanese);

}  // namespace kage::app
