// One IMAP connection (RFC 9051, contract chapter 8): login, then one command after the other, each brought
// to its end at the upstream before the next is looked at.
//
// A straight line of coroutines with one handler a command. What only login needed is gone after it; between
// two commands of an idle client it owns no buffer. It never executes what was sent before a TLS handshake.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/sasl.h"
#include "net/buffered_reader.h"
#include "net/ip.h"
#include "net/stream.h"
#include "provider/imap_login.h"
#include "proxy/client_out.h"
#include "proxy/fetch/fetch.h"
#include "proxy/imap/command.h"
#include "proxy/imap/core.h"
#include "proxy/login_gate.h"
#include "proxy/sessions.h"

namespace kage::proxy {

class ImapSession : public std::enable_shared_from_this<ImapSession> {
 public:
  ImapSession(const Services& services, std::shared_ptr<LoginCounts> counts, Face face, net::StreamPtr stream,
              net::PeerAddress peer);
  ~ImapSession();
  ImapSession(const ImapSession&) = delete;
  ImapSession& operator=(const ImapSession&) = delete;

  /// Serves the connection to its end.
  static net::Task<void> run(std::shared_ptr<ImapSession> self);

  /// Graceful stop: says BYE and ends, now when idle, else after the command.
  void stop();
  /// Ends every wait.
  void close();
  /// Ends the session when its login is no longer registered, as stop() does.
  void routes_changed();

 private:
  using Outcome = net::Task<Result<ImapStatus>>;
  using Handler = Outcome (ImapSession::*)(ImapCommand command);
  enum class State : std::uint8_t { always, unauthenticated, authenticated, selected };
  struct Row {
    std::string_view name;
    State state;
    Handler handler;
  };
  static const Row* find_row(std::string_view name);

  // session.cc: the frame.
  net::Task<void> serve();
  net::Task<bool> prepare();
  net::Task<bool> start_tls();
  net::Task<bool> begin_rest();
  void end_rest(const Result<>& woken);
  net::Task<void> step();
  net::Task<void> dispatch(ImapCommand command);
  [[nodiscard]] std::optional<ImapStatus> obstacle(const Row& row);
  net::Task<void> on_failed_command(Error error);
  net::Task<void> on_failed_read(Error error);
  net::Task<void> too_large(std::string text, LiteralMark mark);
  net::Task<Result<std::string>> read_command();
  net::Task<Result<std::string_view>> read_line(std::size_t max_octets);
  net::Task<Result<>> read_literal(std::string& text, std::uint64_t size);
  net::Task<Result<>> skip_octets(std::uint64_t size);
  [[nodiscard]] bool is_append_message(const std::string& text) const;
  [[nodiscard]] net::TimePoint client_deadline() const;
  void add_status(std::string_view tag, const ImapStatus& status);
  net::Task<void> last_word(std::string_view text);
  void end_when_idle(std::string_view text);
  static net::Task<void> say_and_close(std::shared_ptr<ImapSession> self, std::string_view text);
  net::Task<void> wind_up();
  void end() { ended_ = true; }

  // session_login.cc
  Outcome on_starttls(ImapCommand command);
  Outcome on_login(ImapCommand command);
  Outcome on_authenticate(ImapCommand command);
  net::Task<Result<std::optional<Credentials>>> read_credentials(SaslMechanism mechanism,
                                                                 std::optional<std::string> initial);
  net::Task<Result<std::optional<Credentials>>> read_login(std::optional<std::string> initial);
  net::Task<Result<std::optional<std::string>>> challenge(std::string_view text);
  Outcome check(Credentials credentials);
  net::Task<Result<provider::ImapConnection>> ask_upstream(const LoginAttempt& attempt,
                                                           Credentials credentials);
  Result<ImapStatus> accept(provider::ImapConnection upstream, std::string_view login);
  Outcome refuse(bool bearer);
  [[nodiscard]] bool logins_allowed() const;

  // session_commands.cc
  [[nodiscard]] std::string capability_text() const;
  Outcome on_capability(ImapCommand command);
  Outcome on_noop(ImapCommand command);
  Outcome on_id(ImapCommand command);
  Outcome on_logout(ImapCommand command);
  Outcome on_pass(ImapCommand command);
  Outcome pass(ImapCommand command);
  Outcome on_select(ImapCommand command);
  Outcome on_close(ImapCommand command);
  Outcome on_enable(ImapCommand command);
  Outcome on_fetch(ImapCommand command);
  Outcome on_search(ImapCommand command);
  Outcome on_append(ImapCommand command);
  Outcome on_compress(ImapCommand command);

  // session_idle.cc
  Outcome on_idle(ImapCommand command);
  net::Task<Result<std::string>> read_idle_line();
  static net::Task<void> pump_idle(std::shared_ptr<ImapSession> self, std::string tag);
  net::Task<Result<>> pump_responses(std::string tag);

  /// What a session has from its login on.
  struct LoggedIn {
    LoggedIn(ImapSession& session, provider::ImapConnection connection);
    net::StreamPtr upstream;
    std::unique_ptr<ImapReader> in;
    std::shared_ptr<const std::string> capabilities;  // sessions at one provider share them
    ImapCore core;
    FetchMemory memory;
    LoginCounts::Token token;
  };
  /// While IDLE runs: the side that waits for the upstream.
  struct Idle {
    net::Event ended;
    std::optional<ImapStatus> status;
    std::optional<Error> error;
  };

  Services services_;
  std::shared_ptr<LoginCounts> counts_;
  Face face_;
  net::StreamPtr stream_;
  net::PeerAddress peer_;
  net::BufferedReader reader_;
  ClientOut out_;

  bool ended_ = false;
  bool idle_ = false;     // waits for the client with nothing to write
  bool writing_ = false;  // while IDLE: the other side writes
  bool tls_ = false;
  bool compressed_ = false;
  std::string_view farewell_;        // what to say when the command is done; empty: go on
  std::optional<Errc> failed_rest_;  // why the wait for a command ended without one
  std::size_t errors_ = 0;
  LoginGate gate_;
  net::TimePoint login_deadline_;
  std::optional<LiteralMark> message_;  // an APPEND's literal, announced and not read
  std::unique_ptr<LoggedIn> in_;
  Idle* running_idle_ = nullptr;
};

}  // namespace kage::proxy
