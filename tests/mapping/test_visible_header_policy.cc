// Authors whom the policy shows, in fetched mail (contract R7.1, R7.2), at constant size.
#include <catch2/catch.hpp>

#include "mapping/visible/fit.h"
#include "mapping/visible/header.h"
#include "message/header.h"
#include "rewrite_world.h"

namespace kage::mapping::test {
namespace {

constexpr std::string_view kTrace =
    "Return-Path: <alice@corp.example>\r\n"
    "Received: from mail.corp.example (mail.corp.example [192.0.2.1]) by mx.home.example with ESMTPS id "
    "4711\r\n"
    "\tfor <officer@home.example>; Thu, 01 Jan 2026 13:19:00 +0900\r\n";

World world(std::string_view anonymize, std::string_view allow_186 = "false") {
  World made;
  made.add("pta@school.example", "PTA", {"officer@home.example"});
  made.policy("anonymize", anonymize).policy("allow_186", allow_186);
  made.build();
  return made;
}

/// The fields of this name in what the member sees, unfolded.
std::string seen(const World& in, std::string_view from, std::string_view subject, std::string_view name) {
  const std::string block = std::string(kTrace) + "From: " + std::string(from) +
                            "\r\nTo: pta@school.example\r\nSubject: " + std::string(subject) + "\r\n\r\n";
  const std::vector<const Member*> members = {&in.member(1)};
  const Viewer viewer = choose_viewer(in.routes(), members, block);
  HeaderView view;
  std::string out;
  std::vector<PhantomWrite> fresh;
  CHECK(view.show(viewer, BlockKind::message, block, out, fresh) == 0);
  CHECK(extent_of(out) == extent_of(block));
  CHECK_FALSE(fresh.empty());
  const auto fields = message::tokenize(std::string_view(out).substr(0, out.size() - 2));
  REQUIRE(fields);
  std::string found;
  for (const message::Field& field : *fields) {
    if (field.is(name)) found += message::unfold(field.body);
  }
  return found;
}

TEST_CASE("a colleague is shown under no policy") {
  World never;
  never.add("pta@school.example", "PTA", {"officer@home.example", "teacher@docomo.example"});
  never.policy("anonymize", "never").build();
  const std::string phantom = "<" + never.phantom(1, "teacher@docomo.example") + ">";
  CHECK(seen(never, "Teacher <TEACHER@docomo.example>", "Lunch", "From") == "Teacher " + phantom);
  CHECK(seen(never, "Alice <alice@corp.example>", "Lunch", "From")
            .starts_with("\"Alice (alice@corp.example)\""));
}

TEST_CASE("an author is shown, or not, as the policy and the subject say") {
  const World prefix = world("prefix");
  const std::string phantom = "<" + prefix.phantom(1, "alice@corp.example") + ">";
  const std::string shown = "\"Alice (alice@corp.example)\" " + phantom;
  CHECK(seen(prefix, "Alice <alice@corp.example>", "Lunch", "From") == shown);
  CHECK(seen(prefix, "Alice <alice@corp.example>", "Lunch", "Subject") == "Lunch");
  CHECK(seen(prefix, "Alice <alice@corp.example>", "184 Lunch", "From") == "Alice " + phantom);
  CHECK(seen(prefix, "Alice <alice@corp.example>", "184 Lunch", "Subject") == "Lunch");
  CHECK(seen(prefix, "Alice <alice@corp.example>", "Re: 184 Lunch", "Subject") == "Re: Lunch");
  CHECK(seen(prefix, "alice@corp.example (Alice)", "Lunch", "From") == shown);
  // What begins an address is no marker that could be cut off.
  CHECK(seen(prefix, "Alice <alice@corp.example>", "184bob@work.example", "From") == "Alice " + phantom);
  CHECK(seen(prefix, "Alice <alice@corp.example>", "184bob@work.example", "Subject") ==
        prefix.phantom(1, "184bob@work.example"));
  CHECK(seen(prefix, "184a@mailhost", "184a@mailhost", "Subject") == prefix.phantom(1, "184a@mailhost"));
  const World lifted = world("always", "true");
  CHECK(seen(lifted, "Alice <alice@corp.example>", "Lunch", "From") == "Alice " + phantom);
  CHECK(seen(lifted, "Alice <alice@corp.example>", "186 Lunch", "From") == shown);
}

/// "１８４相談" in Shift_JIS, which nobody says, or what begins with octets of no charset that is known.
constexpr auto kHiding = std::to_array<std::string_view>(
    {"=?unknown-8bit?B?glCCV4JTkYqSaw==?=", "=?default_charset?Q?=A3=B1=A3=B8=A3=B4?=",
     "=??B?glCCV4JTkYqSaw==?=", "=?sjis-win?B?glCCV4JTkYqSaw==?=", "\x82\x50\x82\x57\x82\x53\x91\x8a\x92\x6b",
     "\x82\x50\x82\x57\x82\x53\x91\x8a\x92\x6b\x81",  // cut inside a character
     "=?x-unknown?B?glCCV4JTkYqSa4E=?=", "Re: =?us-ascii?Q?=A0x?=", "=?x-unknown?Q?=FF184?="});

TEST_CASE("a subject of which nobody can say what it begins with hides the author", "[R7.1]") {
  const World prefix = world("prefix");
  const std::string phantom = "<" + prefix.phantom(1, "alice@corp.example") + ">";
  for (const std::string_view subject : kHiding) {
    CAPTURE(subject);
    CHECK(seen(prefix, "Alice <alice@corp.example>", subject, "From") == "Alice " + phantom);
    const std::string sent = inward(prefix, 1, kFrom + "Subject: " + std::string(subject) + "\n");
    CHECK(value(sent, "From") == "Alice " + phantom);
  }
  const std::string shown = "\"Alice (alice@corp.example)\" " + phantom;
  for (const std::string_view subject :
       {"caf\xe9", "=?x-unknown?Q?caf=E9?=", "\x95\x61\x89\x40", "=?x-unknown?Q?x?="}) {
    CAPTURE(subject);
    CHECK(seen(prefix, "Alice <alice@corp.example>", subject, "From") == shown);
    CHECK(seen(prefix, "Alice <alice@corp.example>", subject, "Subject") == subject);
  }
  // What stands behind the marker is not lost.
  CHECK(seen(prefix, "Alice <alice@corp.example>", "184 caf\xe9 x", "Subject") == "=?UTF-8?B?Y2Fmw6kgeA==?=");
  CHECK(seen(prefix, "Alice <alice@corp.example>", "184 \x95\x61\x89\x40", "Subject") ==
        "=?UTF-8?B?55eF6Zmi?=");
}

TEST_CASE("a raw name beside a phantom is written as encoded-words, or not at all where no room is",
          "[R8.1]") {
  const World always = world("always");
  const std::string phantom = "<" + always.phantom(1, "alice@corp.example") + ">";
  CHECK(seen(always, "\x1b$BEDCf@h@8\x1b(B <alice@corp.example>", "Lunch", "From") ==
        "=?UTF-8?B?55Sw5Lit5YWI55Sf?= " + phantom);
  CHECK(seen(always, "\x95\x61\x89\x40 <alice@corp.example>", "Lunch", "From") ==
        "=?UTF-8?B?55eF6Zmi?= " + phantom);
  // No other field to take room from.
  const Viewer viewer{&always.routes(), &always.member(1), false};
  const std::string block = "From: \x1b$BEDCf@h@8\x1b(B\r\n <alice@corp.example.example.example>\r\n\r\n";
  HeaderView view;
  std::string out;
  std::vector<PhantomWrite> fresh;
  view.show(viewer, BlockKind::message, block, out, fresh);
  CHECK(out.find('\x1b') == std::string::npos);
  CHECK(value(out, "From") == always.phantom(1, "alice@corp.example.example.example"));
}

TEST_CASE("hidden names are those of correspondents") {
  World hides;
  hides.add("pta@school.example", "PTA", {"officer@home.example"}, NamePolicy::hide).build();
  const auto from = [&](std::string_view written) {
    return seen(hides, written, "Lunch bob@corp.example", "From");
  };
  CHECK(from("Anna <pta@school.example>") == "Anna <pta@school.example>");
  CHECK(from("Anna <pta@school.example>, Alice <alice@corp.example>") ==
        "Anna <pta@school.example>, " + hides.phantom(1, "alice@corp.example"));
}

TEST_CASE("mail that Kagemusha forwarded keeps the author's address in the name, and no other's") {
  const World never = world("never");
  const std::string phantom = never.phantom(1, "alice@corp.example");
  const std::string forwarded = "\"Alice (alice@corp.example)\" <" + phantom + ">";
  CHECK(seen(never, forwarded, "Lunch bob@home.example", "From") == forwarded);
  const std::string forged = "\"Alice (mallory@corp.example)\" <" + phantom + ">";
  CHECK(seen(never, forged, "Lunch", "From").find("mallory@corp.example") == std::string::npos);
  const World always = world("always");
  CHECK(seen(always, forwarded, "Lunch", "From").find("alice@corp.example") == std::string::npos);
}

}  // namespace
}  // namespace kage::mapping::test
