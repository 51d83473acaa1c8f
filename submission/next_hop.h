// Where mail goes on to: next hops by recipient domain, and their pooled connections (contract chapter 1,
// R3.7).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/loop.h"
#include "net/stream.h"
#include "submission/hop_rate.h"

namespace kage::submission {

enum class HopTls : std::uint8_t {
  none,           ///< plain, for a next hop on the same machine
  opportunistic,  ///< STARTTLS when offered, certificate not checked
  starttls,       ///< STARTTLS or nothing; certificate and name checked
  implicit,       ///< TLS from the first octet; certificate and name checked
};

struct NextHopOptions {
  std::string name;                  ///< for logs and metrics: chosen by the operator
  std::vector<std::string> domains;  ///< canonical; "*" is the default hop; ".example" means every subdomain
  bool inside = false;  ///< only the inside reaches those domains: no stranger causes mail to them (R7.5)
  std::string host;
  std::uint16_t port = 25;
  HopTls tls = HopTls::opportunistic;  ///< no credentials go over a connection left plain
  std::string ca_file;                 ///< empty: the system's authorities
  std::string username;                ///< empty: no AUTH
  std::string password;
  /// For each worker, at least 1. A message whose client is still sending takes at most half of those free.
  std::size_t max_connections = 20;
  std::shared_ptr<HopRate> rate;  ///< shared by all workers; null: as many messages as it takes
  net::Millis connect_timeout{10'000};
  net::Millis command_timeout{60'000};  ///< for MAIL, RCPT, DATA and each write of a chunk
  net::Millis final_timeout{600'000};   ///< after the final dot (RFC 5321 §4.5.3.2.6)
  net::Millis idle_timeout{30'000};     ///< a pooled connection that nobody used for so long is closed
};

class Hop;  // one next hop with its pool; hop_pool.h

/// One worker's next hops. Lives as long as the worker.
class NextHops {
 public:
  /// `ehlo_name`: what we call ourselves. A hop whose ca_file cannot be read gets no connections (and a log
  /// line): its copies are deferred.
  NextHops(net::Loop& loop, std::string ehlo_name, std::vector<NextHopOptions> options);
  ~NextHops();

  /// The hop for a canonical recipient domain; null when there is neither a match nor a default.
  /// An exact domain wins over ".suffix", a longer suffix over a shorter, both over "*".
  [[nodiscard]] Hop* find(std::string_view canonical_domain) const;
  /// Closes idle connections; those in use end with their transaction.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kage::submission
