// One message on its way to all its copies: cut-through fan-out (contract R3.7).
//
// Body octets go to as many copies at once as the next hops' connections allow; when a message has more
// copies than that, the rest follow from a BodyStore (bounded memory, then an unlinked file whose content is
// encrypted under a key that only this process has). Nothing is acknowledged here: the caller answers its
// client after finish().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "message/address.h"
#include "net/task.h"
#include "submission/next_hop.h"
#include "submission/outcome.h"

namespace kage::submission {

struct Copy {
  std::string mail_from;       ///< envelope sender without brackets; empty is <>
  message::Address recipient;  ///< spelled as it goes out; quoted form is tried when a bare odd local part is
                               ///< refused (contract R4.5)
  std::string header;  ///< rewritten header block, CRLF line ends, without the empty line (added here)
  std::string notify;  ///< NOTIFY value (RFC 3461) to pass where the hop has DSN; empty: none
  std::string ret;     ///< RET value, likewise
  /// SMTPUTF8 was declared, and the header has something that is not ASCII: it is declared where the hop has
  /// it.
  bool smtputf8 = false;
};

struct DeliveryOptions {
  std::uint64_t size_estimate = 0;  ///< SIZE= of the client, or 0
  bool body_8bit = false;           ///< BODY=8BITMIME was declared
  bool smtputf8 = false;    ///< SMTPUTF8 was declared and something in a copy needs it even with A-labels
  std::string spool_dir;    ///< where a BodyStore may put its unlinked file
  net::TimePoint deadline;  ///< all rounds end before; what is left is deferred
};

class Delivery {
 public:
  /// `on_served(i)`, which may be empty, is called at the moment when copy i's 250 was read. The connection
  /// sends no other copy's final dot before the task that it returns has ended; finish() does not wait for
  /// the last.
  Delivery(net::Loop& loop, NextHops& hops, std::vector<Copy> copies, DeliveryOptions options,
           std::function<net::Task<void>(std::size_t)> on_served);
  ~Delivery();  ///< aborts what was not finished
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  /// From then on no copy is begun any more: what is left is deferred. Leave time for those under way before
  /// abort(), which may cut a copy off whose 250 was about to come.
  void begin_until(net::TimePoint time);

  /// Connects, MAIL, RCPT, DATA for the first round of copies, at the same time.
  net::Task<void> open();

  /// Hands body octets (as received, not dot-stuffed, any cut) to every copy of the round. Returns when all
  /// have taken them or failed. A copy that fails drops out; the others go on. `octets` must stay valid until
  /// it returns.
  net::Task<void> write(std::string_view octets);

  /// True when no copy can still be delivered: the caller may stop reading.
  [[nodiscard]] bool hopeless() const;

  /// The final dot to all, further rounds, all answers. One result for each copy, in order.
  net::Task<std::vector<CopyResult>> finish();

  /// How many copies the next hops have answered for, so far.
  struct Progress {
    std::size_t delivered = 0, refused = 0, deferred = 0;
    [[nodiscard]] std::size_t all() const { return delivered + refused + deferred; }
  };
  [[nodiscard]] Progress progress() const;

  /// Ends every transaction without its final dot; no copy is delivered any more.
  void abort();

  struct State;  // delivery_state.h

 private:
  std::shared_ptr<State> state_;
};

}  // namespace kage::submission
