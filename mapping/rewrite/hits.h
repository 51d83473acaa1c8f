// Where addresses stand in one decoded text. Internal to this folder. Pure.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "mapping/rewrite/scan.h"
#include "message/address.h"

namespace kage::mapping {

struct Hit {
  std::size_t begin;  ///< octets of the text
  std::size_t end;
  message::Address address;
};

/// In order of their begins; they may overlap. Found through quoted-printable ("=40"), character references
/// ("&#64;") and percent-encoding too, and as wide as any reader may take them, so that no half of an address
/// stays behind. `index`: addresses that are known already, which a word alone may be.
std::vector<Hit> find_hits(std::string_view text, Care care, const AddressIndex& index);

/// Whether a line ends with the word behind the '@' at `at`, at a dot: "lcan@host." and "example" below it.
bool has_folded_dot(std::string_view body, std::size_t at);

/// Stands for what reads as an address and is none: nobody's, so it never stays as it is.
message::Address unreadable_address();

}  // namespace kage::mapping
