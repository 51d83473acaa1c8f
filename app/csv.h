// Comma-separated values as RFC 4180 has them: pure, bounded, strict where a mistake would shift columns.
//
// Lines end with CRLF or LF. A quoted value may hold commas, quotes (doubled) and line ends. A quote
// elsewhere is refused instead of guessed at.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kage::app {

struct CsvRow {
  std::size_t line = 0;  ///< where the row begins, from 1
  std::size_t row = 0;  ///< its number in a spreadsheet, from 1: empty ones count, line ends in values do not
  std::vector<std::string> fields;
};

class CsvReader {
 public:
  static constexpr std::size_t kMaxField = 4096;  ///< octets
  static constexpr std::size_t kMaxFields = 100;  ///< of one row

  /// `text` must live as long as the reader. A UTF-8 byte order mark is skipped.
  explicit CsvReader(std::string_view text);

  /// The next row into `row`; false at the end. Empty lines are skipped. Errc::invalid or Errc::limit:
  /// `line()` and `row()` say where; after skip_row() one can go on.
  Result<bool> next(CsvRow& row);
  /// Leaves the rest of a row that could not be read, to its next line end. False: nothing is behind it.
  bool skip_row();

  /// The line that is being read.
  [[nodiscard]] std::size_t line() const { return line_; }
  [[nodiscard]] std::size_t row() const { return row_; }

 private:
  Result<> quoted(std::string& field);
  Result<> bare(std::string& field);
  /// Takes a line end when one is here.
  bool line_end();
  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t row_ = 1;
};

}  // namespace kage::app
