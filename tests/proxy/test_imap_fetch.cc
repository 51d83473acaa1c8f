// FETCH against an upstream in memory: what the client gets is one consistent, visible story.
#include <algorithm>
#include <catch2/catch.hpp>

#include "fetch_rig.h"

namespace kage::proxy {

using test::fake_message;
using test::FakeMessage;
using test::FetchRig;
using test::header;
using test::kMultipart;
using test::kStranger;
using test::leaks;
using test::nested_body;
using test::nested_message;

namespace {

/// Glues what partial fetches of this size give.
std::string glue(FetchRig& rig, const std::string& item, std::size_t size) {
  std::string all;
  while (true) {
    const std::string at = "<" + std::to_string(all.size());
    REQUIRE(rig.run("UID FETCH 7 (BODY.PEEK[" + item + "]" + at + "." + std::to_string(size) + ">)") == "OK");
    const std::string piece = rig.value("BODY[" + item + "]" + at + ">");
    all += piece;
    if (piece.size() < size) return all;
  }
}

}  // namespace

TEST_CASE("all ways to the octets of a message tell the same") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  const std::string whole = rig.upstream.messages[0].sections[""];
  const std::string visible = rig.visible(whole);
  REQUIRE(visible.size() == whole.size());
  REQUIRE_FALSE(leaks(visible));
  const std::size_t head = header(kMultipart).size();

  CHECK(rig.run("FETCH 1 BODY[]") == "OK");
  CHECK(rig.value("BODY[]") == visible);
  CHECK(rig.run("FETCH 1 (RFC822 BODY.PEEK[] RFC822.HEADER BODY.PEEK[HEADER])") == "OK");
  CHECK(rig.value("RFC822") == visible);
  CHECK(rig.value("BODY[]") == visible);
  CHECK(rig.value("RFC822.HEADER") == visible.substr(0, head));
  CHECK(rig.value("BODY[HEADER]") == visible.substr(0, head));
  CHECK(rig.run("FETCH 1 (BODY.PEEK[TEXT] RFC822.TEXT BODY.PEEK[1] BODY.PEEK[2])") == "OK");
  CHECK(rig.value("BODY[TEXT]") == visible.substr(head));
  CHECK(rig.value("RFC822.TEXT") == visible.substr(head));
  CHECK(rig.value("BODY[1]") == "hello");
  const std::string part = rig.value("BODY[2]");
  CHECK(part.size() == header().size() + 10);
  CHECK(visible.find(part) != std::string::npos);
  CHECK(rig.run("UID FETCH 7 (BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[2.MIME])") == "OK");
  CHECK(rig.value("BODY[2.HEADER]") + rig.value("BODY[2.TEXT]") == part);
  CHECK(visible.find(rig.value("BODY[2.MIME]")) != std::string::npos);
  CHECK(rig.value("UID") == "7");

  CHECK(rig.run("FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (subject \"From\" X-None)] "
                "BODY.PEEK[HEADER.FIELDS.NOT (Subject)])") == "OK");
  const std::string fields = rig.value("BODY[HEADER.FIELDS (SUBJECT \"FROM\" X-NONE)]");
  CHECK(fields.starts_with("From: Hanako <"));
  CHECK(fields.ends_with("Subject: meeting\r\n\r\n"));
  const std::string from = fields.substr(0, fields.find("Subject:"));
  CHECK(visible.find(from) != std::string::npos);
  CHECK(rig.value("BODY[HEADER.FIELDS.NOT (SUBJECT)]").size() ==
        head - std::string("Subject: meeting\r\n").size());
  CHECK(rig.value("FLAGS") == "(\\Seen)");
}

TEST_CASE("envelope and structure are told from visible blocks") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  CHECK(rig.run("FETCH 1 (ENVELOPE UID BODYSTRUCTURE)") == "OK");
  const std::string envelope = rig.value("ENVELOPE");
  CHECK_FALSE(leaks(rig.raw()));
  CHECK(envelope.starts_with("(\"Sun, 22 Nov 2026 04:00:00 +0900\" \"meeting\" ((\"Hanako\" NIL \""));
  CHECK(envelope.find("((NIL NIL \"pta\" \"school.example\"))") != std::string::npos);
  CHECK(rig.value("BODYSTRUCTURE").find("\"meeting\"") != std::string::npos);
  // One response, though the nested blocks were asked for behind.
  CHECK(std::ranges::count(rig.raw(), '*') == 1);
  for (const auto& command : rig.upstream.commands) {
    CHECK(command.find("BODY[") == std::string::npos);  // nothing sets \Seen
  }
  CHECK(rig.run("FETCH 1 ALL") == "OK");
  CHECK(rig.value("ENVELOPE") == envelope);
  CHECK(rig.value("RFC822.SIZE") == "42");
  CHECK(rig.run("FETCH 1 FULL") == "OK");
  CHECK(rig.told().size() == 5);
}

TEST_CASE("the client's octets do not depend on how the upstream's arrive") {
  std::vector<std::string> seen;
  for (const std::size_t cut : {std::size_t{SIZE_MAX}, std::size_t{1}, std::size_t{2}, std::size_t{3},
                                std::size_t{7}, std::size_t{61}, std::size_t{1000}}) {
    FetchRig rig;
    rig.upstream.cut = cut;
    rig.upstream.messages = {nested_message(7), nested_message(9)};
    std::string all;
    for (const std::string_view command :
         {"FETCH 1:2 (FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (FROM)])",
          "FETCH 1:* (UID BODY[])", "UID FETCH 7,9 (BODY[1] BODY[2] BODY[2.MIME])",
          "FETCH 1:2 (BODY.PEEK[]<100.700>)",
          "FETCH 1:2 (FLAGS BODY.PEEK[TEXT]<3.70> BODY.PEEK[HEADER]<1.2>)"}) {
      CHECK(rig.run(command) == "OK");
      CHECK_FALSE(leaks(rig.raw()));
      all += rig.raw();
    }
    seen.push_back(std::move(all));
  }
  for (const auto& other : seen) CHECK(other == seen.front());
}

namespace {

net::Task<void> write_blocks(FetchRig& rig, std::vector<std::size_t>& written) {
  const auto note = [&] { written.push_back(rig.client_transcript->output.size()); };
  std::string all;
  for (const std::size_t size : {1UL, 3000UL, 65536UL, 100000UL, 500UL}) {
    const std::string octets(size, static_cast<char>('a' + written.size()));
    all += octets;
    CHECK((co_await rig.out.pass(octets)).has_value());
    note();
  }
  CHECK((co_await rig.out.flush()).has_value());
  note();
  CHECK(rig.client_transcript->output == all);
}

}  // namespace

TEST_CASE("a long answer is written in whole blocks, and in order") {
  FetchRig rig;
  std::vector<std::size_t> written;
  net::testing::run_on_loop(rig.node.loop, write_blocks(rig, written));
  CHECK(written == std::vector<std::size_t>{0, 0, 65536, 131072, 131072, 169037});
}

TEST_CASE("\\Seen is set when the client's item sets it, and only then") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  const auto sets_seen = [&](std::string_view command) {
    rig.upstream.commands.clear();
    CHECK(rig.run(command) == "OK");
    return std::ranges::any_of(rig.upstream.commands, [](const std::string& c) {
      return c.find("BODY[") != std::string::npos || c.find("BINARY[") != std::string::npos;
    });
  };
  for (const std::string_view item :
       {"BODY[]", "RFC822", "RFC822.TEXT", "BODY[TEXT]", "BODY[1]", "BODY[HEADER]",
        "BODY[HEADER.FIELDS (FROM)]", "BODY[2.MIME]", "BODY[]<0.10>", "BODY[]<0.10>", "BODY[1]<2.1>",
        "BODY[HEADER]<0.5>", "BINARY[1]"}) {
    CAPTURE(item);
    CHECK(sets_seen("FETCH 1 (" + std::string(item) + ")"));
  }
  for (const std::string_view item :
       {"BODY.PEEK[]", "RFC822.HEADER", "BODY.PEEK[TEXT]", "BODY.PEEK[1]", "BODY.PEEK[HEADER]", "ENVELOPE",
        "BODY.PEEK[HEADER.FIELDS (FROM)]", "BODY.PEEK[2.MIME]", "BODY.PEEK[]<0.10>", "BODYSTRUCTURE", "FLAGS",
        "BINARY.PEEK[1]", "BINARY.SIZE[1]", "BODY"}) {
    CAPTURE(item);
    CHECK_FALSE(sets_seen("FETCH 1 (" + std::string(item) + ")"));
  }
}

TEST_CASE("partial fetches glue to the whole and cost each octet once") {
  FetchRig rig;
  FakeMessage message = nested_message(7);
  std::string big(200'000, 'x');
  for (std::size_t i = 76; i < big.size(); i += 78) big.replace(i, 2, "\r\n");
  message.sections["TEXT"] += big;
  message.sections[""] += big;
  rig.upstream.messages = {nested_message(3), message};
  const std::string visible = rig.visible(message.sections[""]);
  const std::size_t head = message.sections["HEADER"].size();
  for (const std::size_t size : std::initializer_list<std::size_t>{997, 4096, 65'536, 150'000, 1'000'000}) {
    CAPTURE(size);
    rig.memory.clear();
    rig.upstream.octets_asked = 0;
    CHECK(glue(rig, "", size) == visible);
    CHECK(rig.upstream.octets_asked <= visible.size() + 64 * 1024);
    CHECK(glue(rig, "TEXT", size) == visible.substr(head));
  }
  // Tiny pieces over the headers.
  FakeMessage small = nested_message(7);
  rig.upstream.messages = {nested_message(3), small};
  ++rig.core.selection;
  for (const std::size_t size : std::initializer_list<std::size_t>{1, 2, 3, 50})
    CHECK(glue(rig, "", size) == rig.visible(small.sections[""]));
  for (const std::size_t size : std::initializer_list<std::size_t>{1, 17}) {
    std::string all = glue(rig, "2", size);
    CHECK(rig.visible(small.sections[""]).find(all) != std::string::npos);
    CHECK(all.size() == small.sections["2"].size());
  }
}

TEST_CASE("partial fetches at any offset") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(3), nested_message(7)};
  const std::string visible = rig.visible(rig.upstream.messages[1].sections[""]);
  std::uint32_t random = 12345;
  for (int i = 0; i < 300; ++i) {
    random = random * 1664525 + 1013904223;
    const std::size_t offset = (random >> 8) % (visible.size() + 50);
    random = random * 1664525 + 1013904223;
    const std::size_t count = 1 + (random >> 8) % (i % 3 == 0 ? 2000 : 90);
    const std::string name = "BODY[]<" + std::to_string(offset);
    CAPTURE(name, count);
    const bool uid = i % 2 == 0;
    REQUIRE(rig.run((uid ? "UID FETCH 7 (" : "FETCH 2 (FLAGS ") + name + "." + std::to_string(count) +
                    ">)") == "OK");
    const std::string expected = offset < visible.size() ? visible.substr(offset, count) : "";
    CHECK(rig.value(name + ">") == expected);
    CHECK(std::ranges::count(rig.raw(), '*') == 1 + std::ranges::count(expected, '*'));
  }
  CHECK(rig.run("UID FETCH 7 BODY[]<0.4294967295>") == "OK");
  CHECK(rig.value("BODY[]<0>") == visible);
  CHECK(rig.run("FETCH 1:2 (UID BODY.PEEK[]<10.20> BODY.PEEK[TEXT]<0.30>)") == "OK");
  CHECK(rig.told().size() == 6);
  CHECK(rig.run("UID FETCH 99 BODY[]<0.10>") == "OK");
  CHECK(rig.raw().empty());
}

TEST_CASE("news of the upstream come at a place where the client understands them") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(3), nested_message(7)};
  rig.core.exists = 2;
  rig.upstream.before = [](std::uint32_t) {
    return std::string(
        "* 2 FETCH (FLAGS (\\Deleted) BODY[] {4}\r\nevil ENVELOPE (NIL))\r\n* 3 EXISTS\r\n* OK ho\r\n"
        "* CAPABILITY X\r\n* 1 FETCH (UID 3 FLAGS () BODY[TEXT] \"real-person\")\r\n");
  };
  for (const std::string_view command :
       {"FETCH 1:2 (UID FLAGS)", "UID FETCH 7 (BODY.PEEK[]<0.100>)", "UID FETCH 7 (BODY.PEEK[]<100.20>)",
        "UID FETCH 3:7 BODYSTRUCTURE", "FETCH 1 BODY[1]", "FETCH 2 (BODY.PEEK[TEXT]<0.200>)"}) {
    CAPTURE(command);
    CHECK(rig.run(command) == "OK");
    CHECK_FALSE(leaks(rig.raw()));
    CHECK(rig.raw().find("evil") == std::string::npos);
    CHECK(rig.raw().find("CAPABILITY") == std::string::npos);
    CHECK(rig.raw().find("* 3 EXISTS\r\n") != std::string::npos);
    const auto told = rig.told();
    CHECK(std::ranges::any_of(told, [](const test::Told& t) { return t.value == "(\\Deleted)"; }));
    CHECK(rig.core.exists == 3);
  }
}

TEST_CASE("bodies in other forms") {
  FetchRig rig;
  std::string answer;
  rig.upstream.script = [&](std::string_view tag, std::string_view) {
    return answer + std::string(tag) + " OK\r\n";
  };
  answer = "* 1 FETCH (UID 1 BODY[] NIL BODY[HEADER] NIL)\r\n";
  CHECK(rig.run("FETCH 1 (BODY[] RFC822.HEADER BODY[HEADER.FIELDS (A)])") == "OK");
  CHECK(rig.raw() == "* 1 FETCH (BODY[] NIL RFC822.HEADER NIL BODY[HEADER.FIELDS (A)] NIL)\r\n");
  answer = "* 1 FETCH (BODY[] \"From: real-person@real-person.example\")\r\n";
  CHECK(rig.run("FETCH 1 (RFC822)") == "OK");
  CHECK(rig.value("RFC822").size() == 39);  // with its quotes
  CHECK_FALSE(leaks(rig.raw()));
  answer = "* 1 FETCH (UID 1 BODY[]<0> \"From\")\r\n";
  CHECK(rig.run("FETCH 1 BODY[]<0.50>") == "OK");
  CHECK(rig.value("BODY[]<0>").size() == 4);
  answer = "* 1 FETCH (UID 1 BODY[]<4> NIL)\r\n";
  CHECK(rig.run("FETCH 1 BODY[]<0.60>") == "OK");
}

TEST_CASE("the member's own writing reads as it was written") {
  FetchRig rig;
  const std::string head = "From: officer@gmail.example\r\nTo: " + std::string(kStranger) +
                           "\r\nMessage-ID: <2@real-person.example>\r\n\r\n";
  FakeMessage message = fake_message(7, head, "text\r\n");
  message.envelope =
      R"((NIL NIL NIL NIL NIL ((NIL NIL "hanako.canary" "real-person.example")) NIL NIL NIL NIL))";
  rig.upstream.messages = {message};
  CHECK(rig.run("FETCH 1 (ENVELOPE BODY[])") == "OK");
  CHECK(rig.value("BODY[]") == head + "text\r\n");
  CHECK(rig.value("ENVELOPE") == message.envelope);
}

TEST_CASE("headers of parts that are none") {
  FetchRig rig;
  FakeMessage message = fake_message(7, header("Content-Type: text/plain\r\n"), "text\r\n");
  message.structure = R"(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 6 1))";
  // What servers say of the one part of a message that is no multipart.
  message.sections["1"] = message.sections["TEXT"];
  message.sections["1.MIME"] = message.sections["1.HEADER"] = message.sections["HEADER"];
  rig.upstream.messages = {message};
  CHECK(rig.run("FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[1.MIME] BODY.PEEK[1.HEADER])") == "OK");
  CHECK(rig.value("BODY[1.MIME]") == rig.value("BODY[HEADER]"));
  CHECK(rig.value("BODY[1.HEADER]") == rig.value("BODY[HEADER]"));
  CHECK_FALSE(leaks(rig.raw()));

  // An encoded message is text that nobody looks into, unless the server decoded it.
  const std::string multipart = header("Content-Type: multipart/mixed; boundary=b\r\n");
  message = fake_message(9, multipart,
                         "--b\r\nContent-Type: message/rfc822\r\n"
                         "Content-Transfer-Encoding: base64\r\n\r\nRnJvbTog\r\n--b--\r\n");
  message.structure =
      R"((("MESSAGE" "RFC822" NIL NIL NIL "BASE64" 10 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) )"
      R"(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0) 1) "MIXED"))";
  message.sections["1"] = message.sections["1.HEADER"] = "RnJvbTog\r\n";
  rig.upstream.messages = {message};
  ++rig.core.selection;
  CHECK(rig.run("FETCH 1 (BODY.PEEK[1] BODY.PEEK[1.HEADER])") == "OK");
  CHECK(rig.value("BODY[1]") == "RnJvbTog\r\n");
  CHECK(rig.value("BODY[1.HEADER]") == "RnJvbTog\r\n");
  rig.upstream.messages[0].sections["1.HEADER"] = header();
  CHECK(rig.run("FETCH 1 (BODY.PEEK[1.HEADER])") == "OK");
  CHECK_FALSE(leaks(rig.raw()));
}

TEST_CASE("what is remembered saves asking again, and ends with the mailbox") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  const auto commands = [&](std::string_view command) {
    rig.upstream.commands.clear();
    CHECK(rig.run(command) == "OK");
    return rig.upstream.commands.size();
  };
  CHECK(commands("UID FETCH 7 BODY.PEEK[1]") == 2);
  CHECK(commands("UID FETCH 7 BODY.PEEK[2]") == 1);
  CHECK(commands("FETCH 1 BODY.PEEK[2.HEADER]") == 1);
  ++rig.core.selection;
  CHECK(commands("UID FETCH 7 BODY.PEEK[2]") == 2);
  ++rig.core.renumbered;
  CHECK(commands("FETCH 1 BODY.PEEK[2]") == 2);
  // A client that takes the header first pays nothing for its text.
  rig.memory.clear();
  CHECK(commands("FETCH 1 RFC822.HEADER") == 1);
  CHECK(commands("FETCH 1 BODY.PEEK[TEXT]") == 1);
  CHECK(rig.value("BODY[TEXT]").size() == nested_body().size());
}

TEST_CASE("what is not known goes nowhere") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  for (const std::string_view bad : {"FETCH",
                                     "FETCH 1",
                                     "FETCH x FLAGS",
                                     "FETCH 0 FLAGS",
                                     "FETCH 1 ()",
                                     "FETCH 1 (FLAGS",
                                     "FETCH 1 FLAGS)",
                                     "FETCH 1 FLAGS UID",
                                     "FETCH 1 (ALL)",
                                     "FETCH 1 (FLAGS ALL)",
                                     "FETCH 1 RFC822.PEEK",
                                     "FETCH 1 BODY[",
                                     "FETCH 1 BODY[]]",
                                     "FETCH 1 BODY[0]",
                                     "FETCH 1 BODY[1.]",
                                     "FETCH 1 BODY[.1]",
                                     "FETCH 1 BODY[1..2]",
                                     "FETCH 1 BODY[MIME]",
                                     "FETCH 1 BODY[HEADER.FIELDS]",
                                     "FETCH 1 BODY[HEADER.FIELDS ()]",
                                     "FETCH 1 BODY[HEADER.FIELDS (A B]",
                                     "FETCH 1 BODY[TEXT]<0>",
                                     "FETCH 1 BODY[TEXT]<0.0>",
                                     "FETCH 1 BODY[TEXT]<-1.5>",
                                     "FETCH 1 BODY[TEXT]<1.5",
                                     "FETCH 1 BODY[1.TEXT.2]",
                                     "FETCH 1 BINARY[TEXT]",
                                     "FETCH 1 BINARY.SIZE[1]<0.5>",
                                     "FETCH 1 X-GM-MSGID",
                                     "FETCH 1 PREVIEW",
                                     "FETCH 1 (FLAGS) (X)",
                                     "FETCH 1 (FLAGS) (VANISHED)",
                                     "FETCH 1 (FLAGS) (CHANGEDSINCE x)",
                                     "FETCH 1 (FLAGS) (CHANGEDSINCE 1) x",
                                     "FETCH 1 BODY[99999999999]",
                                     "FETCH 1 BODYX",
                                     "FETCH 1 BODY[HEADER.FIELDS (\"a\tb\")]"}) {
    CAPTURE(bad);
    CHECK(rig.run(bad) == "BAD");
    CHECK(rig.raw().empty());
  }
  CHECK(rig.upstream.commands.empty());
  rig.core.gmail = true;
  CHECK(rig.run("FETCH 1 (X-GM-MSGID X-GM-LABELS)") == "OK");
  CHECK(rig.upstream.commands.front() == "FETCH 1 (X-GM-MSGID X-GM-LABELS)");
  CHECK(rig.run("UID FETCH 1:* (flags modseq) (changedsince 12 vanished)") == "OK");
  CHECK(rig.upstream.commands.back() == "UID FETCH 1:* (UID FLAGS MODSEQ) (CHANGEDSINCE 12 VANISHED)");
}

}  // namespace kage::proxy
