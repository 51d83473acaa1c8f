// A number or a text behind the other; each text behind its length.
#include "mapping/visible/forms.h"

#include <cstring>

namespace kage::mapping {
namespace {

void add_number(std::string& out, std::uint32_t number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void add_text(std::string& out, std::string_view text) {
  add_number(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

std::uint32_t take_number(std::string_view& left) {
  std::uint32_t number = 0;
  std::memcpy(&number, left.data(), sizeof number);
  left.remove_prefix(sizeof number);
  return number;
}

std::string_view take_text(std::string_view& left) {
  const std::uint32_t size = take_number(left);
  const std::string_view text = left.substr(0, size);
  left.remove_prefix(size);
  return text;
}

}  // namespace

FormWriter::FormWriter(bool stays, std::string_view made, std::uint32_t lines) {
  add_number(packed_, stays ? 1 : 0);
  add_number(packed_, lines);
  add_text(packed_, made);
}

void FormWriter::add(std::string_view local, std::string_view spelling) {
  add_text(packed_, local);
  add_text(packed_, spelling);
}

FieldForm::FieldForm(std::string_view packed)
    : stays_(take_number(packed) != 0),
      lines_(take_number(packed)),
      made_(take_text(packed)),
      left_(packed) {}

bool FieldForm::next(std::string_view& local, std::string_view& spelling) {
  if (left_.empty()) return false;
  local = take_text(left_);
  spelling = take_text(left_);
  return true;
}

}  // namespace kage::mapping
