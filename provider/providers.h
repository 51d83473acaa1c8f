// Reaching a member's mail provider (contract R8.5): the login decides which one, its certificate is always
// verified, and only registered logins are passed on. The one place that decides this, for reading and
// sending.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mapping/routes/table.h"
#include "net/stream.h"
#include "provider/options.h"

namespace kage::provider {

/// All configured providers with their TLS contexts; one for all workers.
class Providers {
 public:
  explicit Providers(std::vector<ProviderOptions> providers);
  ~Providers();

  /// The provider of a login: the one that its members' routes name, else that of the login's domain, else
  /// that of the mailbox's domain. Null: not registered, or no provider for it, which nobody outside may tell
  /// apart. Lives as long as this object.
  [[nodiscard]] const ProviderOptions* choose(const mapping::RouteTable& routes,
                                              std::string_view login) const;
  /// Whether a provider has the login's domain, registered or not.
  [[nodiscard]] bool has_domain_of(std::string_view login) const;

  /// Connects: implicit TLS, or nothing yet where the dialog begins it, with secure().
  net::Task<Result<net::StreamPtr>> connect(net::Loop& loop, const ProviderOptions& provider,
                                            ServiceEndpoint endpoint, net::TimePoint deadline) const;
  /// The handshake after STARTTLS or STLS.
  net::Task<Result<net::StreamPtr>> secure(net::StreamPtr stream, const ProviderOptions& provider,
                                           ServiceEndpoint endpoint, net::TimePoint deadline) const;

  /// How long this service of the login's provider usually takes to refuse one: so that a login that is not
  /// registered, and not passed on, waits as long. `service`: the one that the client wants, whichever of the
  /// provider's is asked for it.
  [[nodiscard]] net::Millis refusal_time(std::string_view login, Service service) const;
  void refused(const ProviderOptions& provider, Service service, net::Millis took) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Logs that a registered login has no provider.
void warn_no_provider(const mapping::RouteTable& routes, std::string_view login);

}  // namespace kage::provider
