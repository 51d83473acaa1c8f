// Header blocks as the member sees them, and what a client's item gets of one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mapping/visible/message.h"
#include "proxy/fetch/request.h"
#include "proxy/imap/core.h"

namespace kage::proxy {

/// Octets of a header block that is held; mapping::VisibleMessage has the same bound.
inline constexpr std::size_t kMaxHeaderBlock = 256 * 1024;

/// Appends the visible form of a block, of the same size; its phantoms go to core.out.
void show_block(ImapCore& core, const mapping::Viewer& viewer, mapping::BlockKind kind,
                std::string_view block, std::string& out);
/// mapping::HeaderView::show_fields(); the phantoms go to core.out.
bool show_fields(ImapCore& core, const mapping::Viewer& viewer, const mapping::FieldSet& reported,
                 std::string_view fields, std::string& out, std::string& original);
mapping::Viewer viewer_of(const ImapCore& core, std::string_view header_block);

/// RFC 9051 §6.4.5.1: the named fields in the order of the block, and its empty line.
std::string filter_fields(std::string_view block, const std::vector<std::string>& names, bool without);
/// What a client gets of a block: the fields, and of these the octets that it asked for.
std::string block_answer(const FetchItem& item, std::string_view visible);

/// "LABEL {5}\r\noctets"
void append_item(std::string& text, std::string_view name, std::string_view value);
void append_literal(std::string& text, std::string_view label, std::string_view octets);

}  // namespace kage::proxy
