// Asking a member's provider whether a login is right (contract R8.5): IMAP (RFC 9051) or submission (RFC
// 4954), always over verified TLS. Credentials go to the provider and nowhere else.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/loop.h"
#include "net/task.h"
#include "submission/auth.h"
#include "tls/client_context.h"

namespace kage::submission {

/// Logs in at the provider and out again. Errc::denied: it said no. Everything else (network, certificate,
/// protocol, time) is another error: nobody knows.
net::Task<Result<>> ask_provider(net::Loop& loop, std::shared_ptr<const ProviderOptions> provider,
                                 std::shared_ptr<tls::ClientContext> context, Credentials credentials);

/// An IMAP string (RFC 9051 §4.3): quoted where it can be; nothing where only a literal can carry it.
std::string imap_quoted(std::string_view text);
bool is_imap_quotable(std::string_view text);

}  // namespace kage::submission
