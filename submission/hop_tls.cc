// Which certificates a next hop may show.
#include "submission/hop_tls.h"

#include "base/log.h"
#include "tls/tls_stream.h"

namespace kage::submission {
namespace {

net::Task<Result<net::StreamPtr>> refuse(net::StreamPtr /*plain*/, net::TimePoint /*deadline*/) {
  co_return fail(Errc::tls, "no context");
}

}  // namespace

Secure make_secure(const NextHopOptions& options) {
  if (options.tls == HopTls::none) return {};
  auto context =
      options.tls == HopTls::opportunistic
          ? tls::ClientContext::create(
                {.ca_file = options.ca_file, .verify = false, .certificate_file = {}, .key_file = {}})
          : tls::ClientContext::verified(options.ca_file);
  if (!context) {
    log::error("hop.tls", {{"hop", std::string_view(options.name)},
                           {"reason", std::string_view(context.error().detail)}});
    return refuse;
  }
  return [context = std::move(*context), host = options.host](net::StreamPtr plain, net::TimePoint deadline) {
    return tls::connect_tls(std::move(plain), context, host, deadline);
  };
}

}  // namespace kage::submission
