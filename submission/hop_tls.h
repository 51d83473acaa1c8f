// TLS towards a next hop, from its options.
#pragma once

#include "submission/smtp_client.h"

namespace kage::submission {

/// Verified for HopTls::starttls and implicit, unverified for opportunistic, empty for none. When the context
/// cannot be made (an unreadable ca_file), every handshake fails with Errc::tls: closed, not open.
Secure make_secure(const NextHopOptions& options);

}  // namespace kage::submission
