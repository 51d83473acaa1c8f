// The transparency procedure of DATA (RFC 5321 §4.5.2), safe against SMTP smuggling.
//
// Only CRLF "." CRLF ends the data. A bare CR or LF is remembered, so that the message can be refused; it
// never ends a line and never ends the data.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kage::message {

/// Takes DATA off the wire, any cut of it. Constant memory.
class DotDecoder {
 public:
  struct Step {
    std::size_t consumed = 0;  ///< octets of the input that were used
    bool finished = false;     ///< the end-of-data line was read; the rest of the input is commands
  };
  /// Appends the message's octets to `out` (never more than `input.size() + 2`).
  Step decode(std::string_view input, std::string& out);

  /// A CR without LF or a LF without CR was seen in the data.
  [[nodiscard]] bool bare_line_end() const { return bare_; }

 private:
  enum class State : unsigned char { line_start, text, cr, dot, dot_cr };
  /// Runs over text up to the end of its line; returns where it stopped and sets the state for there.
  std::size_t scan_text(std::string_view input, std::size_t at);
  State state_ = State::line_start;
  bool bare_ = false;
};

/// Puts a message on the wire: dots doubled at line starts, any cut of input. finish() adds CRLF if the last
/// line has none, and the final dot. Its input has no bare CR or LF: a caller refuses those first
/// (DotDecoder, LineEndCheck).
class DotEncoder {
 public:
  void encode(std::string_view input, std::string& out);
  void finish(std::string& out);

 private:
  bool line_start_ = true;
  bool cr_ = false;
};

/// Checks octets that come by BDAT for bare CR and LF, any cut.
class LineEndCheck {
 public:
  void feed(std::string_view input);
  /// A bare one was seen; `at_end`: a trailing CR counts.
  [[nodiscard]] bool bare(bool at_end) const { return bare_ || (at_end && cr_); }

 private:
  bool cr_ = false;
  bool bare_ = false;
};

}  // namespace kage::message
