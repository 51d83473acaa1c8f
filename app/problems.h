// What is wrong with a file that a person wrote, all of it together (contract R9.2).
//
// A problem is one line: "FILE:LINE: WHERE: found FOUND; allowed: ALLOWED", or "FILE: row N, WHERE: …" of a
// spreadsheet's file. Values of secret keys never get in here; addresses may, since the file is the
// operator's own and the text goes to the operator's terminal only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kage::app {

class Problems {
 public:
  /// `file`: the name as the operator gave it.
  explicit Problems(std::string file) : file_(std::move(file)) {}

  /// From now on the numbers are those of rows, as a spreadsheet shows them.
  void count_rows() { rows_ = true; }
  /// "line 7" or "row 7", to speak of another place in the same file.
  [[nodiscard]] std::string place(std::size_t line) const;

  /// Lines count from 1. `where`: a key ("listen.port") or a column ("mailbox").
  void add(std::size_t line, std::string_view where, std::string_view found, std::string_view allowed);

  [[nodiscard]] bool empty() const { return problems_.empty(); }
  [[nodiscard]] std::size_t size() const { return problems_.size(); }
  [[nodiscard]] const std::string& file() const { return file_; }

  /// All of them in the order of lines, one a line, without a final line end. At most 100, then how many
  /// more.
  [[nodiscard]] std::string text() const;

 private:
  struct Problem {
    std::size_t line;
    std::string text;
  };
  std::string file_;
  std::vector<Problem> problems_;
  bool rows_ = false;
};

/// A text as a problem shows it: in quotes, printable(), cut at 100 octets.
std::string quote(std::string_view text);

/// "a", "b" or "c" from a|b|c.
std::string quote_choices(std::string_view choices);

/// The word of `known` that is nearest to `word`; empty when none is near. For "did you mean".
std::string nearest_word(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace kage::app
