// Enhanced status codes (RFC 3463): what mail systems say of a copy in numbers. Their texts are never passed
// on.
#pragma once

#include <string_view>

namespace kage::submission {

/// The enhanced status code that `text` begins with, if it is of this class ('2', '4' or '5') and white space
/// or the end follows; else empty.
std::string_view enhanced_status(std::string_view text, char wanted_class);

/// Whether `text` is one and nothing else.
bool is_enhanced_status(std::string_view text, char wanted_class);

}  // namespace kage::submission
