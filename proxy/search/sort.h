// SORT by what is rewritten (RFC 5256, RFC 5957, contract R8.3): the upstream would order by the real
// addresses, and a member who compares against messages of its own making could read them off letter by
// letter. So it is done here, by what is visible.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "message/address_text.h"
#include "proxy/search/ask.h"
#include "proxy/search/request.h"

namespace kage::proxy {

/// Whether the order by this key would tell of hidden addresses. SUBJECT: only where subjects hold
/// addresses, or a marker that is not shown.
bool is_sensitive(SortKey::By by);

/// What a header block is sorted by, in casemap(); for sensitive keys.
std::string sort_value(SortKey::By by, std::string_view visible_header);

/// RFC 5256 §2.1, of a decoded subject.
std::string base_subject(std::string_view subject);

/// Those of the messages that `keys` match whose subject holds one of the texts.
net::Task<Result<FoundNumbers>> ask_subjects(ImapCore& core, bool uid, std::string keys,
                                             std::vector<std::string> texts);
/// What a subject with an address in it holds: all forms of '@' that are found as one
/// (message::find_addresses()).
std::vector<std::string> texts_of_addresses();

/// Runs SORT. `keys`: the search keys as they go upstream.
///
/// Sensitive criteria at the front are applied here, over the order that the upstream gives by the others.
/// Sensitive criteria behind others are left out: messages that are equal so far stand in the order of the
/// criteria after them.
net::Task<Result<ImapStatus>> run_sort(ImapCore& core, const SearchRequest& request, std::string keys);

}  // namespace kage::proxy
