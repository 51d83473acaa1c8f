// Partial fetches (RFC 9051 §6.4.5, "<0.2048>") of what streams.
#pragma once

#include <cstdint>
#include <vector>

#include "proxy/fetch/facts.h"
#include "proxy/fetch/memory.h"
#include "proxy/fetch/request.h"
#include "proxy/imap/core.h"

namespace kage::proxy {

/// One partial stream of one message, with plain items beside it. `facts`: for FetchKind::content.
net::Task<Result<ImapStatus>> answer_partial(ImapCore& core, FetchMemory::State& memory, bool uid,
                                             std::uint32_t key, FetchItem item, std::vector<FetchItem> plain,
                                             const MessageFacts* facts, mapping::ContentKind kind);

}  // namespace kage::proxy
