// One SMTP connection (RFC 5321): reads commands, keeps the few states that there are, and answers.
//
// A straight line of coroutines with one handler a verb. Between two commands of an idle client it owns no
// buffer. It never executes what was sent before a TLS handshake, and never reads past a line that ends in a
// bare LF.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sasl.h"
#include "message/dot_codec.h"
#include "net/buffered_reader.h"
#include "net/ip.h"
#include "net/stream.h"
#include "submission/activity.h"
#include "submission/answer.h"
#include "submission/incoming.h"
#include "submission/services.h"
#include "submission/smtp_command.h"
#include "submission/transaction.h"

namespace kage::submission {

class SmtpSession : public std::enable_shared_from_this<SmtpSession> {
 public:
  SmtpSession(const Services& services, std::shared_ptr<Activity> activity, Face face, net::StreamPtr stream,
              net::PeerAddress peer);
  ~SmtpSession();

  /// Serves the connection to its end. `refusal`: says that instead of a greeting, and ends.
  static net::Task<void> run(std::shared_ptr<SmtpSession> self, std::optional<Answer> refusal);

  /// Graceful stop: says 421 and ends, now when idle, else after the transaction.
  void stop();
  /// Ends every wait.
  void close();
  /// Called about once a second.
  void tick(net::TimePoint now);

 private:
  using Handler = net::Task<void> (SmtpSession::*)(std::string_view rest);
  static Handler handler_of(Verb verb);

  // smtp_session.cc: the frame.
  net::Task<void> serve();
  net::Task<bool> prepare();
  [[nodiscard]] net::Millis handshake_time() const;
  net::Task<bool> start_tls();
  net::Task<void> step();
  net::Task<void> on_bad_line(Error error);
  net::Task<Result<std::string_view>> read_line(std::size_t max_octets);
  net::Task<bool> flush();
  net::Task<void> last_word(Answer answer);
  static net::Task<void> say_and_close(std::shared_ptr<SmtpSession> self, Answer answer);
  net::Task<void> wind_up();
  void reply(Answer answer);
  void reply(std::string_view whole_line);
  void end() { ended_ = true; }
  [[nodiscard]] bool submits() const { return face_ != Face::inbound; }
  [[nodiscard]] bool offers_starttls() const;
  [[nodiscard]] bool offers_auth() const;
  void reset_hello();

  net::Task<void> on_helo(std::string_view rest);
  net::Task<void> on_ehlo(std::string_view rest);
  net::Task<void> on_rset(std::string_view rest);
  net::Task<void> on_noop(std::string_view rest);
  net::Task<void> on_quit(std::string_view rest);
  net::Task<void> on_vrfy(std::string_view rest);
  net::Task<void> on_help(std::string_view rest);
  net::Task<void> on_unknown(std::string_view rest);

  // smtp_session_auth.cc
  net::Task<void> on_starttls(std::string_view rest);
  net::Task<void> on_auth(std::string_view rest);
  [[nodiscard]] std::optional<Answer> auth_obstacle() const;
  net::Task<std::optional<Credentials>> read_credentials(SaslMechanism mechanism,
                                                         std::optional<std::string> initial);
  net::Task<std::optional<Credentials>> read_login(std::optional<std::string> initial);
  net::Task<std::optional<std::string>> challenge(std::string_view text);
  net::Task<void> check(Credentials credentials);
  net::Task<void> refuse_login(bool bearer);

  // smtp_session_mail.cc
  net::Task<void> on_mail(std::string_view rest);
  net::Task<void> on_rcpt(std::string_view rest);
  net::Task<void> end_transaction();
  [[nodiscard]] bool more_rcpt_buffered() const;
  void gather_rcpt(std::string_view rest);
  void sort_entries();
  net::Task<void> answer_rcpts();
  net::Task<void> settle_rcpts();
  net::Task<void> resolve_entries(std::vector<std::string> locals);
  void renew_routes(mapping::Routes routes);

  // smtp_session_data.cc
  net::Task<void> on_data(std::string_view rest);
  net::Task<void> on_bdat(std::string_view rest);
  [[nodiscard]] std::optional<Answer> data_obstacle() const;
  void start_message();
  net::Task<bool> receive_counted(std::uint64_t size);
  net::Task<bool> skip_counted(std::uint64_t size);
  net::Task<Result<std::string_view>> read_data(std::uint64_t max_octets);
  net::Task<bool> pass_on();
  net::Task<void> finish_message();
  [[nodiscard]] net::TimePoint data_deadline() const;

  /// One RCPT that was gathered and is not answered yet.
  struct Pending {
    std::optional<Answer> answer;   ///< decided
    std::optional<Answer> refusal;  ///< what the routes say, if they are still right
    std::optional<Recipient> recipient;
    message::Address address;
    std::string notify;
  };

  Services services_;
  std::shared_ptr<Activity> activity_;
  Face face_;
  net::StreamPtr stream_;
  net::PeerAddress peer_;
  net::BufferedReader reader_;
  std::string out_;

  bool ended_ = false;
  bool stopping_ = false;
  bool idle_ = false;  // waits for a command with nothing to write
  bool tls_ = false;
  bool said_hello_ = false;
  bool extended_ = false;
  std::size_t errors_ = 0;
  std::size_t failed_logins_ = 0;
  std::string login_;

  std::unique_ptr<ClientEnvelope> envelope_;  // from MAIL on
  std::vector<Pending> pending_;
  std::size_t excess_ = 0;  // recipients beyond the bound

  std::shared_ptr<Incoming> incoming_;  // while data come in
  std::shared_ptr<Incoming> running_;   // while the final answer is worked out
  std::unique_ptr<message::LineEndCheck> line_ends_;
  std::string scratch_;
  net::TimePoint data_started_;
};

}  // namespace kage::submission
