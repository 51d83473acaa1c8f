// Which member a message is shown to, and which messages are its own.
#include <catch2/catch.hpp>

#include "mapping/visible/header.h"
#include "rewrite_world.h"

namespace kage::mapping::test {
namespace {

/// One login with two public addresses.
const World& world() {
  static const World made = [] {
    World result;
    result.add("zebra@school.example", "", {"officer@home.example"});
    result.add("pta@school.example", "", {"officer@home.example"});
    result.add("office@school.example", "", {"other@home.example"});
    result.build();
    return result;
  }();
  return made;
}

Viewer choose(std::string_view text) {
  const Member* const members[] = {&world().member(1), &world().member(2)};
  return choose_viewer(world().routes(), members, with_crlf(text) + "\r\n");
}

std::string chosen(std::string_view text) {
  return choose(text).member->address->canonical;
}

bool own(std::string_view text) {
  return choose(text).own;
}

}  // namespace

TEST_CASE("the public address that a message was sent to decides") {
  CHECK(chosen("") == "pta@school.example");
  CHECK(chosen("To: someone@corp.example\n") == "pta@school.example");
  CHECK(chosen("To: someone@corp.example, Zebra <ZEBRA@School.Example>\n") == "zebra@school.example");
  CHECK(chosen("Cc: zebra@school.example\nTo: pta@school.example\n") == "pta@school.example");
  CHECK(chosen("Cc: pta@school.example\nCc: zebra@school.example\n") == "pta@school.example");
  CHECK(chosen("To: office@school.example\nCc: g: zebra@school.example;\n") == "zebra@school.example");
  CHECK(chosen("Delivered-To: zebra@school.example\n") == "zebra@school.example");
  CHECK(chosen("X-Original-To: pta@school.example\nDelivered-To: zebra@school.example\n") ==
        "zebra@school.example");
  CHECK(chosen("X-Original-To: zebra@school.example\n") == "zebra@school.example");
  CHECK(chosen("Envelope-To: zebra@school.example\n") == "zebra@school.example");
  CHECK(chosen("From: zebra@school.example\n") == "pta@school.example");
}

TEST_CASE("only a header without a trace is the member's own writing") {
  CHECK(own("From: officer@home.example\nTo: a@corp.example\n"));
  CHECK(own("From: PTA <PTA@school.example>\nUser-Agent: x\n"));
  CHECK(own("From: Officer <officer@HOME.example>\nSender: pta@school.example\n"));
  // A draft of Thunderbird's that forwards.
  CHECK(own(
      "From: officer@home.example\nX-Mozilla-Draft-Info: internal/draft\nX-Forwarded-Message-Id: <a@b>\n"));
  CHECK_FALSE(own("To: pta@school.example\n"));
  CHECK_FALSE(own("From: alice@corp.example\n"));
  CHECK_FALSE(own("From: other@home.example\n"));
  CHECK_FALSE(own("From: office@school.example\n"));
  CHECK_FALSE(own("From: officer@home.example, alice@corp.example\n"));
  CHECK_FALSE(own("From: officer@home.example\nFrom: officer@home.example\n"));
  CHECK_FALSE(own("From: officer@home.example <alice@corp.example\n"));
  CHECK_FALSE(own("no field\nFrom: officer@home.example\n"));
  for (const std::string_view name :
       {"Received", "Return-Path", "Delivered-To", "X-Received", "DKIM-Signature", "ARC-Seal",
        "Authentication-Results", "X-Original-To", "x-forwarded-for"}) {
    INFO(name);
    CHECK_FALSE(own("From: officer@home.example\n" + std::string(name) + ": x\n"));
  }
}

TEST_CASE("a header beyond the bounds is nobody's own") {
  std::string large = "From: officer@home.example\n";
  while (large.size() <= 256 * 1024) large += "X-Large: " + std::string(60, 'a') + "\n";
  CHECK_FALSE(own(large));
}

}  // namespace kage::mapping::test
