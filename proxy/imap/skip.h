// The end of a FETCH value that is too long to be held: an atom, a quoted string, or a list with literals in
// it. Pure state machine, fed in any cuts; holds nothing of the value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kage::proxy {

class ImapValueSkip {
 public:
  enum class State : std::uint8_t { more, ended, broken };

  /// At the value's begin, or within it, at the begin of a literal of that many octets or of a line.
  explicit ImapValueSkip(std::size_t depth = 0, std::uint64_t literal = 0)
      : depth_(depth), literal_(literal) {}

  /// Takes octets from the front: all of them, or those up to the value's end.
  [[nodiscard]] State feed(std::string_view& octets);

 private:
  enum class Mark : std::uint8_t { none, digits, closed };

  State take(char c);
  State take_quoted(char c);
  void take_mark(char c);

  std::size_t depth_;
  std::uint64_t literal_;  // octets of it that are still to come
  std::uint64_t size_ = 0;
  Mark mark_ = Mark::none;  // "{size}", which the line has to end with
  bool quoted_ = false;
  bool escaped_ = false;
};

}  // namespace kage::proxy
