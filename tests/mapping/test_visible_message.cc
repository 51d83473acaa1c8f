// The walker: which octets are header blocks and which pass, in whatever cuts they come.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "base/text.h"
#include "mapping/visible/report.h"
#include "message/boundary_scanner.h"
#include "message/header.h"
#include "visible_message_seam.h"

using namespace kage::mapping;
using namespace kage::mapping::test;

namespace {

/// A message in pieces, each with what becomes of it.
class Script {
 public:
  Script& pass(std::string_view text) { return add(text, std::string(text)); }
  Script& message(std::string_view block) { return add(block, stand_in(BlockKind::message, block)); }
  Script& part(std::string_view block) { return add(block, stand_in(BlockKind::part, block)); }
  Script& blank(std::string_view text) {
    std::string shown;
    append_blanked(text, shown);
    return add(text, shown);
  }
  Script& as(std::string_view text, std::string_view shown) { return add(text, std::string(shown)); }

  std::string input, expected;

 private:
  Script& add(std::string_view text, const std::string& shown) {
    REQUIRE(text.size() == shown.size());
    input += text;
    expected += shown;
    return *this;
  }
};

void check(const Script& script, const Make& make = kWhole) {
  check_cuts(make, script.input, script.expected);
}

/// With bare LF as line ends too.
void check_both(Script (*script)(std::string_view eol)) {
  check(script("\r\n"));
  check(script("\n"));
}

std::string joined(std::string_view eol, std::initializer_list<std::string_view> lines) {
  std::string out;
  for (const std::string_view line : lines) out.append(line).append(eol);
  return out;
}

std::string multipart(std::string_view boundary, std::string_view subtype = "mixed") {
  return "Content-Type: multipart/" + std::string(subtype) + "; boundary=\"" + std::string(boundary) + "\"";
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("a plain message: its header is shown, its body passes") {
  check_both([](std::string_view eol) {
    return Script()
        .message(joined(eol, {"From: alice@corp.example", "Subject: folded", "\there", ""}))
        .pass(joined(eol, {"From: bob@corp.example", "", "--b", "alice@corp.example"}));
  });
}

TEST_CASE("messages without a body, or without anything") {
  check(Script());
  check(Script().message("From: alice@corp.example\r\n"));
  check(Script().message("From: alice@corp.example"));
  check(Script().message("From: alice@corp.example\r\n\r"));
  check(Script().pass("\r\n").pass("From: alice@corp.example\r\n\r\n"));
  check(Script().pass("\n"));
}

TEST_CASE("parts: their headers are shown, what lies around them passes") {
  check_both([](std::string_view eol) {
    return Script()
        .message(joined(eol, {"From: alice@corp.example", multipart("b1"), ""}))
        .pass(joined(eol, {"preamble: x@y.example", "--b", "--b2", "", "-", "--", "--b1 \t"}))
        .part(joined(eol, {"Content-Type: text/plain; name=x@y", ""}))
        .pass(joined(eol, {"text: a@b", "", "-- ", " --b1", "--b1"}))
        .part(joined(eol, {"Content-Type: text/plain", ""}))
        .pass(joined(eol, {"--b1 and more"}))
        .part(joined(eol, {"Content-Type: text/plain; name=x@y", ""}))
        .pass(joined(eol, {"--b1"}))
        .pass(joined(eol, {"", "no header: a@b", "--b1--  "}))
        .pass(joined(eol, {"epilogue: x@y.example", "", "end: a@b"}));
  });
}

TEST_CASE("a header block may end with a delimiter line") {
  check_both([](std::string_view eol) {
    return Script()
        .message(joined(eol, {multipart("b1"), ""}))
        .pass(joined(eol, {"--b1"}))
        .part(joined(eol, {"Content-Type: text/plain; name=x@y"}))
        .pass(joined(eol, {"--b1"}))
        .pass(joined(eol, {"--b1"}))
        .part(joined(eol, {"Content-Description: x@y"}))
        .pass("--b1--");
  });
}

TEST_CASE("nested multiparts: an outer delimiter ends the inner ones") {
  check_both([](std::string_view eol) {
    return Script()
        .message(joined(eol, {multipart("out"), ""}))
        .pass(joined(eol, {"--out"}))
        .part(joined(eol, {multipart("in", "alternative"), ""}))
        .pass(joined(eol, {"--in"}))
        .part(joined(eol, {"Content-Type: text/plain", ""}))
        .pass(joined(eol, {"one: a@b", "--in"}))
        .part(joined(eol, {multipart("deep"), ""}))
        .pass(joined(eol, {"--deep"}))
        .part(joined(eol, {"Content-ID: <a@b>", ""}))
        .pass(joined(eol, {"two: a@b", "--out"}))
        .part(joined(eol, {"Content-Type: text/plain", ""}))
        .pass(joined(eol, {"three: a@b", "--in", "--deep", "", "--out--", "--in", "x: a@b", ""}));
  });
}

TEST_CASE("a part behind the end of its multipart is a part") {
  check(Script()
            .message(multipart("b") + "\r\n\r\n")
            .pass("--b--\r\nepilogue\r\n--b\r\n")
            .part("Content-Type: message/rfc822\r\n\r\n")
            .message("From: alice@corp.example\r\n\r\n")
            .pass("body\r\n"));
}

TEST_CASE("nested messages") {
  check_both([](std::string_view eol) {
    return Script()
        .message(joined(eol, {multipart("b"), ""}))
        .pass(joined(eol, {"--b"}))
        .part(joined(eol, {"Content-Type: message/rfc822", ""}))
        .message(joined(eol, {"From: alice@corp.example", multipart("b"), ""}))
        .pass(joined(eol, {"--b"}))
        .part(joined(eol, {"Content-Type: message/global", ""}))
        .message(joined(eol, {"From: alice@corp.example", "Content-Type: message/RFC822", ""}))
        .message(joined(eol, {"From: bob@corp.example", ""}))
        .pass(joined(eol, {"body: a@b", "--b--", "--b--", "--b"}))
        .part(joined(eol, {"Content-Type: message/rfc822"}))
        .pass("--b--");
  });
}

TEST_CASE("parts of a digest are messages unless they say otherwise") {
  check(Script()
            .message(multipart("b", "digest") + "\r\n\r\n")
            .pass("--b\r\n\r\n")
            .message("From: alice@corp.example\r\n\r\n")
            .pass("body: a@b\r\n--b\r\n")
            .part("Content-Type: text/plain\r\n\r\n")
            .pass("From: alice@corp.example\r\n\r\n--b\r\n")
            .part("Content-Type: message/rfc822\r\n\r\n")
            .message("From: alice@corp.example\r\n\r\n")
            .pass("--b--\r\n"));
}

TEST_CASE("encoded messages are leaves") {
  for (const std::string encoding : {"base64", "Base64", " base64 (comment)"}) {
    check(Script()
              .message("Content-Type: message/rfc822\r\nContent-Transfer-Encoding:" + encoding + "\r\n\r\n")
              .pass("From: alice@corp.example\r\n\r\n"));
  }
  check(Script()
            .message("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
            .message("From: alice@corp.example\r\n\r\n"));
}

TEST_CASE("boundaries that are parts of each other, or hardly there") {
  check(Script()
            .message(multipart("-") + "\r\n\r\n")
            .pass("--\r\n----x\r\n---\r\n")
            .part(multipart("--") + "\r\n\r\n")
            .pass("----\r\n")
            .part(multipart("a") + "\r\n\r\n")
            .pass("--a\r\n")
            .part(multipart("ab") + "\r\n\r\n")
            .pass("--ab\r\n")
            .part("Content-ID: <x>\r\n\r\n")
            .pass("--a\r\n")
            .part("Content-ID: <y>\r\n\r\n")
            .pass("--ab\r\n-----\r\n")
            .pass("---\r\n")
            .part("Content-ID: <z>\r\n\r\n"));
  // No boundary: no parts.
  check(Script().message(multipart("") + "\r\n\r\n").pass("--\r\nContent-ID: <x@y>\r\n\r\n"));
  check(Script().message("Content-Type: multipart/mixed\r\n\r\n").pass("--\r\nContent-ID: <x@y>\r\n\r\n"));
}

TEST_CASE("delimiter lines have a bound") {
  const std::string boundary(998, 'b');
  const std::string spaces(kage::message::BoundaryScanner::kMaxLine - 1000, ' ');
  Script script;
  script.message("Content-Type: multipart/mixed;\r\n boundary=" + boundary + "\r\n\r\n")
      .pass("--" + boundary + spaces + "\r\n")
      .pass("Content-ID: <x@y>\r\n\r\n--" + boundary + "\r\n")
      .part("Content-ID: <x@y>\r\n\r\n")
      .pass("--" + boundary + spaces.substr(2) + "\r\n")
      .part("Content-ID: <x@y>\r\n\r\n");
  check_cuts(kWhole, script.input, script.expected, 3);
  // A longer boundary cannot be followed: nobody sees what is behind it.
  const Script hidden = Script()
                            .message("Content-Type: multipart/mixed; boundary=" + boundary + "b\r\n\r\n")
                            .blank("--" + boundary + "b\r\nFrom: alice@corp.example\r\n");
  check_cuts(kWhole, hidden.input, hidden.expected, 7);
}

TEST_CASE("text/rfc822-headers hold nothing but headers") {
  check_both([](std::string_view eol) {
    return Script()
        .message(joined(eol, {multipart("b", "report"), ""}))
        .pass(joined(eol, {"--b"}))
        .part(joined(eol, {"Content-Type: text/rfc822-headers", ""}))
        .pass(joined(eol, {""}))
        .message(joined(eol, {"From: alice@corp.example", ""}))
        .pass(joined(eol, {""}))
        .message(joined(eol, {"To: alice@corp.example"}))
        .pass(joined(eol, {"--b--"}));
  });
}

TEST_CASE("reports: what happened stays, to whom does not") {
  check_both([](std::string_view eol) {
    return Script()
        .message(joined(eol, {multipart("b", "report"), ""}))
        .pass(joined(eol, {"--b"}))
        .part(joined(eol, {"Content-Type: message/delivery-status", ""}))
        .as(joined(eol, {"Reporting-MTA: dns; mx.corp.example", "X-Secret@corp: a", "Arrival-Date: Mon", ""}),
            joined(eol, {"Reporting-MTA: ....................", "X------------: .", "Arrival-Date: Mon", ""}))
        .as(joined(eol, {"final-recipient:rfc822;a@corp.example", "ACTION: failed", "Status: 5.1.1",
                         "Diagnostic-Code: smtp; 550", "  <a@corp.example>", "junk a@corp.example", ""}),
            joined(eol, {"final-recipient:.....................", "ACTION: failed", "Status: 5.1.1",
                         "Diagnostic-Code: .........", " .................", "...................", ""}))
        .as(joined(eol, {"Status: 5.1.1 (a@corp.example)", "Action: =?x?q?a=40b?="}),
            joined(eol, {"X-----: ......................", "X-----: ............."}))
        .pass(joined(eol, {"--b--"}));
  });
}

TEST_CASE("content that is too deep is blanked") {
  Script script;
  script.message(multipart("b0.") + "\r\n\r\n");
  for (int i = 0; i < 31; ++i) {
    script.pass("--b" + std::to_string(i) + ".\r\n")
        .part(multipart("b" + std::to_string(i + 1) + ".") + "\r\n\r\n");
  }
  script.pass("--b31.\r\n")
      .part("Content-Type: message/rfc822\r\n\r\n")
      .blank("From: alice@corp.example\r\n\r\n-\r\n--\r\n--b\r\n--b3x\rz\r\n\r\r\n")
      .pass("--b3. \r\n")
      .part("Content-Type: text/plain\r\n\r\n")
      .pass("seen: a@b\r\n--b3.\r\n")
      .part("Content-Type: message/rfc822\r\n\r\n")
      .message("From: alice@corp.example\r\n\r\n")
      .pass("--b3.--\r\n--b0.--");
  check(script);

  Script messages;
  for (int i = 0; i <= 32; ++i) messages.message("Content-Type: message/rfc822\r\n\r\n");
  messages.blank("From: alice@corp.example\r\n\r\nbody --\r\n--b\r\n--");
  check(messages);
}

TEST_CASE("a header block that is too large becomes filler") {
  const std::string type = "Content-Type: multipart/mixed; boundary=b\r\n";
  const std::string line(62, 'a');
  std::string block = type;
  std::string shown = "X:" + std::string(type.size() - 4, '.') + "\r\n";
  while (block.size() <= 256U * 1024) {
    block += line + "\r\n";
    shown += " " + std::string(61, '.') + "\r\n";
  }
  Script script;
  script.as(block + "\r\n", shown + "\r\n").pass("preamble: a@b\r\n--b\r\n");
  script.part("Content-ID: <x@y>\r\n\r\n").pass("text: a@b\r\n--b\r\n");
  script.as(block, shown).pass("--b\r\n").part("Content-ID: <x@y>\r\n");
  const std::size_t size = script.input.size();
  CHECK(run(kWhole, script.input, size) == script.expected);
  CHECK(run(kWhole, script.input, 1000) == script.expected);
  CHECK(run(kWhole, script.input, 65536) == script.expected);
  for (std::size_t cut = 256U * 1024 - 3; cut < 256U * 1024 + 140; cut += 9) {
    REQUIRE(run_cut(kWhole, script.input, cut) == script.expected);
  }
}

TEST_CASE("a header block of exactly the bound is shown, one octet more is not") {
  for (const std::size_t over : {0U, 1U}) {
    std::string block = "Content-Type: text/html\r\n";
    block += std::string(256U * 1024 + over - block.size() - 4, 'a') + "\r\n\r\n";
    std::string filler;
    append_blanked(block, filler);
    filler.replace(0, 2, "X:");
    filler[25] = ' ';
    const std::string expected = (over == 0 ? stand_in(BlockKind::message, block) : filler) + "body: a@b";
    const std::string input = block + "body: a@b";
    CHECK(run(kWhole, input, input.size()) == expected);
    for (std::size_t cut = block.size() - 8; cut <= input.size(); ++cut) {
      REQUIRE(run_cut(kWhole, input, cut) == expected);
    }
  }
}

TEST_CASE("when a block is too large to tell what follows, nobody sees that") {
  const std::string block(256U * 1024, 'a');
  const std::string input =
      "X-A: " + block + "\r\nContent-Type: text/plain\r\n\r\nFrom: alice@corp.example\r\n";
  const std::string out = run(kWhole, input, 5000);
  CHECK(out.size() == input.size());
  CHECK(out.find('@') == std::string::npos);
  CHECK(out.ends_with("\r\n\r\n........................\r\n"));
}

TEST_CASE("an own message passes untouched") {
  const Script own = Script()
                         .pass("X-Own: yes\r\nFrom: me@home.example\r\n" + multipart("b") + "\r\n\r\n")
                         .pass("--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: alice@corp.example\r\n\r\n");
  check(own);
  HeaderView view;
  VisibleMessage walker = kWhole(view);
  std::string_view input = own.input;
  const std::string_view first = walker.next(input);
  CHECK(first.data() == own.input.data());
  CHECK(walker.take_fresh().empty());
  // As the content of a part, its header block is not even looked for.
  const Audience who = audience();
  const Viewer viewer{.routes = who.routes.get(), .member = who.members.front(), .own = true};
  auto content = VisibleMessage::content(view, viewer, {.kind = ContentKind::Kind::message});
  input = own.input;
  CHECK(content.next(input) == own.input);
  CHECK(input.empty());
}

TEST_CASE("the content of a part alone") {
  check(Script().pass("From: alice@corp.example\r\n\r\n"), content_of({}));
  check(Script().message("From: alice@corp.example\r\n\r\n").pass("a@b"),
        content_of({.kind = ContentKind::Kind::message}));
  check(Script()
            .pass("pre: a@b\r\n--b\r\n")
            .part("Content-Type: text/plain; name=a@b\r\n\r\n")
            .pass("text: a@b\r\n--b--"),
        content_of({.kind = ContentKind::Kind::multipart, .boundary = "b"}));
  check(Script().pass("--b\r\n\r\n").message("From: a@b\r\n\r\n"),
        content_of({.kind = ContentKind::Kind::multipart, .boundary = "b", .digest = true}));
  check(Script().as("Remote-MTA: a@b\r\n", "Remote-MTA: ...\r\n"),
        content_of({.kind = ContentKind::Kind::report}));
  check(Script().blank("Remote-MTA: a@b\r\n"), content_of({.kind = ContentKind::Kind::hidden}));
}

TEST_CASE("bodies are not copied") {
  HeaderView view;
  const std::string header = "From: a@b\r\n" + multipart("b") + "\r\n\r\n--b\r\nContent-ID: <x>\r\n\r\n";
  const std::string message = header + std::string(10'000, 'x') + "\r\n-- \r\n" + std::string(10'000, 'y');
  VisibleMessage walker = kWhole(view);
  std::string_view input = message;
  std::string_view last;
  std::size_t calls = 0;
  while (!input.empty()) {
    last = walker.next(input);
    ++calls;
  }
  CHECK(last.data() == message.data() + header.size());
  CHECK(last.size() == message.size() - header.size());
  CHECK(calls == 4);
  CHECK(walker.held() == 0);
}

TEST_CASE("phantoms are told once") {
  HeaderView view;
  VisibleMessage walker = kWhole(view);
  std::string out;
  feed(walker, "From: a@b\r\n", out);
  CHECK(out.empty());
  CHECK(walker.held() == 11);
  CHECK(walker.take_fresh().empty());
  feed(walker, "\r\nbody", out);
  CHECK(walker.take_fresh().size() == 1);
  CHECK(walker.take_fresh().empty());
}

TEST_CASE("a visible form of another size is not shown") {
  HeaderView view;
  VisibleMessage walker = kWhole(view);
  std::string out;
  test::broken_show = true;
  feed(walker, "From: a@b\r\n\r\nbody", out);
  test::broken_show = false;
  CHECK(out == ".........\r\n\r\nbody");
}

TEST_CASE("sample messages: same octets in any cuts, same lines") {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(KAGEMUSHA_SOURCE_DIR "/tests/integration/samples")) {
    if (entry.path().extension() != ".eml") continue;
    const std::string message = read_file(entry.path());
    const std::string expected = run(kWhole, message, message.size());
    CHECK(expected.size() == message.size());
    for (std::size_t i = 0; i < message.size(); ++i) CHECK((message[i] == '\n') == (expected[i] == '\n'));
    check_cuts(kWhole, message, expected, message.size() / 200 + 1);
    ++count;
  }
  CHECK(count > 0);
}

TEST_CASE("sample messages: a content alone reads as in the whole message") {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(KAGEMUSHA_SOURCE_DIR "/tests/integration/samples")) {
    if (entry.path().extension() != ".eml") continue;
    const std::string message = read_file(entry.path());
    const std::size_t end = kage::message::HeaderEnd().find(message);
    if (end == kage::message::HeaderEnd::npos) continue;
    const std::string whole = run(kWhole, message, message.size());
    const ContentKind kind = content_kind(std::string_view(message).substr(0, end));
    CHECK(run(content_of(kind), message.substr(end), 100) == whole.substr(end));
    ++count;
  }
  CHECK(count > 0);
}

TEST_CASE("parts and URLs have a bound, then parts are blanked and URLs stay") {
  std::string message = multipart("b") + "\r\n\r\n";
  const std::string part = "--b\r\nContent-ID: <a@b>\r\n\r\nx\r\n";
  for (int i = 0; i < 10'010; ++i) message += part;
  const std::string out = run(kWhole, message, 4000);
  CHECK(out.size() == message.size());
  const std::string blanked = "--b\r\n.................\r\n\r\n.\r\n";
  CHECK(out.ends_with(blanked + blanked));
  CHECK(out.find(blanked) == message.size() - 10 * part.size());

  ContentKind html;
  html.html = true;
  std::string urls;
  for (int i = 0; i < 10'010; ++i) urls += "cid:a ";
  CHECK(run(content_of(html), urls, 1000).find("cid:a ") == 60'000);
}

TEST_CASE("hostile structures cost linear time") {
  const auto lines = [](std::string_view line, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += line;
    return out;
  };
  // Many nested parts with boundaries that begin alike, then lines that begin like all of them.
  std::string message;
  std::string boundary(900, 'b');
  for (int i = 0; i < 32; ++i) {
    boundary += 'b';
    message += "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n";
  }
  message += "\r\n" + lines("--" + boundary + "x\r\n", 4000);
  CHECK(run(kWhole, message, 16384).size() == message.size());
  const std::string dashes = multipart("-") + "\r\n\r\n" + lines("--\n", 1'000'000);
  CHECK(run(kWhole, dashes, 16384).size() == dashes.size());
  const std::string run_of_dashes = multipart("b") + "\r\n\r\n" + std::string(4'000'000, '-');
  CHECK(run(kWhole, run_of_dashes, 16384).size() == run_of_dashes.size());
}
