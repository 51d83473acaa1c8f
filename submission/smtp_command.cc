// The command parser: a table of verbs, one cursor for paths, a table of parameters for MAIL and for RCPT.
#include "submission/smtp_command.h"

#include <array>

#include "base/text.h"

namespace kage::submission {
namespace {

struct VerbName {
  std::string_view name;
  Verb verb;
};

constexpr std::array<VerbName, kVerbs - 1> kVerbNames = {{
    {"HELO", Verb::helo},
    {"EHLO", Verb::ehlo},
    {"MAIL", Verb::mail},
    {"RCPT", Verb::rcpt},
    {"DATA", Verb::data},
    {"BDAT", Verb::bdat},
    {"RSET", Verb::rset},
    {"NOOP", Verb::noop},
    {"QUIT", Verb::quit},
    {"VRFY", Verb::vrfy},
    {"HELP", Verb::help},
    {"AUTH", Verb::auth},
    {"STARTTLS", Verb::starttls},
}};

constexpr std::size_t kMaxParameters = 16;
constexpr std::size_t kMaxEnvid = 100;  // RFC 3461 §4.4
constexpr std::size_t kMaxOrcpt = 500;  // RFC 3461 §4.2
constexpr std::size_t kMaxXtext = 500;

/// Where the path that begins at text[0] == '<' ends: the index of its '>', quoted strings respected.
std::optional<std::size_t> find_path_end(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (is_control(c) && c != '\t') return std::nullopt;
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '>') {
      return i;
    } else if (c == '<' || c == '(' || c == ')' || is_wsp(c)) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

/// RFC 5321 §4.1.1.3: a source route is read and ignored. Nothing when it has no end.
std::optional<std::string_view> without_route(std::string_view path) {
  if (!path.starts_with('@')) return path;
  const std::size_t colon = path.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return path.substr(colon + 1);
}

struct Path {
  std::string_view inside;      ///< between the brackets, without source route
  std::string_view parameters;  ///< what follows
};

/// `keyword` is "FROM:" or "TO:".
Parsed<Path> split_path(std::string_view rest, std::string_view keyword, Answer bad_path) {
  if (!starts_with_nocase(rest, keyword)) return std::unexpected(Answer::bad_arguments);
  rest = trim(rest.substr(keyword.size()));
  if (!rest.starts_with('<')) return std::unexpected(bad_path);
  const auto end = find_path_end(rest);
  if (!end) return std::unexpected(bad_path);
  const auto inside = without_route(rest.substr(1, *end - 1));
  if (!inside) return std::unexpected(bad_path);
  const std::string_view after = rest.substr(*end + 1);
  if (!after.empty() && !is_wsp(after.front())) return std::unexpected(Answer::bad_arguments);
  return Path{*inside, trim(after)};
}

/// RFC 3461 §4: printable without '+' and '=', or "+XX" in capitals.
bool is_xtext(std::string_view text, std::size_t max) {
  if (text.empty() || text.size() > max) return false;
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '+') {
      if (i + 2 >= text.size() || kHex.find(text[i + 1]) == std::string_view::npos ||
          kHex.find(text[i + 2]) == std::string_view::npos) {
        return false;
      }
      i += 2;
    } else if (c == '=' || is_control(c) || c == ' ') {
      return false;
    }
  }
  return true;
}

bool set_size(MailCommand& mail, std::string_view value) {
  if (value.size() > 20) return false;  // RFC 1870 §3
  const auto size = parse_number(value);
  if (size) mail.size = *size;
  return size.has_value();
}

bool set_body(MailCommand& mail, std::string_view value) {
  const bool eight = equals_nocase(value, "8BITMIME");
  if (eight) mail.body = BodyType::eight_bit;
  return eight || equals_nocase(value, "7BIT");
}

bool set_smtputf8(MailCommand& mail, std::string_view value) {
  mail.smtputf8 = true;
  return value.empty();
}

/// RFC 4954 §5: who first submitted it. Checked and forgotten: it may name a mailbox.
bool check_auth(MailCommand&, std::string_view value) {
  return value == "<>" || is_xtext(value, kMaxXtext);
}

bool set_ret(MailCommand& mail, std::string_view value) {
  mail.ret = upper(value);
  return mail.ret == "FULL" || mail.ret == "HDRS";
}

/// Checked and forgotten: the other side would see the sender's own envelope id.
bool check_envid(MailCommand&, std::string_view value) {
  return is_xtext(value, kMaxEnvid);
}

/// RFC 3461 §4.1: NEVER alone, or a list of the three others.
bool set_notify(RcptCommand& rcpt, std::string_view value) {
  rcpt.notify = upper(value);
  if (rcpt.notify == "NEVER") return true;
  std::string_view left = rcpt.notify;
  unsigned seen = 0;
  for (;;) {
    const std::size_t comma = left.find(',');
    const std::string_view word = left.substr(0, comma);
    const unsigned bit = word == "SUCCESS" ? 1 : word == "FAILURE" ? 2 : word == "DELAY" ? 4 : 0;
    if (bit == 0 || (seen & bit) != 0) return false;
    seen |= bit;
    if (comma == std::string_view::npos) return true;
    left.remove_prefix(comma + 1);
  }
}

/// Checked and forgotten: it names an address of the side that must not be seen (contract R3.1, R3.2).
bool check_orcpt(RcptCommand&, std::string_view value) {
  const std::size_t semicolon = value.find(';');
  return value.size() <= kMaxOrcpt && semicolon != std::string_view::npos && semicolon > 0 &&
         (is_xtext(value.substr(semicolon + 1), kMaxOrcpt) || !all_ascii(value));
}

template <class Command>
struct Parameter {
  std::string_view name;
  bool has_value;
  bool (*set)(Command&, std::string_view value);
};

constexpr std::array<Parameter<MailCommand>, 6> kMailParameters = {{
    {"SIZE", true, set_size},
    {"BODY", true, set_body},
    {"SMTPUTF8", false, set_smtputf8},
    {"AUTH", true, check_auth},
    {"RET", true, set_ret},
    {"ENVID", true, check_envid},
}};

constexpr std::array<Parameter<RcptCommand>, 2> kRcptParameters = {{
    {"NOTIFY", true, set_notify},
    {"ORCPT", true, check_orcpt},
}};

template <class Command, std::size_t N>
std::optional<Answer> set_parameter(const std::array<Parameter<Command>, N>& table, Command& command,
                                    std::string_view word, unsigned& seen) {
  const std::size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  for (std::size_t i = 0; i < N; ++i) {
    if (!equals_nocase(name, table[i].name)) continue;
    const bool has_value = equals != std::string_view::npos;
    if ((seen & (1U << i)) != 0 || has_value != table[i].has_value) return Answer::bad_arguments;
    seen |= 1U << i;
    const std::string_view value = has_value ? word.substr(equals + 1) : std::string_view();
    if (!table[i].set(command, value)) return Answer::bad_arguments;
    return std::nullopt;
  }
  return Answer::unknown_parameter;
}

template <class Command, std::size_t N>
std::optional<Answer> set_parameters(const std::array<Parameter<Command>, N>& table, Command& command,
                                     std::string_view text, bool extended) {
  if (text.empty()) return std::nullopt;
  if (!extended) return Answer::unknown_parameter;
  unsigned seen = 0;
  for (std::size_t count = 0; !text.empty(); ++count) {
    if (count == kMaxParameters) return Answer::bad_arguments;
    const std::size_t end = text.find_first_of(" \t");
    if (const auto wrong = set_parameter(table, command, text.substr(0, end), seen)) return wrong;
    text = end == std::string_view::npos ? std::string_view() : trim(text.substr(end));
  }
  return std::nullopt;
}

}  // namespace

CommandLine split_command(std::string_view line) {
  line = trim(line);
  const std::size_t end = line.find_first_of(" \t");
  const std::string_view word = line.substr(0, end);
  CommandLine out;
  if (end != std::string_view::npos) out.rest = trim(line.substr(end));
  for (const VerbName& row : kVerbNames) {
    if (equals_nocase(word, row.name)) out.verb = row.verb;
  }
  return out;
}

Parsed<MailCommand> parse_mail(std::string_view rest, bool extended) {
  const auto path = split_path(rest, "FROM:", Answer::bad_sender);
  if (!path) return std::unexpected(path.error());
  MailCommand mail;
  if (const auto wrong = set_parameters(kMailParameters, mail, path->parameters, extended)) {
    return std::unexpected(*wrong);
  }
  if (path->inside.empty()) return mail;
  auto address = message::parse_address(path->inside);
  if (!address || address->domain.empty()) return std::unexpected(Answer::bad_sender);
  if (address->needs_utf8() && !mail.smtputf8) return std::unexpected(Answer::needs_smtputf8);
  mail.sender = std::move(*address);
  return mail;
}

Parsed<RcptCommand> parse_rcpt(std::string_view rest, bool extended, bool smtputf8) {
  const auto path = split_path(rest, "TO:", Answer::bad_recipient);
  if (!path) return std::unexpected(path.error());
  RcptCommand rcpt;
  if (equals_nocase(path->inside, "postmaster")) {
    rcpt.recipient.local = lower(path->inside);
    rcpt.recipient.spelling = rcpt.recipient.local;
  } else {
    auto address = message::parse_address(path->inside);
    if (!address || address->domain.empty()) return std::unexpected(Answer::bad_recipient);
    if (address->needs_utf8() && !smtputf8) return std::unexpected(Answer::needs_smtputf8);
    rcpt.recipient = std::move(*address);
  }
  if (const auto wrong = set_parameters(kRcptParameters, rcpt, path->parameters, extended)) {
    return std::unexpected(*wrong);
  }
  return rcpt;
}

Parsed<BdatCommand> parse_bdat(std::string_view rest) {
  BdatCommand bdat;
  const std::size_t end = rest.find_first_of(" \t");
  const auto size = parse_number(rest.substr(0, end), INT64_MAX);
  if (!size) return std::unexpected(Answer::bad_arguments);
  bdat.size = *size;
  if (end != std::string_view::npos) {
    if (!equals_nocase(trim(rest.substr(end)), "LAST")) return std::unexpected(Answer::bad_arguments);
    bdat.last = true;
  }
  return bdat;
}

Parsed<AuthCommand> parse_auth(std::string_view rest) {
  AuthCommand auth;
  const std::size_t end = rest.find_first_of(" \t");
  const std::string_view mechanism = rest.substr(0, end);
  if (mechanism.empty() || mechanism.size() > 20) return std::unexpected(Answer::bad_arguments);
  for (const char c : mechanism) {
    if (!is_alnum(c) && c != '-' && c != '_') return std::unexpected(Answer::bad_arguments);
  }
  auth.mechanism = upper(mechanism);
  if (end != std::string_view::npos) {
    const std::string_view response = trim(rest.substr(end));
    if (response.find_first_of(" \t") != std::string_view::npos)
      return std::unexpected(Answer::bad_arguments);
    auth.response = std::string(response);
  }
  return auth;
}

bool is_helo_name(std::string_view rest) {
  if (rest.empty() || rest.size() > 255) return false;
  for (const char c : rest) {
    if (is_control(c) || c == ' ') return false;
  }
  return true;
}

}  // namespace kage::submission
