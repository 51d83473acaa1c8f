// Reaching a member's provider (contract R8.5): the server is chosen by the login, the certificate is always
// verified, and only registered logins are passed on.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sasl.h"
#include "mapping/routes/table.h"
#include "net/stream.h"
#include "tls/provider.h"

namespace kage::proxy {

/// All configured providers with their TLS contexts; one for all workers.
class Upstreams {
 public:
  explicit Upstreams(std::vector<tls::ProviderOptions> providers);
  ~Upstreams();

  /// The server for a login: what the routes say of its member, else by the login's domain. Null: not
  /// registered, or no provider for it, which nobody outside may tell apart.
  [[nodiscard]] const tls::ProviderOptions* choose(const mapping::RouteTable& routes,
                                                   std::string_view login) const;

  /// Connects (implicit TLS, or plain for STARTTLS/STLS, which the protocol does itself with secure()).
  net::Task<Result<net::StreamPtr>> connect(net::Loop& loop, const tls::ProviderOptions& provider,
                                            tls::Service service, net::TimePoint deadline) const;
  /// The handshake after STARTTLS or STLS.
  net::Task<Result<net::StreamPtr>> secure(net::StreamPtr stream, const tls::ProviderOptions& provider,
                                           tls::Service service, net::TimePoint deadline) const;

  /// How long the login's provider usually takes to refuse one: so that a login that is not registered, and
  /// not passed on, waits as long.
  [[nodiscard]] net::Millis refusal_time(std::string_view login) const;
  void refused(const tls::ProviderOptions& provider, net::Millis took) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Logs that a registered login has none.
void warn_no_provider(const mapping::RouteTable& routes, std::string_view login);

/// Counts that a provider's server failed, by its reason.
void count_failure(Errc reason);

}  // namespace kage::proxy
