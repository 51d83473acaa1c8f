// Words that a client of an IMAP server writes and reads, wherever it stands. Pure.
#pragma once

#include <string>
#include <string_view>

namespace kage::provider {

/// A quoted string (RFC 9051 §4.3), in one allocation. Only for text that is_imap_quotable(): anything else
/// has to be a literal.
std::string imap_quoted(std::string_view text);
bool is_imap_quotable(std::string_view text);

/// The names of a CAPABILITY response: upper case, a space between them and at both ends.
std::string normal_capabilities(std::string_view text);

}  // namespace kage::provider
