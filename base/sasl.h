// SASL messages as SMTP, IMAP and POP3 carry them: PLAIN (RFC 4616), LOGIN, XOAUTH2, OAUTHBEARER (RFC 7628).
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace kage {

/// A line of AUTH or AUTHENTICATE with base64 (RFC 4954 §4.5), in octets.
inline constexpr std::size_t kMaxSaslLine = 12'288;

/// What SASL gave us.
struct Credentials {
  /// How they can be shown to another server: a password in more than one way.
  enum class Kind : std::uint8_t { password, xoauth2, oauthbearer } kind = Kind::password;
  std::string login;
  Secret secret;    ///< password or bearer token
  Secret response;  ///< for the OAuth mechanisms: the client's initial response as it was
};

enum class SaslMechanism : std::uint8_t { plain, login, xoauth2, oauthbearer };

/// By its name in capitals.
std::optional<SaslMechanism> find_mechanism(std::string_view name);

/// The words of SMTP's EHLO line, in the order of preference.
std::string_view mechanism_list();

/// Decodes what the client sent as base64; "=" is the empty response (RFC 4954 §4).
std::optional<std::string> decode_response(std::string_view text);

/// Each reads one decoded client message. Nothing: not of that form. An authorization identity is allowed
/// only when it equals the login.
std::optional<Credentials> read_plain(std::string_view message);
std::optional<Credentials> read_xoauth2(std::string_view message);
std::optional<Credentials> read_oauthbearer(std::string_view message);
/// The same for a mechanism whose credentials are one message. Nothing for LOGIN, which has two.
std::optional<Credentials> read_response(SaslMechanism mechanism, std::string_view message);

/// Whether a login and a password given outside of SASL (LOGIN of IMAP, USER and PASS of POP3) could be sent
/// on at all: bounded, not empty, a login without control characters.
bool is_login(std::string_view login);
bool is_password(std::string_view password);

/// Makes the initial response of PLAIN.
std::string make_plain(std::string_view login, std::string_view password);

/// What a client says to a server for these credentials: the mechanism's name (PLAIN for passwords) and its
/// initial response in base64.
std::string_view mechanism_name(Credentials::Kind kind);
Secret initial_response(const Credentials& credentials);

/// The challenge (base64) that tells an OAuth client that its token was refused.
std::string_view oauth_refusal();
/// What a client answers to that challenge, in base64, before it gets the refusal itself: one %x01 for
/// OAUTHBEARER (RFC 7628 §3.2.3), nothing for XOAUTH2.
std::string_view oauth_acknowledgement(Credentials::Kind kind);

}  // namespace kage
