// RETR and TOP as a state machine.
#include "proxy/pop3/text.h"

#include <algorithm>

namespace kage::proxy {

Pop3Text::Step Pop3Text::feed(std::string_view wire, std::string& out) {
  plain_.clear();
  const auto step = decoder_.decode(wire, plain_);
  std::string_view octets = plain_;
  const std::size_t known = std::min<std::uint64_t>(skip_, octets.size());
  skip_ -= known;
  octets.remove_prefix(known);
  take(octets, out);
  // Of a longer answer too: another may follow, and begins with all of it.
  fed_ += octets.size();
  if (!limited_) {
    lines_fed_ += static_cast<std::uint64_t>(std::ranges::count(octets, '\n'));
  }
  return {step.consumed, step.finished};
}

void Pop3Text::take(std::string_view octets, std::string& out) {
  if (limited_ && lines_shown_ >= lines_fed_) return;
  while (!octets.empty()) show(message_.next(octets), out);
}

void Pop3Text::show(std::string_view octets, std::string& out) {
  if (limited_) {
    std::size_t end = 0;
    while (end < octets.size() && lines_shown_ < lines_fed_) {
      const std::size_t line = octets.find('\n', end);
      if (line == std::string_view::npos) {
        end = octets.size();
      } else {
        end = line + 1;
        ++lines_shown_;
      }
    }
    octets = octets.substr(0, end);
  } else {
    lines_shown_ += static_cast<std::uint64_t>(std::ranges::count(octets, '\n'));
  }
  encoder_.encode(octets, out);
}

bool Pop3Text::needs_more() const {
  return message_.held() > 0 && lines_shown_ < lines_fed_;
}

void Pop3Text::begin_longer() {
  decoder_ = message::DotDecoder();
  skip_ = fed_;
  limited_ = true;
}

void Pop3Text::finish(std::string& out) {
  for (auto rest = message_.finish(); !rest.empty(); rest = message_.finish()) show(rest, out);
  encoder_.finish(out);
}

}  // namespace kage::proxy
