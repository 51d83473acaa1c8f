// FETCH against an upstream that does wrong, and of messages beyond the bounds.
#include <algorithm>
#include <catch2/catch.hpp>

#include "fetch_rig.h"
#include "proxy/imap/session_send.h"

namespace kage::proxy {

using test::fake_message;
using test::FakeMessage;
using test::FetchRig;
using test::header;
using test::kMultipart;
using test::leaks;
using test::nested_body;
using test::nested_message;

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

TEST_CASE("blocks are asked for within a command line, however deep they lie") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7), nested_message(8)};
  FakeMessage& deep = rig.upstream.messages[1];
  std::string outer;
  for (int i = 0; i < 90; ++i) outer += "1.";
  deep.structure.assign(91, '(');
  for (int i = 1; i <= 200; ++i) {
    deep.structure += "(\"IMAGE\" \"PNG\" NIL \"<i@real-person.example>\" NIL \"7BIT\" 1)";
    deep.sections[outer + std::to_string(i) + ".MIME"] =
        "Content-Type: image/png\r\nContent-ID: <i@real-person.example>\r\n\r\n";
  }
  for (int i = 0; i < 91; ++i) deep.structure += " \"RELATED\")";
  CHECK(rig.run("FETCH 1:2 (BODYSTRUCTURE)") == "OK");
  CHECK_FALSE(leaks(rig.raw()));
  const auto told = rig.told();
  REQUIRE(told.size() == 2);
  const auto& value = (told[0].number == 2 ? told[0] : told[1]).value;
  // The first are told whole, and the others without their ids.
  CHECK(std::ranges::count(value, '@') > 20);
  CHECK(value.find("(\"IMAGE\" \"PNG\" NIL NIL NIL \"7BIT\" 1)") != std::string::npos);
  for (const auto& command : rig.upstream.commands) CHECK(command.size() < kMaxCommandLine);
}

TEST_CASE("blocks that are refused leave no list that says OK") {
  FetchRig rig;
  rig.upstream.messages = {nested_message(7), nested_message(8)};
  rig.upstream.script = [](std::string_view tag, std::string_view command) -> std::optional<std::string> {
    if (command.find("BODY.PEEK[HEADER]") == std::string_view::npos) return std::nullopt;
    return std::string(tag) + " NO [LIMIT] not now\r\n";
  };
  CHECK(rig.run("FETCH 1:2 (BODYSTRUCTURE)") == "NO");
  CHECK(rig.told().empty());
}

TEST_CASE("a partial fetch of more messages than are worked on is refused") {
  FetchRig rig;
  rig.upstream.script = [](std::string_view tag, std::string_view command) -> std::optional<std::string> {
    std::string text;
    for (int n = 1; n <= 50'001 && command == "FETCH 1:* (UID)"; ++n)
      text += "* " + std::to_string(n) + " FETCH (UID " + std::to_string(n) + ")\r\n";
    return text + std::string(tag) + " OK done\r\n";
  };
  CHECK(rig.run("FETCH 1:* BODY.PEEK[]<0.100>") == "NO");
  CHECK(rig.upstream.commands.size() == 1);
}

TEST_CASE("a literal that breaks off is told as such") {
  const std::string head = header();
  const std::string size = std::to_string(head.size());
  for (const std::string& command : {"FETCH 1 BODY[]", "FETCH 1 BODY[]<0.5000>"}) {
    const bool partial = command.ends_with('>');
    const std::string label = partial ? "BODY[]<0>" : "BODY[]";
    FetchRig rig;
    rig.upstream.script = [&](std::string_view, std::string_view) {
      rig.upstream.transcript->ended = true;
      return "* 1 FETCH (" + label + " {" + size + "}\r\n" + head.substr(0, 200);
    };
    CHECK(rig.run(command) == "!closed");
    CHECK(rig.out.within_answer());
  }
  FetchRig rig;
  rig.upstream.messages = {nested_message(7)};
  CHECK(rig.run("FETCH 1 (BODY.PEEK[] BODY.PEEK[]<5.10> ENVELOPE)") == "OK");
  CHECK_FALSE(rig.out.within_answer());
}

TEST_CASE("of an answer that was cut behind a block the rest is owed") {
  FetchRig rig;
  rig.out.add(std::string(70'000, 'x'));
  CHECK_FALSE(rig.out.within_answer());
  REQUIRE(mapping::test::await(rig.node.loop, rig.out.flush_blocks()));
  CHECK(rig.out.within_answer());
  REQUIRE(mapping::test::await(rig.node.loop, rig.out.flush()));
  CHECK_FALSE(rig.out.within_answer());
}

TEST_CASE("a client that does not read is waited for as long as is said") {
  FetchRig rig;
  rig.client_transcript->write_room = 10;
  for (const std::size_t octets : {100UL, 100'000UL}) {
    rig.out.add(std::string(octets, 'x'));
    const auto flushed = mapping::test::await(rig.node.loop, rig.out.flush(net::Millis(20)));
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error().code == Errc::timed_out);
  }
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

}  // namespace kage::proxy
