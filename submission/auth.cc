// Decides how a login is checked, and makes all ways look alike to a guesser: same errors, and for a login
// that is not registered the same work or the same wait as for a wrong password.
#include "submission/auth.h"

#include <algorithm>

#include "base/log.h"
#include "net/semaphore.h"
#include "submission/provider_login.h"

namespace kage::submission {
namespace {

constexpr std::size_t kMaxHashing = 4;  // as many threads as libuv's pool has
constexpr std::size_t kMaxAsking = 32;
constexpr std::size_t kMaxWaiting = 64;

}  // namespace

struct Authenticator::State {
  State(net::Loop& l, const provider::Providers& p)
      : loop(l), providers(p), hashing(l, kMaxHashing, kMaxWaiting), asking(l, kMaxAsking, kMaxWaiting) {}

  net::Loop& loop;
  const provider::Providers& providers;
  net::Semaphore hashing;
  net::Semaphore asking;
  std::string dummy_hash;  ///< of a password that nobody has; made when first needed

  net::Task<Result<>> check_hash(std::string hash, const Secret* password);
  net::Task<Result<>> check_here(std::string hash, Credentials credentials);
  net::Task<Result<>> check_provider(const provider::ProviderOptions& provider, Credentials credentials);
};

/// `password` outlives the task. An empty hash is nobody's, and takes as long.
net::Task<Result<>> Authenticator::State::check_hash(std::string hash, const Secret* password) {
  if (!co_await hashing.acquire()) co_return fail(Errc::unavailable, "too many logins at once");
  const net::Permit permit(hashing);
  const bool exists = !hash.empty();
  if (!exists && dummy_hash.empty()) {
    std::string made;
    co_await loop.offload([&] { made = hash_password("nobody's"); });
    dummy_hash = made;
  }
  if (!exists) hash = dummy_hash;
  Result<bool> right = false;
  co_await loop.offload([&] { right = verify_password(*password, hash); });
  if (!right) {
    log::error("password_hash.unusable", {{"reason", to_string(right.error().code)}});
    co_return fail(Errc::unavailable, "password hash unusable");
  }
  if (!*right || !exists) co_return fail(Errc::denied);
  co_return Result<>();
}

/// A login about which no provider is asked: it has a hash of its own, or no provider, or is not registered
/// (contract R8.5). All are refused alike: not before a provider would have said no, and after the work of a
/// hash where the login's domain does not say that one would be asked.
net::Task<Result<>> Authenticator::State::check_here(std::string hash, Credentials credentials) {
  const net::TimePoint before = loop.now();
  const bool password = credentials.kind == Credentials::Kind::password;
  const bool at_provider = providers.has_domain_of(credentials.login);
  Result<> result = fail(Errc::denied);
  if (password && (!hash.empty() || !at_provider)) {
    result = co_await check_hash(std::move(hash), &credentials.secret);
  }
  if (!result && result.error().code == Errc::denied) {
    const net::TimePoint usual =
        before + providers.refusal_time(credentials.login, provider::Service::submission);
    if (usual > loop.now()) co_await loop.sleep(usual - loop.now());
  }
  co_return result;
}

net::Task<Result<>> Authenticator::State::check_provider(const provider::ProviderOptions& provider,
                                                         Credentials credentials) {
  if (!co_await asking.acquire()) co_return fail(Errc::unavailable, "too many logins at once");
  const net::Permit permit(asking);
  const net::TimePoint before = loop.now();
  auto result = co_await ask_provider(loop, providers, provider, std::move(credentials));
  if (!result && result.error().code == Errc::denied) {
    providers.refused(provider, provider::Service::submission, loop.now() - before);
  } else if (!result) {
    log::warn("provider.failed", {{"provider", provider.name}, {"reason", to_string(result.error().code)}});
    co_return fail(Errc::unavailable, "provider unavailable");
  }
  co_return result;
}

Authenticator::Authenticator(net::Loop& loop, const provider::Providers& providers)
    : state_(std::make_unique<State>(loop, providers)) {}
Authenticator::~Authenticator() = default;

net::Task<Result<>> Authenticator::check(mapping::Routes routes, Credentials credentials) {
  const auto members = routes->find_login(credentials.login);
  // Members that share a login share its hash; the first that has one speaks for all.
  const auto own =
      std::ranges::find_if(members, [](const auto* member) { return !member->spec.password_hash.empty(); });
  if (own != members.end()) {
    co_return co_await state_->check_here((*own)->spec.password_hash, std::move(credentials));
  }
  if (const auto* provider = state_->providers.choose(*routes, credentials.login)) {
    co_return co_await state_->check_provider(*provider, std::move(credentials));
  }
  if (!members.empty()) provider::warn_no_provider(*routes, credentials.login);
  co_return co_await state_->check_here({}, std::move(credentials));
}

}  // namespace kage::submission
