// One POP3 connection (RFC 1939): logs in at the member's own server and shows its messages through the
// member's eyes, at constant size, so that STAT, LIST and UIDL are the server's own (contract R8.1, R8.6).
//
// A straight line of coroutines with one handler a verb; one command at the server at a time. Between two
// commands of an idle client it owns no buffer. What it does not know it never passes on.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/sasl.h"
#include "net/buffered_reader.h"
#include "net/ip.h"
#include "net/stream.h"
#include "proxy/client_out.h"
#include "proxy/login_gate.h"
#include "proxy/pop3/command.h"
#include "proxy/pop3/text.h"
#include "proxy/pop3/upstream.h"
#include "proxy/sessions.h"

namespace kage::proxy {

class Pop3Session : public std::enable_shared_from_this<Pop3Session> {
 public:
  Pop3Session(const Services& services, std::shared_ptr<LoginCounts> counts, Face face, net::StreamPtr stream,
              net::PeerAddress peer);

  /// Serves the connection to its end.
  static net::Task<void> run(std::shared_ptr<Pop3Session> self);

  /// Graceful stop: ends now when idle, else after the command. Without a word, and without the server's
  /// UPDATE state: a client that did not say QUIT has deleted nothing (RFC 1939 §3).
  void stop();
  /// Ends every wait.
  void close();
  /// Ends, as stop() does, when the login is no longer registered (contract R3.5).
  void routes_changed();

 private:
  using Handler = net::Task<void> (Pop3Session::*)(std::string rest);
  static constexpr std::string_view kNoMapping = "-ERR [SYS/TEMP] The address mapping is not available.\r\n";

  // session.cc: the frame.
  net::Task<void> serve();
  net::Task<bool> prepare();
  net::Task<bool> start_tls();
  net::Task<void> step();
  net::Task<void> on_bad_line(Error error);
  net::Task<Result<std::string>> read_line(std::size_t max_octets);
  net::Task<bool> flush();
  void on_unwritten();
  net::Task<void> wind_up();
  [[nodiscard]] Handler handler_of(Pop3Verb verb) const;
  [[nodiscard]] bool logged_in() const { return upstream_ && !login_.empty(); }
  [[nodiscard]] net::TimePoint line_deadline() const;
  void reply(std::string_view line) { out_.add(line); }
  void mistake(std::string_view line);
  void end() { ended_ = true; }

  net::Task<void> on_capa(std::string rest);
  net::Task<void> on_stls(std::string rest);
  net::Task<void> on_utf8(std::string rest);
  net::Task<void> on_quit(std::string rest);
  net::Task<void> on_unknown(std::string rest);

  // auth.cc
  net::Task<void> on_user(std::string rest);
  net::Task<void> on_pass(std::string rest);
  net::Task<void> on_auth(std::string rest);
  [[nodiscard]] std::string_view login_obstacle() const;
  net::Task<std::optional<std::string>> challenge();
  net::Task<void> log_in(Credentials credentials);
  net::Task<Pop3Login> ask_upstream(const LoginAttempt& attempt, Credentials credentials);
  net::Task<void> refuse(bool bearer);
  void enter(std::string login);

  // mail.cc
  net::Task<void> on_stat(std::string rest);
  net::Task<void> on_list(std::string rest);
  net::Task<void> on_uidl(std::string rest);
  net::Task<void> on_retr(std::string rest);
  net::Task<void> on_top(std::string rest);
  net::Task<void> on_dele(std::string rest);
  net::Task<void> on_rset(std::string rest);
  net::Task<void> on_noop(std::string rest);
  net::Task<std::optional<Pop3Status>> ask(std::string command);
  net::Task<void> pass(std::string command);
  net::Task<void> pass_listing(std::string_view verb, std::string rest,
                               std::string (Pop3Session::*make)(std::string_view) const);
  [[nodiscard]] std::string numbers_of(std::string_view line) const;
  [[nodiscard]] std::string uid_of(std::string_view line) const;
  [[nodiscard]] bool renew_audience();
  net::Task<bool> stream_text(Pop3Text& text);
  net::Task<bool> complete_top(Pop3Text& text, std::uint32_t message, std::uint32_t lines);
  net::Task<bool> show(Pop3Text& text, std::string& wire);
  void lose_upstream();
  void lose_mapping();

  Services services_;
  std::shared_ptr<LoginCounts> counts_;
  Face face_;
  net::StreamPtr stream_;
  net::PeerAddress peer_;
  net::BufferedReader reader_;
  ClientOut out_;
  net::TimePoint login_deadline_{};

  bool ended_ = false;
  bool stopping_ = false;
  bool idle_ = false;  // waits for a command with nothing to write
  bool tls_ = false;
  bool utf8_ = false;
  std::size_t errors_ = 0;
  LoginGate gate_;
  std::string user_;   // of USER, before PASS
  std::string login_;  // once logged in
  LoginCounts::Token token_;
  mapping::Audience audience_;
  std::unique_ptr<Pop3Upstream> upstream_;
};

}  // namespace kage::proxy
