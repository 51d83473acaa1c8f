// Certificate authorities of a test's own, with certificates for any names, as PEM files in a temporary
// folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/net/real_redis.h"
#include "tests/temporary_folder.h"
#include "tls/server_context.h"

namespace kage::tls::testing {

class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  [[nodiscard]] std::string ca_file() const { return folder_.path() + "/ca.pem"; }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

  /// Makes FOLDER/<file>.pem and FOLDER/<file>.key, valid for a day. Names are subject alternative names as
  /// OpenSSL writes them: "DNS:mail.example", "IP:127.0.0.1". With `expired` it ended yesterday.
  [[nodiscard]] CertificateFiles issue(const std::string& file, const std::string& names,
                                       bool expired = false) const;

 private:
  struct Keys;
  test::TemporaryFolder folder_;
  std::unique_ptr<Keys> keys_;
};

}  // namespace kage::tls::testing
