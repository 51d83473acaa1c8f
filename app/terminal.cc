// Standard streams only; nothing here knows the gateway.
#include "app/terminal.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"
#include "message/invisible.h"
#include "message/utf8.h"

namespace kage::app {
namespace {

constexpr std::size_t kMaxPassword = 1024;

/// One line of standard input without its end, at most `max` octets and one more.
std::string read_line(std::size_t max) {
  std::string line;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) {
    if (line.size() <= max) line += static_cast<char>(c);
  }
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

/// Switches the terminal's echo off while it lives.
class NoEcho {
 public:
  NoEcho() {
    known_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (known_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  }
  ~NoEcho() {
    if (known_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;

 private:
  termios before_{};
  bool known_ = false;
};

constexpr std::int32_t kAsciiEnd = 0x80;
constexpr std::int32_t kIdeographicSpace = 0x3000;
constexpr std::int32_t kJoiner = 0x200D;

bool is_variation_selector(std::int32_t point) {
  return (point >= 0xFE00 && point <= 0xFE0F) || (point >= 0xE0100 && point <= 0xE01EF);
}

bool is_drawn(std::int32_t point) {
  return point >= kAsciiEnd && !message::is_invisible(point) && !message::is_white(point);
}

/// Whether it belongs to how names are written (山田　太郎, 葛 with a variation selector, an emoji of
/// several): never so beside ASCII, as in an address. `before`, `behind`: its neighbours, -1 for none.
bool belongs_there(std::int32_t point, std::int32_t before, std::int32_t behind) {
  if (is_variation_selector(point)) return is_drawn(before);
  const bool between = is_drawn(before) && is_drawn(behind);
  return between && (point == kIdeographicSpace || point == kJoiner);
}

std::string escaped(std::int32_t point) {
  if (point < kAsciiEnd) return fmt::format("\\x{:02x}", point);
  return point <= 0xFFFF ? fmt::format("\\u{:04x}", point) : fmt::format("\\U{:08x}", point);
}

std::string ask_hidden(std::string_view question) {
  print_error(question);
  const NoEcho quiet;
  std::string answer = read_line(kMaxPassword);
  print_error("\n");
  return answer;
}

}  // namespace

bool output_is_terminal() {
  return ::isatty(STDOUT_FILENO) == 1;
}

bool input_is_terminal() {
  return ::isatty(STDIN_FILENO) == 1;
}

bool error_is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

std::string coloured(Colour colour, std::string_view text) {
  static const bool wanted = output_is_terminal() && std::getenv("NO_COLOR") == nullptr;
  if (!wanted) return std::string(text);
  int code = 1;
  if (colour == Colour::green) code = 32;
  if (colour == Colour::red) code = 31;
  if (colour == Colour::yellow) code = 33;
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

bool confirm(std::string_view question) {
  if (!input_is_terminal()) return false;
  std::fflush(stdout);
  print_error(fmt::format("{} [y/N] ", question));
  const std::string answer = lower(trim(read_line(16)));
  return answer == "y" || answer == "yes";
}

std::optional<Secret> read_password(std::string& problem) {
  Secret password(input_is_terminal() ? ask_hidden("Password: ") : read_line(kMaxPassword));
  if (password.empty()) {
    problem = "no password was given";
    return std::nullopt;
  }
  if (password.size() > kMaxPassword) {
    problem = "the password is longer than 1024 octets";
    return std::nullopt;
  }
  if (input_is_terminal()) {
    const Secret again(ask_hidden("The same again: "));
    if (!equals_secret(password, again)) {
      problem = "the two passwords differ";
      return std::nullopt;
    }
  }
  return password;
}

Progress::~Progress() {
  if (open_line_) print_error("\n");
}

void Progress::update(std::size_t done, std::size_t total) {
  if (std::max(done, total) < quiet_below_) return;
  const bool terminal = error_is_terminal();
  const std::size_t step = total > 0 ? total / (terminal ? 100 : 10) : (terminal ? 1000 : 100'000);
  if (done < next_ && done != total) return;
  next_ = done + std::max<std::size_t>(1, step);
  const std::string count = total > 0 ? fmt::format("{} of {}", done, total) : std::to_string(done);
  print_error(terminal ? fmt::format("\r{} {} ", count, what_) : fmt::format("{} {}\n", count, what_));
  open_line_ = terminal;
}

std::string printable(std::string_view text) {
  std::string out;
  std::int32_t before = -1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const std::int32_t point = message::next_code_point(text, at);
    if (point < 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[begin]));
    } else if (point == ' ' || (!message::is_invisible(point) && !message::is_white(point))) {
      out += text.substr(begin, at - begin);
    } else {
      std::size_t next = at;
      const std::int32_t behind = at < text.size() ? message::next_code_point(text, next) : -1;
      if (belongs_there(point, before, behind)) {
        out += text.substr(begin, at - begin);
      } else {
        out += escaped(point);
      }
    }
    if (!is_variation_selector(point)) before = point;
  }
  return out;
}

std::string count_of(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : what.ends_with('s') ? "es" : "s");
}

std::string json_string(std::string_view utf8) {
  std::string out = "\"";
  for (const char c : message::repair_utf8(utf8)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace kage::app
