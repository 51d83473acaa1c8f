// A next hop for tests, on the test's own loop: an SMTP server whose script may refuse, close or hang at
// every point. What it says 250 to after the final dot is a delivered message.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/buffered_reader.h"
#include "net/listener.h"
#include "tls/server_context.h"

namespace kage::submission::test {

enum class Stage : std::uint8_t { greeting, ehlo, helo, starttls, auth, mail, rcpt, data, body, dot, rset };

struct Action {
  enum class Kind : std::uint8_t { reply, reply_and_close, close, hang } kind = Kind::reply;
  std::string text;  ///< a reply with its line ends
};
Action reply(std::string line);
Action reply_and_close(std::string line);
Action close_now();
Action hang();

class SmtpSink : public std::enable_shared_from_this<SmtpSink> {
 public:
  struct Message {
    std::string mail;  ///< the whole MAIL command
    std::string rcpt;  ///< the whole RCPT command that was taken
    std::string data;  ///< dots removed
    int connection = 0;
    bool encrypted = false;
  };
  /// What to do at a stage; nothing: the ordinary answer. `line`: the command, or at DATA and later the RCPT
  /// command that was taken. Connections count from 1.
  using Script = std::function<std::optional<Action>(Stage stage, std::string_view line, int connection)>;

  explicit SmtpSink(net::Loop& loop) : loop_(loop) {}

  void listen(std::uint16_t port = 0);
  /// Stops listening and ends all sessions, those that hang too.
  void stop();

  /// Closes what is open, as a server does with idle clients; goes on listening.
  void close_sessions();

  Script script;
  std::function<void(Message&)> received;  ///< called with each delivered message, may take its data
  std::string trailer;                     ///< sent behind the 250 of the final dot
  std::vector<std::string> extensions = {"PIPELINING", "SIZE 100000000",     "8BITMIME", "SMTPUTF8",
                                         "DSN",        "ENHANCEDSTATUSCODES"};
  std::shared_ptr<tls::ServerContext> tls;
  bool implicit_tls = false;
  std::string injected;  ///< sent in clear behind the answer to STARTTLS

  std::vector<Message> messages;
  std::vector<std::string> commands;  ///< of all connections, in order
  int connections = 0;
  int open = 0;
  int most_open = 0;
  net::Event idle;                 ///< set whenever the last open connection ends
  std::size_t most_pipelined = 0;  ///< commands that arrived with another
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::size_t count(std::string_view rcpt_part) const;

 private:
  struct Session {
    net::StreamPtr stream;
    std::optional<net::BufferedReader> reader;
    int number = 0;
    bool encrypted = false;
    bool refused = false;  // the last act() did not give the usual answer
    Message message;
  };
  static net::Task<void> serve(std::shared_ptr<SmtpSink> self, net::StreamPtr stream);
  net::Task<bool> run(Session& session);
  net::Task<bool> command(Session& session, std::string line);
  net::Task<bool> receive(Session& session);
  net::Task<bool> authenticate(Session& session, std::string line);
  net::Task<bool> secure(Session& session);
  net::Task<bool> act(Session& session, Stage stage, std::string line, std::string usual);
  [[nodiscard]] std::string capabilities(const Session& session) const;

  net::Loop& loop_;
  std::unique_ptr<net::Listener> listener_;
  std::uint16_t port_ = 0;
  net::Event stopped_;
  std::vector<Session*> sessions_;
};

}  // namespace kage::submission::test
