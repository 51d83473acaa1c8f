// Readers of client responses. Lengths are bounded by the AUTH line's own bound.
#include "base/sasl.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace kage {
namespace {

constexpr std::size_t kMaxLogin = 320;
constexpr std::size_t kMaxPassword = 1024;
constexpr char kSeparator = '\x01';

struct MechanismName {
  std::string_view name;
  SaslMechanism mechanism;
};

/// In the order of preference.
constexpr auto kMechanisms = std::to_array<MechanismName>({
    {"PLAIN", SaslMechanism::plain},
    {"LOGIN", SaslMechanism::login},
    {"XOAUTH2", SaslMechanism::xoauth2},
    {"OAUTHBEARER", SaslMechanism::oauthbearer},
});

constexpr std::string_view name_of(SaslMechanism mechanism) {
  return std::ranges::find(kMechanisms, mechanism, &MechanismName::mechanism)->name;
}

/// RFC 6750 §2.1 b64token, as wide as providers use it: printable, no space.
bool is_token(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c <= ' ' || c >= 0x7f) return false;
  }
  return true;
}

/// The value of `key` among "key=value" pairs that each end with 0x01.
std::optional<std::string_view> find_pair(std::string_view pairs, std::string_view key) {
  while (!pairs.empty()) {
    const std::size_t end = pairs.find(kSeparator);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view pair = pairs.substr(0, end);
    pairs.remove_prefix(end + 1);
    if (pair.size() > key.size() && pair.starts_with(key) && pair[key.size()] == '=') {
      return pair.substr(key.size() + 1);
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> bearer_token(std::string_view pairs) {
  const auto value = find_pair(pairs, "auth");
  if (!value || !starts_with_nocase(*value, "Bearer ")) return std::nullopt;
  const std::string_view token = trim(value->substr(7));
  if (!is_token(token)) return std::nullopt;
  return token;
}

Credentials bearer(Credentials::Kind kind, std::string login, std::string_view token,
                   std::string_view message) {
  Credentials out;
  out.kind = kind;
  out.login = std::move(login);
  out.secret = Secret(std::string(token));
  out.response = Secret(std::string(message));
  return out;
}

/// RFC 5801 §4 saslname: "=2C" and "=3D" stand for ',' and '='.
std::optional<std::string> read_saslname(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      out.push_back(text[i]);
      continue;
    }
    const std::string_view code = text.substr(i, 3);
    if (!equals_nocase(code, "=2C") && !equals_nocase(code, "=3D")) return std::nullopt;
    out.push_back(equals_nocase(code, "=2C") ? ',' : '=');
    i += 2;
  }
  return out;
}

}  // namespace

std::optional<SaslMechanism> find_mechanism(std::string_view name) {
  for (const MechanismName& row : kMechanisms) {
    if (row.name == name) return row.mechanism;
  }
  return std::nullopt;
}

std::string_view mechanism_list() {
  static const std::string list = [] {
    std::string out;
    for (const MechanismName& row : kMechanisms) out.append(out.empty() ? "" : " ").append(row.name);
    return out;
  }();
  return list;
}

std::optional<std::string> decode_response(std::string_view text) {
  if (text == "=") return std::string();
  return base64_decode(text);
}

std::optional<Credentials> read_plain(std::string_view message) {
  const std::size_t first = message.find('\0');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = message.find('\0', first + 1);
  if (second == std::string_view::npos || message.find('\0', second + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view authorization = message.substr(0, first);
  const std::string_view login = message.substr(first + 1, second - first - 1);
  const std::string_view password = message.substr(second + 1);
  if (!is_login(login) || !is_password(password)) return std::nullopt;
  if (!authorization.empty() && !equals_nocase(authorization, login)) return std::nullopt;
  Credentials out;
  out.login = std::string(login);
  out.secret = Secret(std::string(password));
  return out;
}

std::optional<Credentials> read_xoauth2(std::string_view message) {
  if (!message.ends_with("\x01\x01")) return std::nullopt;
  const auto user = find_pair(message, "user");
  const auto token = bearer_token(message);
  if (!user || !token || !is_login(*user)) return std::nullopt;
  return bearer(Credentials::Kind::xoauth2, std::string(*user), *token, message);
}

std::optional<Credentials> read_oauthbearer(std::string_view message) {
  // RFC 7628 §3.1: gs2-header "n,a=login," then 0x01 pairs 0x01.
  const std::size_t end = message.find(kSeparator);
  if (end == std::string_view::npos || !message.ends_with("\x01\x01")) return std::nullopt;
  const std::string_view gs2 = message.substr(0, end);
  if (!gs2.starts_with("n,a=") || !gs2.ends_with(',') || gs2.size() < 6) return std::nullopt;
  const std::string_view name = gs2.substr(4, gs2.size() - 5);
  if (name.find(',') != std::string_view::npos) return std::nullopt;
  auto login = read_saslname(name);
  const auto token = bearer_token(message.substr(end + 1));
  if (!login || !token || !is_login(*login)) return std::nullopt;
  return bearer(Credentials::Kind::oauthbearer, std::move(*login), *token, message);
}

std::optional<Credentials> read_response(SaslMechanism mechanism, std::string_view message) {
  switch (mechanism) {
    case SaslMechanism::plain:
      return read_plain(message);
    case SaslMechanism::xoauth2:
      return read_xoauth2(message);
    case SaslMechanism::oauthbearer:
      return read_oauthbearer(message);
    case SaslMechanism::login:
      break;
  }
  return std::nullopt;
}

bool is_login(std::string_view text) {
  if (text.empty() || text.size() > kMaxLogin) return false;
  for (const char c : text) {
    if (is_control(c)) return false;
  }
  return true;
}

bool is_password(std::string_view password) {
  return !password.empty() && password.size() <= kMaxPassword &&
         password.find('\0') == std::string_view::npos;
}

std::string_view mechanism_name(Credentials::Kind kind) {
  switch (kind) {
    case Credentials::Kind::xoauth2:
      return name_of(SaslMechanism::xoauth2);
    case Credentials::Kind::oauthbearer:
      return name_of(SaslMechanism::oauthbearer);
    case Credentials::Kind::password:
      break;
  }
  return name_of(SaslMechanism::plain);
}

Secret initial_response(const Credentials& credentials) {
  if (credentials.kind != Credentials::Kind::password) return Secret(base64(credentials.response));
  const Secret plain(make_plain(credentials.login, credentials.secret));
  return Secret(base64(plain));
}

std::string make_plain(std::string_view login, std::string_view password) {
  constexpr std::string_view kNul("\0", 1);
  return join_secret({kNul, login, kNul, password});
}

std::string_view oauth_refusal() {
  static const std::string challenge = base64(R"({"status":"invalid_token","schemes":"bearer"})");
  return challenge;
}

std::string_view oauth_acknowledgement(Credentials::Kind kind) {
  return kind == Credentials::Kind::oauthbearer ? "AQ==" : "";
}

}  // namespace kage
