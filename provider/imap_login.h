// Logging in at a member's IMAP server (RFC 9051 §6.2, contract R8.5): to read there, or only to ask whether
// a login is right.
#pragma once

#include <string>

#include "base/sasl.h"
#include "net/stream.h"
#include "provider/providers.h"

namespace kage::provider {

/// A connection that is logged in.
struct ImapConnection {
  net::StreamPtr stream;
  std::string buffered;      ///< what the server sent behind its last answer
  std::string capabilities;  ///< as normal_capabilities() writes them
};

/// Connects, does TLS, and logs in, all before `deadline`. Errc::denied: the server said that the credentials
/// are wrong. Everything else: nobody knows. `providers` and `provider` outlive the task.
net::Task<Result<ImapConnection>> log_in_imap(net::Loop& loop, const Providers& providers,
                                              const ProviderOptions& provider, ServiceEndpoint endpoint,
                                              Credentials credentials, net::TimePoint deadline);

/// The same, and out again.
net::Task<Result<>> check_imap_login(net::Loop& loop, const Providers& providers,
                                     const ProviderOptions& provider, ServiceEndpoint endpoint,
                                     Credentials credentials, net::TimePoint deadline);

}  // namespace kage::provider
