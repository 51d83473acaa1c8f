// SipHash-1-3 (Aumasson and Bernstein, 2012): a fast keyed hash for tables whose keys come from the network.
//
// For tables in memory only, under a random key of the process; nothing stored or shown is made with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kage {

struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

/// A key that nobody outside can know.
SipKey random_sip_key();

std::uint64_t siphash(const SipKey& key, std::string_view text);

/// Hasher of the standard's tables, under one key of the process: nobody outside can choose texts that share
/// a bucket. Looks texts up without making strings of them, where the table compares with std::equal_to<>.
struct SipHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const;
};

}  // namespace kage
