// FETCH and UID FETCH (RFC 9051 §6.4.5): the client's items become those to ask the upstream for, and its
// answers become visible ones while they stream.
#pragma once

#include <memory>

#include "proxy/imap/command.h"
#include "proxy/imap/core.h"

namespace kage::proxy {

/// What is known of the message that was fetched last (whose it is, its structure), and the places where
/// partial fetches ended: a client that reads on costs no second reading. One for each session; it owns
/// nothing before the first FETCH.
class FetchMemory {
 public:
  FetchMemory();
  ~FetchMemory();
  void clear();
  struct State;
  std::unique_ptr<State> state;  ///< may be null
};

/// Runs the command to its end. An error ends the session. The client got nothing broken before it, but for
/// an answer that was begun and cannot be finished: ClientOut::within_answer() tells, and then nothing more
/// may be said.
net::Task<Result<ImapStatus>> run_fetch(ImapCore& core, FetchMemory& memory, ImapCommand command);

}  // namespace kage::proxy
