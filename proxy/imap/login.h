// Logging in at a member's IMAP server (RFC 9051 §6.2, contract R8.5).
#pragma once

#include <memory>
#include <string>

#include "base/sasl.h"
#include "net/stream.h"
#include "proxy/imap/reader.h"
#include "proxy/upstream.h"

namespace kage::proxy {

/// A connection that is logged in.
struct ImapUpstream {
  net::StreamPtr stream;
  std::unique_ptr<ImapReader> in;
  std::string capabilities;  ///< upper case, with a space at both ends
};

/// Connects, does TLS, and logs in, all before `deadline`. `credentials` are wiped. Errc::denied: the server
/// said that they are wrong. Everything else: nobody knows.
net::Task<Result<ImapUpstream>> log_in_imap(net::Loop& loop, const Upstreams& upstreams,
                                            const tls::ProviderOptions& provider, Credentials credentials,
                                            net::TimePoint deadline);

}  // namespace kage::proxy
