// What the fuzz targets of forms share: one reading of the input whole and one cut, and the message that
// comes of it.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "message/form_data.h"
#include "message/form_letter.h"
#include "message/header.h"
#include "tests/fuzz/fuzz.h"

namespace kage::fuzz {

inline constexpr message::FormLimits kFormLimits{
    .max_fields = 12, .max_name = 30, .max_value = 200, .max_files = 2, .max_file_octets = 400};

inline std::pair<bool, std::vector<message::FormField>> read_form(std::string_view type,
                                                                  std::string_view content, std::size_t cut) {
  std::string charset;
  const auto reader = message::make_form_reader(type, kFormLimits, charset);
  require(reader != nullptr, "there is a reader");
  bool good = !reader->feed(content.substr(0, cut));
  good = good && !reader->feed(content.substr(std::min(cut, content.size())));
  good = good && !reader->finish();
  return {good, good ? std::move(reader->fields()) : std::vector<message::FormField>()};
}

/// Every line of the header begins a field that the gateway writes, or goes on with one.
inline void check_header(const std::string& header) {
  static constexpr std::string_view kNames[] = {"From",         "To",           "Subject",
                                                "Date",         "Message-ID",   "Auto-Submitted",
                                                "MIME-Version", "Content-Type", "Content-Transfer-Encoding"};
  require(header.ends_with("\r\n\r\n"), "the header ends");
  const auto fields = message::tokenize(std::string_view(header).substr(0, header.size() - 2));
  require(fields.has_value(), "the header is bounded");
  std::vector<std::string_view> seen;
  for (const message::Field& field : *fields) {
    require(std::ranges::find(kNames, field.name) != std::end(kNames), "no other field");
    require(std::ranges::find(seen, field.name) == seen.end(), "each field once");
    seen.push_back(field.name);
  }
  require(header.find("\r\n\r\n") == header.size() - 4, "no empty line in the header");
  for (std::size_t i = 0; i < header.size(); ++i) {
    const bool bare = (header[i] == '\n' && (i == 0 || header[i - 1] != '\r')) ||
                      (header[i] == '\r' && (i + 1 == header.size() || header[i + 1] != '\n'));
    require(!bare && header[i] != '\0', "no bare line end, no NUL");
  }
}

inline void check_letter(std::vector<message::FormField> fields) {
  const auto letter = message::read_letter(fields, {});
  if (!letter) return;
  const auto to = message::parse_address("pta@school.example");
  message::LetterWriter writer(*letter, *to, "id@school.example", 0);
  check_header(writer.header());
  std::string body;
  std::string piece;
  while (writer.next(piece)) body += piece;
  require(body.ends_with("\r\n"), "the body ends with a line");
  std::size_t begin = 0;
  while (begin < body.size()) {
    const std::size_t end = body.find("\r\n", begin);
    require(end != std::string::npos && end - begin <= 998, "lines are bounded");
    begin = end + 2;
  }
}

inline int check_form(std::string_view type, std::string_view input) {
  if (input.empty()) return 0;
  const std::size_t cut = static_cast<unsigned char>(input[0]);
  const std::string_view content = input.substr(1);
  auto [good, fields] = read_form(type, content, content.size());
  const auto [good_cut, fields_cut] = read_form(type, content, cut);
  require(good == good_cut, "the cut decides nothing");
  require(fields.size() == fields_cut.size() && fields.size() <= kFormLimits.max_fields,
          "as many fields, bounded");
  for (std::size_t i = 0; i < fields.size(); ++i) {
    require(fields[i].name == fields_cut[i].name && fields[i].value == fields_cut[i].value &&
                fields[i].file_name == fields_cut[i].file_name,
            "the same fields");
    require(fields[i].name.size() <= kFormLimits.max_name, "names are bounded");
    require(fields[i].file || fields[i].value.size() <= kFormLimits.max_value, "values are bounded");
  }
  check_letter(std::move(fields));
  return 0;
}

}  // namespace kage::fuzz
