// What a request's fields ask for, as far as a form's answer needs it: media type, language, origin. Pure,
// bounded by the header section's size.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/request_parser.h"
#include "net/cidr.h"

namespace kage::http {

/// Whether an Accept field (RFC 9110 §12.5.1) asks for JSON before HTML. An absent field and "*/*" do not.
bool prefers_json(std::string_view accept);
/// Whether an Accept-Language field (RFC 9110 §12.5.4) has Japanese before English.
bool prefers_japanese(std::string_view accept_language);

/// "https://www.school.example:8443": scheme http or https, a host in lower case, a port that is not the
/// default. Nothing when the text is not exactly that.
bool is_origin(std::string_view text);
/// The origin of an absolute http or https URL without user information; nothing of anything else, and of
/// what two readers could understand differently.
std::optional<std::string> origin_of_url(std::string_view url);

/// What the path of a target names behind `prefix`, percent-decoded; nothing when it does not begin so or is
/// not well-formed. Queries are dropped.
std::optional<std::string> path_behind(std::string_view target, std::string_view prefix);

/// The client's address: the connection's, or where that is one of `proxies` the last in X-Forwarded-For that
/// is none of them.
std::string client_ip(const Request& request, const std::string& peer,
                      const std::vector<net::Network>& proxies);

}  // namespace kage::http
