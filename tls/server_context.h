// Certificates of our servers: chosen by the name that the client asks for, reloaded without losing a
// connection.
//
// Thread-safe: workers share one. What was loaded is immutable; reload() puts another in its place.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"

struct ssl_st;

namespace kage::tls {

/// PEM files: the certificate with its chain, and its private key (without a passphrase).
struct CertificateFiles {
  std::string chain;
  std::string key;
};

/// When a certificate ends; those of its chain do not count.
struct CertificateEnd {
  std::string file;
  std::int64_t seconds = 0;  ///< Unix time
};

class ServerContext {
 public:
  /// Loads all of them. The first is the default for clients that name no server, or one we do not have; the
  /// others are chosen by the DNS names in them, wildcards included. Errc::invalid, naming the file.
  static Result<std::shared_ptr<ServerContext>> load(std::vector<CertificateFiles> files);
  ~ServerContext();

  /// Reads the files again. New connections use them; tickets given out before still resume. When one file is
  /// wrong everything stays as it was: Errc::invalid, naming the file.
  Result<> reload();

  /// Of the current certificates, in the order of the files.
  [[nodiscard]] std::vector<CertificateEnd> ends() const;

  /// For tls_stream.cc: a connection of the current certificates. `keep` has to live while it shakes hands.
  struct Connection {
    ssl_st* ssl = nullptr;  ///< owned by the caller; null when there is no memory
    std::shared_ptr<const void> keep;
  };
  [[nodiscard]] Connection connection() const;

 private:
  struct State;
  ServerContext(std::vector<CertificateFiles> files, std::string ticket_keys);
  [[nodiscard]] Result<std::shared_ptr<const State>> read_files() const;

  const std::vector<CertificateFiles> files_;
  const std::string ticket_keys_;
  mutable std::mutex mutex_;
  std::shared_ptr<const State> state_;
};

}  // namespace kage::tls
