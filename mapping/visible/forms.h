// What a field looks like, packed into one text, so that QuickView can keep it with RecentTexts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kage::mapping {

/// Writes a form.
class FormWriter {
 public:
  /// `made`: what the field became, of `lines` lines; empty: nothing is left. `stays`: it leaves as it came.
  FormWriter(bool stays, std::string_view made, std::uint32_t lines);
  /// A phantom that the field shows.
  void add(std::string_view local, std::string_view spelling);
  [[nodiscard]] const std::string& packed() const { return packed_; }

 private:
  std::string packed_;
};

/// Reads what FormWriter wrote. Its views lie there.
class FieldForm {
 public:
  explicit FieldForm(std::string_view packed);
  [[nodiscard]] bool stays() const { return stays_; }
  [[nodiscard]] std::string_view made() const { return made_; }
  [[nodiscard]] std::uint32_t lines() const { return lines_; }

  /// The phantoms, one after the other; false when there are no more.
  bool next(std::string_view& local, std::string_view& spelling);

 private:
  bool stays_;
  std::uint32_t lines_;
  std::string_view made_;
  std::string_view left_;
};

}  // namespace kage::mapping
