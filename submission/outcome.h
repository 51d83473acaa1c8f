// What became of one copy of a message, as far as its sender may learn it.
#pragma once

#include <cstdint>
#include <string>

namespace kage::submission {

enum class Outcome : std::uint8_t { delivered, deferred, refused };

struct CopyResult {
  Outcome outcome = Outcome::deferred;
  std::string status = "4.4.2";  ///< enhanced status code (RFC 3463), ours or the next hop's; never its text
};

}  // namespace kage::submission
