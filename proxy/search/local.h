// A search whose sets of messages are too long for any upstream's command line: its tree is worked out here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/imap/core.h"
#include "proxy/search/request.h"

namespace kage::proxy {

/// Not SORT, THREAD, SAVE, MODSEQ, and not many keys.
bool can_answer_here(const SearchRequest& request);

/// Answers SEARCH: the upstream says what each plain key matches, `matches` what each sensitive one does
/// (ascending, by the key's index). What cannot be answered so is NO [LIMIT].
using MatchesOf = std::function<const std::vector<std::uint32_t>&(std::size_t key)>;
net::Task<Result<ImapStatus>> answer_here(ImapCore& core, std::string tag, const SearchRequest& request,
                                          MatchesOf matches);

}  // namespace kage::proxy
