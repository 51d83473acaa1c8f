// SEARCH, SORT, THREAD and their UID forms (RFC 9051 §6.4.4, RFC 5256, contract R8.3): a criterion on
// anything that is rewritten matches what the member can see, and nothing else.
//
// Each such criterion is answered first, by letting the upstream narrow and looking at what its candidates
// show; in the command that then goes upstream a set of UIDs stands in its place.
#pragma once

#include "proxy/imap/command.h"
#include "proxy/imap/core.h"

namespace kage::proxy {

net::Task<Result<ImapStatus>> run_search(ImapCore& core, ImapCommand command);

}  // namespace kage::proxy
