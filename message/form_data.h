// Forms as browsers send them: multipart/form-data (RFC 7578), application/x-www-form-urlencoded (WHATWG
// URL), and a flat JSON object of strings (RFC 8259).
//
// Readers take content in any cut, hold what a form may hold and not more, and are strict: what two readers
// could understand differently is a fault. Names and values stay octets in the form's charset (form_letter.h
// decodes them); those of JSON are UTF-8. No recursion; linear in the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kage::message {

struct FormField {
  std::string name;
  std::string value;      ///< text, or a file's content
  bool file = false;      ///< it has a file name, even an empty one
  std::string file_name;  ///< as sent; %22, %0D and %0A are read (WHATWG HTML, multipart/form-data encoding)
  std::string type;       ///< Content-Type of its part as sent; empty: none
};

struct FormLimits {
  std::size_t max_fields = 40;
  std::size_t max_name = 100;             ///< octets
  std::size_t max_value = 128 * 1024;     ///< octets of a text field
  std::size_t max_files = 5;              ///< files with a name or with content
  std::size_t max_file_octets = 8 << 20;  ///< of all files together
};

enum class FormFault : std::uint8_t { malformed, too_large, too_many_files };

class FormReader {
 public:
  virtual ~FormReader() = default;
  /// Nothing: go on. After a fault the reader is of no more use.
  virtual std::optional<FormFault> feed(std::string_view input) = 0;
  /// The content has ended.
  virtual std::optional<FormFault> finish() = 0;
  /// In their order; of use after finish().
  [[nodiscard]] std::vector<FormField>& fields() { return fields_; }

 protected:
  explicit FormReader(const FormLimits& limits) : limits_(limits) {}
  FormLimits limits_;
  std::vector<FormField> fields_;
};

/// A reader for a Content-Type field's body; null when it is none of the three, or its boundary is none.
/// `charset`: set to the type's parameter where it has one.
std::unique_ptr<FormReader> make_form_reader(std::string_view content_type, const FormLimits& limits,
                                             std::string& charset);

}  // namespace kage::message
