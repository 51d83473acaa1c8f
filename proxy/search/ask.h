// Questions to the upstream on the way to the answer of a SEARCH: which messages, and what stands in them.
// Whatever else the upstream says meanwhile reaches the client as in any other command.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "proxy/imap/core.h"

namespace kage::proxy {

/// Sends a command (without tag and line end, strings as imap_string() writes them) and reads its answer to
/// the end.
net::Task<Result<ImapStatus>> ask(ImapCore& core, std::string command, ImapWatch* watch);

/// What SEARCH or SORT answered.
struct FoundNumbers {
  ImapStatus status;
  std::vector<std::uint32_t> numbers;  ///< in the order of the answer
  bool esearch = false;                ///< it came as ESEARCH
  std::string modseq;                  ///< of the answer, digits; empty: none
};
/// Never more numbers than the mailbox has messages, and no message number above that (RFC 9051 §7.3.1).
net::Task<Result<FoundNumbers>> ask_numbers(ImapCore& core, std::string command);

/// Reads one item (BODY.PEEK[…]) of messages, at most `max` octets of each, a few hundred messages with one
/// command. `uid`: the numbers are UIDs. `seen`, which outlives the task, is called for each that exists.
using SeenOctets = std::move_only_function<void(std::uint32_t number, std::string octets)>;
net::Task<Result<>> look(ImapCore& core, bool uid, const std::vector<std::uint32_t>& numbers,
                         std::string item, std::size_t max, SeenOctets* seen);

/// Questions to the upstream on behalf of one search, where each of its plain keys, or of its sets, needs
/// one.
inline constexpr std::size_t kMaxQuestions = 50;

/// A search key that matches nothing: the last of all UIDs. Nothing that a server could take apart, such as
/// (SEEN UNSEEN): Dovecot 2.3 takes what both arms of an OR have in common out of them, also out of a NOT.
inline constexpr const char* kNoMessage = "UID 4294967295";

}  // namespace kage::proxy
