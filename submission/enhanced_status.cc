// class "." subject "." detail (RFC 3463 §2).
#include "submission/enhanced_status.h"

#include "base/text.h"

namespace kage::submission {
namespace {

/// One number: one to three digits, no leading zero (RFC 3463 §2).
bool take_number(std::string_view& text) {
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  if (digits == 0 || digits > 3 || (digits > 1 && text[0] == '0')) return false;
  text.remove_prefix(digits);
  return true;
}

bool take_dot(std::string_view& text) {
  if (!text.starts_with('.')) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string_view enhanced_status(std::string_view text, char wanted_class) {
  std::string_view rest = text;
  if (!rest.starts_with(wanted_class)) return {};
  rest.remove_prefix(1);
  if (!take_dot(rest) || !take_number(rest) || !take_dot(rest) || !take_number(rest)) return {};
  if (!rest.empty() && !is_wsp(rest.front())) return {};
  return text.substr(0, text.size() - rest.size());
}

bool is_enhanced_status(std::string_view text, char wanted_class) {
  return !text.empty() && enhanced_status(text, wanted_class).size() == text.size();
}

}  // namespace kage::submission
