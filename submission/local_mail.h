// Messages that are made inside the gateway. Those for a public address (a web form's) go the way of mail on
// port 25, with the same routes, policies, ledger and delivery, and nothing is kept of them (contract R3.7).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "mapping/store/directory.h"
#include "message/address.h"
#include "net/task.h"
#include "submission/outcome.h"
#include "submission/services.h"

namespace kage::submission {

struct LocalMessage {
  mapping::Routes routes;
  message::Address sender;     ///< envelope sender; the author, as far as anybody knows
  message::Address recipient;  ///< a public address
  std::string_view how;  ///< for the Received field (RFC 5321 §4.4 "with") and logs: "HTTPS"; static storage
  std::string header;    ///< with CRLF line ends and the empty line
  /// Replaces its argument by the next octets of the body; false at the end. What it needs has to live until
  /// deliver() is done.
  std::move_only_function<bool(std::string&)> next;
};

/// What the gateway itself says to somebody outside; from <>, so that nobody is told when it fails.
struct LocalNotice {
  message::Address recipient;
  std::string header;  ///< CRLF line ends, without the empty line
  std::string body;
  net::TimePoint deadline;
};

/// One worker's. All of them end before it does; see stop().
class LocalMail {
 public:
  explicit LocalMail(Services services);
  ~LocalMail();
  LocalMail(const LocalMail&) = delete;
  LocalMail& operator=(const LocalMail&) = delete;

  /// The line that an SMTP client would be answered with: 250 when every next hop has taken its copy, 4xx
  /// when it makes sense to try again, 5xx when not.
  net::Task<std::string> deliver(LocalMessage message);

  /// Whether the address is in a domain of the inside, to which nothing is sent that a stranger asked for
  /// (contract R7.5).
  [[nodiscard]] bool is_inside(const message::Address& address) const;

  /// Tried once.
  net::Task<CopyResult> send(LocalNotice notice);

  /// Nothing new is taken; resolves when what runs has ended, or at most a second after `deadline`.
  net::Task<void> stop(net::TimePoint deadline);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kage::submission
