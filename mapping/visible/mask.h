// Octets that may not be seen, replaced while they stream: line ends stay, and so do delimiter lines, since
// what follows those is looked at again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "message/boundary_scanner.h"

namespace kage::mapping {

class StreamMask {
 public:
  enum class Style : std::uint8_t {
    filler,  ///< one long field, up to and with the empty line that ends the header block
    blank,   ///< up to the next delimiter line
  };
  struct Event {
    bool block_ended = false;
    std::optional<message::BoundaryScanner::Hit> hit;
  };

  /// The next octet begins a line.
  void start(Style style);
  /// Takes octets up to the next event, which comes at a line end, else all.
  Event feed(std::string_view& input, const message::BoundaryScanner& boundaries, std::string& out);
  void finish(const message::BoundaryScanner& boundaries, std::string& out);
  /// Octets taken and not given yet.
  [[nodiscard]] std::size_t held() const { return line_.size() + (pending_cr_ ? 1 : 0); }

 private:
  void mask(std::string_view text, std::string& out);
  [[nodiscard]] char glyph();

  std::string line_;  ///< beginning of a line that may be a delimiter or empty
  std::size_t column_ = 0;
  Style style_ = Style::blank;
  bool first_line_ = true;
  bool in_line_ = false;
  bool pending_cr_ = false;
};

}  // namespace kage::mapping
