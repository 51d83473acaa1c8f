// `kagemusha check`: whether next hops and providers can be reached and show the right certificates. Internal
// to it.
#pragma once

#include <string>

#include "net/loop.h"
#include "net/task.h"
#include "provider/options.h"
#include "submission/next_hop.h"

namespace kage::app {

/// Connects, does TLS, EHLO and AUTH as a delivery would, and sends no mail.
net::Task<Result<>> check_next_hop(net::Loop& loop, submission::NextHopOptions options,
                                   std::string ehlo_name);

/// Connects, does TLS unless the endpoint is plain, and reads the greeting; logs in as nobody.
net::Task<Result<>> check_provider(net::Loop& loop, provider::ProviderOptions options,
                                   provider::Service service, provider::ServiceEndpoint endpoint);

}  // namespace kage::app
