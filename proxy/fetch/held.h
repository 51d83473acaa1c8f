// Responses whose structure shows header blocks that the upstream did not give along: set aside, bounded,
// until the blocks were fetched.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mapping/visible/message.h"
#include "proxy/imap/core.h"
#include "proxy/structure/structure.h"

namespace kage::proxy {

struct HeldResponse {
  std::uint32_t key = 0;  ///< UID, or number where UIDs are not used
  std::string text;       ///< of the response, without what is still to come
  std::string envelope;   ///< as the upstream said it; empty: none
  std::vector<std::pair<std::string, std::string>> structures;  ///< name, value of the upstream
  std::vector<NeededBlock> needed;                              ///< beside HEADER

  /// Adds to `needed`. Beyond a bound a block is not asked for, and what would come from it is told as NIL:
  /// anybody can send a letter of thousands of parts.
  void need(const std::vector<NeededBlock>& blocks);
  [[nodiscard]] std::size_t octets() const;
};

class HeldResponses {
 public:
  /// False: there is no room, and the message has to be asked for again later.
  bool add(HeldResponse& response);
  /// Adds unsolicited items (new flags) to a held message's answer. False: that message is not held.
  bool append(std::uint32_t key, std::string_view text);
  [[nodiscard]] bool empty() const { return list_.empty(); }

  /// Fetches the blocks and answers. `missed`: something could not be told.
  net::Task<Result<ImapStatus>> resolve(ImapCore& core, bool uid, bool& missed);

 private:
  friend class BlockReader;
  std::vector<std::string> commands(bool uid) const;

  std::vector<HeldResponse> list_;
  std::unordered_map<std::uint32_t, std::size_t> by_key_;
  std::size_t octets_ = 0;
};

/// ENVELOPE of a message; one that is no envelope is told as an empty one.
std::string envelope_answer(const ImapCore& core, const mapping::Viewer& viewer, std::string_view upstream,
                            std::string_view original, std::string_view visible);
/// The structures of a response, with what is known of the blocks that they need. False: one cannot be told.
bool append_structures(std::string& text, const ImapCore& core, const mapping::Viewer& viewer,
                       const HeldResponse& held, const std::vector<KnownBlock>& known);
/// An envelope that says nothing.
std::string_view empty_envelope();
/// BODY and BODYSTRUCTURE of what is beyond the bounds of a structure. To refuse it would refuse each list
/// that it is in, and anybody can send it. The content of its parts is hidden (contract R3.8).
std::string_view unknown_structure();

}  // namespace kage::proxy
