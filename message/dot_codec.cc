// The dot codec: whole lines are found with memchr and copied in bulk; only line starts are looked at one by
// one.
#include "message/dot_codec.h"

namespace kage::message {

DotDecoder::Step DotDecoder::decode(std::string_view input, std::string& out) {
  std::size_t at = 0;
  std::size_t copied = 0;  // input before this is in `out` or dropped
  const auto flush = [&](std::size_t end) {
    out.append(input, copied, end - copied);
    copied = end;
  };
  while (at < input.size()) {
    switch (state_) {
      case State::line_start:
        if (input[at] != '.') {
          state_ = State::text;
          break;
        }
        flush(at);
        ++at;
        copied = at;  // the dot: stuffing, or the beginning of the end
        state_ = State::dot;
        break;
      case State::dot:
        if (input[at] != '\r') {
          state_ = State::text;
          break;
        }
        ++at;
        copied = at;  // held back until the next octet tells what it was
        state_ = State::dot_cr;
        break;
      case State::dot_cr:
        if (input[at] == '\n') {
          state_ = State::line_start;
          return {.consumed = at + 1, .finished = true};
        }
        out.push_back('\r');
        bare_ = true;
        state_ = State::text;
        break;
      case State::cr:
        if (input[at] == '\n') {
          ++at;
          state_ = State::line_start;
        } else {
          bare_ = true;
          state_ = State::text;
        }
        break;
      case State::text:
        at = scan_text(input, at);
        break;
    }
  }
  flush(at);
  return {.consumed = at, .finished = false};
}

std::size_t DotDecoder::scan_text(std::string_view input, std::size_t at) {
  const std::size_t line_end = input.find('\n', at);
  const std::string_view line = input.substr(at, line_end - at);  // npos - at is "the rest" as well
  const std::size_t cr = line.find('\r');
  const bool cr_last = line.ends_with('\r');
  if (cr != std::string_view::npos && cr + 1 < line.size()) bare_ = true;
  if (line_end == std::string_view::npos) {
    state_ = cr_last ? State::cr : State::text;
    return input.size();
  }
  if (cr_last) {
    state_ = State::line_start;
  } else {
    bare_ = true;  // a bare LF ends no line
  }
  return line_end + 1;
}

void DotEncoder::encode(std::string_view input, std::string& out) {
  std::size_t at = 0;
  std::size_t copied = 0;  // input before this is in `out`
  while (at < input.size()) {
    if (line_start_ && input[at] == '.') {
      out.append(input, copied, at - copied);
      out.push_back('.');
      copied = at;
    }
    const std::size_t line_end = input.find('\n', at);
    if (line_end == std::string_view::npos) {
      line_start_ = false;
      cr_ = input.back() == '\r';
      break;
    }
    line_start_ = line_end > at ? input[line_end - 1] == '\r' : cr_;
    cr_ = false;
    at = line_end + 1;
  }
  out.append(input, copied);
}

void DotEncoder::finish(std::string& out) {
  if (!line_start_) out += cr_ ? "\n" : "\r\n";
  out += ".\r\n";
  line_start_ = true;
  cr_ = false;
}

void LineEndCheck::feed(std::string_view input) {
  if (input.empty() || bare_) return;
  if (cr_ && input.front() != '\n') bare_ = true;
  std::size_t at = cr_ && input.front() == '\n' ? 1 : 0;
  cr_ = false;
  while (at < input.size()) {
    const std::size_t line_end = input.find('\n', at);
    const std::string_view line = input.substr(at, line_end - at);
    const std::size_t cr = line.find('\r');
    const bool cr_last = cr != std::string_view::npos && cr + 1 == line.size();
    if (cr != std::string_view::npos && !cr_last) bare_ = true;
    if (line_end == std::string_view::npos) {
      cr_ = cr_last || line.ends_with('\r');
      return;
    }
    if (!cr_last) bare_ = true;
    at = line_end + 1;
  }
}

}  // namespace kage::message
