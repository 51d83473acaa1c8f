// Readers of forms at their edges, and the message that is written. What arrives in the end is shown by the
// integration tests.
#include <catch2/catch.hpp>

#include <string>

#include "message/form_data.h"
#include "message/form_letter.h"

namespace kage::message {
namespace {

const std::string kMultipart = "multipart/form-data; boundary=\"b c\"";
const std::string kUrlEncoded = "application/x-www-form-urlencoded; charset=EUC-JP";

struct Read {
  std::optional<FormFault> fault;
  std::vector<FormField> fields;
  std::string charset;
};

Read read(const std::string& type, const std::string& content, std::size_t piece = 1,
          FormLimits limits = {}) {
  Read out;
  const auto reader = make_form_reader(type, limits, out.charset);
  REQUIRE(reader);
  for (std::size_t at = 0; at < content.size() && !out.fault; at += piece) {
    out.fault = reader->feed(std::string_view(content).substr(at, piece));
  }
  if (!out.fault) out.fault = reader->finish();
  out.fields = std::move(reader->fields());
  return out;
}

std::string part(const std::string& parameters, const std::string& value) {
  return "--b c\r\nContent-Disposition: form-data; " + parameters + "\r\n\r\n" + value + "\r\n";
}

std::string written(LetterWriter& writer) {
  std::string out = writer.header();
  for (std::string piece; writer.next(piece);) out += piece;
  return out;
}

FormLetter letter_of(const std::string& text) {
  FormLetter letter;
  letter.email = *parse_address("a..b@docomo.ne.jp");
  letter.text = text;
  return letter;
}

const Address kTo = *parse_address("pta@school.example");

}  // namespace

TEST_CASE("multipart in pieces of every size") {
  const std::string content =
      part(R"(name="message")", "\r\n--b\r\n--b d\r\n") + part(R"(name="a%22%0d%0Ab%41")", "") +
      part(R"(name="attachment"; filename="a\b%22.txt")", std::string("\0\r\n\xff", 4)) + "--b c--\r\n";
  for (std::size_t piece = 1; piece <= content.size(); ++piece) {
    const Read found = read(kMultipart, content, piece);
    REQUIRE_FALSE(found.fault);
    REQUIRE(found.fields.size() == 3);
    CHECK(found.fields[0].value == "\r\n--b\r\n--b d\r\n");
    CHECK(found.fields[1].name == "a\"\r\nb%41");
    CHECK(found.fields[2].file_name == "a\\b\".txt");
    CHECK(found.fields[2].value == std::string("\0\r\n\xff", 4));
  }
  for (std::size_t size = 0; size + 2 < content.size(); ++size)
    CHECK(read(kMultipart, content.substr(0, size)).fault);
}

TEST_CASE("bounds of a multipart form are exact") {
  const FormLimits limits{
      .max_fields = 2, .max_name = 4, .max_value = 5, .max_files = 1, .max_file_octets = 6};
  const auto fault = [&](const std::string& parts) {
    return read(kMultipart, parts + "--b c--", 3, limits).fault;
  };
  CHECK_FALSE(fault(part(R"(name="abcd")", "12345")));
  CHECK(fault(part(R"(name="abcde")", "")) == FormFault::too_large);
  CHECK(fault(part(R"(name="a")", "123456")) == FormFault::too_large);
  const std::string file = part(R"(name="a"; filename="f")", "123");
  CHECK_FALSE(fault(file + part(R"(name="a"; filename="")", "")));
  CHECK(fault(file + file) == FormFault::too_many_files);
  CHECK(fault(part(R"(name="a"; filename="f")", "1234567")) == FormFault::too_large);
  CHECK(fault(part(R"(name="a")", "") + part(R"(name="a")", "") + part(R"(name="a")", "")) ==
        FormFault::too_large);
}

TEST_CASE("urlencoded") {
  const Read found = read(kUrlEncoded, "a=1+%2b%3D=&&b&=c&d=");
  REQUIRE_FALSE(found.fault);
  CHECK(found.charset == "EUC-JP");
  REQUIRE(found.fields.size() == 4);
  CHECK(found.fields[0].value == "1 +==");
  CHECK((found.fields[1].name == "b" && found.fields[1].value.empty()));
  CHECK((found.fields[2].name.empty() && found.fields[2].value == "c"));
  for (const char* bad : {"a=%", "a=%1", "a=%1g", "a=b c", "a=b\r\n", "\x7f"})
    CHECK(read(kUrlEncoded, bad).fault);
}

TEST_CASE("types that have a reader") {
  std::string charset;
  const std::string longest(70, 'x');
  CHECK(make_form_reader("Multipart/Form-Data; boundary=" + longest, {}, charset));
  CHECK_FALSE(make_form_reader("multipart/form-data; boundary=x" + longest, {}, charset));
  CHECK_FALSE(make_form_reader("multipart/form-data; boundary=\"a\\\"b\"", {}, charset));
  CHECK_FALSE(make_form_reader("text/plain", {}, charset));
}

TEST_CASE("a letter is written with quoted local part, plain text as it is, and the rest in base64") {
  const FormLetter plain = letter_of("Hi.\r\n");
  LetterWriter writer(plain, kTo, "id@school.example", 0);
  CHECK(
      written(writer) ==
      "From: <\"a..b\"@docomo.ne.jp>\r\nTo: <pta@school.example>\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
      "Message-ID: <id@school.example>\r\nAuto-Submitted: no\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHi.\r\n");
  const FormLetter wide = letter_of(std::string(80, 'x') + "\r\n");
  LetterWriter folded(wide, kTo, "id@school.example", 0);
  CHECK(written(folded).find("charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\neHh4") !=
        std::string::npos);
}

TEST_CASE("a long plain text leaves in pieces") {
  std::string text;
  while (text.size() < 200'000) text += "a line of the letter\r\n";
  const FormLetter letter = letter_of(text);
  LetterWriter writer(letter, kTo, "id@school.example", 0);
  std::string all;
  std::size_t pieces = 0;
  for (std::string piece; writer.next(piece); ++pieces) {
    CHECK(piece.size() <= 64 * 1024);
    all += piece;
  }
  CHECK(pieces > 3);
  CHECK(all == text);
}

TEST_CASE("a long name of a file is continued, and all pieces of a large file come") {
  FormLetter letter = letter_of("x\r\n");
  std::string name;
  for (int i = 0; i < 60; ++i) name += "あ";
  letter.files.push_back({name, "image/png", std::string(200'000, 'y')});
  letter.files.push_back({"empty", "text/plain", ""});
  LetterWriter writer(letter, kTo, "id@school.example", 0);
  const std::string text = written(writer);
  CHECK(text.find("filename*1*=") != std::string::npos);
  CHECK(text.ends_with("\r\nContent-Transfer-Encoding: base64\r\n\r\n--=_id--\r\n"));
  CHECK(text.size() > 200'000 * 4 / 3);
  LetterWriter again(letter, kTo, "id@school.example", 0);
  CHECK(written(again) == text);
}

}  // namespace kage::message
