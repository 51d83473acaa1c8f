// The proxy sessions of one worker: starts them, counts them, ends them gracefully, and ends those whose
// login is no longer registered (contract R3.5).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mapping/store/directory.h"
#include "mapping/visible/header.h"
#include "net/cidr.h"
#include "net/login_throttle.h"
#include "net/stream.h"
#include "provider/providers.h"
#include "tls/server_context.h"

namespace kage::proxy {

enum class Face : std::uint8_t { imap, imaps, pop3, pop3s };

struct ProxyOptions {
  std::string hostname;
  bool require_tls = true;            ///< logins only after TLS
  net::Millis login_timeout{60'000};  ///< from connecting to a successful login
  net::Millis idle_timeout{
      31 * 60'000};  ///< of a client after login (RFC 9051 §5.4: at least 30 minutes); POP3: 10
  net::Millis upstream_timeout{60'000};       ///< for the upstream to go on with an answer
  std::size_t max_command = 64 * 1024;        ///< octets of one command with its short literals
  std::uint64_t max_append = 50u << 20;       ///< octets of one APPEND literal
  std::size_t max_errors = 20;                ///< bad commands in a row, or before login, that end it
  std::size_t max_connections_per_login = 0;  ///< 0: no bound of ours
  std::vector<net::Network> proxy_peers;      ///< peers that send a PROXY header
  bool gmail = false;                         ///< X-GM-EXT-1
};

/// What a session works with; everything outlives it.
struct Services {
  net::Loop& loop;
  mapping::Directory& directory;
  mapping::HeaderView& view;
  const provider::Providers& providers;
  net::LoginThrottle& throttle;
  std::shared_ptr<tls::ServerContext> tls;  ///< null: no STARTTLS offered
  const ProxyOptions& options;
};

/// How many sessions each login has in this worker.
class LoginCounts {
 public:
  explicit LoginCounts(std::size_t most) : most_(most) {}

  /// Held by a session that is logged in.
  class Token {
   public:
    Token() = default;
    Token(std::shared_ptr<LoginCounts> of, std::string login);
    Token(Token&& other) noexcept = default;
    Token& operator=(Token&& other) noexcept;
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;
    ~Token();

   private:
    std::shared_ptr<LoginCounts> of_;
    std::string login_;
  };
  /// Nothing: the login has as many as it may.
  static std::optional<Token> enter(const std::shared_ptr<LoginCounts>& counts, std::string_view login);

 private:
  std::size_t most_;
  std::unordered_map<std::string, std::size_t> counts_;
};

class Sessions {
 public:
  explicit Sessions(Services services);
  ~Sessions();

  /// Serves one connection to its end. Never throws.
  void start(Face face, net::StreamPtr stream, net::PeerAddress peer);
  /// The routes changed: sessions between commands whose login is no longer registered end now (BYE), others
  /// after the command they are in.
  void routes_changed();
  /// Graceful stop: idle sessions end at once, others after their command. Resolves when none is left, or
  /// when `deadline` passes and the rest were closed.
  net::Task<void> stop(net::TimePoint deadline);
  [[nodiscard]] std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kage::proxy
