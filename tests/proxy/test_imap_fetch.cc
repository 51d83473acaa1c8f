// FETCH against an upstream in memory: what the client gets is one consistent, visible story.
#include <algorithm>
#include <catch2/catch.hpp>

#include "fetch_rig.h"

namespace kage::proxy {
namespace {

using test::fake_message;
using test::FakeMessage;
using test::FetchRig;
using test::kStranger;

std::string header(std::string_view more = "") {
  return "Return-Path: <" + std::string(kStranger) +
         ">\r\n"
         "Received: from mail.real-person.example (mail.real-person.example [192.0.2.7])\r\n"
         "\tby mx.gmail.example with ESMTPS id 8xyz for <officer@gmail.example>; Sun, 22 Nov 2026 04:00:00 "
         "+0900\r\n"
         "From: Hanako <" +
         std::string(kStranger) +
         ">\r\n"
         "To: pta@school.example\r\n"
         "Subject: meeting\r\n"
         "Date: Sun, 22 Nov 2026 04:00:00 +0900\r\n"
         "Message-ID: <1@real-person.example>\r\n" +
         std::string(more) + "\r\n";
}

std::string nested_body() {
  return "preamble\r\n--b1\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
         "--b1\r\nContent-Type: message/rfc822\r\nX-Origin: real-person.example\r\n\r\n" +
         header() + "inner text\r\n--b1--\r\nepilogue\r\n";
}

const std::string kMultipart = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n";
constexpr std::string_view kStructure =
    R"((("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 0)("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 400 )"
    R"((NIL "meeting" NIL NIL NIL NIL NIL NIL NIL NIL)("TEXT" "PLAIN" NIL NIL NIL "7BIT" 12 1) 10) "MIXED"))";

FakeMessage nested_message(std::uint32_t uid) {
  FakeMessage message = fake_message(uid, header(kMultipart), nested_body());
  message.structure = kStructure;
  message.envelope =
      R"(("Sun, 22 Nov 2026 04:00:00 +0900" "meeting" (("Hanako" NIL "hanako.canary" "real-person.example")) )"
      R"((("Hanako" NIL "hanako.canary" "real-person.example")) )"
      R"((("Hanako" NIL "hanako.canary" "real-person.example")) ((NIL NIL "pta" "school.example")) )"
      R"(NIL NIL NIL "<1@real-person.example>"))";
  message.sections["1"] = "hello";
  message.sections["2"] = header() + "inner text";
  message.sections["2.HEADER"] = header();
  message.sections["2.TEXT"] = message.sections["2.1"] = "inner text";
  message.sections["2.MIME"] = "Content-Type: message/rfc822\r\nX-Origin: real-person.example\r\n\r\n";
  return message;
}

bool leaks(std::string_view text) {
  return text.find("real-person") != std::string_view::npos || text.find("canary") != std::string_view::npos;
}

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

TEST_CASE("lists of messages are told from the fields that decide, or from all where these do not do") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(2), nested_message(4), nested_message(6), nested_message(8)};
  // Written here; without room; beyond what the short way reads.
  const auto replace = [&](std::size_t index, std::string_view what, std::string_view with) {
    std::string& block = rig.upstream.messages[index].sections["HEADER"];
    const std::size_t at = block.find(what);
    REQUIRE(at != std::string::npos);
    block.replace(at, what.size(), with);
  };
  rig.upstream.messages[1].sections["HEADER"] =
      "From: officer@gmail.example\r\nTo: a@b.example\r\nSubject: draft\r\nBcc: c@d.example\r\n\r\n";
  rig.upstream.messages[1].envelope = "(NIL \"draft\" NIL NIL NIL NIL NIL NIL NIL NIL)";
  rig.upstream.messages[2].sections["HEADER"] =
      "Received: by x\r\nFrom: a@b.example\r\nTo: c@d.example\r\nSubject: short\r\n\r\n";
  replace(3, "Subject: meeting\r\n", "Subject: meeting\n");

  const std::string fields = "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM BCC X-NONE)]";
  for (const std::string_view all : {"FETCH 1:*", "UID FETCH 2:8"}) {
    const bool uid = all.starts_with("UID");
    CHECK(rig.run(std::string(all) + " (FLAGS ENVELOPE " + fields + " BODY.PEEK[HEADER])") == "OK");
    std::map<std::pair<std::uint32_t, std::string>, std::string> whole;
    for (const auto& item : rig.told()) whole[{item.number, item.name}] = item.value;
    rig.upstream.commands.clear();
    CHECK(rig.run(std::string(all) + " (FLAGS ENVELOPE " + fields + ")") == "OK");
    CHECK_FALSE(leaks(rig.raw()));
    REQUIRE(rig.upstream.commands.size() == 2);
    CHECK(rig.upstream.commands[0].find("BODY.PEEK[HEADER.FIELDS (RECEIVED ") != std::string::npos);
    CHECK(rig.upstream.commands[1].starts_with(uid ? "UID FETCH 4,6,8 (" : "FETCH 2:4 ("));
    CHECK(rig.upstream.commands[1].find("BODY.PEEK[HEADER])") != std::string::npos);
    std::size_t told = 0;
    for (const auto& item : rig.told()) {
      INFO(item.number << " " << item.name);
      CHECK(item.value == whole.at({item.number, item.name}));
      ++told;
    }
    CHECK(told == 4U * (uid ? 4 : 3));
    CHECK(std::ranges::count(rig.raw(), '*') == 4);
  }
}

TEST_CASE("news beside a header that is asked for again are not lost") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  rig.upstream.messages[0].sections["HEADER"] = "From: a@b.example\r\n\r\n";
  rig.upstream.script = [](std::string_view tag, std::string_view command) -> std::optional<std::string> {
    if (command.find("HEADER.FIELDS") == std::string_view::npos) return std::nullopt;
    return "* 1 FETCH (UID 7 MODSEQ (12) RFC822.SIZE 42 FLAGS (\\Seen) BODY[HEADER.FIELDS (FROM)] {21}\r\n"
           "From: a@b.example\r\n\r\n)\r\n" +
           std::string(tag) + " OK\r\n";
  };
  CHECK(rig.run("UID FETCH 7 (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM)]) (CHANGEDSINCE 5)") == "OK");
  CHECK(rig.raw().starts_with("* 1 FETCH (MODSEQ (12) FLAGS (\\Seen) UID 7)\r\n* 1 FETCH (UID 7 "));
  CHECK(rig.value("RFC822.SIZE") == "42");
}

TEST_CASE("what asks for more of a header than fields is told from all of it") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  for (const std::string_view item :
       {"BODY.PEEK[HEADER]", "BODY.PEEK[HEADER.FIELDS.NOT (TO)]", "BODY.PEEK[HEADER.FIELDS (FROM X-FILLER)]",
        "RFC822.HEADER", "BODY[HEADER.FIELDS (FROM)]", "BODY.PEEK[]"}) {
    rig.upstream.commands.clear();
    CHECK(rig.run("FETCH 1 (ENVELOPE " + std::string(item) + ")") == "OK");
    REQUIRE(rig.upstream.commands.size() == 1);
    CHECK(rig.upstream.commands[0].find("HEADER.FIELDS") == std::string::npos);
  }
  CHECK(rig.run("FETCH 1 (BODY.PEEK[HEADER.FIELDS (X-FILLER)])") == "OK");
  CHECK(rig.value("BODY[HEADER.FIELDS (X-FILLER)]").starts_with("X-Filler: "));
}

TEST_CASE("an upstream that gives no fields, or other ones, tells nothing") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  const std::string envelope = rig.upstream.messages[0].envelope;
  std::string fields;
  bool fallback = false;
  rig.upstream.script = [&](std::string_view tag, std::string_view command) -> std::optional<std::string> {
    if (command.find("HEADER.FIELDS") == std::string_view::npos) {
      fallback = true;
      return std::nullopt;
    }
    return "* 1 FETCH (FLAGS () ENVELOPE " + envelope + fields + ")\r\n" + std::string(tag) + " OK\r\n";
  };
  for (const std::string_view some :
       {" BODY[HEADER.FIELDS (FROM)] NIL", "", " BODY[HEADER.FIELDS (FROM)] \"\"",
        " BODY[HEADER.FIELDS (FROM)] {2}\r\n\r\n", " BODY[HEADER] {2}\r\n\r\n"}) {
    fields = some;
    fallback = false;
    CHECK(rig.run("FETCH 1 (FLAGS ENVELOPE)") == "OK");
    CHECK_FALSE(leaks(rig.raw()));
    CHECK(fallback == !some.starts_with(" BODY[HEADER] "));
    CHECK(rig.told().size() == 2);
  }
  // It says more in ENVELOPE than in the fields.
  fields = " BODY[HEADER.FIELDS (RECEIVED)] {100}\r\nReceived: " + std::string(86, 'x') + "\r\n\r\n";
  CHECK(rig.run("FETCH 1 (FLAGS ENVELOPE)") == "OK");
  CHECK(rig.value("ENVELOPE") == "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
}

TEST_CASE("more structures than can be held are asked for again") {
  FetchRig rig;
  for (std::uint32_t i = 1; i <= 700; ++i) rig.upstream.messages.push_back(nested_message(i * 2));
  for (const std::string_view command :
       {"UID FETCH 1:* (FLAGS BODYSTRUCTURE)", "FETCH 1:700 (FLAGS BODYSTRUCTURE)"}) {
    CHECK(rig.run(command) == "OK");
    CHECK_FALSE(leaks(rig.raw()));
    std::vector<int> flags(701), structures(701);
    for (const auto& item : rig.told()) {
      if (item.name == "FLAGS") ++flags[item.number];
      if (item.name == "BODYSTRUCTURE") ++structures[item.number];
    }
    CHECK(std::ranges::count(flags, 1) == 700);
    CHECK(std::ranges::count(structures, 1) == 700);
  }
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
  rig.core.upstream_selected = "2";
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

TEST_CASE("what an upstream does wrong ends the session, and nothing leaks") {
  const std::string head = header();
  const auto outcome = [&](std::string_view command, const std::string& answer, bool ends = true) {
    FetchRig rig;
    rig.upstream.script = [&](std::string_view tag, std::string_view) {
      std::string text = answer;
      for (std::size_t at = text.find("TAG"); at != std::string::npos; at = text.find("TAG"))
        text.replace(at, 3, tag);
      if (ends) rig.upstream.transcript->ended = true;  // behind what is given now
      return text;
    };
    const std::string status = rig.run(command);
    CHECK_FALSE(leaks(rig.raw()));
    return status;
  };
  const std::string size = std::to_string(head.size());
  CHECK(outcome("FETCH 1 BODY[]", "") == "!closed");
  CHECK(outcome("FETCH 1 BODY[]", "* BYE gone\r\n") == "!closed");
  CHECK(outcome("FETCH 1 BODY[]", "* 1 FETCH (BODY[] {" + size + "}\r\n" + head.substr(0, 200)) == "!closed");
  CHECK(outcome("FETCH 1 BODY[]", "+ \r\n") == "!protocol");
  CHECK(outcome("FETCH 1 BODY[]", "other OK\r\n") == "!protocol");
  CHECK(outcome("FETCH 1 BODY[]", "HTTP/1.1 400 Bad Request\r\n") == "!protocol");
  CHECK(outcome("FETCH 1 BODY[]", "* 1 FETCH (BODY[] {" + size + "}\r\n" + head + "x)\r\nTAG OK\r\n") ==
        "!protocol");
  CHECK(outcome("FETCH 1 BODY[]<0.10>",
                "* 1 FETCH (BODY[]<0> {" + size + "}\r\n" + head + ")\r\nTAG OK\r\n") == "!protocol");
  // The rest of a header block never comes.
  const std::string ten = "* 1 FETCH (UID 1 BODY[]<0> {10}\r\n" + head.substr(0, 10) + ")\r\nTAG OK\r\n";
  CHECK(outcome("FETCH 1 BODY[]<0.10>", ten + "TAG OK\r\n") != "OK");
  CHECK(outcome("UID FETCH 1 BODY[]", "TAG NO no\r\n") == "NO");
  CHECK(outcome("UID FETCH 1 BODY[1]", "TAG BAD no\r\n") == "BAD");
  CHECK(outcome("UID FETCH 1 BODY[]", "* 1 FETCH (UID 1 BODY[] NIL)\r\nTAG OK\r\n") == "OK");
  CHECK(outcome("UID FETCH 1 ENVELOPE", "* 1 FETCH (UID 1 BODY[HEADER] {" + size + "}\r\n" + head +
                                            " ENVELOPE (\"real-person\"))\r\nTAG OK\r\n") == "OK");
  CHECK(outcome("UID FETCH 1 BODYSTRUCTURE",
                "* 1 FETCH (UID 1 BODYSTRUCTURE (((\"real-person\"))))\r\nTAG OK\r\n") == "NO");
  CHECK(outcome("UID FETCH 1 BODYSTRUCTURE", "* 1 FETCH (UID 1 BODYSTRUCTURE {3}\r\nabc)\r\nTAG OK\r\n") ==
        "OK");
}

TEST_CASE("an upstream that hangs within a literal ends the session in time") {
  FetchRig rig;
  rig.core.timeout = net::Millis(20);
  rig.upstream.script = [](std::string_view, std::string_view) {
    return "* 1 FETCH (BODY[] {100}\r\nFrom: x";
  };
  CHECK(rig.run("FETCH 1 BODY[]") == "!timed_out");
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

TEST_CASE("an envelope and a structure beyond the bounds leave the list whole") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7), nested_message(8), nested_message(9)};
  FakeMessage& large = rig.upstream.messages[1];
  const std::string address = "(NIL NIL \"canary\" \"real-person.example\")";
  std::string list = "(";
  while (list.size() < 2'300'000) list += address;
  large.envelope = "(NIL NIL " + list + ") NIL NIL NIL NIL NIL NIL NIL)";
  const std::string part = R"(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 0))";
  std::string many = "(";
  for (int i = 0; i < 10'001; ++i) many += part;
  std::string wide = "(";
  while (wide.size() < 9'000'000) wide += part;
  for (const std::string& structure : {many, wide}) {
    large.structure = structure + R"( "MIXED"))";
    for (const std::string_view set : {"1:3", "2"}) {
      CHECK(rig.run("FETCH " + std::string(set) + " (UID ENVELOPE BODYSTRUCTURE BODY FLAGS)") == "OK");
      CHECK_FALSE(leaks(rig.raw()));
      std::size_t told = 0;
      for (const auto& item : rig.told()) {
        ++told;
        if (item.number == 2 && item.name == "ENVELOPE")
          CHECK(item.value == "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
        else if (item.number == 2 && item.name.starts_with("BODY"))
          CHECK(item.value == R"(("application" "octet-stream" NIL NIL NIL "binary" 0))");
        else if (item.name == "ENVELOPE" || item.name == "BODYSTRUCTURE")
          CHECK(item.value.find("\"meeting\"") != std::string::npos);
      }
      CHECK(told == (set == "2" ? 5 : 15));
    }
  }
  // What a part is, is not known.
  CHECK(rig.run("FETCH 2 (BODY.PEEK[2] BODY.PEEK[2.HEADER] BODY.PEEK[2.MIME])") == "OK");
  CHECK(rig.value("BODY[2]").find_first_not_of(".\r\n") == std::string::npos);
  CHECK_FALSE(leaks(rig.raw()));
}

TEST_CASE("of a structure with thousands of sensitive parts the first are told whole") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7), nested_message(8)};
  FakeMessage& large = rig.upstream.messages[1];
  large.structure = "(";
  for (int i = 1; i <= 9000; ++i) {
    const std::string id = "\"<i" + std::to_string(i) + "@real-person.example>\"";
    large.structure += "(\"IMAGE\" \"PNG\" NIL " + id + " NIL \"7BIT\" 1)";
    large.sections[std::to_string(i) + ".MIME"] =
        "Content-Type: image/png\r\nContent-ID: <i" + std::to_string(i) + "@real-person.example>\r\n\r\n";
  }
  large.structure += " \"RELATED\")";
  for (const std::string_view set : {"1:2", "2"}) {
    CHECK(rig.run("FETCH " + std::string(set) + " (BODYSTRUCTURE)") == "OK");
    CHECK_FALSE(leaks(rig.raw()));
    const auto told = rig.told();
    const auto found = std::ranges::find(told, 2U, &test::Told::number);
    REQUIRE(found != told.end());
    const std::string& value = found->value;
    CHECK(told.size() == (set == "2" ? 1 : 2));
    CHECK(std::ranges::count(value, '@') == 200);
    CHECK(value.ends_with("(\"IMAGE\" \"PNG\" NIL NIL NIL \"7BIT\" 1) \"RELATED\")"));
  }
  for (const auto& command : rig.upstream.commands) CHECK(command.size() < 8192);
}

TEST_CASE("no response is empty") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  const std::string inner = R"(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 12 1))";
  rig.upstream.messages[0].structure =
      R"((("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 400 ("no envelope") )" + inner + R"( 10) "MIXED"))";
  CHECK(rig.run("FETCH 1 (BODYSTRUCTURE)") == "NO");
  CHECK(rig.raw().find("FETCH ()") == std::string::npos);
}

TEST_CASE("a header longer than any that is read tells nothing") {
  FetchRig rig;
  std::string head = header();
  head.insert(head.size() - 2, "X-Long: " + std::string(300'000, 'y') + "\r\n");
  FakeMessage message = fake_message(7, head, "text\r\n");
  message.envelope = nested_message(7).envelope;
  rig.upstream.messages = {message};
  const std::string visible = rig.visible(message.sections[""]);
  CHECK(rig.run("FETCH 1 (ENVELOPE RFC822.HEADER BODY.PEEK[HEADER.FIELDS (FROM)] BODY.PEEK[])") == "OK");
  CHECK_FALSE(leaks(rig.raw()));
  CHECK(rig.value("BODY[]") == visible);
  CHECK(rig.value("RFC822.HEADER") == visible.substr(0, head.size()));
  CHECK(rig.value("ENVELOPE") == "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
  CHECK(rig.value("BODY[HEADER.FIELDS (FROM)]") == "\r\n");
  CHECK(rig.run("FETCH 1 BODY.PEEK[TEXT]") == "OK");
  CHECK(rig.value("BODY[TEXT]") == visible.substr(head.size()));
}

TEST_CASE("behind a header longer than any that is read the text is what the whole message shows") {
  FetchRig rig;
  const std::string filler = "X-Long: " + std::string(300'000, 'y') + "\r\n";
  for (const std::string& more : {filler + kMultipart, kMultipart + filler}) {
    FakeMessage message = fake_message(7, header(more), nested_body());
    rig.upstream.messages = {message};
    const std::string visible = rig.visible(message.sections[""]).substr(message.sections["HEADER"].size());
    for (const std::string_view first : {"FETCH 1 FLAGS", "FETCH 1 BODY.PEEK[HEADER]"}) {
      rig.memory.clear();
      CHECK(rig.run(first) == "OK");
      CHECK(rig.run("FETCH 1 BODY.PEEK[TEXT]") == "OK");
      CHECK_FALSE(leaks(rig.raw()));
      CHECK(rig.value("BODY[TEXT]") == visible);
    }
  }
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
  rig.core.upstream_selected = "2";
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
  rig.core.upstream_selected = "other";
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
