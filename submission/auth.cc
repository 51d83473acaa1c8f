// Decides how a login is checked, and makes the ways alike to who guesses: same errors, and for an unknown
// login the same work or the same wait as for a wrong password.
#include "submission/auth.h"

#include <algorithm>
#include <unordered_map>

#include "base/log.h"
#include "base/text.h"
#include "message/address.h"
#include "net/sync.h"
#include "submission/provider_login.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMaxHashing = 4;  // as many threads as libuv's pool has
constexpr std::size_t kMaxAsking = 32;
constexpr std::size_t kMaxWaiting = 64;
constexpr net::Millis kFirstGuess{300};  // how long a provider takes to say no, before one has

struct Provider {
  std::shared_ptr<const ProviderOptions> options;
  std::shared_ptr<tls::ClientContext> context;  ///< null: its ca_file cannot be read
  net::Millis refusal_time = kFirstGuess;
};

}  // namespace

struct Authenticator::State {
  State(net::Loop& l, std::vector<ProviderOptions> given)
      : loop(l), hashing(l, kMaxHashing, kMaxWaiting), asking(l, kMaxAsking, kMaxWaiting) {
    for (ProviderOptions& options : given) {
      auto context = tls::ClientContext::verified(options.ca_file);
      if (!context) log::error("provider.unusable", {{"provider", options.name}});
      providers.push_back({std::make_shared<const ProviderOptions>(std::move(options)),
                           context ? std::move(*context) : nullptr});
    }
  }

  net::Loop& loop;
  std::vector<Provider> providers;
  net::Semaphore hashing;
  net::Semaphore asking;
  std::string dummy_hash;  ///< of a password that nobody has; made when first needed

  Provider* find_provider(std::string_view name, std::string_view login);
  net::Task<Result<>> check_hash(std::string hash, bool exists, std::string* password);
  net::Task<Result<>> check_provider(Provider& provider, Credentials credentials);
  net::Task<Result<>> check_unknown(Credentials* credentials);
};

/// By its name, or by the login's domain.
Provider* Authenticator::State::find_provider(std::string_view name, std::string_view login) {
  std::string domain;
  if (name.empty()) {
    const std::size_t at = login.rfind('@');
    if (at == std::string_view::npos) return nullptr;
    auto canonical = message::canonical_domain(login.substr(at + 1));
    if (!canonical) return nullptr;
    domain = std::move(*canonical);
  }
  for (Provider& provider : providers) {
    const bool found =
        name.empty() ? std::ranges::find(provider.options->domains, domain) != provider.options->domains.end()
                     : provider.options->name == name;
    if (found) return &provider;
  }
  return nullptr;
}

/// `password` outlives the task. `exists`: false for the dummy, which is right for nobody.
net::Task<Result<>> Authenticator::State::check_hash(std::string hash, bool exists, std::string* password) {
  if (!co_await hashing.acquire()) co_return fail(Errc::unavailable, "too many logins at once");
  const net::Permit permit(hashing);
  Result<bool> right = false;
  co_await loop.offload([&] { right = verify_password(*password, hash); });
  if (!right) {
    log::error("password_hash.unusable", {{"reason", to_string(right.error().code)}});
    co_return fail(Errc::unavailable, "password hash unusable");
  }
  if (!*right || !exists) co_return fail(Errc::denied);
  co_return Result<>();
}

net::Task<Result<>> Authenticator::State::check_provider(Provider& provider, Credentials credentials) {
  if (!provider.context) {
    wipe(credentials);
    co_return fail(Errc::unavailable, "provider unusable");
  }
  if (!co_await asking.acquire()) {
    wipe(credentials);
    co_return fail(Errc::unavailable, "too many logins at once");
  }
  const net::Permit permit(asking);
  const net::TimePoint before = loop.now();
  auto result = co_await ask_provider(loop, provider.options, provider.context, std::move(credentials));
  if (!result && result.error().code == Errc::denied) {
    provider.refusal_time = (provider.refusal_time * 3 + (loop.now() - before)) / 4;
  } else if (!result) {
    log::warn("provider.failed",
              {{"provider", provider.options->name}, {"reason", to_string(result.error().code)}});
    co_return fail(Errc::unavailable, "provider unavailable");
  }
  co_return result;
}

/// Nothing is asked with a login that is not registered (contract R8.5); who tries learns nothing by the time
/// it took.
net::Task<Result<>> Authenticator::State::check_unknown(Credentials* credentials) {
  if (const Provider* provider = find_provider({}, credentials->login)) {
    co_await loop.sleep(provider->refusal_time);
    co_return fail(Errc::denied);
  }
  if (credentials->mechanism != Credentials::Mechanism::password) co_return fail(Errc::denied);
  if (dummy_hash.empty()) {
    std::string made;
    co_await loop.offload([&] { made = hash_password("nobody's"); });
    dummy_hash = made;
  }
  co_return co_await check_hash(dummy_hash, false, &credentials->secret);
}

Authenticator::Authenticator(net::Loop& loop, std::vector<ProviderOptions> providers)
    : state_(std::make_unique<State>(loop, std::move(providers))) {}
Authenticator::~Authenticator() = default;

net::Task<Result<>> Authenticator::check(mapping::Routes routes, Credentials credentials) {
  const auto members = routes->find_login(credentials.login);
  Result<> result = fail(Errc::denied);
  const mapping::Member* first = members.empty() ? nullptr : members.front();
  // Members that share a login share its hash and provider; the first that has one speaks for all.
  for (const mapping::Member* member : members) {
    if (!member->spec.password_hash.empty()) {
      first = member;
      break;
    }
  }
  if (first == nullptr) {
    result = co_await state_->check_unknown(&credentials);
  } else if (!first->spec.password_hash.empty()) {
    if (credentials.mechanism == Credentials::Mechanism::password) {
      result = co_await state_->check_hash(first->spec.password_hash, true, &credentials.secret);
    }
  } else if (Provider* provider = state_->find_provider(first->spec.provider, credentials.login)) {
    Credentials asked = credentials;
    result = co_await state_->check_provider(*provider, std::move(asked));
  } else {
    const std::string tag = routes->master().log_tag(mapping::login_name(credentials.login));
    log::warn("login.no_provider", {{"login", std::string_view(tag)}});
    result = fail(Errc::unavailable, "no provider for this login");
  }
  wipe(credentials);
  co_return result;
}

}  // namespace kage::submission
