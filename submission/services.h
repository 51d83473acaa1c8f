// What SMTP sessions share: the faces of the engine, the bounds of a session, and what it works with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mapping/store/directory.h"
#include "net/cidr.h"
#include "net/login_throttle.h"
#include "net/loop.h"
#include "submission/auth.h"
#include "submission/next_hop.h"
#include "tls/server_context.h"

namespace kage::submission {

enum class Face : std::uint8_t {
  inbound,      ///< port 25: strangers, and members' plain replies
  submission,   ///< port 587: STARTTLS, AUTH
  submissions,  ///< port 465: TLS from the first octet, AUTH (RFC 8314)
};

struct TrustedNetwork {
  std::string name;  ///< for logs
  std::vector<net::Network> networks;
};

/// Bounds and timings of a session; the defaults are those of the settings table.
struct SessionOptions {
  std::string hostname;
  std::uint64_t max_message_size = 50u << 20;  ///< octets, announced by SIZE
  std::size_t max_header_size = 256u << 10;
  std::size_t max_header_fields = 2000;
  std::size_t max_recipients = 1000;  ///< more: 452 4.5.3
  std::size_t max_errors = 20;        ///< bad commands and refused recipients before 421
  std::size_t max_hops = 50;          ///< Received fields (RFC 5321 §6.3)
  net::Millis command_timeout{300'000};
  net::Millis data_timeout{600'000};  ///< for a whole message, extended by what min_data_rate allows its size
  std::uint64_t min_data_rate = 1024;  ///< octets a second below which a sender is too slow
  net::Millis transaction_timeout{
      540'000};             ///< until the last next hop has answered; the client waits 10 minutes
  bool require_tls = true;  ///< submission: AUTH only after TLS
  std::vector<std::string> authserv_ids;  ///< whose Authentication-Results count (RFC 8601 §2.5)
  std::vector<net::Network> fronts;     ///< peers that are the mail system in front; only their fields count
  std::vector<TrustedNetwork> trusted;  ///< peers whose mail needs no verdict
  std::vector<net::Network> proxy_peers;  ///< peers that send a PROXY header
  std::string spool_dir;
};

/// What a session works with; everything outlives it.
struct Services {
  net::Loop& loop;
  mapping::Directory& directory;
  NextHops& hops;
  Authenticator& authenticator;
  net::LoginThrottle& throttle;
  std::shared_ptr<tls::ServerContext> tls;  ///< null: no STARTTLS offered
  const SessionOptions& options;
};

}  // namespace kage::submission
