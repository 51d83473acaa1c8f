// What commands say to a person: questions, colours where they are seen, progress.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace kage::app {

/// Whether standard output / standard input / standard error is a terminal.
bool output_is_terminal();
bool input_is_terminal();
bool error_is_terminal();

enum class Colour { green, red, yellow, bold };
/// The text in a colour when standard output is a terminal and NO_COLOR is not set; else as it is.
std::string coloured(Colour colour, std::string_view text);

void print(std::string_view text);        ///< to standard output
void print_error(std::string_view text);  ///< to standard error

/// Asks on the terminal; only "y" and "yes" are yes. False when there is no terminal.
bool confirm(std::string_view question);

/// A password: from the terminal without echo, asked twice, or one line of standard input. Nothing: empty,
/// too long, or the two differ; `problem` says which.
std::optional<Secret> read_password(std::string& problem);

/// Counts on standard error while something long goes on: one changing line on a terminal, else a line each
/// tenth.
class Progress {
 public:
  /// `what`: "members written". Says nothing at all when the total stays below `quiet_below`.
  explicit Progress(std::string what, std::size_t quiet_below = 1000)
      : what_(std::move(what)), quiet_below_(quiet_below) {}
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `total` 0: not known.
  void update(std::size_t done, std::size_t total);

 private:
  std::string what_;
  std::size_t quiet_below_;
  std::size_t next_ = 0;
  bool open_line_ = false;
};

/// Makes a text safe on a terminal, and honest: control characters, octets that are not UTF-8 and what nobody
/// would see are escaped ("\x1b", "\u200b"), so that two addresses that differ look different.
std::string printable(std::string_view text);

/// "1 member", "2 members", "3 public addresses".
std::string count_of(std::size_t count, std::string_view what);

/// A JSON string with its quotes.
std::string json_string(std::string_view utf8);

}  // namespace kage::app
