// Charsets of Japanese mail (contract R5.5).
#include "message/charset.h"

#include <catch2/catch.hpp>

#include "message/encoded_word.h"
#include "message/guess.h"
#include "message/utf8.h"

namespace kage::message {
namespace {

TEST_CASE("to_utf8: table") {
  struct Case {
    std::string_view charset;
    std::string_view bytes;
    std::string_view text;
  };
  const std::vector<Case> cases = {
      {"iso-2022-jp", "\x1b$B;3ED\x1b(B", "山田"},
      {"ISO-2022-JP", "\x1b$@;3ED\x1b(J", "山田"},
      {"iso-2022-jp", "abc \x1b$B;3\x1b(B def", "abc 山 def"},
      {"iso-2022-jp", "\x1b$B-!\x1b(B", "①"},   // NEC row 13
      {"iso-2022-jp", "\x1b$B|b\x1b(B", "髙"},  // NEC's choice of IBM extensions
      {"cp50221", "\x1b$By!\x1b(B", "纊"},      //
      {"iso-2022-jp", "\x1b(I12\x1b(B", "ｱｲ"},  // half-width kana by escape
      {"cp50222",
       "\x0e\x31\x32\x0f"
       "a",
       "ｱｲa"},                                             // by SO, SI
      {"cp50220", "\xb1\xb2", "ｱｲ"},                       // by the high bit
      {"iso-2022-jp", "\x1b$(D0!\x1b(B", "丂"},            // JIS X 0212
      {"iso-2022-jp", "\x1b$B@h@8\x1b(B", "先生"},         // octets 0x40 are halves
      {"iso-2022-jp", "\x1b$B!A!]\x1b(B", "～－"},         // Windows' mapping
      {"iso-2022-jp", "\x1b$B;3", "山"},                   // not ended
      {"iso-2022-jp", "\x1b$B;3\nab", "山\nab"},           // RFC 1468: a line ends the state
      {"iso-2022-jp", "\x1b$B;3E\x1b(Bab", "山\uFFFDab"},  // half a character
      {"iso-2022-jp", "\x1b$B;3 ED\x1b(B", "山 田"},       // a space in the two-byte state
      {"iso-2022-jp", "\x1b$BED\x1b&@\x1b$BED\x1b(B", "田田"},
      {"iso-2022-jp*ja", "\x1b$B;3\x1b(B", "山"},
      {"shift_jis", "\x8e\x52\x93\x63", "山田"},
      {"Shift-JIS", "\x87\x40", "①"},
      {"x-sjis", "\xfb\xfc", "髙"},
      {"cp932", "\xb1\xb2", "ｱｲ"},
      {"windows-31j", "\x81\x60\x81\x7c", "～－"},
      {"sjis", "\\~", "\\~"},
      {"sjis", "\x8e", "\uFFFD"},
      {"sjis", "\x95\x5c\\", "表\\"},
      {"euc-jp", "\xbb\xb3\xc5\xc4", "山田"},
      {"EUC-JP", "\xad\xa1", "①"},
      {"x-euc-jp", "\xfc\xe2", "髙"},
      {"euc-jp", "\x8e\xb1\x8e\xb2", "ｱｲ"},
      {"euc-jp", "\x8f\xb0\xa1", "丂"},
      {"euc-jp",
       "\xbb"
       "ab",
       "\uFFFD"
       "ab"},
      {"utf-8", "山田", "山田"},
      {"UTF8", "\xe5\xb1\xb1\xe7\x94", "山\uFFFD\uFFFD"},
      {"utf-8",
       "\xe5"
       "ab",
       "\uFFFD"
       "ab"},
      {"utf-8", "\xc0\xaf", "\uFFFD\uFFFD"},
      {"us-ascii", "abc", "abc"},
      {"us-ascii", "山", "山"},
      {"us-ascii", "\x8e\x52\x93\x63", "山田"},
      {"iso-8859-1", "\xe9\x80", "é€"},
      {"windows-1252", "\x93x\x94", "“x”"},
      {"iso-8859-15", "\xa4", "€"},
      {"koi8-r", "\xd2", "р"},
      {"gb2312", "\xc9\xbd", "山"},
      {"big5", "\xa4\x73", "山"},
      {"ks_c_5601-1987", "\xb0\xa1", "가"},
      {"euc-kr", "\xb0\xa1", "가"},
      {"utf-7", "+WnE-", "婱"},
      {"no-such-charset", "山", "山"},
      {"no-such-charset", "\xe9", "é"},
      {"", "\xe9", "é"},
      // Names that nobody knows: the octets are guessed as those of a raw header are.
      {"unknown-8bit", "\x82\x50\x82\x57\x82\x53", "１８４"},
      {"x-unknown", "\xa3\xb1\xa3\xb8\xa3\xb4\xc1\xea\xc3\xcc", "１８４相談"},
      {"default_charset", "１８４", "１８４"},
      {"unknown-8bit", "\x1b$B#1#8#4\x1b(B", "\x1b$B#1#8#4\x1b(B"},
      // Names by which programs call the Japanese charsets.
      {"sjis-win", "\xb1\xb2", "ｱｲ"},
      {"x-mac-japanese", "\x82\x50", "１"},
      {"Shift_JIS-2004", "\x82\x50", "１"},
      {"SJIS-2004", "\x82\x50", "１"},
      {"eucJP-win", "\xa3\xb1\x8e\xb1", "１ｱ"},
      {"EUC-JISX0213", "\xa3\xb1", "１"},
      {"EUC-JIS-2004", "\xa3\xb1", "１"},
      {"CP20932", "\xa3\xb1", "１"},
      {"Extended_UNIX_Code_Packed_Format_for_Japanese", "\xa3\xb1", "１"},
      {"x-iso-2022-jp", "\x1b$B#1\x1b(B", "１"},
      {"../../etc/passwd", "abc", "abc"},
      {"iso-2022-jp,version=7", "abc", "abc"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.charset, c.bytes);
    CHECK(to_utf8(c.bytes, c.charset) == c.text);
  }
}

TEST_CASE("to_utf8: NEC, IBM and kana say the same in all three encodings") {
  CHECK(to_utf8("\x1b$B-!|b\x1b(I1\x1b(B", "iso-2022-jp") == "①髙ｱ");
  CHECK(to_utf8("\x87\x40\xfb\xfc\xb1", "shift_jis") == "①髙ｱ");
  CHECK(to_utf8("\xad\xa1\xfc\xe2\x8e\xb1", "euc-jp") == "①髙ｱ");
}

TEST_CASE("to_utf8: any octets in any charset give valid UTF-8") {
  std::string all;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; b += 7) {
      all.push_back(static_cast<char>(a));
      all.push_back(static_cast<char>(b));
    }
  }
  for (const char* charset : {"iso-2022-jp", "shift_jis", "euc-jp", "utf-8", "us-ascii", "gb2312", "big5",
                              "utf-7", "utf-16", "iso-2022-kr", "hz-gb-2312", "windows-1252", "x-unknown"}) {
    CAPTURE(charset);
    CHECK(is_valid_utf8(to_utf8(all, charset)));
    for (std::size_t cut = 0; cut < 300; ++cut) {
      CHECK(is_valid_utf8(to_utf8(std::string_view(all).substr(cut, cut), charset)));
    }
  }
}

TEST_CASE("to_utf8: many charsets in turn") {
  for (int round = 0; round < 3; ++round) {
    for (int i = 1250; i <= 1258; ++i) CHECK(to_utf8("a", "windows-" + std::to_string(i)) == "a");
    for (int i = 1; i <= 16; ++i) CHECK(to_utf8("a", "iso-8859-" + std::to_string(i)) == "a");
    CHECK(to_utf8("\x8e\x52", "sjis") == "山");
  }
}

TEST_CASE("guess_charset") {
  CHECK(guess_charset("abc") == Guess::ascii);
  CHECK(guess_charset("a\x1b$B;3\x1b(B") == Guess::iso_2022_jp);
  CHECK(guess_charset("a\x1b(I12\x1b(B") == Guess::iso_2022_jp);
  CHECK(guess_charset("a\x1b$Btaro@example.jp") == Guess::ascii);
  CHECK(guess_charset("\x0etaro@example.jp\x0f") == Guess::ascii);
  CHECK(guess_charset("山田") == Guess::utf8);
  CHECK(guess_charset("\x8e\x52\x93\x63") == Guess::shift_jis);
  CHECK(guess_charset("\xbb\xb3\xc5\xc4\xc2\xc0\xcf\xba") == Guess::euc_jp);
  CHECK(guess_charset("caf\xe9") == Guess::latin1);
}

TEST_CASE("guess_to_utf8: a half that reads as an '@' before a host name is no half", "[R3.1]") {
  struct Case {
    std::string_view text;
    std::string_view read;
  };
  const std::vector<Case> cases = {
      {"\x95\x61\x89\x40\x82\xcc\x8c\x8f", "病院の件"},
      {"\x8b\x40\x89\xef", "機会"},
      {"\x82\xa8\x92m\x82\xe7\x82\xb9\x81\x40\x89^\x93\xae\x89\xef", "お知らせ　運動会"},
      {"\x89\x40 1.5 km", "院 1.5 km"},
      {"\x89\x40.pdf", "院.pdf"},
      {"\x89\x40[\x8f\x64\x97\x76]", "院[重要]"},
      {"\x89\x40\x82\xcc"
       "example.com",
       "院のexample.com"},
      // Latin-1: "andré@example.com", "andré@müller.de"
      {"andr\xe9@example.com", "andr\uFFFD@example.com"},
      {"andr\xe9@ example.com", "andr\uFFFD@ example.com"},
      {"andr\xe9@[192.0.2.1]", "andr\uFFFD@[192.0.2.1]"},
      {"\x95\x61\x89@example.com\x82\xcc\x8c\x8f", "病\uFFFD@example.comの件"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(guess_to_utf8(c.text) == c.read);
  }
  // UTF-8 with an octet that is none, which reads as Shift_JIS: "たき@日本.jp".
  CHECK(guess_to_utf8("\x82\xa0 \xe3\x81\x9f\xe3\x81\x8d@\xe6\x97\xa5\xe6\x9c\xac.jp").find('@') !=
        std::string::npos);
}

TEST_CASE("TwoByteStates: the order of questions does not matter") {
  const std::string text = "( \x1b$B@h@8\x1b(B <a@b> \x1b$Bxx";
  TwoByteStates states(text);
  const std::size_t open = text.rfind('\x1b');
  CHECK(states.skip(open) == open);
  CHECK(states.skip(2) == 12);
  CHECK(states.skip(open) == open);
}

TEST_CASE("names of charsets by family") {
  for (const std::string_view name : {"utf-8", "UTF8", "us-ascii"})
    CHECK(family_of(name) == CharsetFamily::utf8);
  for (const std::string_view name :
       {"Shift_JIS", "ms932", "cp51932", "EUC-JP", "iso-2022-jp", "cp50221", "sjis-win"}) {
    CHECK(family_of(name) == CharsetFamily::japanese);
  }
  for (const std::string_view name : {"", "iso-8859-1", "gb2312", "utf-16"}) {
    CHECK(family_of(name) == CharsetFamily::other);
  }
}

TEST_CASE("TwoByteStates: ends, and is linear when nothing ends") {
  const std::string_view text = "a\x1b$B\"<@\x1b(Bb";
  TwoByteStates states(text);
  CHECK(states.skip(1) == text.size() - 1);
  std::string open;
  while (open.size() < 1U << 20U) open += "\x1b$B";
  TwoByteStates hostile(open);
  for (std::size_t at = 0; at < open.size(); at += 3) CHECK_FALSE(hostile.skip(at) != at);
}

}  // namespace
}  // namespace kage::message
