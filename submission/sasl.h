// SASL messages as SMTP carries them: PLAIN (RFC 4616), LOGIN, XOAUTH2, OAUTHBEARER (RFC 7628). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "submission/auth.h"

namespace kage::submission {

enum class SaslMechanism : std::uint8_t { plain, login, xoauth2, oauthbearer };

/// By its name in capitals.
std::optional<SaslMechanism> find_mechanism(std::string_view name);

/// The words of the EHLO line, in the order of preference.
std::string_view mechanism_list();

/// Decodes what the client sent as base64; "=" is the empty response (RFC 4954 §4).
std::optional<std::string> decode_response(std::string_view text);

/// Each reads one decoded client message. Nothing: not of that form. An authorization identity is allowed
/// only when it equals the login.
std::optional<Credentials> read_plain(std::string_view message);
std::optional<Credentials> read_xoauth2(std::string_view message);
std::optional<Credentials> read_oauthbearer(std::string_view message);

/// A login as it is compared: canonical where it is an address, else in lower case.
std::string login_name(std::string_view login);

/// Makes the initial response of PLAIN.
std::string make_plain(std::string_view login, std::string_view password);

/// The challenge (base64) that tells an OAuth client that its token was refused; the client answers it with
/// an empty response or "AQ==" and then gets the 535 (RFC 7628 §3.2.3).
std::string_view oauth_refusal();

/// Overwrites the text so that it does not stay in freed memory.
void wipe(std::string& secret);
void wipe(Credentials& credentials);

}  // namespace kage::submission
