// Who may log in to a mailbox, and how often (contract R8.5): what IMAP and POP3 have in common. It
// throttles, chooses the provider, logs and counts; the sessions have the words of their protocol.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mapping/routes/table.h"
#include "net/stream.h"
#include "net/task.h"
#include "provider/providers.h"
#include "proxy/sessions.h"

namespace kage::proxy {

/// One login that is being tried.
struct LoginAttempt {
  std::string login;  ///< as the client wrote it
  std::string name;   ///< as logins are compared
  mapping::Routes routes;
  net::TimePoint begun;
  /// Null: not registered, or no provider with this service. Nothing is passed on, and refuse_unknown() is
  /// the answer.
  const provider::ProviderOptions* provider = nullptr;

  [[nodiscard]] net::TimePoint deadline() const { return begun + provider->timeout; }
};

/// One for each session.
class LoginGate {
 public:
  LoginGate(const Services& services, provider::Service service) : services_(services), service_(service) {}

  /// Errc::limit: too many failures lately. Errc::unavailable: no address mapping.
  Result<LoginAttempt> begin(std::string_view login, const net::PeerAddress& peer) const;

  /// Errc::denied, after as long as a provider usually takes: whoever guesses learns nothing from the time.
  net::Task<Error> refuse_unknown(const LoginAttempt& attempt) const;

  /// Logs how it ended and counts it. True: the credentials were wrong.
  bool conclude(const LoginAttempt& attempt, const net::PeerAddress& peer, const Result<>& result);

  /// Whether this session has failed as often as it may.
  [[nodiscard]] bool spent() const;

 private:
  const Services& services_;
  provider::Service service_;
  std::size_t failures_ = 0;
};

}  // namespace kage::proxy
