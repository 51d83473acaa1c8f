// Passwords, tokens and keys in memory: what was one is overwritten before its memory is given back (contract
// R3.5). A string that grows leaves a copy of itself behind each time, so nothing is appended to a secret.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace kage {

/// Overwrites the text and its spare capacity, and empties it.
void wipe(std::string& secret);

/// The parts, one behind the other, in one allocation.
std::string join_secret(std::initializer_list<std::string_view> parts);

/// A string that is wiped when it goes.
class Secret {
 public:
  Secret() = default;
  // A move copies a short string, so whatever is moved from is wiped too.
  explicit Secret(std::string&& text) noexcept : text_(std::move(text)) { wipe(text); }
  ~Secret() { wipe(text_); }
  Secret(Secret&& other) noexcept : Secret(std::move(other.text_)) {}
  Secret& operator=(Secret&& other) noexcept {
    std::swap(text_, other.text_);
    wipe(other.text_);
    return *this;
  }
  operator std::string_view() const { return text_; }
  [[nodiscard]] const char* data() const { return text_.data(); }
  [[nodiscard]] std::size_t size() const { return text_.size(); }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  // In a time that tells nothing but whether the sizes differ.
  bool operator==(const Secret& other) const { return equals_secret(text_, other.text_); }
  bool operator==(std::string_view other) const { return equals_secret(text_, other); }

 private:
  std::string text_;
};

}  // namespace kage
