// What is read in other mail systems' reports, and what a member is told of it.
#include <catch2/catch.hpp>

#include "base/text.h"
#include "message/encoded_word.h"
#include "submission/bounce_report.h"

using namespace kage;
using namespace kage::submission;

namespace {

/// "a@b.example 5.1.1;", in brackets where it is only delayed.
std::string read(std::string_view body) {
  std::string out;
  for (const auto& copy : read_bounce_report(body).copies) {
    const std::string told = copy.recipient.canonical() + " " + copy.status;
    out += (copy.delayed ? "[" + told + "]" : told) + ";";
  }
  return out;
}

mapping::Routes make_routes() {
  std::vector<mapping::AddressSpec> addresses(1);
  addresses[0].address = message::parse_address("pta@school.example").value();
  mapping::MemberSpec spec;
  spec.mailbox = message::parse_address("officer@gmail.example").value();
  std::vector<mapping::RouteTable::Row> rows;
  rows.push_back({1, mapping::MemberKeys(std::string(32, 'k')), "pta@school.example", std::move(spec)});
  return mapping::RouteTable::build({{"school.example", ""}}, std::move(addresses), std::move(rows),
                                    std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
      .value();
}

/// The text that the member gets.
std::string told(std::string_view body) {
  const mapping::Routes routes = make_routes();
  std::string encoded;
  for (const char c : bounce_body(read_bounce_report(body), *routes->find_member(1))) {
    if (c != '\r' && c != '\n') encoded.push_back(c);
  }
  return base64_decode(encoded).value();
}

bool has(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

using Kind = BounceReport::Kind;

}  // namespace

TEST_CASE("reports of other mail systems are read line by line, whatever they hold") {
  CHECK(read("") == "");
  CHECK(read("Final-Recipient: rfc822; A@b.example\r\nStatus: 5.1.1\r\n") == "a@b.example 5.1.1;");
  CHECK(read("final-recipient:<a@b.example>\nSTATUS: 4.2.2 (full)") == "a@b.example 4.2.2;");
  CHECK(read("Final-Recipient: x\r\nStatus: 5.1.1\r\n") == "");
  CHECK(read("Final-Recipient: rfc822; a@b.example\r\nStatus: 2.0.0\r\n") == "a@b.example 5.0.0;");
  CHECK(
      read(
          "Final-Recipient: rfc822; a@b.example\r\nStatus: 5.1.1\nX: Final-Recipient: rfc822; c@d.example") ==
      "a@b.example 5.1.1;");
  CHECK(read("Final-Recipient: rfc822; a@b.example\r\n\r\nStatus: 5.1.1\r\n") == "a@b.example 5.0.0;");
  // RFC 3463 §2: three numbers, of at most three digits.
  for (const std::string_view wrong : {"5.....", "5.1.1.1", "5.1", "5..1.1", "5.1234.1", "5.01.1", "3.1.1"}) {
    CHECK(read("Final-Recipient: rfc822; a@b.example\r\nStatus: " + std::string(wrong)) ==
          "a@b.example 5.0.0;");
  }
  std::string many;
  for (int i = 0; i < 100; ++i) many += "Final-Recipient: rfc822; a@b.example\n";
  CHECK(read_bounce_report(many).copies.size() == 20);
  CHECK(read(std::string(kBounceRead, ' ') + "Final-Recipient: rfc822; a@b.example\n") == "");
}

TEST_CASE("a recipient whose mailbox forwards is the one that was written to") {
  const std::string_view after = "Action: failed\r\nStatus: 5.1.1\r\n";
  const std::string original = "Original-Recipient: rfc822; a@b.example\r\n";
  const std::string final = "Final-Recipient: rfc822; private@c.example\r\n";
  CHECK(read(original + final + std::string(after)) == "a@b.example 5.1.1;");
  CHECK(read(final + std::string(after) + original) == "a@b.example 5.1.1;");
  CHECK(read("Original-Recipient: rfc822;\r\n" + final) == "private@c.example 5.0.0;");
  CHECK(read(original + "\r\n" + final) == "private@c.example 5.0.0;");
  // RFC 8098 §2.3: a field of delivered messages, too.
  CHECK(read(final + "\r\nOriginal-Recipient: rfc822; a@b.example\r\nTo: a@b.example\r\n") ==
        "private@c.example 5.0.0;");
}

TEST_CASE("a delay is told as one") {
  const std::string late = "Final-Recipient: rfc822; a@b.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n";
  const std::string lost = "Final-Recipient: rfc822; c@d.example\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n";
  const std::string there =
      "Final-Recipient: rfc822; e@f.example\r\nAction: relayed\r\nStatus: 2.1.9\r\n\r\n";
  CHECK(read(late + lost + there) == "[a@b.example 4.4.1];c@d.example 5.2.2;");
  CHECK(read_bounce_report(late).kind == Kind::delayed);
  CHECK(read_bounce_report(late + there).kind == Kind::delayed);
  CHECK(read_bounce_report(there + late + lost).kind == Kind::failed);
  CHECK(read_bounce_report(there).kind == Kind::none);
  CHECK(read_bounce_report("Final-Recipient: x\r\nAction: Delayed (for 4 hours)\r\n").kind == Kind::delayed);
  CHECK(read_bounce_report("").kind == Kind::failed);

  CHECK(has(told(late), "goes on trying"));
  CHECK_FALSE(has(told(late), "gave your message back"));
  CHECK(has(told(late + lost), "gave your message back"));
  CHECK(has(told(late + lost), "4.4.1 Not delivered yet"));
  CHECK(has(told(late + lost), "5.2.2 The mailbox is full."));

  const mapping::Routes routes = make_routes();
  const auto header = mapping::ParsedHeader::parse("From: MAILER-DAEMON@b.example\r\n").value();
  const auto subject_of = [&](Kind kind) {
    return message::decode_words(bounce_header(header, *routes, *routes->find_member(1), kind));
  };
  CHECK(has(subject_of(Kind::failed), "Returned"));
  CHECK(has(subject_of(Kind::delayed), "Delayed"));
}

TEST_CASE("a report in plain text names whom its own text mentions, not whom the message was for") {
  const auto mentioned = [](std::string_view body) {
    std::string out;
    for (const auto& address : read_bounce_report(body).mentioned) out += address.canonical() + ";";
    return out;
  };
  const std::string text = "Unknown user\r\n\r\n<Aaa@b.example>: 550 Unknown user aaa@b.example\r\n\r\n";
  CHECK(mentioned(text) == "aaa@b.example;");
  for (const std::string_view original :
       {"--- Below this line is a copy of the message.\r\n", "Received: by mx\r\n", "> return-path: <x>\r\n",
        "----- Unsent message follows -----\n", "Content-Type: Message/RFC822\r\n"}) {
    INFO(original);
    CHECK(mentioned(text + std::string(original) + "To: c@d.example\r\n") == "aaa@b.example;");
  }
  CHECK(mentioned(text + "\r\nFinal-Recipient: rfc822; e@f.example\r\n") == "");
  CHECK(mentioned("e@f.example\r\n\r\nFinal-Recipient: rfc822; e@f.example\r\nAction: delayed\r\n") == "");
  std::string many;
  for (int i = 0; i < 100; ++i) many += "a" + std::to_string(i) + "@b.example\n";
  CHECK(read_bounce_report(many).mentioned.size() == 20);
  CHECK(has(told(text), "文面"));
  CHECK_FALSE(has(told(text), "b.example"));
  CHECK(has(told(text),
            "  " + mapping::phantom_address(*make_routes()->find_member(1), "aaa@b.example") + "\r\n"));
}
