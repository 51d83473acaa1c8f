// The syntax of IMAP commands, with input cut at every byte.
#include <catch2/catch.hpp>

#include "proxy/imap/command.h"

using namespace kage;
using namespace kage::proxy;
using namespace std::string_literals;

namespace {

struct Split {
  std::string tag, name, rest;
};

Split split(std::string text) {
  auto command = parse_command(std::move(text));
  REQUIRE(command);
  return {command->tag, command->name, command->rest};
}

}  // namespace

TEST_CASE("a command is split into tag, name and rest") {
  const auto noop = split("a1 noop");
  CHECK(noop.tag == "a1");
  CHECK(noop.name == "NOOP");
  CHECK(noop.rest.empty());
  const auto fetch = split("A.7] Uid fetch 1:* (FLAGS)");
  CHECK(fetch.tag == "A.7]");
  CHECK(fetch.name == "UID FETCH");
  CHECK(fetch.rest == "1:* (FLAGS)");
  CHECK(split("x LOGIN {3}\r\na\nb {2+}\r\n\r\n").rest == "{3}\r\na\nb {2+}\r\n\r\n");
  CHECK(split("x APPEND Sent (\\Seen) {310}").rest == "Sent (\\Seen) {310}");
  CHECK(split("x APPEND Sent ~{310}").rest == "Sent ~{310}");
}

TEST_CASE("what is no command is refused, with its tag where there is one") {
  for (const char* text : {"", " ", "a", "a ", "a  NOOP", "+ NOOP", "a* NOOP", "\"a\" NOOP", "a UID",
                           "a UID ", "a (NOOP)", "a NO\tOP", "\xe3\x81\x82 NOOP"}) {
    INFO(text);
    CHECK_FALSE(parse_command(text));
  }
  CHECK(parse_command("t1 ").error().detail == "t1");
  CHECK(parse_command("t1 UID (").error().detail == "t1");
  CHECK(parse_command("t1 LOGIN \"a b").error().detail == "t1");
  CHECK(parse_command("t%1 NOOP").error().detail.empty());
}

TEST_CASE("nothing in a command can begin another one") {
  for (const auto& text :
       {"a LIST x\r\nb NOOP"s, "a LIST x\nb NOOP"s, "a LIST x\0y"s, "a LIST \"x\r\nb NOOP\""s,
        "a LIST {2}\r\nx"s, "a LIST {2} y"s, "a LIST {2}\r\nxy\r\nb"s, "a LIST \"x\" \"{5}"s,
        "a LIST {5} {5}"s, "a LIST {99999999999999999999999}\r\nx"s}) {
    INFO(text);
    CHECK_FALSE(parse_command(text));
  }
}

TEST_CASE("a command cut at every byte is another command, incomplete, or refused") {
  const std::string text = "a1 UID SEARCH CHARSET UTF-8 FROM {6}\r\na\r\n\0bc SUBJECT \"x\\\"y\" (OR 1 2)"s;
  REQUIRE(parse_command(text));
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    const auto command = parse_command(text.substr(0, cut));
    if (!command) continue;
    CHECK(command->tag == "a1");
    CHECK(text.substr(0, cut).ends_with(command->rest));
  }
}

TEST_CASE("the cursor reads atoms, strings and values") {
  ImapCursor cursor("BODY[]<0> (\"a \\\"b\\\\\" {4}\r\n)(\r\n NIL) ~{2}\r\n\"( \\Seen");
  CHECK(cursor.atom() == "BODY[]<0>");
  CHECK_FALSE(cursor.string());
  CHECK(cursor.take_space());
  const auto list = cursor.value();
  REQUIRE(list);
  CHECK(*list == "(\"a \\\"b\\\\\" {4}\r\n)(\r\n NIL)");
  CHECK(cursor.take_space());
  CHECK(cursor.string() == "\"(");
  CHECK(cursor.take_space());
  CHECK(cursor.astring() == "\\Seen");
  CHECK(cursor.at_end());
  CHECK_FALSE(cursor.astring());
  CHECK_FALSE(cursor.value());
  CHECK(cursor.peek() == '\0');
  CHECK(cursor.rest().empty());

  ImapCursor inner(list->substr(1));
  CHECK(inner.string() == "a \"b\\");
  CHECK(inner.take(' '));
  CHECK(inner.astring() == ")(\r\n");
  CHECK(inner.take_space());
  CHECK(inner.value() == "NIL");
  CHECK(inner.take(')'));
}

TEST_CASE("broken strings are none, and nothing is consumed") {
  for (const auto& text :
       {"\"abc"s, "\"abc\\"s, "\"a\nb\""s, "\"a\0b\""s, "{3}\r\nab"s, "{3}ab"s, "{3"s, "{}\r\n"s, "{-1}\r\n"s,
        "{+}\r\n"s, "{3}\nabc"s, "~{3}\r\nab"s, "~{"s, "{18446744073709551616}\r\n"s}) {
    INFO(text);
    ImapCursor cursor(text);
    CHECK_FALSE(cursor.string());
    CHECK_FALSE(cursor.astring());
    CHECK_FALSE(cursor.value());
    CHECK(cursor.offset() == 0);
  }
}

TEST_CASE("a value cut at every byte is read whole or not at all") {
  const std::string text = "(a (\"b)\" {3}\r\n)\"( NIL)((c)) ~{1}\r\n) \xe3\x81\x82)";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    ImapCursor cursor(std::string_view(text).substr(0, cut));
    CHECK_FALSE(cursor.value());
    CHECK(cursor.offset() == 0);
  }
  ImapCursor cursor(text);
  CHECK(cursor.value() == text);
}

TEST_CASE("lists are bounded in depth and cost no stack") {
  ImapCursor fits(std::string_view("((()))"));
  CHECK(fits.value(3));
  ImapCursor deep(std::string_view("((()))"));
  CHECK_FALSE(deep.value(2));
  const std::string many(1'000'000, '(');
  ImapCursor endless(many);
  CHECK_FALSE(endless.value(SIZE_MAX));
}

TEST_CASE("strings are quoted where they can be") {
  CHECK(imap_string("") == "\"\"");
  CHECK(imap_string("a \"b\\") == "\"a \\\"b\\\\\"");
  CHECK(imap_string("a\r\nb") == "{4}\r\na\r\nb");
  CHECK(imap_string("\xe3\x81\x82", true) == "{3+}\r\n\xe3\x81\x82");
  for (const auto& text : {"plain"s, "\"\\"s, "a\nb"s, "\0"s, ""s, "\x80"s}) {
    const auto written = imap_string(text);
    ImapCursor cursor(written);
    CHECK(cursor.string() == text);
    CHECK(cursor.at_end());
  }
}

TEST_CASE("literal marks") {
  const auto plain = literal_mark("a LOGIN {12}");
  REQUIRE(plain);
  CHECK(plain->size == 12);
  CHECK_FALSE(plain->non_sync);
  const auto binary = literal_mark("a APPEND x ~{0+}");
  REQUIRE(binary);
  CHECK(binary->size == 0);
  CHECK(binary->non_sync);
  CHECK(literal_mark("{18446744073709551616}")->size == UINT64_MAX);
  for (const char* line : {"", "}", "{}", "{+}", "a{1", "1}", "{1} ", "{1-}", "{a}", "{1}\r", "{ 1}"}) {
    INFO(line);
    CHECK_FALSE(literal_mark(line));
  }
}

TEST_CASE("sequence sets") {
  for (const char* set : {"1", "*", "1:*", "*:1", "4294967295", "1,2:3,5:*", "007"}) {
    INFO(set);
    CHECK(is_sequence_set(set));
  }
  for (const char* set : {"", "0", "1,", ",1", "1:", ":1", "1:2:3", "1:0", "-1", "1 2", "$", "4294967296",
                          "**", "1;2", "99999999999999999999"}) {
    INFO(set);
    CHECK_FALSE(is_sequence_set(set));
  }
  CHECK(is_sequence_set("1,2,3", 3));
  CHECK_FALSE(is_sequence_set("1,2,3", 2));
}
