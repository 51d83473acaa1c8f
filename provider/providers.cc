// Providers by name and by domain, and the time that each takes to say no.
#include "provider/providers.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <unordered_map>

#include "base/log.h"
#include "message/address.h"
#include "net/connect.h"
#include "tls/client_context.h"
#include "tls/tls_stream.h"

namespace kage::provider {
namespace {

constexpr net::Millis kFirstGuess{300};  // how long a provider takes to say no, before one has

struct Known {
  ProviderOptions options;
  std::shared_ptr<tls::ClientContext> context;  ///< null: its ca_file cannot be read
  struct RefusalTime {
    mutable std::atomic<net::Millis::rep> usual{kFirstGuess.count()};
  };
  std::array<RefusalTime, kServices> refusal_times;

  [[nodiscard]] auto& refusal_time(Service service) const {
    return refusal_times[static_cast<std::size_t>(service)].usual;
  }
};

std::string domain_of(std::string_view login) {
  const std::size_t at = login.rfind('@');
  if (at == std::string_view::npos) return {};
  return message::canonical_domain(login.substr(at + 1)).value_or(std::string());
}

}  // namespace

struct Providers::State {
  std::vector<std::unique_ptr<Known>> providers;
  std::unordered_map<std::string, const Known*> by_domain;

  [[nodiscard]] const Known* by_login(std::string_view login) const {
    const auto found = by_domain.find(domain_of(login));
    return found == by_domain.end() ? nullptr : found->second;
  }

  [[nodiscard]] const Known* by_name(std::string_view name) const {
    const auto found =
        std::ranges::find_if(providers, [&](const auto& provider) { return provider->options.name == name; });
    return found == providers.end() ? nullptr : found->get();
  }

  [[nodiscard]] const Known& of(const ProviderOptions& options) const {
    return **std::ranges::find_if(providers,
                                  [&](const auto& provider) { return &provider->options == &options; });
  }
};

Providers::Providers(std::vector<ProviderOptions> providers) : state_(std::make_shared<State>()) {
  for (ProviderOptions& options : providers) {
    auto provider = std::make_unique<Known>();
    auto context = tls::ClientContext::verified(options.ca_file);
    if (!context) log::error("provider.unusable", {{"provider", options.name}});
    if (context) provider->context = std::move(*context);
    provider->options = std::move(options);
    for (const std::string& domain : provider->options.domains) {
      state_->by_domain.try_emplace(domain, provider.get());
    }
    state_->providers.push_back(std::move(provider));
  }
}

Providers::~Providers() = default;

const ProviderOptions* Providers::choose(const mapping::RouteTable& routes, std::string_view login) const {
  const auto members = routes.find_login(login);
  if (members.empty()) return nullptr;
  // Members that share a login share its provider; the first that names one speaks for all. A name that the
  // configuration does not have is none: the password was not meant for another.
  const auto named =
      std::ranges::find_if(members, [](const auto* member) { return !member->spec.provider.empty(); });
  const Known* provider =
      named != members.end() ? state_->by_name((*named)->spec.provider) : state_->by_login(login);
  // A login of its own says nothing about where the mailbox is.
  if (provider == nullptr && named == members.end()) {
    provider = state_->by_login(members.front()->mailbox_canonical);
  }
  return provider == nullptr ? nullptr : &provider->options;
}

bool Providers::has_domain_of(std::string_view login) const {
  return state_->by_login(login) != nullptr;
}

net::Task<Result<net::StreamPtr>> Providers::connect(net::Loop& loop, const ProviderOptions& provider,
                                                     ServiceEndpoint endpoint,
                                                     net::TimePoint deadline) const {
  const auto state = state_;
  const Known& known = state->of(provider);
  if (endpoint.host.empty()) co_return fail(Errc::unavailable, "the provider has no such service");
  auto stream = co_await net::connect_tcp(loop, endpoint.host, endpoint.port, deadline);
  if (!stream) co_return stream;
  (*stream)->set_deadline(deadline);
  if (endpoint.starttls || endpoint.plain) co_return stream;
  if (!known.context) co_return fail(Errc::tls, "the provider's authorities cannot be read");
  auto secured = co_await tls::connect_tls(std::move(*stream), known.context, endpoint.host, deadline);
  if (secured) (*secured)->set_deadline(deadline);
  co_return secured;
}

net::Task<Result<net::StreamPtr>> Providers::secure(net::StreamPtr stream, const ProviderOptions& provider,
                                                    ServiceEndpoint endpoint, net::TimePoint deadline) const {
  const auto state = state_;
  const Known& known = state->of(provider);
  if (!known.context) co_return fail(Errc::tls, "the provider's authorities cannot be read");
  auto secured =
      co_await tls::connect_tls(std::move(stream), known.context, std::move(endpoint.host), deadline);
  if (secured) (*secured)->set_deadline(deadline);
  co_return secured;
}

net::Millis Providers::refusal_time(std::string_view login, Service service) const {
  const Known* provider = state_->by_login(login);
  if (provider == nullptr && !state_->providers.empty()) provider = state_->providers.front().get();
  return provider == nullptr ? kFirstGuess : net::Millis(provider->refusal_time(service).load());
}

void Providers::refused(const ProviderOptions& provider, Service service, net::Millis took) const {
  auto& known = state_->of(provider).refusal_time(service);
  known = (known * 3 + took.count()) / 4;
}

void warn_no_provider(const mapping::RouteTable& routes, std::string_view login) {
  const std::string tag = routes.master().log_tag(mapping::login_name(login));
  log::warn("login.no_provider", {{"login", std::string_view(tag)}});
}

}  // namespace kage::provider
