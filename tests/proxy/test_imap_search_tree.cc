// What SEARCH, SORT and THREAD may ask, and how it goes upstream.
#include <catch2/catch.hpp>

#include "proxy/search/request.h"

using namespace kage;
using namespace kage::proxy;
using namespace std::string_literals;

namespace {

std::expected<SearchRequest, ImapStatus> parse(std::string name, std::string rest, bool gmail = false) {
  return parse_search({.tag = "a", .name = std::move(name), .rest = std::move(rest)}, {.gmail = gmail});
}

/// The keys as they go upstream, sensitive ones as <field:value>; or the name of the refusal.
std::string upstream(std::string rest, bool gmail = false) {
  const auto request = parse("SEARCH", std::move(rest), gmail);
  if (!request) return request.error().name;
  std::vector<std::string> instead(request->keys.size());
  for (std::size_t i = 0; i < instead.size(); ++i) {
    const SearchKey& key = request->keys[i];
    if (key.sensitive()) instead[i] = "<" + key.written + ":" + key.value + ">";
  }
  return write_keys(request->keys, 0, instead);
}

}  // namespace

TEST_CASE("keys that say nothing about addresses pass in one spelling") {
  CHECK(upstream("all") == "ALL");
  CHECK(upstream("1:5,7 UID 3:* unSeen Keyword $Junk UNKEYWORD a.b") ==
        "1:5,7 UID 3:* UNSEEN KEYWORD $Junk UNKEYWORD a.b");
  CHECK(upstream("since 1-Feb-1994 BEFORE \"01-jan-2026\" SENTON 9-DEC-2000") ==
        "SINCE 1-Feb-1994 BEFORE 01-jan-2026 SENTON 9-DEC-2000");
  CHECK(upstream("LARGER 9223372036854775807 SMALLER 0 OLDER 60 YOUNGER 4294967295") ==
        "LARGER 9223372036854775807 SMALLER 0 OLDER 60 YOUNGER 4294967295");
  CHECK(upstream("$ UID $ EMAILID M6d99ac3275bb4e THREADID T_1-2") ==
        "$ UID $ EMAILID M6d99ac3275bb4e THREADID T_1-2");
  CHECK(upstream("SAVEDBEFORE 1-Feb-1994 SAVEDATESUPPORTED") == "SAVEDBEFORE 1-Feb-1994 SAVEDATESUPPORTED");
  CHECK(upstream("MODSEQ 620162338") == "MODSEQ 620162338");
  CHECK(upstream("MODSEQ \"/flags/\\\\draft\" ALL 620162338") == "MODSEQ \"/flags/\\\\draft\" all 620162338");
}

TEST_CASE("lists, OR and NOT keep their shape") {
  CHECK(upstream("OR (SEEN (DRAFT)) NOT NOT OR 1 2 ALL") == "OR (SEEN (DRAFT)) NOT NOT OR 1 2 ALL");
  CHECK(upstream("((SEEN ) DELETED )  ALL ") == "((SEEN) DELETED) ALL");
  CHECK(upstream("(OR FROM x (TO y CC z)) SEEN") == "(OR <FROM:x> (<TO:y> <CC:z>)) SEEN");
  CHECK(upstream("NOT (BCC a SUBJECT b) OR HEADER X-Y c BODY d") ==
        "NOT (<BCC:a> <SUBJECT:b>) OR <HEADER \"X-Y\":c> <BODY:d>");
}

TEST_CASE("strings are read in their charset") {
  CHECK(upstream("CHARSET UTF-8 SUBJECT {3}\r\n\xe3\x81\x82") == "<SUBJECT:\xe3\x81\x82>");
  CHECK(upstream("charset iso-2022-jp TEXT {8}\r\n\x1b$B$\"\x1b(B") == "<TEXT:\xe3\x81\x82>");
  CHECK(upstream("CHARSET Shift_JIS TEXT {2}\r\n\x82\xa0") == "<TEXT:\xe3\x81\x82>");
  CHECK(upstream("SUBJECT {3}\r\n\xe3\x81\x82") == "<SUBJECT:\xe3\x81\x82>");
  CHECK(upstream("FROM \"\" TO {0}\r\n") == "<FROM:> <TO:>");
  CHECK(parse("SEARCH", "CHARSET X-UNKNOWN ALL").error().text.starts_with("[BADCHARSET "));
}

TEST_CASE("what is unknown, broken or out of bounds never goes upstream") {
  for (const auto& rest : {""s,
                           " "s,
                           "("s,
                           ")"s,
                           "()"s,
                           "(ALL"s,
                           "ALL)"s,
                           "ALLSEEN"s,
                           "(ALL)(SEEN)"s,
                           "ALL(SEEN)"s,
                           "NOT"s,
                           "NOT "s,
                           "OR ALL"s,
                           "OR ALL "s,
                           "FROM"s,
                           "FROM "s,
                           "FROM (x)"s,
                           "HEADER x"s,
                           "HEADER \"a b\" c"s,
                           "HEADER a: c"s,
                           "HEADER {3}\r\na\rb c"s,
                           "SINCE 1994"s,
                           "SINCE 32-Jan-2000"s,
                           "SINCE 1-Foo-2000"s,
                           "SINCE 1-Jan-20"s,
                           "SINCE 1-anf-2000"s,
                           "LARGER -1"s,
                           "LARGER 9223372036854775808"s,
                           "OLDER 0"s,
                           "KEYWORD a(b"s,
                           "KEYWORD \"a\""s,
                           "UID x"s,
                           "UID 0"s,
                           "0"s,
                           "1:"s,
                           "FUZZY FROM x"s,
                           "X-GM-RAW \"from:x\""s,
                           "X-GM-MSGID 1"s,
                           "FILTER a"s,
                           "ANNOTATION \"/comment\" \"value\" x"s,
                           "INTHREAD REFERENCES x"s,
                           "EMAILID a@b"s,
                           "MODSEQ"s,
                           "MODSEQ x"s,
                           "MODSEQ \"/x\" all 1"s,
                           "MODSEQ \"/flags/a\" any 1"s,
                           "FROM {5}\r\nab"s,
                           "FROM {1}\r\n\0"s,
                           "FROM \"x\"TO y"s,
                           "RETURN (MIN)"s,
                           "RETURN (PARTIAL 1:2) ALL"s,
                           "RETURN (UPDATE) ALL"s,
                           "RETURN MIN ALL"s,
                           "CHARSET"s,
                           "CHARSET UTF-8"s,
                           "CHARSET UTF-8 "s,
                           "ALL \"\""s,
                           "\"ALL\""s}) {
    INFO(rest);
    CHECK(upstream(rest) == "BAD");
  }
  CHECK(upstream(std::string(60, '(') + "ALL" + std::string(60, ')')) == "BAD");
  std::string deep;
  for (int i = 0; i < 60; ++i) deep += "NOT ";
  CHECK(upstream(deep + "ALL") == "BAD");
  std::string wide = "ALL";
  for (int i = 0; i < 1001; ++i) wide += " ALL";
  CHECK(upstream(wide) == "BAD");
}

TEST_CASE("nesting within the bounds passes") {
  const std::string nested = std::string(48, '(') + "ALL" + std::string(48, ')');
  CHECK(upstream(nested) == nested);
}

TEST_CASE("Gmail's keys pass where they are offered, but not the one that nobody can read") {
  CHECK(upstream("X-GM-MSGID 12 X-GM-THRID 34 X-GM-LABELS \"\\\\Inbox\"", true) ==
        "X-GM-MSGID 12 X-GM-THRID 34 X-GM-LABELS \"\\\\Inbox\"");
  CHECK(upstream("X-GM-RAW \"from:x\"", true) == "NO");
  CHECK(upstream("NOT X-GM-RAW x", true) == "NO");
}

TEST_CASE("RETURN, SORT and THREAD") {
  CHECK(parse("SEARCH", "RETURN () ALL")->returns == "");
  CHECK(parse("UID SEARCH", "return (min Max ALL count SAVE) ALL")->returns == "MIN MAX ALL COUNT SAVE");
  CHECK(parse("UID SEARCH", "RETURN (SAVE) CHARSET utf-8 ALL")->uid);
  CHECK_FALSE(parse("SEARCH", "ALL")->returns);

  const auto sort = parse("UID SORT", "(REVERSE date Subject REVERSE DISPLAYFROM) UTF-8 FROM x");
  REQUIRE(sort);
  CHECK(sort->verb == SearchRequest::Verb::sort);
  CHECK(write_sort(sort->sort) == "REVERSE DATE SUBJECT REVERSE DISPLAYFROM");
  for (const char* rest : {"() UTF-8 ALL", "(REVERSE) UTF-8 ALL", "(REVERSE REVERSE DATE) UTF-8 ALL",
                           "(X) UTF-8 ALL", "(DATE) ALL", "(DATE)", "DATE UTF-8 ALL", "(DATE) UTF-8",
                           "RETURN (MIN) (DATE) UTF-8 ALL", "(RELEVANCY) UTF-8 ALL"}) {
    INFO(rest);
    CHECK_FALSE(parse("SORT", rest));
  }

  const auto thread = parse("THREAD", "references US-ASCII SEEN");
  REQUIRE(thread);
  CHECK(thread->algorithm == "REFERENCES");
  for (const char* rest : {"X UTF-8 ALL", "REFERENCES ALL", "REFERENCES", "REFERENCES UTF-8"}) {
    INFO(rest);
    CHECK_FALSE(parse("THREAD", rest));
  }
}

TEST_CASE("a search cut at every byte is refused or shorter, never broken") {
  const std::string text =
      "RETURN (MIN COUNT) CHARSET UTF-8 OR (FROM {2}\r\nab NOT SUBJECT \"c d\") 1:5 HEADER x-y z SINCE "
      "1-Feb-1994";
  REQUIRE(parse("SEARCH", text));
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    const auto request = parse("SEARCH", text.substr(0, cut));
    if (request) CHECK(request->keys.at(0).end == request->keys.size());
  }
}
