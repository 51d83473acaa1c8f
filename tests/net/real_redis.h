// A redis-server of a test's own: in a temporary folder, on a Unix socket or a free loopback port, ended by
// its pid.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "net/redis.h"
#include "tests/temporary_folder.h"

namespace kage::net::testing {

class RealRedis {
 public:
  enum class Listen : std::uint8_t { unix_socket, tcp, tls };

  /// Starts it and returns when it answers. `arguments` are added to its command line. For tls they have to
  /// name the certificates. Throws std::runtime_error when it does not start.
  explicit RealRedis(Listen listen = Listen::unix_socket, std::vector<std::string> arguments = {});
  ~RealRedis();
  RealRedis(const RealRedis&) = delete;
  RealRedis& operator=(const RealRedis&) = delete;

  /// How to reach it, without credentials.
  [[nodiscard]] RedisOptions options() const;
  [[nodiscard]] std::uint16_t port() const { return port_; }

  void kill();   ///< at once, as a crash would
  void start();  ///< again, with the same address and arguments; empty, unless they say otherwise
  void pause();  ///< SIGSTOP: connections are taken by the kernel, nothing is answered
  void go_on();  ///< SIGCONT

 private:
  test::TemporaryFolder folder_;
  Listen listen_;
  std::vector<std::string> arguments_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace kage::net::testing
