// Finds the delimiter lines of nested multiparts in a stream that is cut anywhere (RFC 2046 §5.1.1).
//
// Copies nothing but the beginning of a line that may be a delimiter and was cut. Linear whatever the
// boundaries are: a line is compared with each of them at most once.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kage::message {

class BoundaryScanner {
 public:
  /// Longer lines are no delimiters (RFC 5322 §2.1.1 allows 998).
  static constexpr std::size_t kMaxLine = 1024;
  static constexpr std::size_t kMaxBoundary = 998;

  struct Hit {
    std::size_t level = 0;  ///< of the boundary, 0 is the outermost
    bool close = false;     ///< "--boundary--"
  };

  /// A multipart begins inside the innermost one.
  void push(std::string boundary);
  /// Only the outermost `count` remain.
  void truncate(std::size_t count);
  /// The multipart has ended. Its delimiters are still found: what they begin is a part for some reader.
  void close(std::size_t level) { levels_[level].closed = true; }
  [[nodiscard]] std::size_t size() const { return levels_.size(); }
  [[nodiscard]] bool empty() const { return levels_.empty(); }

  /// What a whole line, which begins with "--" and has no LF, delimits: the longest boundary that it names;
  /// of equal ones the innermost that is open. Anything may follow: readers look at the beginning (RFC 2046
  /// §5.1.2).
  [[nodiscard]] std::optional<Hit> judge(std::string_view line) const;
  /// Whether a line that begins so may become a delimiter.
  [[nodiscard]] bool may_be_delimiter(std::string_view beginning) const;

  /// The next octet begins a line.
  void restart();
  /// Looks at octets that follow those of the last call. Returns how many of them stand before the end of the
  /// next delimiter line, its line end included; `hit` is set then. Else all of them.
  std::size_t scan(std::string_view input, std::optional<Hit>& hit);

 private:
  struct Level {
    std::string boundary;
    bool closed = false;
  };
  bool resume(std::string_view input, std::size_t& at, std::optional<Hit>& hit);
  std::size_t next_candidate(std::string_view input, std::size_t at);

  std::vector<Level> levels_;
  std::string line_;      ///< beginning of the line that the last call ended in
  bool in_line_ = false;  ///< that line is no delimiter
};

}  // namespace kage::message
