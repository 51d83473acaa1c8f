// One SMTP command line into its parts (RFC 5321 §4.1; RFC 1870, 3030, 3461, 4954, 6531): pure, no I/O.
//
// What is common though sloppy (a space after "FROM:") is read; everything else that is wrong gets the answer
// that names it. Lines come in bounded, so everything here is bounded by them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "message/address.h"
#include "submission/answer.h"

namespace kage::submission {

enum class Verb : std::uint8_t {
  helo,
  ehlo,
  mail,
  rcpt,
  data,
  bdat,
  rset,
  noop,
  quit,
  vrfy,
  help,
  auth,
  starttls,
  unknown,
};
constexpr std::size_t kVerbs = static_cast<std::size_t>(Verb::unknown) + 1;

/// The verb and what follows it, outer white space removed. `rest` lies in `line`.
struct CommandLine {
  Verb verb = Verb::unknown;
  std::string_view rest;
};
CommandLine split_command(std::string_view line);

/// The value, or the answer to give instead.
template <class T>
using Parsed = std::expected<T, Answer>;

enum class BodyType : std::uint8_t { seven_bit, eight_bit };

struct MailCommand {
  std::optional<message::Address> sender;  ///< nothing: <>
  std::uint64_t size = 0;                  ///< SIZE, or 0
  BodyType body = BodyType::seven_bit;
  bool smtputf8 = false;
  std::string ret;  ///< "FULL", "HDRS" or empty
};

struct RcptCommand {
  message::Address recipient;  ///< domain empty: the bare <postmaster> of RFC 5321 §4.5.1
  std::string notify;          ///< NOTIFY in capitals, or empty
};

struct BdatCommand {
  std::uint64_t size = 0;
  bool last = false;
};

struct AuthCommand {
  std::string mechanism;                ///< in capitals
  std::optional<std::string> response;  ///< initial response as sent (base64, or "=")
};

/// `rest` is what follows the verb. `extended`: after EHLO; parameters are an error without it.
Parsed<MailCommand> parse_mail(std::string_view rest, bool extended);
/// `smtputf8`: the transaction's MAIL said so.
Parsed<RcptCommand> parse_rcpt(std::string_view rest, bool extended, bool smtputf8);
Parsed<BdatCommand> parse_bdat(std::string_view rest);
Parsed<AuthCommand> parse_auth(std::string_view rest);
/// The name in HELO or EHLO: not empty, printable, at most 255 octets. It is checked and then used for
/// nothing.
bool is_helo_name(std::string_view rest);

}  // namespace kage::submission
