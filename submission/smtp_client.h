// One connection to a next hop, as an SMTP client (RFC 5321): connect, TLS, EHLO, AUTH, then one transaction
// after another, each with one recipient.
//
// It promises to say exactly what became of a transaction, and to close itself when the two sides may
// disagree about where they are: usable() is then false. It never sends credentials in clear unless the
// operator chose HopTls::none, and never hands the next hop's text to anybody.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "message/address.h"
#include "net/buffered_reader.h"
#include "net/stream.h"
#include "submission/next_hop.h"
#include "submission/smtp_reply.h"

namespace kage::submission {

/// What EHLO offered (RFC 5321 §4.1.1.1).
struct SmtpCapabilities {
  bool pipelining = false;
  bool eight_bit = false;
  bool smtputf8 = false;
  bool dsn = false;
  bool starttls = false;
  bool auth_plain = false;
  bool auth_login = false;
  bool size = false;           ///< takes SIZE= with MAIL (RFC 1870)
  std::uint64_t max_size = 0;  ///< octets; 0: no limit said
};
SmtpCapabilities parse_capabilities(const SmtpReply& reply);

/// Puts TLS on a connected stream, verified or not as the hop's options say; `deadline` ends the handshake.
using Secure = std::function<net::Task<Result<net::StreamPtr>>(net::StreamPtr, net::TimePoint deadline)>;

struct HopSettings {
  NextHopOptions options;
  std::string ehlo_name;
  Secure secure;  ///< empty only with HopTls::none
};

/// Why there is no connection. Always a deferral: no message is at fault.
struct ConnectFailure {
  CopyResult result;
  std::string_view reason;  ///< a fixed word for the log
  bool crowded = false;     ///< greeted with 4yz: it works, and takes no more connections for now
};

/// One transaction. Views are of what outlives it.
struct Envelope {
  std::string_view mail_from;  ///< empty: <>
  const message::Address* recipient = nullptr;
  std::string_view notify;
  std::string_view ret;
  std::uint64_t size = 0;  ///< octets, as far as known
  bool body_8bit = false;
  bool smtputf8 = false;    ///< to be declared where the hop has it
  bool needs_utf8 = false;  ///< and no message for a hop that has it not
};

/// How the beginning of a transaction went.
struct Begun {
  enum class Kind : std::uint8_t {
    ready,     ///< the next hop said 354: write the message
    declined,  ///< it refused or deferred this copy; the connection goes on
    lost,      ///< the connection is of no more use
    stale,     ///< likewise, but it had been idle and answered nothing: the same may be tried on a new one
  };
  Kind kind = Kind::lost;
  CopyResult result;  ///< unless ready
};

class SmtpConnection {
 public:
  SmtpConnection(net::Loop& loop, std::shared_ptr<const HopSettings> settings);

  /// No wait of this connection goes beyond `at` from now on.
  void set_limit(std::optional<net::TimePoint> at) { limit_ = at; }

  /// Holds `token` until it closes: how the pool counts the connections that work.
  void count_in(std::shared_ptr<const int> token) { token_ = std::move(token); }

  /// TCP, TLS, greeting, EHLO, AUTH. Nothing: ready for transactions.
  net::Task<std::optional<ConnectFailure>> connect();

  /// What makes a transaction pointless before it begins: size, 8BITMIME, SMTPUTF8, an envelope that cannot
  /// be written safely.
  [[nodiscard]] std::optional<CopyResult> inadmissible(const Envelope& envelope) const;

  /// Whether the transaction that was begun last declared SMTPUTF8: then addresses in the header need not be
  /// ASCII (RFC 6531 §3.1).
  [[nodiscard]] bool declared_utf8() const { return declared_utf8_; }

  /// MAIL, RCPT and DATA, in one write where the next hop does PIPELINING.
  net::Task<Begun> begin(Envelope envelope);

  /// Octets of the message as they go on the wire (dot-stuffed). Valid until it returns.
  net::Task<Result<>> write(std::string_view octets);

  /// Reads the answer to the final dot.
  net::Task<CopyResult> finish();

  /// Good for another transaction, and nothing unasked for has arrived.
  [[nodiscard]] bool usable() const { return usable_ && reader_ && reader_->buffered().empty(); }

  /// Ends every wait on it with an error. Idempotent.
  void close();

  /// QUIT and close, in the background.
  static net::Task<void> quit(std::unique_ptr<SmtpConnection> connection);

 private:
  net::Task<std::optional<ConnectFailure>> open_stream();
  net::Task<std::optional<ConnectFailure>> secure_stream();
  net::Task<std::optional<ConnectFailure>> greet();
  net::Task<std::optional<ConnectFailure>> hello();
  net::Task<std::optional<ConnectFailure>> start_tls();
  net::Task<std::optional<ConnectFailure>> authenticate();
  net::Task<Result<SmtpReply>> auth_login();

  net::Task<Result<>> send(std::string_view octets);
  net::Task<Result<SmtpReply>> read_reply(net::Millis timeout, bool keep_text = false);
  net::Task<Result<SmtpReply>> step(bool sent, std::string command);
  net::Task<Begun> read_answers(Envelope envelope, bool together, bool odd);
  net::Task<bool> cancel_data();

  Begun gone(const Result<SmtpReply>& reply, bool nothing_answered);
  ConnectFailure failed(std::string status, std::string_view reason);
  ConnectFailure failed_by(const Result<SmtpReply>& reply, std::string_view reason);
  [[nodiscard]] net::TimePoint until(net::Millis timeout) const;
  void adopt(net::StreamPtr stream);

  net::Loop& loop_;
  std::shared_ptr<const HopSettings> settings_;
  std::optional<net::TimePoint> limit_;
  net::StreamPtr stream_;
  std::optional<net::BufferedReader> reader_;
  SmtpCapabilities offers_;
  bool declared_utf8_ = false;
  std::shared_ptr<const int> token_;
  std::size_t transactions_ = 0;
  bool secured_ = false;
  bool usable_ = false;
  bool closed_ = false;
  bool needs_reset_ = false;
};

/// Whether the spelling of a recipient may be refused bare and taken quoted (contract R4.5).
bool has_quoted_form(const message::Address& recipient);

}  // namespace kage::submission
