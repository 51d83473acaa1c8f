// Parsing and writing of POP3 lines.
#include "proxy/pop3/command.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "proxy/human_text.h"

namespace kage::proxy {
namespace {

constexpr auto kVerbs = std::to_array<std::string_view>({
    "CAPA",
    "STLS",
    "USER",
    "PASS",
    "AUTH",
    "UTF8",
    "QUIT",
    "STAT",
    "LIST",
    "UIDL",
    "RETR",
    "TOP",
    "DELE",
    "RSET",
    "NOOP",
});
static_assert(kVerbs.size() + 1 == kPop3Verbs);

constexpr auto kCodes = std::to_array<std::string_view>(
    {"[IN-USE]", "[LOGIN-DELAY]", "[AUTH]", "[SYS/TEMP]", "[SYS/PERM]", "[UTF8]"});

constexpr std::uint32_t kMaxNumber = 0x7fffffff;

struct Words {
  std::string_view first;
  std::string_view rest;
};
Words split(std::string_view text) {
  const std::size_t space = std::min(text.find(' '), text.size());
  return {text.substr(0, space), text.substr(std::min(space + 1, text.size()))};
}

bool is_printable(char c) {
  return c > ' ' && c < '\x7f';
}

/// Digits, then perhaps one word: "60", "NEVER", "0 USER" (RFC 2449 §6.6).
bool is_policy(std::string_view text) {
  const auto [first, rest] = split(text);
  return (parse_number(first, UINT32_MAX) || equals_nocase(first, "NEVER")) &&
         (rest.empty() || equals_nocase(rest, "USER"));
}

}  // namespace

Pop3Command parse_pop3(std::string_view line) {
  const auto [first, rest] = split(line);
  const auto found =
      std::ranges::find_if(kVerbs, [&](std::string_view verb) { return equals_nocase(verb, first); });
  return {static_cast<Pop3Verb>(found - kVerbs.begin()), rest};
}

std::optional<std::uint32_t> pop3_number(std::string_view text) {
  const auto number = parse_number(trim(text), kMaxNumber);
  if (!number || *number == 0) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

std::optional<TopArguments> top_arguments(std::string_view text) {
  const auto [first, rest] = split(trim(text));
  const auto message = pop3_number(first);
  const auto lines = parse_number(trim(rest), kMaxNumber);
  if (!message || !lines) return std::nullopt;
  return TopArguments{*message, static_cast<std::uint32_t>(*lines)};
}

std::optional<Pop3Status> parse_pop3_status(std::string_view line) {
  const auto [word, rest] = split(line);
  using enum Pop3Status::Kind;
  if (word == "+OK") return Pop3Status{ok, std::string(rest)};
  if (word == "-ERR") return Pop3Status{error, std::string(rest)};
  if (word == "+") return Pop3Status{challenge, std::string(rest)};
  return std::nullopt;
}

std::string pop3_status_line(const Pop3Status& status) {
  std::string out = status.ok() ? "+OK" : "-ERR";
  std::string_view text = status.text;
  // What looks like a second code is one to a client that does not know the first.
  for (bool first = true; text.starts_with('['); first = false) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) break;
    const std::string code = upper(text.substr(0, end + 1));
    if (first && std::ranges::find(kCodes, code) != kCodes.end()) out.append(" ").append(code);
    text = trim(text.substr(end + 1));
  }
  if (is_neutral(text)) out.append(" ").append(text);
  return out + "\r\n";
}

Pop3Refusal pop3_refusal(std::string_view text) {
  using enum Pop3Refusal;
  if (starts_with_nocase(text, "[IN-USE]")) return in_use;
  if (starts_with_nocase(text, "[LOGIN-DELAY]")) return login_delay;
  if (starts_with_nocase(text, "[SYS/TEMP]")) return temporary;
  if (starts_with_nocase(text, "[SYS/PERM]")) return permanent;
  return denied;
}

std::string_view pop3_refusal_line(Pop3Refusal refusal) {
  switch (refusal) {
    case Pop3Refusal::in_use:
      return "-ERR [IN-USE] Another session uses this mailbox.\r\n";
    case Pop3Refusal::login_delay:
      return "-ERR [LOGIN-DELAY] The mail server wants more time between two logins.\r\n";
    case Pop3Refusal::temporary:
      return "-ERR [SYS/TEMP] The mail server cannot be reached now, try again later.\r\n";
    case Pop3Refusal::permanent:
      return "-ERR [SYS/PERM] The mail server refuses, ask its administrator.\r\n";
    case Pop3Refusal::denied:
      break;
  }
  return "-ERR [AUTH] Login or password is wrong.\r\n";
}

void Pop3Capabilities::learn(std::string_view line) {
  const auto [name, rest] = split(line);
  if (equals_nocase(name, "STLS")) stls = true;
  if (equals_nocase(name, "UTF8")) utf8 = true;
  if (equals_nocase(name, "TOP")) top = true;
  if (equals_nocase(name, "UIDL")) uidl = true;
  if (equals_nocase(name, "EXPIRE") && is_policy(rest)) expire = upper(rest);
  if (equals_nocase(name, "LOGIN-DELAY") && is_policy(rest)) login_delay = upper(rest);
  if (!equals_nocase(name, "SASL") || !sasl.empty()) return;
  for (std::string_view left = rest; !left.empty();) {
    const auto words = split(left);
    if (!words.first.empty()) sasl.push_back(upper(words.first));
    left = words.rest;
  }
}

std::string pop3_capabilities(const Pop3Offer& offer) {
  const Pop3Capabilities* server = offer.server;
  std::string out = "+OK\r\n";
  if (server == nullptr || server->top) out += "TOP\r\n";
  if (server == nullptr || server->uidl) out += "UIDL\r\n";
  out += "RESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n";
  // Before login nobody knows the server. UTF8 then promises that the client may get UTF-8 (RFC 6856 §2),
  // which is so with every server.
  if (server == nullptr || server->utf8) out += "UTF8\r\n";
  if (server != nullptr && !server->expire.empty()) out += "EXPIRE " + server->expire + "\r\n";
  if (server != nullptr && !server->login_delay.empty()) out += "LOGIN-DELAY " + server->login_delay + "\r\n";
  if (offer.stls) out += "STLS\r\n";
  if (offer.logins) out += "USER\r\nSASL PLAIN XOAUTH2 OAUTHBEARER\r\n";
  return out + "IMPLEMENTATION Kagemusha\r\n.\r\n";
}

std::string pop3_numbers(std::string_view line) {
  const auto [first, rest] = split(line);
  const auto second = split(rest).first;
  if (!parse_number(first) || !parse_number(second)) return {};
  return std::string(first) + " " + std::string(second);
}

std::optional<UidlLine> uidl_line(std::string_view line) {
  const auto [number, rest] = split(line);
  const std::string_view uid = split(rest).first;
  if (!parse_number(number) || uid.empty() || uid.size() > 70) return std::nullopt;
  if (!std::ranges::all_of(uid, is_printable)) return std::nullopt;
  return UidlLine{number, uid};
}

}  // namespace kage::proxy
