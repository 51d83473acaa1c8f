// Finding addresses in free text.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "message/address.h"

namespace kage::message {

/// Where an address stands in decoded text.
struct TextAddress {
  std::size_t offset = 0;
  std::size_t length = 0;  ///< in octets of the text
  Address address;
};

/// Finds everything in free text (UTF-8, decoded) that a reader or a machine could take for an address:
/// local@domain.tld, quoted local parts, full-width forms ('＠' U+FF20, 'ａ', '．'), ideographic full stops,
/// '%40', IDN domains, domain literals, a trailing dot in the local part (old carriers). Prefers to find too
/// much. Hits are in the text's order and do not overlap. Linear in the size of the text.
std::vector<TextAddress> find_addresses(std::string_view text);

}  // namespace kage::message
