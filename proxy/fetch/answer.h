// What is asked of the upstream for the items of a FETCH, and answered.
#pragma once

#include <vector>

#include "proxy/fetch/facts.h"
#include "proxy/fetch/memory.h"
#include "proxy/fetch/request.h"
#include "proxy/imap/core.h"

namespace kage::proxy {

/// Answers items that are not partial streams.
net::Task<Result<ImapStatus>> answer_items(ImapCore& core, FetchMemory::State& memory,
                                           const FetchRequest& request, std::vector<FetchItem> items,
                                           const FactTable& facts, bool uid);

}  // namespace kage::proxy
