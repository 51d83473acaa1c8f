// FETCH of many messages: which fields are asked for, and when the whole header.
#include <algorithm>
#include <catch2/catch.hpp>

#include "fetch_rig.h"
#include "proxy/imap/session_send.h"

namespace kage::proxy {

using test::FetchRig;
using test::header;
using test::leaks;
using test::nested_message;

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

TEST_CASE("flags that come along with an answer to us are not lost") {
  for (const std::string command : {"FETCH 1 (BODY.PEEK[2])", "FETCH 1 (BODYSTRUCTURE)"}) {
    FetchRig rig;
    rig.upstream.messages = {nested_message(7)};
    rig.upstream.script = [&](std::string_view tag, std::string_view asked) -> std::optional<std::string> {
      if (asked.find("BODY.PEEK[HEADER]") == std::string_view::npos) return std::nullopt;
      const auto& message = rig.upstream.messages[0];
      std::string text = "* 1 FETCH (FLAGS (\\Seen) UID 7 BODYSTRUCTURE " + message.structure;
      for (const std::string section : {"HEADER", "2.HEADER"}) {
        const std::string& octets = message.sections.at(section);
        text += " BODY[" + section + "] {" + std::to_string(octets.size()) + "}\r\n" + octets;
      }
      return text + ")\r\n" + std::string(tag) + " OK done\r\n";
    };
    CHECK(rig.run(command) == "OK");
    CHECK(rig.value("FLAGS") == "(\\Seen)");
    CHECK_FALSE(leaks(rig.raw()));
  }
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

TEST_CASE("whole headers are asked for again within command lines") {
  FetchRig rig;
  for (std::uint32_t i = 0; i < 700; ++i) {
    rig.upstream.messages.push_back(nested_message(1'000'000'000 + i * 2));
    rig.upstream.messages.back().sections["HEADER"] =
        "Received: by x\r\nFrom: a@b.example\r\nTo: c@d.example\r\nSubject: short\r\n\r\n";
  }
  CHECK(rig.run("UID FETCH 1000000000:* (ENVELOPE)") == "OK");
  std::vector<int> envelopes(701);
  for (const auto& item : rig.told()) {
    if (item.name == "ENVELOPE") ++envelopes[item.number];
  }
  CHECK(std::ranges::count(envelopes, 1) == 700);
  CHECK(rig.upstream.commands.size() == 3);
  for (const auto& command : rig.upstream.commands) CHECK(command.size() < kMaxCommandLine);
}

}  // namespace kage::proxy
