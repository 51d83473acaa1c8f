// A listening TCP socket of one worker. With SO_REUSEPORT every worker has its own, and the kernel spreads
// the connections.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/ip.h"
#include "net/loop.h"
#include "net/stream.h"

namespace kage::net {

class Listener {
 public:
  /// Called on the loop for each connection. May destroy or close the Listener.
  using Accept = std::function<void(StreamPtr, PeerAddress)>;

  /// Listens on `address` (IPv4 or IPv6 text; "::" does not include IPv4) and `port`; 0 picks a free one.
  /// Errc::io or Errc::invalid, naming the address and the reason.
  static Result<std::unique_ptr<Listener>> open(Loop& loop, const std::string& address, std::uint16_t port,
                                                Accept accept);
  /// Whether nobody listens there yet. With SO_REUSEPORT another process of the same user could: connections
  /// would then come to both. Fails as open() does.
  static Result<> check_free(const std::string& address, std::uint16_t port);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] std::uint16_t bound_port() const { return port_; }

  /// Stops accepting and closes the socket. Connections that were accepted go on. Idempotent.
  void close();

 private:
  struct Socket;
  explicit Listener(Socket* socket, std::uint16_t port);

  Socket* socket_;  // owned by libuv after close; null then
  std::uint16_t port_;
};

}  // namespace kage::net
