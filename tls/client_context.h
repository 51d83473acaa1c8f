// How we trust the servers that we connect to, and the sessions to resume with them.
//
// Thread-safe: workers may share one.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

struct ssl_st;

namespace kage::tls {

struct ClientOptions {
  std::string ca_file;           ///< PEM; empty: the system's authorities
  bool verify = true;            ///< false: any certificate is taken, for tests and opportunistic TLS
  std::string certificate_file;  ///< our own certificate with its chain, where the server wants one
  std::string key_file;
};

class ClientContext {
 public:
  /// Errc::invalid, naming the file that is wrong.
  static Result<std::shared_ptr<ClientContext>> create(ClientOptions options);
  /// For servers whose certificate has to be good. `ca_file` as in ClientOptions.
  static Result<std::shared_ptr<ClientContext>> verified(std::string ca_file);
  ~ClientContext();

  /// For tls_stream.cc: a connection to `host` (DNS name or IP address), which the certificate must name.
  /// Null when there is no memory, or when the name is empty or too long. `keep` has to live as long as it.
  struct Connection {
    ssl_st* ssl = nullptr;  ///< owned by the caller
    std::shared_ptr<const void> keep;
  };
  [[nodiscard]] Connection connection(const std::string& host) const;

 private:
  struct State;
  explicit ClientContext(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace kage::tls
