// What has to be known of messages before octets of their parts can be shown.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/visible/message.h"
#include "proxy/fetch/memory.h"
#include "proxy/fetch/request.h"
#include "proxy/imap/core.h"

namespace kage::proxy {

/// What is known of one message before its parts are shown.
struct MessageFacts {
  std::uint32_t number = 0;
  std::uint32_t uid = 0;
  mapping::Viewer viewer;
  std::vector<mapping::ContentKind> kinds;  ///< one for each of FactTable::asks
};
struct FactTable {
  std::vector<std::string> asks;  ///< of items of FetchKind::content and FetchKind::part_header
  std::vector<MessageFacts> messages;
  bool renumbered = false;  ///< numbers may be wrong: UIDs only

  [[nodiscard]] const MessageFacts* find(std::uint32_t uid, std::uint32_t number) const;
  [[nodiscard]] const mapping::ContentKind* kind(const MessageFacts& facts, std::string_view ask) const;
};

struct FactsResult {
  ImapStatus status;  ///< of the command at the upstream
  FactTable table;
  bool too_many = false;  ///< more messages than are worked on: the table lacks some
};
/// The facts of each message of the set: one command at the upstream, or none when memory has them.
net::Task<Result<FactsResult>> gather_facts(ImapCore& core, FetchMemory::State& memory,
                                            const FetchRequest& request, bool uid);

}  // namespace kage::proxy
