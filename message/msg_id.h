// Finding msg-ids in a field body.
#pragma once

#include <string_view>
#include <vector>

namespace kage::message {

/// The msg-ids (RFC 5322 §3.6.4) in a field body: the contents without the angle brackets. Everything between
/// '<' and '>' counts, whatever its syntax, ends of line included; comments are skipped. Bare words with '@'
/// count too.
std::vector<std::string_view> find_msg_ids(std::string_view body);

}  // namespace kage::message
