// What all that encrypts needs to speak with OpenSSL. Internal to mapping.
#pragma once

#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "base/log.h"

namespace kage::mapping {

/// A failure inside OpenSSL (no memory, no such cipher) ends the process: going on without encryption is not
/// a choice (contract R3.6).
inline void require(bool ok, std::string_view what) {
  if (ok) return;
  log::error("crypto.failed", {{"step", what}});
  std::abort();
}

inline const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
inline unsigned char* octets(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
inline unsigned char* octets(std::span<char> text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

inline constexpr std::size_t kSivKeySize = 64;  ///< octets

}  // namespace kage::mapping
