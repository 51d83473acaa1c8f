// ENVELOPE and BODYSTRUCTURE as the member sees them. The upstream's texts are what Dovecot 2.3.19 writes.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "proxy/structure/structure.h"

namespace kage::proxy {
namespace {

std::string envelope(std::string_view upstream, std::string_view original, std::string_view visible,
                     bool utf8 = false) {
  const auto shown = visible_envelope(upstream, original, visible, utf8);
  return shown ? *shown : "error " + std::string(to_string(shown.error().code));
}

std::string structure(std::string_view upstream, const std::vector<KnownBlock>& blocks) {
  const auto shown = visible_structure(upstream, blocks, false);
  return shown ? *shown : "error " + std::string(to_string(shown.error().code));
}

std::vector<std::string> needed(std::string_view upstream) {
  const auto blocks = needed_blocks(upstream);
  if (!blocks) return {"error " + std::string(to_string(blocks.error().code))};
  std::vector<std::string> out;
  for (const NeededBlock& block : *blocks) out.push_back(block.section);
  return out;
}

std::string section(std::string_view upstream, std::string_view name) {
  const auto content = section_content(upstream, name);
  if (!content) return std::string(to_string(content.error().code));
  return content->type + "/" + content->subtype + " " + content->encoding + " " + content->boundary;
}

constexpr std::string_view kPlainUpstream =
    "(\"Mon, 1 Jan 2024 00:00:00 +0000\" \"Hi\" ((\"Taro\" NIL \"taro\" \"real.example\")) "
    "((\"Taro\" NIL \"taro\" \"real.example\")) ((\"Taro\" NIL \"taro\" \"real.example\")) "
    "((NIL NIL \"info\" \"school.example\")) NIL NIL NIL \"<1@real.example>\")";
constexpr std::string_view kPlainOriginal =
    "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nSubject: Hi\r\nFrom: Taro <taro@real.example>\r\n"
    "To: info@school.example\r\nMessage-ID: <1@real.example>\r\n\r\n";
constexpr std::string_view kPlainVisible =
    "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nSubject: Hi\r\nFrom: Taro <abc@p.school.example>\r\n"
    "To: info@school.example\r\nMessage-ID: <xyz@p.school.example>\r\n\r\n";

}  // namespace

TEST_CASE("an envelope whose fields are the same stays as it came") {
  CHECK(envelope(kPlainUpstream, kPlainOriginal, kPlainOriginal) == kPlainUpstream);
  // Capitals, spelling of strings and of NIL are the upstream's.
  CHECK(envelope("({3}\r\nTue NIL nil NIL NIL NIL NIL NIL NIL NIL)", "Date: Tue\r\n\r\n",
                 "Date: Tue\r\n\r\n") == "({3}\r\nTue NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
}

TEST_CASE("lists that are read the short way are told as the long way tells them") {
  // An empty element in front says nothing, and is not what the short way knows.
  const auto told = [](const std::string& list) {
    return envelope(kPlainUpstream, kPlainOriginal, "To: " + list + "\r\n\r\n");
  };
  for (const std::string list : {"a@b.example",
                                 "a@b.example, c@d.example",
                                 "<a@b.example>",
                                 "Taro Yamada <a@b.example>",
                                 "Taro  Yamada\r\n\t <a@b.example>,\r\n c.d+e@f-g.example",
                                 "=?utf-8?B?5bGx55Sw?= <a@b.example>",
                                 "=?utf-8?B?5bGx55Sw?=\r\n =?utf-8?Q?=20x?= <a@b.example> , d@e.example",
                                 "\"Yamada, Taro\" <a@b.example>",
                                 "\"two  spaces\" <a@b.example>",
                                 "\"\" <a@b.example>",
                                 "T. Yamada <a..b.@c.example>",
                                 ".a@b.example",
                                 "a@b",
                                 "a@b.",
                                 "<a@b.example.>",
                                 "A.<a@b.example>",
                                 "\"a\\\"b\" <a@b.example>",
                                 "a@b.example c@d.example",
                                 "Taro a@b.example",
                                 "Taro. a@b.example",
                                 "a@b.example (Taro)",
                                 "Taro <a@b.example> x",
                                 "<@r.example:a@b.example>",
                                 "<a@b@c.example>",
                                 "Taro <a@b.example",
                                 "Taro a@b.example>",
                                 "\"Taro\" Yamada <a@b.example>",
                                 "g: a@b.example;",
                                 "<a@.example>",
                                 "<@b.example>",
                                 "Taro",
                                 "<>",
                                 "a @ b.example",
                                 "a@b.example;",
                                 "a@b_c.example",
                                 "a@-b.example",
                                 "a@b..example",
                                 "a@[192.0.2.1]",
                                 "\"a b\"@c.example",
                                 "",
                                 ",",
                                 "a@b.example,",
                                 "a@b.example,,c@d.example",
                                 "Taro,<a@b.example>",
                                 "a@b.example \r\n ",
                                 "Ta\xcc\x81ro <a@b.example>"}) {
    CAPTURE(list);
    CHECK(told(list) == told("," + list));
  }
  CHECK(told(std::string(300, 'a') + "@b.example") == told("," + std::string(300, 'a') + "@b.example"));
  CHECK(told("Taro Yamada <a@b.example>, \"D, E\" <f@g.example>") ==
        "(NIL NIL NIL NIL NIL ((\"Taro Yamada\" NIL \"a\" \"b.example\")(\"D, E\" NIL \"f\" "
        "\"g.example\")) NIL NIL NIL NIL)");
}

TEST_CASE("rewritten fields are told from the visible block; sender and reply-to follow from") {
  CHECK(envelope(kPlainUpstream, kPlainOriginal, kPlainVisible) ==
        "(\"Mon, 1 Jan 2024 00:00:00 +0000\" \"Hi\" ((\"Taro\" NIL \"abc\" \"p.school.example\")) "
        "((\"Taro\" NIL \"abc\" \"p.school.example\")) ((\"Taro\" NIL \"abc\" \"p.school.example\")) "
        "((NIL NIL \"info\" \"school.example\")) NIL NIL NIL \"<xyz@p.school.example>\")");
}

TEST_CASE("an empty reply-to is from's too") {
  CHECK(envelope("(NIL \"\" ((\"c\" NIL \"a\" \"x.test\")) ((\"=?utf-8?q?x?=\" NIL \"s\" \"x\")) "
                 "((\"c\" NIL \"a\" \"x.test\")) NIL NIL NIL \"<a@b> <c@d> (hey)\" NIL)",
                 "From: a@x.test (c)\r\nReply-To: \r\nSender: =?utf-8?q?x?= <s@x>\r\n"
                 "In-Reply-To: <a@b>\r\n <c@d> (hey)\r\nSubject: \r\n\r\n",
                 "From: p@q.test (c)\r\nReply-To: \r\nSender: =?utf-8?q?x?= <s@x>\r\n"
                 "In-Reply-To: <1@2>\r\n <3@4>\r\nSubject: \r\n\r\n") ==
        "(NIL \"\" ((\"c\" NIL \"p\" \"q.test\")) ((\"=?utf-8?q?x?=\" NIL \"s\" \"x\")) "
        "((\"c\" NIL \"p\" \"q.test\")) NIL NIL NIL \"<1@2> <3@4>\" NIL)");
}

TEST_CASE("groups and quoted names are written as servers do") {
  CHECK(envelope("(NIL NIL NIL NIL NIL ((NIL NIL \"G\" NIL)(NIL NIL \"a\" \"b.test\")(NIL NIL NIL NIL)"
                 "(NIL NIL \"z\" \"y.test\")) NIL NIL NIL NIL)",
                 "To: G: a@b.test; , z@y.test\r\n\r\n",
                 "To: \"Group  One\": p@q.test, \"Q \\\" x\" <\"a b\"@q.test>; , =?utf-8?q?=41?= <r@q.test>, "
                 "none:;\r\n\r\n") ==
        "(NIL NIL NIL NIL NIL ((NIL NIL \"Group  One\" NIL)(NIL NIL \"p\" \"q.test\")"
        "(\"Q \\\" x\" NIL \"a b\" \"q.test\")(NIL NIL NIL NIL)(\"=?utf-8?q?=41?=\" NIL \"r\" \"q.test\")"
        "(NIL NIL \"none\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)");
}

TEST_CASE("UTF-8 is quoted only for clients that enabled it") {
  const std::string_view upstream = "(NIL NIL ((NIL NIL \"a\" \"b.test\")) NIL NIL NIL NIL NIL NIL NIL)";
  const std::string_view visible = "From: \xe3\x81\x82 <c@d.test>\r\n\r\n";
  CHECK(envelope(upstream, "From: a@b.test\r\n\r\n", visible, true) ==
        "(NIL NIL ((\"\xe3\x81\x82\" NIL \"c\" \"d.test\")) ((\"\xe3\x81\x82\" NIL \"c\" \"d.test\")) "
        "((\"\xe3\x81\x82\" NIL \"c\" \"d.test\")) NIL NIL NIL NIL NIL)");
  CHECK(envelope(upstream, "From: a@b.test\r\n\r\n", visible)
            .starts_with("(NIL NIL (({3}\r\n\xe3\x81\x82 NIL \"c\" \"d.test\")) "));
}

TEST_CASE("of several fields the one that the upstream took is told") {
  const std::string original = "From: a@x.test\r\nFrom: b@x.test\r\nSubject: one\r\nSubject: two\r\n\r\n";
  const std::string visible = "From: 1@p.test\r\nFrom: 2@p.test\r\nSubject: ONE\r\nSubject: TWO\r\n\r\n";
  const auto shown = [&](std::string_view subject, std::string_view from) {
    const std::string slot = "(" + std::string(from) + ")";
    return envelope(
        "(NIL \"" + std::string(subject) + "\" " + slot + " " + slot + " " + slot + " NIL NIL NIL NIL NIL)",
        original, visible);
  };
  const auto expected = [](std::string_view subject, std::string_view from) {
    const std::string slot = "(" + std::string(from) + ")";
    return "(NIL \"" + std::string(subject) + "\" " + slot + " " + slot + " " + slot +
           " NIL NIL NIL NIL NIL)";
  };
  constexpr std::string_view a = "(NIL NIL \"a\" \"x.test\")", b = "(NIL NIL \"b\" \"x.test\")";
  constexpr std::string_view p1 = "(NIL NIL \"1\" \"p.test\")", p2 = "(NIL NIL \"2\" \"p.test\")";
  CHECK(shown("two", std::string(a) + std::string(b)) == expected("TWO", std::string(p1) + std::string(p2)));
  CHECK(shown("one", a) == expected("ONE", p1));
  CHECK(shown("two", b) == expected("TWO", p2));
}

TEST_CASE("one visible field for several original ones") {
  CHECK(envelope("(NIL \"two\" NIL NIL NIL NIL NIL NIL NIL NIL)", "Subject: one\r\nSubject: two\r\n\r\n",
                 "Subject: one\r\n\r\n") == "(NIL \"one\" NIL NIL NIL NIL NIL NIL NIL NIL)");
}

TEST_CASE("what the upstream read where we read no field does not cross") {
  // A parser that takes a bare CR for a line end finds a From in the Subject.
  const std::string_view block = "Subject: x\rFrom: victim@real.test\r\n\r\n";
  CHECK(envelope("(NIL \"x\" ((NIL NIL \"victim\" \"real.test\")) ((NIL NIL \"victim\" \"real.test\")) "
                 "((NIL NIL \"victim\" \"real.test\")) NIL NIL NIL NIL NIL)",
                 block, "Subject: x\r\n\r\n") == "(NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL)");
  // Fields alike on both sides, and an upstream that tells something else.
  CHECK(envelope("(NIL \"other@real.test\" ((NIL NIL \"victim\" \"real.test\")) NIL NIL NIL NIL NIL NIL NIL)",
                 "From: a@b.test\r\nSubject: s\r\n\r\n", "From: a@b.test\r\nSubject: s\r\n\r\n") ==
        "(NIL \"s\" ((NIL NIL \"a\" \"b.test\")) ((NIL NIL \"a\" \"b.test\")) ((NIL NIL \"a\" \"b.test\")) "
        "NIL NIL NIL NIL NIL)");
}

TEST_CASE("odd addresses stay as the upstream has them where nothing was rewritten") {
  const std::string_view odd =
      "(NIL NIL ((NIL \"@a,@b\" \"c\" \"d.test\")(NIL NIL \"foo\" \"MISSING_DOMAIN\")"
      "(NIL NIL \"MISSING_MAILBOX\" \"baz\")(\"quoted noangle\" NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\")"
      "(\"Broken\" NIL \"a\" \"SYNTAX_ERROR\")) NIL NIL NIL NIL NIL NIL NIL)";
  const std::string_view block = "From: <@a,@b:c@d.test>, foo, @baz, \"quoted noangle\", Broken <a@b\r\n\r\n";
  const std::string shown = envelope(odd, block, block);
  const std::string_view from = odd.substr(9, odd.find(" NIL NIL NIL NIL NIL NIL NIL)") - 9);
  CHECK(shown == "(NIL NIL " + std::string(from) + " " + std::string(from) + " " + std::string(from) +
                     " NIL NIL NIL NIL NIL)");
}

TEST_CASE("a block beyond the bounds tells nothing, and neither does a missing one") {
  const std::string nothing = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";
  CHECK(envelope(kPlainUpstream, "", "") == nothing);
  const std::string huge = std::string(kPlainOriginal.substr(0, kPlainOriginal.size() - 2)) +
                           "X: " + std::string(300'000, 'x') + "\r\n\r\n";
  CHECK(envelope(kPlainUpstream, huge, huge) == nothing);
}

TEST_CASE("what is no envelope is refused") {
  for (const std::string_view bad :
       {"", "NIL", "(", "()", "(NIL)", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL",
        "(NIL NIL a NIL NIL NIL NIL NIL NIL NIL)", "(NIL (x) NIL NIL NIL NIL NIL NIL NIL NIL)",
        "(NIL NIL (a) NIL NIL NIL NIL NIL NIL NIL)", "(NIL NIL ((a b c)) NIL NIL NIL NIL NIL NIL NIL)",
        "(NIL NIL ((a b c (d))) NIL NIL NIL NIL NIL NIL NIL)", "(NIL \"a NIL NIL NIL NIL NIL NIL NIL NIL)",
        "(NIL {9999999999}\r\na)", "(NIL {5}\r\nabc)"}) {
    CAPTURE(bad);
    CHECK(envelope(bad, kPlainOriginal, kPlainVisible) == "error protocol");
  }
  for (std::size_t cut = 0; cut < kPlainUpstream.size(); ++cut) {
    CHECK(envelope(kPlainUpstream.substr(0, cut), kPlainOriginal, kPlainVisible) == "error protocol");
  }
  CHECK(envelope(std::string(100'000, '('), "", "") == "error limit");
}

TEST_CASE("most structures need no block and stay as they came") {
  for (const std::string_view plain :
       {"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1 NIL NIL NIL NIL)",
        "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 6 1)",
        "(\"image\" \"png\" (\"name\" \"x.png\") \"<ii_abc>\" \"a picture\" \"base64\" 4 NIL (\"inline\" "
        "NIL) (\"ja\" "
        "\"en\") NIL)",
        "((\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)(\"text\" \"html\" NIL NIL NIL \"7bit\" 1 1) "
        "\"alternative\" (\"boundary\" \"zz\") NIL NIL NIL)",
        "((\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1) \"mixed\")",
        "(\"message\" \"rfc822\" NIL NIL NIL \"base64\" 100)"}) {
    CAPTURE(plain);
    CHECK(needed(plain).empty());
    CHECK(structure(plain, {}) == plain);
  }
  CHECK(structure("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 6 1 NIL NIL NIL NIL \"unknown\" (1 (2)))", {}) ==
        "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 6 1 NIL NIL NIL NIL)");
}

constexpr std::string_view kNested =
    "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 0 NIL NIL NIL NIL)"
    "(\"message\" \"rfc822\" NIL NIL \"fwd\" \"7bit\" 246 (NIL \"inner\" ((NIL NIL \"in\" \"x.test\")) "
    "((NIL NIL \"in\" \"x.test\")) ((NIL NIL \"in\" \"x.test\")) NIL NIL NIL NIL NIL) "
    "(\"image\" \"PNG\" (\"NAME\" \"x.png\") \"<i@x>\" NIL \"BASE64\" 4 NIL (\"attachment\" (\"filename*\" "
    "\"utf-8''%e3ab%25cd\")) (\"ja\") NIL) 9 NIL NIL NIL NIL)"
    "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 118 (NIL \"inner\" NIL NIL NIL NIL NIL NIL NIL NIL) "
    "((\"text\" \"plain\" NIL NIL NIL \"7bit\" 2 0 NIL NIL NIL NIL)"
    "(\"text\" \"plain\" (\"name\" \"a@b.test\") NIL NIL \"7bit\" 3 0 NIL NIL NIL NIL) "
    "\"alternative\" (\"boundary\" \"zz\") NIL NIL NIL) 11 NIL NIL NIL NIL) "
    "\"mixed\" (\"boundary\" \"b@x.test\") NIL NIL NIL)";

TEST_CASE("nested messages and sensitive parts name their blocks") {
  CHECK(needed(kNested) == std::vector<std::string>{"HEADER", "2.HEADER", "3.HEADER", "3.2.MIME"});
  // A single part that is a message: its number is 1, its fields are those of the whole.
  CHECK(needed("(\"message\" \"rfc822\" NIL NIL \"a@b.test\" \"7bit\" 25 (NIL NIL NIL NIL NIL NIL NIL NIL "
               "NIL NIL) "
               "(\"text\" \"plain\" (\"name\" \"a@b.test\") NIL NIL \"7bit\" 6 1) 3)") ==
        std::vector<std::string>{"HEADER", "1.HEADER"});
}

TEST_CASE("nested places are told from their visible blocks") {
  const std::vector<KnownBlock> blocks{
      {"HEADER", "Content-Type: multipart/mixed; boundary=\"b@x.test\"\r\n\r\n",
       "Content-Type: multipart/mixed; boundary=\"b@x.test\"\r\n\r\n"},
      {"2.HEADER",
       "From: in@x.test\r\nSubject: inner\r\nContent-Type: image/PNG; NAME=x.png\r\nContent-ID: <i@x>\r\n"
       "Content-Disposition: attachment; filename*0*=utf-8''%e3; filename*1=\"ab%cd\"\r\nContent-Language: "
       "ja\r\n\r\n",
       "From: out@p.test\r\nSubject: inner\r\nContent-Type: image/PNG; NAME=x.png\r\nContent-ID: <q@p>\r\n"
       "Content-Disposition: attachment; filename*0*=utf-8''%e3; filename*1=\"ab%cd\"\r\nContent-Language: "
       "ja\r\n\r\n"},
      {"3.HEADER", "Subject: inner\r\n\r\n", "Subject: inner\r\n\r\n"},
      {"3.2.MIME", "Content-Type: text/plain; name=\"a@b.test\"; charset=utf-8\r\n\r\n",
       "Content-Type: text/plain; name=\"p@q.test\"; charset=utf-8\r\n\r\n"},
  };
  std::string expected(kNested);
  const auto replace = [&](std::string_view from, std::string_view to) {
    for (std::size_t at = 0; (at = expected.find(from, at)) != std::string::npos; at += to.size()) {
      expected.replace(at, from.size(), to);
    }
  };
  replace("\"in\" \"x.test\"", "\"out\" \"p.test\"");
  replace("\"<i@x>\"", "\"<q@p>\"");
  replace("(\"name\" \"a@b.test\")", "(\"name\" \"p@q.test\" \"charset\" \"utf-8\")");
  CHECK(structure(kNested, blocks) == expected);
}

TEST_CASE("without its block a sensitive place is NIL") {
  std::vector<KnownBlock> blocks;
  for (const std::string& name : needed(kNested)) blocks.push_back({name, "", ""});
  const std::string shown = structure(kNested, blocks);
  CHECK(shown.find('@') == std::string::npos);
  CHECK(shown.find("x.test") == std::string::npos);
  CHECK(shown.find("inner") == std::string::npos);
  CHECK(structure(kNested, {}) == shown);
  CHECK(shown.starts_with(
      "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 0 NIL NIL NIL NIL)"));
}

TEST_CASE("addresses in disguise are sensitive") {
  for (const std::string_view name :
       {"\"a@b\"", "\"=?utf-8?B?YUBi?=\"", "\"=?utf-8?q?a=40b?=\"", "\"utf-8''a%40b\"",
        "\"utf-8''%EF%BC%A0\"", "\"a%2540b\"", "\"a&#64;b\"",
        "{7}\r\na\xEF\xBC\xA0"
        "bcd",
        "\"iso-2022-jp''%1B$B%21%77%1B(B\""}) {
    CAPTURE(name);
    const std::string body = "(\"text\" \"plain\" (\"name\" " + std::string(name) + ") NIL NIL \"7bit\" 1 1)";
    CHECK(needed(body) == std::vector<std::string>{"HEADER"});
    CHECK(structure(body, {}) == "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)");
  }
  CHECK(needed("(\"text\" \"plain\" NIL \"<a@b>\" NIL \"7bit\" 1 1)").size() == 1);
  CHECK(needed("(\"text\" \"plain\" NIL NIL \"a@b\" \"7bit\" 1 1)").size() == 1);
  CHECK(needed("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1 \"md5\" NIL NIL NIL)").size() == 1);
  CHECK(needed("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1 NIL NIL NIL \"http://h/\")").size() == 1);
  CHECK(needed("(\"text\" \"plain\" (\"name\" \"100%.txt\") NIL NIL \"7bit\" 1 1)").empty());
  // The type itself has no visible form of its own.
  CHECK(structure("(\"a@b\" \"c@d\" NIL NIL NIL \"e@f\" 1)", {}) ==
        "(\"application\" \"octet-stream\" NIL NIL NIL \"binary\" 1)");
}

/// What is told of the one body of a message with such a field, whose visible form is `after`.
std::string told(std::string_view upstream, std::string_view before, std::string_view after) {
  return structure(upstream, {{"HEADER", std::string(before) + "\r\n\r\n", std::string(after) + "\r\n\r\n"}});
}

TEST_CASE("what a server may have cut before an '@' is compared with its field") {
  struct Cut {
    const char *upstream, *before, *after, *told;
  };
  for (const Cut& cut : {
           Cut{R"(("a" "b" ("name" "taro") NIL NIL "7bit" 1))", "Content-Type: a/b; name=taro@corp.test",
               "Content-Type: a/b", R"(("a" "b" NIL NIL NIL "7bit" 1))"},
           Cut{R"(("a" "b" ("charset" "taro") NIL NIL "7bit" 1))",
               "Content-Type: a/b; charset=taro@corp.test", "Content-Type: a/b",
               R"(("a" "b" NIL NIL NIL "7bit" 1))"},
           Cut{R"(("a" "b" NIL NIL NIL "7bit" 1 NIL ("attachment" ("filename" "taro")) NIL NIL))",
               "Content-Disposition: attachment; filename=taro@corp.test.pdf",
               "Content-Disposition: attachment; filename=\"x@p.test.pdf\"",
               R"(("a" "b" NIL NIL NIL "7bit" 1 NIL ("attachment" ("filename" "x@p.test.pdf")) NIL NIL))"},
           Cut{R"(("a" "b" NIL NIL NIL "7bit" 1 NIL ("taro" NIL) NIL NIL))",
               "Content-Disposition: taro@corp.test", "X: y",
               R"(("a" "b" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL))"},
           Cut{R"(("a" "b" NIL NIL NIL "7bit" 1 NIL NIL ("ja" "corp") NIL))",
               "Content-Language: ja, corp.test", "X: y",
               R"(("a" "b" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL))"},
           Cut{R"(("a" "b" NIL NIL NIL "x-corp.test" 1))", "Content-Transfer-Encoding: x-corp.test", "X: y",
               R"(("a" "b" NIL NIL NIL "7bit" 1))"},
       }) {
    CAPTURE(cut.upstream);
    CHECK(needed(cut.upstream) == std::vector<std::string>{"HEADER"});
    CHECK(told(cut.upstream, cut.before, cut.after) == cut.told);
    CHECK(structure(cut.upstream, {}).find("taro") == std::string::npos);
    CHECK(structure(cut.upstream, {}).find("corp") == std::string::npos);
    // The same word where it is all that the field says.
    const std::string whole = std::string(cut.before).substr(0, std::string(cut.before).find('@'));
    if (whole.size() < std::string(cut.before).size())
      CHECK(told(cut.upstream, whole, whole) == cut.upstream);
  }
}

TEST_CASE("of two parameters with one name only what is visible is told") {
  CHECK(
      told(
          R"(("a" "b" NIL NIL NIL "7bit" 1 NIL ("attachment" ("filename" "taro@corp.test" "filename*" "utf-8''x")) NIL NIL))",
          "Content-Disposition: attachment; filename=\"taro@corp.test\"; filename*=utf-8''x",
          "Content-Disposition: attachment; filename*=utf-8''x") ==
      R"(("a" "b" NIL NIL NIL "7bit" 1 NIL ("attachment" ("filename*" "utf-8''x")) NIL NIL))");
  CHECK(told(R"(("a" "b" ("name" "x" "NAME" "taro@corp.test") NIL NIL "7bit" 1))",
             "Content-Type: a/b; name=x; NAME=\"taro@corp.test\"",
             "Content-Type: a/b; name=x") == R"(("a" "b" ("name" "x") NIL NIL "7bit" 1))");
}

TEST_CASE("usual words need no block") {
  for (
      const std::string_view plain :
      {R"(("text" "plain" ("charset" "Shift_JIS" "format" "flowed" "delsp" "yes") NIL NIL "base64" 1 1))",
       R"(("text" "calendar" ("charset" "utf-8" "method" "REQUEST") NIL NIL "quoted-printable" 1 1))",
       R"(("application" "pdf" ("name" "=?utf-8?B?5pel?=") NIL NIL "base64" 1 NIL ("attachment" ("filename*" "utf-8''%E6%97%A5" "size" "123456")) ("ja-JP" "en") NIL))",
       R"(("application" "x" ("name" "a b") NIL NIL "base64" 1 NIL ("inline" ("filename" "image001.png")) "en-US" NIL))"}) {
    CAPTURE(plain);
    CHECK(needed(plain).empty());
    CHECK(structure(plain, {}) == plain);
  }
}

TEST_CASE("parameters are joined, listed and capitalised as the upstream does") {
  const std::string original =
      "Content-Type: text/plain; charset=utf-8; name*0*=utf-8''a%40; name*1=\"b 100%\"; "
      "x=\"q;\\\"r\"\r\n\r\n";
  const std::string visible =
      "Content-Type: text/plain; charset=utf-8; name*0*=utf-8''c%40; name*1=\"d 100%\"; "
      "x=\"q;\\\"r\"\r\n\r\n";
  CHECK(structure("(\"text\" \"plain\" (\"charset\" \"utf-8\" \"x\" \"q;\\\"r\" \"name*\" \"utf-8''a%40b "
                  "100%25\") NIL NIL "
                  "\"7bit\" 1 1)",
                  {{"HEADER", original, visible}}) ==
        "(\"text\" \"plain\" (\"charset\" \"utf-8\" \"x\" \"q;\\\"r\" \"name*\" \"utf-8''c%40d 100%25\") NIL "
        "NIL "
        "\"7bit\" 1 1)");
  CHECK(structure("(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\" \"NAME*0*\" \"utf-8''a%40\" \"NAME*1\" \"b "
                  "100%\") NIL NIL "
                  "\"7BIT\" 1 1)",
                  {{"HEADER", original, visible}}) ==
        "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\" \"NAME*0*\" \"utf-8''c%40\" \"NAME*1\" \"d 100%\" \"X\" "
        "\"q;\\\"r\") NIL NIL \"7BIT\" 1 1)");
}

TEST_CASE("other fields of a part are told from the visible block or not at all") {
  CHECK(structure(
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") \"<i@x>\" \"of a@b.test\" \"7bit\" 1 1 \"abc\" "
            "(\"inline\" (\"filename\" \"a@b.test\")) (\"ja\" \"en\") \"http://h.test/\")",
            {{"HEADER",
              "Content-ID: <i@x>\r\nContent-Description: of a@b.test\r\nContent-MD5: abc\r\n"
              "Content-Disposition: inline; filename=\"a@b.test\"\r\nContent-Language: ja, en\r\n"
              "Content-Location: http://h.test/\r\n\r\n",
              "Content-ID: <1@p>\r\nContent-Description: of\r\n p@q.test\r\n"
              "Content-Disposition: inline; filename=\"p@q.test\"\r\nContent-Language: ja,en\r\n\r\n"}}) ==
        "(\"text\" \"plain\" (\"charset\" \"us-ascii\") \"<1@p>\" \"of p@q.test\" \"7bit\" 1 1 NIL "
        "(\"inline\" (\"filename\" \"p@q.test\")) (\"ja\" \"en\") NIL)");
}

TEST_CASE("what is no structure is refused, in every cut") {
  for (const std::string_view bad :
       {"", "NIL", "()", "(())", "(\"text\" \"plain\")", "((\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1))",
        "(\"text\" \"plain\" NIL NIL NIL \"7bit\" \"x\" 1)",
        "(\"text\" (\"plain\") NIL NIL NIL \"7bit\" 1 1)",
        "(\"text\" \"plain\" NIL (NIL) NIL \"7bit\" 1 1)"}) {
    CAPTURE(bad);
    CHECK(structure(bad, {}) == "error protocol");
    CHECK(needed(bad) == std::vector<std::string>{"error protocol"});
  }
  for (std::size_t cut = 0; cut < kNested.size(); ++cut) {
    CHECK(structure(kNested.substr(0, cut), {}) == "error protocol");
  }
}

TEST_CASE("depth and number of parts are bounded") {
  const auto nested = [](std::size_t depth) {
    std::string text = std::string(depth, '(') + "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)";
    for (std::size_t i = 0; i < depth; ++i) text += " \"mixed\")";
    return text;
  };
  CHECK(structure(nested(100), {}) == nested(100));
  CHECK(needed(nested(100)).empty());
  CHECK(structure(nested(101), {}) == "error limit");
  CHECK(needed(nested(101)) == std::vector<std::string>{"error limit"});
  CHECK(needed(nested(100'000)) == std::vector<std::string>{"error limit"});
  std::string wide = "(";
  for (int i = 0; i < 20'000; ++i) wide += "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)";
  wide += " \"mixed\")";
  CHECK(structure(wide, {}) == "error limit");
}

TEST_CASE("words that hold an address need a block, and are told as others") {
  for (const std::string_view upstream :
       {R"(("a@b.test" "plain" NIL NIL NIL "7bit" 1 1))", R"(("text" "a@b.test" NIL NIL NIL "7bit" 1 1))",
        R"(("text" "plain" NIL NIL NIL "a@b.test" 1 1))"}) {
    CHECK(needed(upstream) == std::vector<std::string>{"HEADER"});
    CHECK(structure(upstream, {}).find("a@b") == std::string::npos);
  }
}

TEST_CASE("the kind of a section's content") {
  CHECK(section(kNested, "TEXT") == "multipart/mixed  ; boundary=\"b@x.test\"");
  CHECK(section(kNested, "1") == "text/plain 7bit ");
  CHECK(section(kNested, "2") == "message/rfc822 7bit ");
  CHECK(section(kNested, "2.TEXT") == "image/png base64 ");
  CHECK(section(kNested, "2.1") == "image/png base64 ");
  CHECK(section(kNested, "3.TEXT") == "multipart/alternative  ; boundary=zz");
  CHECK(section(kNested, "3.2") == "text/plain 7bit ");
  CHECK(section("((\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1) \"mixed\" (\"boundary*0*\" \"us-ascii''i\" "
                "\"BOUNDARY*1\" \"n n\"))",
                "TEXT") == "multipart/mixed  ; boundary*0*=us-ascii''i; boundary*1=\"n n\"");
  for (const std::string_view none : {"", "0", "4", "1.1", "1.TEXT", "2.2", "2.1.1", "2.1.TEXT", "3.3",
                                      "HEADER", "2.MIME", "2..1", "99999999999"}) {
    CAPTURE(none);
    CHECK(section(kNested, none) == "not_found");
  }
  const std::string_view single = "(\"text\" \"plain\" NIL NIL NIL \"8bit\" 6 1)";
  CHECK(section(single, "1") == "text/plain 8bit ");
  CHECK(section(single, "TEXT") == "text/plain 8bit ");
  CHECK(section(single, "2") == "not_found");
  CHECK(section(single, "1.1") == "not_found");
  CHECK(section("(", "1") == "protocol");
}

}  // namespace kage::proxy
