// Making a block of rewritten fields exactly as long as the one it stands for: octets and line ends
// (contract R8.1). Knows nothing of addresses; it only folds, unfolds, pads and fills.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kage::mapping {

enum class LineEnds : unsigned char { crlf, lf, mixed };

struct Extent {
  std::size_t octets = 0;
  std::size_t lines = 0;  ///< line ends

  bool operator==(const Extent&) const = default;
};

Extent extent_of(std::string_view text);

/// A block in the making: fields one after the other from `base` on.
struct Draft {
  struct Region {  ///< a field that was written anew: it may be folded in another way
    std::size_t begin;
    std::size_t end;
  };
  std::string& out;
  std::size_t base;
  std::vector<Region>& rewritten;  ///< the caller's, so that its memory serves again
};

/// Makes the draft as large as `room`, with one filler field at its end where something is left. False when
/// it cannot be done without losing something; the draft is then to be thrown away.
/// `used`: what it takes so far.
bool fit(Draft& draft, Extent used, Extent room, LineEnds ends);

/// Appends exactly `room`: one filler field as well-formed as the room allows. No octets without a line end.
void append_filler(std::string& out, Extent room, LineEnds ends);

}  // namespace kage::mapping
