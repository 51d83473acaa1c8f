// Encoded-words: read as far as they can be read, written by the book.
#include "message/encoded_word.h"

#include <catch2/catch.hpp>

#include "message/utf8.h"

namespace kage::message {
namespace {

TEST_CASE("decode_words: table") {
  struct Case {
    std::string_view text;
    std::string_view decoded;
  };
  const std::vector<Case> cases = {
      {"", ""},
      {"plain text", "plain text"},
      {"=?UTF-8?B?5bGx55Sw?=", "山田"},
      {"=?utf-8?q?=E5=B1=B1_x=5F?=", "山 x_"},
      {"=?utf-8?Q?=e5=b1=b1?=", "山"},
      {"=?ISO-2022-JP?B?GyRCOzNFRBsoQiAbJEJCQE86GyhC?=", "山田 太郎"},
      {"=?utf-8*ja?B?5bGx?=", "山"},
      // RFC 2047 §6.2
      {"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
      {"=?utf-8?q?a?=\r\n  =?utf-8?q?b?=", "ab"},
      {"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"},
      {"=?utf-8?q?a?==?utf-8?q?b?=", "ab"},
      {"=?iso-2022-jp?B?GyRCOzMbKEI=?= =?utf-8?B?55Sw?=", "山田"},
      {"x =?utf-8?q?a?= ", "x a "},
      // Where they are not allowed.
      {"x=?utf-8?q?a?=y", "xay"},
      {"\"=?utf-8?q?a?=\"", "\"a\""},
      {"(=?utf-8?q?a?=)", "(a)"},
      // Cut inside a character by the mailer.
      {"=?UTF-8?B?5bE=?= =?UTF-8?B?sQ==?=", "山"},
      {"=?UTF-8?Q?=E5?= =?UTF-8?Q?=B1=B1?=", "山"},
      {"=?UTF-8?Q?=E5?= x", "\uFFFD x"},
      // Malformed.
      {"=?utf-8?B?5bGx55S?=", "山\uFFFD\uFFFD"},
      {"=?utf-8?B?5b Gx?=", "山"},
      {"=?utf-8?B?YQ==YQ==?=", "aa"},
      {"=?utf-8?B?YWJj*ZGVm?=", "abcdef"},
      {"=?utf-8?Q?a=4?=", "a=4"},
      {"=?utf-8?Q?a=zz b?=", "a=zz b"},
      {"=?utf-8?Q?=41?=", "A"},
      {"=?utf-8?Q?\?=", ""},
      {"=?utf-8?X?a?=", "=?utf-8?X?a?="},
      // Without an end: up to white space, as lenient readers do.
      {"=?utf-8?Q?a", "a"},
      {"=?utf-8?Q?a?", "a?"},
      {"=?utf-8?B?dGFyb0BleGFtcGxlLmpw <x>", "taro@example.jp <x>"},
      {"=?utf-8?B?dGFyb0BleGFtcGxlLmpw =?utf-8?B?5bGx?=", "taro@example.jp山"},
      {"=?utf-8?B?=?utf-8?B?5bGx?=", "山"},
      {"=?utf-8?Q?ab=?utf-8?B?5bGx?= c", "ab山 c"},
      // Programs decode these too, as ASCII.
      {"=??Q?a?=", "a"},
      {"=??b?YQ==?=", "a"},
      {"=? ?Q?a?=", "a"},
      {"=?*en?Q?a?=", "a"},
      {"=? utf-8 ?Q?=E5=B1=B1?=", "山"},
      {"=??Q?=82=50?=", "１"},
      {"=??Q", "=??Q"},
      {"=??", "=??"},
      {"=?utf-8", "=?utf-8"},
      {"=?", "=?"},
      {"a =? b ?= c", "a =? b ?= c"},
      {"=?x-unknown?Q?=E5=B1=B1?=", "山"},
      {"=?x-unknown?Q?=E9?=", "é"},
      {"=?utf-8?Q?taro=40example.jp?=", "taro@example.jp"},
      {"=?us-ascii?Q?a@b?=", "a@b"},
      // Raw octets.
      {"\x1b$B;3ED\x1b(B x", "山田 x"},
      {"\x1b$B=?\x1b(B", "戎"},                            // "=?" as two halves
      {"\x1b$Btaro@example.jp", "\x1b$Btaro@example.jp"},  // no end: looked at as it is
      {"\x8e\x52\x93\x63", "山田"},
      {"caf\xe9", "café"},
      {"山 =?utf-8?B?55Sw?=", "山 田"},
      {"=?utf-8?B?55Sw?= \x1b$B;3\x1b(B", "田 山"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(decode_words(c.text) == c.decoded);
  }
}

TEST_CASE("decode_words: unquote") {
  CHECK(decode_words("\"Taro Yamada\"", true) == "Taro Yamada");
  CHECK(decode_words("\"a \\\"b\\\" \\\\\" c", true) == "a \"b\" \\ c");
  CHECK(decode_words("\"=?utf-8?B?5bGx?=\"", true) == "山");
  CHECK(decode_words("\"open", true) == "open");
  CHECK(decode_words("a\\b", true) == "a\\b");
  CHECK(decode_words("\"\x1b$B\"\"\\\\\x1b(B\"", true) == decode_words("\x1b$B\"\"\\\\\x1b(B"));
}

TEST_CASE("decode_words: encoded-words of any length") {
  const std::string inner(20000, 'a');
  CHECK(decode_words("=?utf-8?Q?" + inner + "?=") == inner);
  CHECK(decode_words("=?utf-8?Q?" + inner) == inner);
}

TEST_CASE("decode_words: charsets of any length") {
  const std::string charset(500, 'x');
  CHECK(decode_words("=?" + charset + "?Q?a=40b?=") == "a@b");
}

TEST_CASE("decode_words: quoted Shift_JIS whose second octets look like quotes' own") {
  CHECK(decode_words("\"\x95\x5c\"", true) == "表");
  CHECK(decode_words("\"\x94\x5c\x97\xcd \x95\x5c\" x", true) == "能力 表 x");
}

TEST_CASE("decode_words: cut at every octet gives valid UTF-8") {
  const std::string text =
      "Re: =?ISO-2022-JP?B?GyRCOzNFRBsoQiAbJEJCQE86GyhC?= =?utf-8?q?=E5=B1=B1_x?= \"\\\"q\" \x1b$B;3ED\x1b(B "
      "\x93\x63 =?shift_jis*ja?B?jlKTYw==?=";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    CHECK(is_valid_utf8(decode_words(std::string_view(text).substr(0, cut))));
    CHECK(is_valid_utf8(decode_words(std::string_view(text).substr(0, cut), true)));
    CHECK(is_valid_utf8(decode_words(std::string_view(text).substr(cut))));
  }
}

TEST_CASE("decode_words: hostile sizes") {
  for (std::string_view unit : {"=?", "=?a?b?", "=?utf-8?q?", "\x1b$B", "\"", "\\", "=?x?q?y?= ", "?=", "=",
                                "=?x", "\x89@", "\x89@[", "\x89@ ", "\xe9@a.bc "}) {
    std::string text;
    while (text.size() < 1U << 20U) text += unit;
    CHECK(is_valid_utf8(decode_words(text)));
    CHECK(is_valid_utf8(decode_words(text, true)));
  }
}

TEST_CASE("encode_words") {
  CHECK(encode_words("plain text") == "plain text");
  CHECK(encode_words("") == "");
  CHECK(encode_words("山田") == "=?UTF-8?B?5bGx55Sw?=");
  CHECK(encode_words("a =?x") == "=?UTF-8?B?YSA9P3g=?=");
  CHECK(encode_words("a\r\nb") == "ab");
  CHECK(encode_words("a\x01") == "=?UTF-8?B?YQE=?=");
}

TEST_CASE("encode_phrase") {
  CHECK(encode_phrase("Taro Yamada") == "Taro Yamada");
  CHECK(encode_phrase("Taro  Yamada") == "\"Taro  Yamada\"");
  CHECK(encode_phrase("J. Smith") == "\"J. Smith\"");
  CHECK(encode_phrase("a \"b\" \\") == "\"a \\\"b\\\" \\\\\"");
  CHECK(encode_phrase("Name (real@address)") == "\"Name (real@address)\"");
  CHECK(encode_phrase("山田") == "=?UTF-8?B?5bGx55Sw?=");
  CHECK(encode_phrase("") == "");
  CHECK(encode_phrase("a\r\nb") == "ab");
  CHECK(encode_phrase("=?x?q?y?=") == "=?UTF-8?B?PT94P3E/eT89?=");
}

TEST_CASE("what is encoded is decoded again, in words of at most 75 octets") {
  std::string longer;
  for (int i = 0; i < 200; ++i) longer += "漢字かな\U0001F600 " + std::to_string(i);
  for (const std::string& text :
       {std::string("山"), longer, std::string("tab\t山"), std::string(300, 'a') + "é"}) {
    const std::string words = encode_words(text);
    CHECK(decode_words(words) == text);
    CHECK(decode_words(encode_phrase(text), true) == text);
    std::size_t begin = 0;
    while (begin < words.size()) {
      const std::size_t end = std::min(words.find(' ', begin), words.size());
      CHECK(end - begin <= 75);
      CHECK(is_valid_utf8(decode_words(std::string_view(words).substr(begin, end - begin))));
      CHECK(decode_words(std::string_view(words).substr(begin, end - begin)).find("\uFFFD") ==
            std::string::npos);
      begin = end + 1;
    }
  }
}

}  // namespace
}  // namespace kage::message
