// Encodings, case and numbers: known values, round trips, and everything that a strict decoder refuses.
#include "base/text.h"

#include <catch2/catch.hpp>

#include "base/random.h"

namespace kage {

TEST_CASE("base64 follows RFC 4648 §10") {
  const std::pair<std::string_view, std::string_view> cases[] = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"foobar", "Zm9vYmFy"},
                                                                 {"\xff\xfe\xfd", "//79"}};
  for (const auto& [plain, encoded] : cases) {
    CHECK(base64(plain) == encoded);
    CHECK(base64_decode(encoded) == std::string(plain));
  }
  CHECK(base64url("\xff\xfe\xfd\xfc") == "__79_A");
  CHECK(base64url_decode("__79_A") == "\xff\xfe\xfd\xfc");
}

TEST_CASE("base64 decoders are strict") {
  for (const auto* text :
       {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v\n", "Z m=", "====", "=", "Zg==Zg==", "__79"}) {
    INFO(text);
    CHECK_FALSE(base64_decode(text));
  }
  for (const auto* text : {"Zg==", "Zh", "Z", "Zm9vY", "//79", "Zm9v "}) {
    INFO(text);
    CHECK_FALSE(base64url_decode(text));
  }
}

TEST_CASE("base32 has no look-alikes, reads either case and only canonical text") {
  CHECK(base32(std::string(10, '\0')) == "0000000000000000");
  CHECK(base32(std::string(10, '\xff')) == "zzzzzzzzzzzzzzzz");
  CHECK(base32(std::string_view("\x01\x02\x03\x04\x05", 5)) == "04106105");
  CHECK(base32_decode("04106105") == std::string("\x01\x02\x03\x04\x05"));
  CHECK(base32_decode("ZZZZZZZZ") == std::string(5, '\xff'));
  for (const auto* text : {"i", "0l", "o0", "0u", "0", "000", "000000", "01", "zz", "0000-000"}) {
    INFO(text);
    CHECK_FALSE(base32_decode(text));
  }
}

TEST_CASE("encoders and decoders agree on all lengths") {
  for (std::size_t size = 0; size < 70; ++size) {
    const std::string bytes = random_bytes(size);
    REQUIRE(bytes.size() == size);
    CHECK(base32_decode(base32(bytes)) == bytes);
    CHECK(base64_decode(base64(bytes)) == bytes);
    CHECK(base64url_decode(base64url(bytes)) == bytes);
    CHECK(hex(bytes).size() == size * 2);
  }
  CHECK(hex(std::string_view("\x00\xa5\xff", 3)) == "00a5ff");
}

TEST_CASE("hexadecimal digits in either case, two for an octet") {
  CHECK(hex_value('0') == 0);
  CHECK(hex_value('a') == 10);
  CHECK(hex_value('F') == 15);
  for (const char c : {'g', 'G', '/', ':', '@', '`', ' ', '\xff', '\0'}) CHECK(hex_value(c) == -1);
  CHECK(hex_octet("4a") == 0x4a);
  CHECK(hex_octet("fF0") == 0xff);
  for (const std::string_view text : {"", "4", "4g", "g4", " 4"}) CHECK_FALSE(hex_octet(text));
}

TEST_CASE("white space and controls are ASCII") {
  for (const char c : {' ', '\t', '\r', '\n'}) CHECK(is_space(c));
  for (const char c : {'\v', '\f', '\0', 'a', '\x85'}) CHECK_FALSE(is_space(c));
  for (const char c : {'\0', '\t', '\x1f', '\x7f'}) CHECK(is_control(c));
  for (const char c : {' ', 'a', '\x80', '\xff'}) CHECK_FALSE(is_control(c));
}

TEST_CASE("case, trimming and prefixes are ASCII") {
  CHECK(lower("AbC\xc3\x84@[") == "abc\xc3\x84@[");
  CHECK(equals_nocase("MAIL", "mail"));
  CHECK_FALSE(equals_nocase("MAIL", "mai"));
  CHECK_FALSE(equals_nocase("[", "{"));
  CHECK(starts_with_nocase("Rcpt TO:<", "RCPT TO:"));
  CHECK_FALSE(starts_with_nocase("RC", "RCPT"));
  CHECK(trim(" \t a b\r\n").compare("a b") == 0);
  CHECK(trim(" \r\n").empty());
  for (const std::string_view text : {" \t a b\r\n", "a", "", " \r\n"}) {
    std::string in_place(text);
    trim_in_place(in_place);
    CHECK(in_place == trim(text));
  }
  CHECK(all_ascii("abc"));
  CHECK_FALSE(all_ascii("a\x80"));
  CHECK(is_atext('\''));
  CHECK_FALSE(is_atext('.'));
  CHECK_FALSE(is_atext('\x80'));
}

TEST_CASE("secrets compare equal only when they are") {
  CHECK(equals_secret("", ""));
  CHECK(equals_secret("secret", "secret"));
  CHECK_FALSE(equals_secret("secret", "Secret"));
  CHECK_FALSE(equals_secret("secret", "secre"));
}

TEST_CASE("numbers are decimal, whole and bounded") {
  CHECK(parse_number("0") == 0U);
  CHECK(parse_number("0042") == 42U);
  CHECK(parse_number("18446744073709551615") == UINT64_MAX);
  CHECK(parse_number("255", 255) == 255U);
  for (const auto* text :
       {"", "-1", "+1", " 1", "1 ", "1x", "18446744073709551616", "99999999999999999999", "0x10"}) {
    INFO(text);
    CHECK_FALSE(parse_number(text));
  }
  CHECK_FALSE(parse_number("256", 255));
}

}  // namespace kage
