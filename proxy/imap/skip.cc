// RFC 9051 §4: what a value may hold, and where it ends.
#include "proxy/imap/skip.h"

#include <algorithm>

#include "base/text.h"

namespace kage::proxy {
namespace {

constexpr std::uint64_t kMaxLiteral = 1u << 31;

}  // namespace

ImapValueSkip::State ImapValueSkip::feed(std::string_view& octets) {
  while (!octets.empty()) {
    if (literal_ > 0) {
      const std::uint64_t taken = std::min<std::uint64_t>(literal_, octets.size());
      literal_ -= taken;
      octets.remove_prefix(taken);
      continue;
    }
    const char c = octets.front();
    // What ends an atom belongs to the list around it.
    if (!quoted_ && depth_ == 0 && (c == ' ' || c == ')')) return State::ended;
    octets.remove_prefix(1);
    const State state = quoted_ ? take_quoted(c) : take(c);
    if (state != State::more) return state;
  }
  return State::more;
}

ImapValueSkip::State ImapValueSkip::take_quoted(char c) {
  if (c == '\r' || c == '\n' || c == '\0') return State::broken;
  if (escaped_) {
    escaped_ = false;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    quoted_ = false;
    return depth_ == 0 ? State::ended : State::more;
  }
  return State::more;
}

ImapValueSkip::State ImapValueSkip::take(char c) {
  if (c == '\0') return State::broken;
  if (c == '\r' || c == '\n') {
    if (mark_ != Mark::closed || depth_ == 0) return State::broken;
    if (c == '\r') return State::more;
    literal_ = size_;
    mark_ = Mark::none;
    return literal_ <= kMaxLiteral ? State::more : State::broken;
  }
  take_mark(c);
  if (c == '"') {
    quoted_ = true;
  } else if (c == '(') {
    ++depth_;
  } else if (c == ')' && --depth_ == 0) {
    return State::ended;
  }
  return State::more;
}

void ImapValueSkip::take_mark(char c) {
  if (c == '{') {
    mark_ = Mark::digits;
    size_ = 0;
  } else if (mark_ == Mark::digits && is_digit(c)) {
    // One that is too large stays so.
    if (size_ <= kMaxLiteral) size_ = size_ * 10 + static_cast<std::uint64_t>(c - '0');
  } else if (mark_ == Mark::digits && c == '}') {
    mark_ = Mark::closed;
  } else if (mark_ != Mark::digits || c != '+') {
    mark_ = Mark::none;
  }
}

}  // namespace kage::proxy
