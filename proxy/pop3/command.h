// The words of POP3 (RFC 1939, RFC 2449, RFC 6856): commands of clients, answers and capabilities of servers.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kage::proxy {

enum class Pop3Verb : std::uint8_t {
  capa,
  stls,
  user,
  pass,
  auth,
  utf8,
  quit,
  stat,
  list,
  uidl,
  retr,
  top,
  dele,
  rset,
  noop,
  unknown,
};
inline constexpr std::size_t kPop3Verbs = static_cast<std::size_t>(Pop3Verb::unknown) + 1;

struct Pop3Command {
  Pop3Verb verb = Pop3Verb::unknown;
  std::string_view rest;  ///< behind the first space; of PASS it may hold spaces
};
Pop3Command parse_pop3(std::string_view line);

/// A message number: 1 and up.
std::optional<std::uint32_t> pop3_number(std::string_view text);
/// The arguments of TOP.
struct TopArguments {
  std::uint32_t message = 0;
  std::uint32_t lines = 0;
};
std::optional<TopArguments> top_arguments(std::string_view text);

/// The first line of a server's answer.
struct Pop3Status {
  enum class Kind : std::uint8_t { ok, error, challenge } kind = Kind::error;
  std::string text;  ///< behind "+OK", "-ERR" or "+", without the space
  [[nodiscard]] bool ok() const { return kind == Kind::ok; }
};
/// Nothing: no POP3.
std::optional<Pop3Status> parse_pop3_status(std::string_view line);
/// The line as a client may see it: a response code when it is a known one (RFC 2449 §8, RFC 3206), and human
/// text that names no address and no host.
std::string pop3_status_line(const Pop3Status& status);

/// Why a server refused a login.
enum class Pop3Refusal : std::uint8_t { denied, in_use, login_delay, temporary, permanent };
Pop3Refusal pop3_refusal(std::string_view text);
/// Our own words for it, a whole line.
std::string_view pop3_refusal_line(Pop3Refusal refusal);

/// What a server can do.
struct Pop3Capabilities {
  bool stls = false;
  bool utf8 = false;
  bool top = false;
  bool uidl = false;
  std::vector<std::string> sasl;  ///< upper case
  std::string expire;             ///< argument of EXPIRE, empty without it
  std::string login_delay;
  /// Takes one line of a CAPA answer; lines that are not on the allow-list leave no trace (contract R8.4).
  void learn(std::string_view line);
};
struct Pop3Offer {
  bool stls = false;
  bool logins = false;  ///< USER and SASL
  /// Of the server, once it is known.
  const Pop3Capabilities* server = nullptr;
};
/// Our answer to CAPA, from "+OK" to the final dot.
std::string pop3_capabilities(const Pop3Offer& offer);

/// One line of LIST or an answer to STAT or "LIST n": the two numbers; nothing when there are none.
std::string pop3_numbers(std::string_view line);
/// One line of UIDL, "n uid", as two parts; nothing when it is none (RFC 1939 §7: 1 to 70 printable
/// characters).
struct UidlLine {
  std::string_view number;
  std::string_view uid;
};
std::optional<UidlLine> uidl_line(std::string_view line);

}  // namespace kage::proxy
