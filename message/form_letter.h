// From a form's fields to a message: decoding and judging what a visitor wrote, and writing it as MIME. Pure.
//
// Every octet of the message is written here: nothing that a visitor sends gets into a header field but
// through encode_phrase, encode_words and write_parameter, so no field can be injected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "message/address.h"
#include "message/form_data.h"

namespace kage::message {

struct FormFile {
  std::string name;     ///< UTF-8
  std::string type;     ///< "image/png"
  std::string content;  ///< octets
};

struct FormLetter {
  std::string name;
  Address email;
  std::string subject;
  std::string text;  ///< UTF-8, lines end with CRLF
  std::vector<FormFile> files;
  std::string token;     ///< field _token
  std::string redirect;  ///< field _redirect
  std::string code;      ///< field _code
};

enum class LetterFault : std::uint8_t {
  unknown_field,  ///< a name that no form of ours has; dropping it would lose what the visitor wrote
  twice,          ///< one field a second time
  file_in_text,   ///< a file where text belongs, or the other way round
  charset,        ///< one that is not read here, or octets that are not of it
  control,        ///< a line end, NUL or other control character in a field of one line, NUL anywhere
  too_long,
  no_email,
  bad_email,
  no_message,
  trapped,  ///< the field that people do not see is filled in
};

/// `charset`: of the request; a field _charset_ goes before it. Fields of JSON are UTF-8 whatever it says.
std::expected<FormLetter, LetterFault> read_letter(std::vector<FormField> fields, std::string_view charset);

/// Writes one letter; equal arguments, equal octets, so that a visitor's second try is known as a retry.
class LetterWriter {
 public:
  /// `id`: Message-ID without brackets. `date`: seconds. The letter has to outlive the writer.
  LetterWriter(const FormLetter& letter, const Address& to, std::string id, std::int64_t date);

  /// The header block and its empty line.
  [[nodiscard]] std::string header() const;
  /// Replaces `out` by the next piece of the body, at most some 64 KiB; false at the end.
  bool next(std::string& out);

 private:
  void begin_file(std::string& out) const;

  const FormLetter& letter_;
  const std::string to_, id_;
  const std::int64_t date_;
  const bool plain_;  // the text leaves as it is
  std::string boundary_;
  std::size_t part_ = 0;    // 0: the text; then the files; then the end
  std::size_t offset_ = 0;  // in the part's content
};

}  // namespace kage::message
