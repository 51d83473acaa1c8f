// Who may submit (RFC 4954, RFC 4616, RFC 7628): checks a login against a password hash of the gateway's own,
// or asks the member's provider. No provider password is stored, and only registered logins are passed on at
// all (contract R8.5).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/sasl.h"
#include "mapping/routes/table.h"
#include "net/loop.h"
#include "net/task.h"
#include "provider/providers.h"

namespace kage::submission {

class Authenticator {
 public:
  /// `providers` outlives it.
  Authenticator(net::Loop& loop, const provider::Providers& providers);
  ~Authenticator();

  /// Errc::denied: wrong, not registered or without a provider, told apart to nobody and not by time.
  /// Errc::unavailable: try later (454 4.7.0).
  net::Task<Result<>> check(mapping::Routes routes, Credentials credentials);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "$scrypt$ln=15,r=8,p=1$<salt>$<hash>" (base64 without padding) for a routes file. Takes about a tenth of a
/// second.
std::string hash_password(std::string_view password);
/// Errc::invalid: not of that form, or costs out of bounds (ln 10 to 20, r up to 32, p up to 16, at most 256
/// MiB).
Result<bool> verify_password(std::string_view password, std::string_view hash);
/// Whether a hash is of that form and within those bounds; costs nothing.
Result<> check_password_hash(std::string_view hash);

}  // namespace kage::submission
