// FETCH and UID FETCH (RFC 9051 §6.4.5): the client's items become those to ask the upstream for, and its
// answers become visible ones while they stream.
#pragma once

#include <memory>

#include "proxy/imap_command.h"
#include "proxy/imap_core.h"

namespace kage::proxy {

/// The place in a message where the last partial fetch ended, so that a client that reads on costs no second
/// reading. One for each session.
class FetchMemory {
 public:
  FetchMemory();
  ~FetchMemory();
  void clear();
  struct State;
  std::unique_ptr<State> state;
};

/// Runs the command to its end. An error ends the session; the client got nothing broken before it: a literal
/// that was begun and cannot be finished means that the connection is closed.
net::Task<Result<ImapStatus>> run_fetch(ImapCore& core, FetchMemory& memory, ImapCommand command);

/// Header blocks (whole, original) of messages that a search has to look at: UID → block, in one upstream
/// command for at most 500 UIDs at a time. `seen` is called for each.
net::Task<Result<>> fetch_headers(ImapCore& core, const std::vector<std::uint32_t>& uids,
                                  std::move_only_function<void(std::uint32_t uid, std::string block)> seen);

/// Reads a FETCH response that nobody asked for, and passes FLAGS, UID, MODSEQ and their like.
net::Task<Result<>> pass_unsolicited_fetch(ImapCore& core, std::uint32_t number);

}  // namespace kage::proxy
