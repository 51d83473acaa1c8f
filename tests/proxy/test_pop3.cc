// POP3 without a network: lines, capabilities, the login dialog, and messages on their way.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "../mapping/rewrite_world.h"
#include "../net/test_streams.h"
#include "proxy/pop3/command.h"
#include "proxy/pop3/text.h"
#include "proxy/pop3/upstream.h"

namespace kage::proxy {
namespace {

constexpr std::string_view kFrom = "taro@correspondent.example";

struct Fixture {
  mapping::test::World world;
  mapping::HeaderView view;
  mapping::Audience audience;

  Fixture() {
    world.add("pta@school.example", "PTA", {"officer@gmail.example"}).build();
    audience.routes = mapping::Routes(mapping::Routes(), &world.routes());
    audience.members = {&world.member(1)};
  }
  Pop3Text text() { return Pop3Text(mapping::VisibleMessage::whole(view, audience)); }
};

/// Octets as a server sends them, with the final dot.
std::string stuffed(std::string_view message) {
  message::DotEncoder encoder;
  std::string out;
  encoder.encode(message, out);
  encoder.finish(out);
  return out;
}

std::string unstuffed(std::string_view wire) {
  message::DotDecoder decoder;
  std::string out;
  const auto step = decoder.decode(wire, out);
  CHECK(step.finished);
  CHECK(step.consumed == wire.size());
  return out;
}

/// Feeds a whole answer in pieces of `cut` octets.
void feed(Pop3Text& text, const std::string& wire, std::size_t cut, std::string& out) {
  for (std::size_t at = 0; at < wire.size(); at += cut) {
    const std::string piece = wire.substr(at, cut);
    const auto step = text.feed(piece, out);
    CHECK(step.consumed == piece.size());
    CHECK(step.ended == (at + piece.size() == wire.size()));
  }
}

std::string retr(Fixture& fixture, const std::string& message, std::size_t cut = SIZE_MAX) {
  auto text = fixture.text();
  std::string out;
  feed(text, stuffed(message), std::min(cut, message.size() + 100), out);
  text.finish(out);
  return unstuffed(out);
}

/// The header and `lines` lines of the body, as a server gives them for TOP.
std::string top_of(const std::string& message, std::size_t lines) {
  std::size_t end = message.find("\r\n\r\n") + 4;
  for (; lines > 0 && end < message.size(); --lines) end = message.find("\r\n", end) + 2;
  return message.substr(0, end);
}

/// TOP as the session does it; counts the further questions.
std::string top(Fixture& fixture, const std::string& message, std::size_t lines, std::size_t& asked) {
  auto text = fixture.text();
  std::string out;
  feed(text, stuffed(top_of(message, lines)), 7, out);
  for (const std::size_t more : {std::max<std::size_t>(lines, 3), std::size_t{140'000}}) {
    if (!text.needs_more()) break;
    ++asked;
    text.begin_longer();
    feed(text, stuffed(top_of(message, lines + more)), 11, out);
  }
  text.finish(out);
  return unstuffed(out);
}

std::size_t lines_of(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// `trace`: fields at the top of the nested header.
std::string nested_message(std::string_view trace = {}) {
  std::string inner = std::string(trace) +
                      "Received: from mail.correspondent.example by mx\r\n\tfor <x@correspondent.example>\r\n"
                      "From: Taro <" +
                      std::string(kFrom) +
                      ">\r\nTo: hanako@correspondent.example\r\n"
                      "Subject: inner\r\nMessage-ID: <in@correspondent.example>\r\n\r\n.inner\r\n..text\r\n";
  return "Received: from mail.correspondent.example by mx with a long story of how it came here\r\n"
         "From: Taro <" +
         std::string(kFrom) +
         ">\r\nTo: pta@school.example\r\nSubject: outer\r\n"
         "Message-ID: <out@correspondent.example>\r\nMIME-Version: 1.0\r\n"
         "Content-Type: multipart/mixed; boundary=zz\r\n\r\npreamble\r\n--zz\r\n"
         "Content-Type: text/plain\r\n\r\n.dots\r\n.\r\n..\r\n--zz\r\nContent-Type: message/rfc822\r\n\r\n" +
         inner + "--zz--\r\n";
}

struct Dialog {
  net::Loop loop;
  std::shared_ptr<net::testing::Transcript> transcript = std::make_shared<net::testing::Transcript>(loop);
  provider::Providers providers{{}};
  provider::ProviderOptions provider;
  Pop3Login result;

  net::Task<void> run(Credentials credentials, bool utf8) {
    Pop3Upstream upstream(std::make_unique<net::testing::MemoryStream>(transcript));
    result = co_await log_in_pop3(upstream, providers, provider, std::move(credentials), utf8,
                                  loop.now() + net::Millis(10'000));
  }
  /// What we said; each piece of the server's is one read.
  std::string operator()(std::vector<std::string> server, Credentials credentials, bool utf8 = false) {
    for (std::string& piece : server) transcript->give(std::move(piece));
    transcript->end();
    net::testing::run_on_loop(loop, run(std::move(credentials), utf8));
    return transcript->output;
  }
};

Credentials password() {
  Credentials credentials;
  credentials.login = "me@gmail.example";
  credentials.secret = Secret("pass word");
  return credentials;
}

}  // namespace

TEST_CASE("commands of a client") {
  CHECK(parse_pop3("capa").verb == Pop3Verb::capa);
  CHECK(parse_pop3("RETR 5").verb == Pop3Verb::retr);
  CHECK(parse_pop3("RETR 5").rest == "5");
  CHECK(parse_pop3("PASS  a b ").rest == " a b ");
  CHECK(parse_pop3("noop").verb == Pop3Verb::noop);
  for (const std::string_view unknown : {"", " ", "APOP x y", "LAST", "XTND XMIT", "RETR\t5", "RETRX 5"}) {
    CHECK(parse_pop3(unknown).verb == Pop3Verb::unknown);
  }
  CHECK(pop3_number("5") == 5);
  CHECK(pop3_number(" 5 ") == 5);
  for (const std::string_view bad :
       {"", "0", "-1", "+1", "1 2", "1x", "2147483648", "99999999999999999999"}) {
    CHECK(!pop3_number(bad));
  }
  const auto arguments = top_arguments("3 0");
  REQUIRE(arguments);
  CHECK(arguments->message == 3);
  CHECK(arguments->lines == 0);
  for (const std::string_view bad : {"", "3", "0 1", "3 -1", "3 x", "3 1 1"}) CHECK(!top_arguments(bad));
}

TEST_CASE("a server's words are shown without addresses and unknown codes") {
  const auto shown = [](std::string_view line) {
    const auto status = parse_pop3_status(line);
    return status ? pop3_status_line(*status) : "none";
  };
  CHECK(shown("+OK") == "+OK\r\n");
  CHECK(shown("+OK 120 octets") == "+OK 120 octets\r\n");
  CHECK(shown("-ERR [in-use] busy") == "-ERR [IN-USE] busy\r\n");
  CHECK(shown("-ERR [SYS/TEMP] later") == "-ERR [SYS/TEMP] later\r\n");
  CHECK(shown("-ERR [X-OWN taro@real.example] no") == "-ERR no\r\n");
  CHECK(shown("-ERR [X-OWN] [Y-OWN a] no") == "-ERR no\r\n");
  CHECK(shown("-ERR [AUTH] [X-OWN] no") == "-ERR [AUTH] no\r\n");
  CHECK(shown("+OK mail of taro@real.example") == "+OK\r\n");
  CHECK(shown("-ERR =?utf-8?q?taro=40real?=") == "-ERR\r\n");
  CHECK(shown("-ERR \x1b[2J") == "-ERR\r\n");
  CHECK(shown("-ERR message from mail.stranger.example is quarantined") == "-ERR\r\n");
  CHECK(shown("-ERR [SYS/TEMP] no answer from [192.0.2.9]") == "-ERR [SYS/TEMP]\r\n");
  CHECK(shown("-ERR no route to 2001:db8::1") == "-ERR\r\n");
  CHECK(shown("+OK " + std::string(5000, 'x')) == "+OK\r\n");
  for (const std::string_view bad : {"", "OK", "+ok", "+OKAY", "-ERRx", "* OK", "HTTP/1.1 200 OK"}) {
    CHECK(shown(bad) == "none");
  }
  CHECK(parse_pop3_status("+ ")->kind == Pop3Status::Kind::challenge);
  CHECK(parse_pop3_status("+ abc")->text == "abc");
}

TEST_CASE("refusals of a login by their codes") {
  CHECK(pop3_refusal("[AUTH] no") == Pop3Refusal::denied);
  CHECK(pop3_refusal("no") == Pop3Refusal::denied);
  CHECK(pop3_refusal("[IN-USE] no") == Pop3Refusal::in_use);
  CHECK(pop3_refusal("[login-delay] no") == Pop3Refusal::login_delay);
  CHECK(pop3_refusal("[SYS/TEMP] no") == Pop3Refusal::temporary);
  CHECK(pop3_refusal("[SYS/PERM] no") == Pop3Refusal::permanent);
  CHECK(pop3_refusal_line(Pop3Refusal::denied).starts_with("-ERR [AUTH] "));
}

TEST_CASE("capabilities are an allow-list") {
  Pop3Capabilities server;
  for (const std::string_view line :
       {"TOP", "UIDL", "USER", "X-SECRET", "SASL PLAIN xoauth2", "EXPIRE 0 USER", "LOGIN-DELAY 300",
        "EXPIRE me@real.example", "IMPLEMENTATION Other", "STLS", "UTF8 USER", "LANG"}) {
    server.learn(line);
  }
  CHECK(server.sasl == std::vector<std::string>{"PLAIN", "XOAUTH2"});
  CHECK(server.stls);
  CHECK(pop3_capabilities({.stls = true, .logins = false, .server = nullptr}) ==
        "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\nSTLS\r\n"
        "IMPLEMENTATION Kagemusha\r\n.\r\n");
  CHECK(pop3_capabilities({.stls = false, .logins = true, .server = &server}) ==
        "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\nEXPIRE 0 USER\r\n"
        "LOGIN-DELAY 300\r\nUSER\r\nSASL PLAIN XOAUTH2 OAUTHBEARER\r\nIMPLEMENTATION Kagemusha\r\n.\r\n");
  const Pop3Capabilities bare;
  CHECK(pop3_capabilities({.stls = false, .logins = true, .server = &bare}) ==
        "+OK\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUSER\r\nSASL PLAIN XOAUTH2 OAUTHBEARER\r\n"
        "IMPLEMENTATION Kagemusha\r\n.\r\n");
}

TEST_CASE("lines of listings") {
  CHECK(pop3_numbers("1 120") == "1 120");
  CHECK(pop3_numbers("2 320 for taro@real.example") == "2 320");
  for (const std::string_view bad : {"", "1", "a b", "1 x", "1  2", "-1 2"}) CHECK(pop3_numbers(bad).empty());
  const auto line = uidl_line("1 000001a2");
  REQUIRE(line);
  CHECK(line->number == "1");
  CHECK(line->uid == "000001a2");
  for (const std::string_view bad : {"", "1", "1 ", "x y", "1 \x01"}) CHECK(!uidl_line(bad));
  CHECK(!uidl_line("1 " + std::string(71, 'u')));
}

TEST_CASE("RETR shows the message through the member's eyes at its size, in any cut") {
  Fixture fixture;
  const std::string message = nested_message();
  const std::string shown = retr(fixture, message);
  CHECK(shown.size() == message.size());
  CHECK(lines_of(shown) == lines_of(message));
  CHECK(shown.find("correspondent.example") == std::string::npos);
  CHECK(shown.find("@p.school.example") != std::string::npos);
  CHECK(shown.find("\r\n.dots\r\n.\r\n..\r\n") != std::string::npos);
  for (const std::size_t cut : {1UL, 2UL, 3UL, 5UL, 17UL, 100UL}) CHECK(retr(fixture, message, cut) == shown);
}

TEST_CASE("phantoms that RETR shows are told") {
  Fixture fixture;
  auto text = fixture.text();
  std::string out;
  (void)text.feed(stuffed(nested_message()), out);
  text.finish(out);
  const auto fresh = text.take_fresh();
  REQUIRE(!fresh.empty());
  CHECK(out.find(fresh.front().local + "@p.school.example") != std::string::npos);
  CHECK(text.take_fresh().empty());
}

TEST_CASE("odd messages keep their octets") {
  Fixture fixture;
  for (const std::string message :
       {"", "\r\n", ".\r\n", "Subject: x\r\n", "Subject: x\r\n\r\n", "no header\r\n", "\r\n.\r\n..\r\n",
        "Subject: x\r\n\r\nbare\nlf\n.\n..\r\nbare\rcr\r\n", "Subject: x\n\nlf only\r\n"}) {
    CAPTURE(message);
    const std::string shown = retr(fixture, message, 1);
    CHECK(shown.size() == message.size());
    CHECK(lines_of(shown) == lines_of(message));
  }
}

TEST_CASE("what follows an answer is left alone") {
  Fixture fixture;
  auto text = fixture.text();
  std::string out;
  const auto step = text.feed("Subject: x\r\n\r\nb\r\n.\r\n+OK next\r\n", out);
  CHECK(step.ended);
  CHECK(step.consumed == 20);
}

TEST_CASE("TOP is a prefix of RETR by lines, whatever it ends in") {
  Fixture fixture;
  const std::string message = nested_message();
  const std::string whole = retr(fixture, message);
  const std::size_t body = lines_of(message) - lines_of(top_of(message, 0));
  std::size_t asked = 0;
  for (std::size_t lines = 0; lines <= body + 2; ++lines) {
    CAPTURE(lines);
    const std::string shown = top(fixture, message, lines, asked);
    CHECK(whole.starts_with(shown));
    CHECK(lines_of(shown) == lines_of(top_of(message, lines)));
    CHECK(shown.ends_with("\r\n"));
  }
  // Only where the end lies within a block.
  CHECK(asked > 0);
  CHECK(asked < body);
}

TEST_CASE("TOP is a prefix of RETR where a nested header goes on beyond the first longer answer") {
  Fixture fixture;
  std::string trace;
  for (int i = 0; i < 60; ++i)
    trace += "Received: from h" + std::to_string(i) + ".correspondent.example by x\r\n";
  const std::string message = nested_message(trace);
  const std::string whole = retr(fixture, message);
  for (std::size_t lines = 9; lines < 80; ++lines) {
    CAPTURE(lines);
    std::size_t asked = 0;
    const std::string shown = top(fixture, message, lines, asked);
    CHECK(whole.starts_with(shown));
    CHECK(lines_of(shown) == lines_of(top_of(message, lines)));
    if (lines == 12) CHECK(asked == 2);
  }
}

TEST_CASE("TOP of a message that is nothing but an unfinished header") {
  Fixture fixture;
  const std::string message = "From: " + std::string(kFrom) + "\r\nTo: pta@school.example\r\n";
  auto text = fixture.text();
  std::string out;
  feed(text, stuffed(message), 5, out);
  for (int i = 0; i < 2 && text.needs_more(); ++i) {
    text.begin_longer();
    feed(text, stuffed(message), 5, out);
  }
  text.finish(out);
  CHECK(unstuffed(out) == retr(fixture, message));
}

TEST_CASE("a login by SASL, or by USER and PASS where there is none") {
  CHECK(Dialog()({"+OK hi\r\n", "+OK\r\nSASL LOGIN PLAIN\r\nUTF8\r\n.\r\n", "+OK in\r\n"}, password()) ==
        "CAPA\r\nAUTH PLAIN AG1lQGdtYWlsLmV4YW1wbGUAcGFzcyB3b3Jk\r\n");
  CHECK(Dialog()({"+OK hi\r\n", "+OK\r\nUTF8\r\n.\r\n", "+OK\r\n", "+OK\r\n", "+OK in\r\n"}, password(),
                 true) == "CAPA\r\nUTF8\r\nUSER me@gmail.example\r\nPASS pass word\r\n");
  Dialog dialog;
  CHECK(dialog({"+OK hi\r\n", "-ERR what\r\n", "+OK\r\n", "+OK\r\n"}, password()) ==
        "CAPA\r\nUSER me@gmail.example\r\nPASS pass word\r\n");
  CHECK(dialog.result.ok);
}

TEST_CASE("a long response waits for the challenge") {
  Credentials credentials;
  credentials.kind = Credentials::Kind::xoauth2;
  credentials.login = "me@gmail.example";
  credentials.response = Secret(
      "user=me@gmail.example\x01"
      "auth=Bearer " +
      std::string(300, 't') + "\x01\x01");
  Dialog dialog;
  const std::string said =
      dialog({"+OK hi\r\n", "+OK\r\nSASL XOAUTH2\r\n.\r\n", "+ \r\n", "+ eyJ9\r\n", "-ERR [AUTH] no\r\n"},
             std::move(credentials));
  CHECK(said.starts_with("CAPA\r\nAUTH XOAUTH2\r\n"));
  CHECK(said.ends_with("\r\n\r\n"));
  CHECK(!dialog.result.ok);
  CHECK(dialog.result.refusal == Pop3Refusal::denied);
}

TEST_CASE("a mechanism that the server lacks, and a password that is no line, are refusals") {
  Credentials bearer;
  bearer.kind = Credentials::Kind::oauthbearer;
  Dialog first;
  CHECK(first({"+OK hi\r\n", "+OK\r\nSASL PLAIN\r\n.\r\n"}, std::move(bearer)) == "CAPA\r\n");
  CHECK(first.result.refusal == Pop3Refusal::denied);
  Credentials tricky = password();
  tricky.secret = Secret("x\r\nDELE 1");
  Dialog second;
  CHECK(second({"+OK hi\r\n", "+OK\r\n.\r\n"}, std::move(tricky)) == "CAPA\r\n");
  CHECK(second.result.refusal == Pop3Refusal::denied);
}

TEST_CASE("what is no POP3 server gets no password") {
  for (const std::vector<std::string>& server : std::vector<std::vector<std::string>>{
           {},
           {"HTTP/1.1 400\r\n"},
           {"-ERR busy\r\n"},
           {"+OK hi\r\n", "+OK\r\nTOP\r\n"},
           {"+OK hi\r\n", "nonsense\r\n"},
           {"+OK " + std::string(10'000, 'x') + "\r\n"},
           {"+OK hi\r\n", "+OK\r\n" +
                              [] {
                                std::string many;
                                for (int i = 0; i < 1000; ++i) many += "X\r\n";
                                return many;
                              }()},
       }) {
    Dialog dialog;
    const std::string said = dialog(server, password());
    CHECK((said.empty() || said == "CAPA\r\n"));
    CHECK(!dialog.result.ok);
    CHECK(dialog.result.refusal == Pop3Refusal::temporary);
  }
}

TEST_CASE("a server's own refusal of service is no wrong password") {
  Dialog dialog;
  (void)dialog({"+OK hi\r\n", "+OK\r\nSASL PLAIN\r\n.\r\n", "-ERR [IN-USE] busy\r\n"}, password());
  CHECK(!dialog.result.ok);
  CHECK(dialog.result.refusal == Pop3Refusal::in_use);
  CHECK(dialog.result.error.code == Errc::unavailable);
}

}  // namespace kage::proxy
