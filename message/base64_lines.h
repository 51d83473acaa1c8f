// Base64 as a body has it (RFC 2045 §6.8). Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kage::message {

/// Octets that make a line of 76 characters. Pieces of a multiple of it can be written one after another.
constexpr std::size_t kBase64LineOctets = 57;

/// Appends lines of at most 76 characters, each with CRLF.
void append_base64_lines(std::string& out, std::string_view octets);

}  // namespace kage::message
