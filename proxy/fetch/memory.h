// What a session remembers of the messages that it fetched last.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mapping/visible/message.h"
#include "proxy/fetch/fetch.h"
#include "proxy/imap/core.h"

namespace kage::proxy {

/// Octets of a structure that is remembered.
inline constexpr std::size_t kMaxRemembered = 16 * 1024;

/// A place in one section of a message, from which a later partial fetch goes on.
struct FetchPlace {
  std::uint32_t uid = 0;
  std::uint32_t number = 0;
  std::uint64_t renumbered = 0;
  std::string ask;
  mapping::VisibleMessage walker;
  std::uint64_t fed = 0;  ///< octets of the upstream that it has taken
  std::string pending;    ///< what it has shown beyond the last answer
  bool ended = false;     ///< `fed` is the whole
};

struct FetchMemory::State {
  // What the rest was learned under; renew() forgets it all when one of these changes.
  std::uint64_t selection = 0;
  mapping::Routes routes;

  // The last message that was fetched alone.
  std::uint32_t uid = 0;
  std::uint32_t number = 0;
  std::uint64_t renumbered = 0;
  bool has_viewer = false;
  mapping::Viewer viewer;
  mapping::ContentKind text;  ///< of its BODY[TEXT]
  std::string structure;      ///< of the upstream; empty: not known

  std::vector<FetchPlace> places;

  /// Forgets what belongs to another mailbox or to other routes.
  void renew(const ImapCore& core);
  [[nodiscard]] bool is_last(const ImapCore& core, bool by_uid, std::uint32_t key) const;
  /// Makes this message the last one; what was known of another goes.
  void begin(const ImapCore& core, std::uint32_t message_uid, std::uint32_t message_number);
};

}  // namespace kage::proxy
