// Asking a member's provider whether a login is right (contract R8.5): by IMAP (RFC 9051) or by submission
// (RFC 4954), always over verified TLS. Credentials go to the provider and nowhere else.
#pragma once

#include "base/result.h"
#include "base/sasl.h"
#include "net/loop.h"
#include "net/task.h"
#include "provider/providers.h"

namespace kage::submission {

/// Logs in at the provider and out again. Errc::denied: it said no. Everything else (network, certificate,
/// protocol, time) is another error: nobody knows. `providers` and `provider` outlive the task.
net::Task<Result<>> ask_provider(net::Loop& loop, const provider::Providers& providers,
                                 const provider::ProviderOptions& provider, Credentials credentials);

}  // namespace kage::submission
