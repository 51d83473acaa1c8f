// What a member sees of a header block: constant size, phantoms in place, and what gives way (contract R8.1,
// R8.2).
#include "mapping/visible/header.h"

#include <catch2/catch.hpp>

#include "base/metrics.h"
#include "canary.h"
#include "delivered.h"
#include "mapping/phantom.h"
#include "mapping/visible/cache.h"
#include "mapping/visible/fit.h"
#include "mapping/visible/quick.h"
#include "mapping/visible/scan.h"
#include "mapping/visible/write.h"
#include "message/header.h"
#include "rewrite_world.h"

namespace kage::mapping::test {
namespace {

const World& world() {
  static const World made = [] {
    World result;
    result.add("pta@school.example", "PTA", {"officer@home.example", "second@home.example"});
    result.add("quiet@school.example", "", {"officer@home.example"}, NamePolicy::hide);
    result.build();
    return result;
  }();
  return made;
}

Viewer viewer(MemberId number = 1, bool own = false) {
  return {&world().routes(), &world().member(number), own};
}

struct Shown {
  std::string out;
  unsigned step = 0;
  std::vector<PhantomWrite> fresh;
};

Shown show(std::string_view block, const Viewer& who = viewer(), BlockKind kind = BlockKind::message) {
  HeaderView view;
  Shown shown;
  shown.out = "before";
  shown.step = view.show(who, kind, block, shown.out, shown.fresh);
  REQUIRE(shown.out.starts_with("before"));
  shown.out.erase(0, 6);
  CHECK(extent_of(shown.out) == extent_of(block));
  return shown;
}

/// LF text as a block with its empty line.
std::string block(std::string_view text) {
  return with_crlf(text) + "\r\n";
}

std::string trace() {
  std::string out = "Return-Path: <someone@corp.example>\r\n";
  for (int i = 0; i < 12; ++i) {
    out +=
        "Received: from mx.corp.example ([192.0.2.1])\r\n\tby mx.home.example; Thu, 1 Jan 2026 00:00:00 "
        "+0900\r\n";
  }
  return out;
}

std::vector<std::string> bodies(std::string_view text, std::string_view name) {
  std::vector<std::string> found;
  const auto fields = message::tokenize(text, {.max_octets = 16U << 20U, .max_fields = 100'000});
  REQUIRE(fields);
  for (const message::Field& field : *fields) {
    if (field.is(name)) found.push_back(message::unfold(field.body));
  }
  return found;
}

std::string body(std::string_view text, std::string_view name) {
  const auto found = bodies(text, name);
  return found.size() == 1 ? found.front() : "(" + std::to_string(found.size()) + ")";
}

/// The long way, at its first step; nothing when there is no room.
std::string long_way(const Viewer& who, BlockKind kind, std::string_view block) {
  Deriver deriver;
  const BlockText text(block);
  VisibleScan scan;
  if (!scan.scan(kind, text.fields)) return {};
  VisibleWriter writer(deriver, who, scan, text.ends);
  std::string out;
  std::vector<Draft::Region> rewritten;
  Draft draft{out, 0, rewritten};
  writer.write(draft, Step::none, extent_of(text.fields));
  if (!fit(draft, extent_of(out), extent_of(text.fields), text.ends)) return {};
  return out + std::string(text.empty);
}

}  // namespace

TEST_CASE("a delivered message has room for everything") {
  HeaderView warm;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    DeliveredHeader maker(seed, "pta@school.example", "officer@home.example");
    const std::string block = maker.block();
    const MemberId member = 1 + 2 * (seed % 2);
    const Shown shown = show(block, viewer(member));
    INFO(block << "---\n" << shown.out);
    REQUIRE(shown.step == 0);
    REQUIRE(malformed(shown.out.substr(0, shown.out.size() - 2)).empty());
    REQUIRE(shown.out.ends_with("\r\n\r\n"));
    CHECK(bodies(shown.out, "X-Filler").size() == 1);
    CHECK(shown.out.find("home.example") == std::string::npos);
    CHECK(body(shown.out, "From")
              .ends_with("@p.school.example" +
                         std::string(member == 1 && body(block, "From").ends_with('>') ? ">" : "")));
    CHECK(body(shown.out, "Subject") == body(block, "Subject"));
    CHECK(body(shown.out, "Content-Type") == body(block, "Content-Type"));
    CHECK(body(shown.out, "Date") == body(block, "Date"));
    // The same from a view that has seen others, by the long way, and again of itself.
    std::string again;
    std::vector<PhantomWrite> fresh;
    CHECK(warm.show(viewer(member), BlockKind::message, block, again, fresh) == 0);
    CHECK(again == shown.out);
    CHECK(long_way(viewer(member), BlockKind::message, block) == shown.out);
    CHECK(show(shown.out, viewer(member)).out == shown.out);
  }
}

TEST_CASE("the short way tells what the long way tells") {
  std::size_t compared = 0;
  Deriver deriver;
  QuickView quick;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    CanaryHeader maker(seed, {"pta@school.example"});
    std::string text = trace() + trace() + maker.block() + "\r\n";
    // Some fields of each only: in whole blocks there is nearly always one that has to be compared.
    const auto fields = message::tokenize(text);
    REQUIRE(fields);
    for (std::size_t first = 0; first + 1 < fields->size(); first += 5) {
      std::string piece = trace();
      for (std::size_t i = first; i < std::min(first + 5, fields->size() - 1); ++i) piece += (*fields)[i].raw;
      piece += "\r\n";
      std::string out;
      std::vector<PhantomWrite> fresh;
      ContentFields content;
      if (!quick.show(deriver, viewer(1 + 2 * (seed % 2)), BlockKind::message, piece, out, fresh, &content))
        continue;
      ++compared;
      INFO(piece);
      const ContentFields apart = content_fields(piece);
      REQUIRE(content.type == apart.type);
      REQUIRE(content.encoding == apart.encoding);
      REQUIRE(out == long_way(viewer(1 + 2 * (seed % 2)), BlockKind::message, piece));
    }
  }
  CHECK(compared > 500);
}

TEST_CASE("phantoms that are shown are told") {
  const std::string text =
      trace() + block("From: Alice <alice@corp.example>\nTo: pta@school.example, Bob <bob@work.example>\n");
  const Shown shown = show(text);
  CHECK(body(shown.out, "From") == "Alice <" + world().phantom(1, "alice@corp.example") + ">");
  CHECK(body(shown.out, "To") == "pta@school.example, Bob <" + world().phantom(1, "bob@work.example") + ">");
  std::vector<std::string> told;
  for (const PhantomWrite& each : shown.fresh) {
    CHECK(each.member == &world().member(1));
    CHECK(each.local + "@p.school.example" == world().phantom(1, each.spelling));
    told.push_back(each.spelling);
  }
  CHECK(told == std::vector<std::string>{"alice@corp.example", "bob@work.example"});
}

TEST_CASE("what is ours and what is harmless stays, octet for octet") {
  const std::string phantom = world().phantom(1, "alice@corp.example");
  for (const std::string& text :
       {block("From:  Alice\n <" + phantom +
              ">\nTo: pta@school.example,\n\tofficer@home.example\n"
              "Subject: =?ISO-2022-JP?B?GyRCMnE1RCRONDFGYhsoQg==?=\nDate: Thu, 1 Jan 2026 12:34:56 +0900\n"
              "Message-ID: <" +
              world().sealed(1, "a@corp.example") +
              ">\nMIME-Version: 1.0 (x)\n"
              "Content-Type: multipart/mixed;\n boundary=\"a@corp.example\"\n"),
        block("From: " + bounce_local(world().routes().master(), BounceOf::to_member, world().member(1), 0) +
              "@p.school.example\nSubject: caf\xC3\xA9 at 3.5\n"),
        block(""), std::string(), std::string("Subject: no end"), std::string("Subject: x\r\n"),
        std::string("Subject: x\n\n"), std::string("Subject: x\n y\r\nDate: z\n\r\n")}) {
    const Shown shown = show(text);
    CHECK(shown.step == 0);
    CHECK(shown.out == text);
    CHECK(shown.fresh.empty());
  }
}

TEST_CASE("an address that is folded in its domain is one", "[R3.1]") {
  const auto subject = [](std::string_view written) {
    const Shown shown = show(
        block("From: Alice <alice@corp.example>\n" + trace() + "Subject: " + std::string(written) + "\n"));
    CHECK(shown.step == 0);
    return body(shown.out, "Subject");
  };
  const std::string bob = world().phantom(1, "bob@work.example");
  CHECK(subject("see bob@work.\n example now") == "see " + bob + " now");
  CHECK(subject("see bob@work\n\t.example") == "see " + bob);
  CHECK(subject("see bob@work.example.\n Then go") == "see " + bob + ". Then go");
}

TEST_CASE("nothing is invented") {
  CHECK(show(block("")).out == "\r\n");
  const Shown shown = show(block("X-Nobody: alice@corp.example\n"));
  CHECK(shown.out == "X-Filler: ..................\r\n\r\n");
  CHECK(show("X-Nobody: alice@corp.example").out == "X-Filler: ..................");
  CHECK(show("no field\n").out == "X:......\n");
  CHECK(show("a\nb\n\n").out == ".\n \n\n");
}

TEST_CASE("the member's own writing reads as it was written") {
  const std::string text =
      block("From: officer@home.example\nTo: alice@corp.example\nX-Draft: bob@work.example\n");
  CHECK(show(text, viewer(1, true)).out == text);
  HeaderView view;
  CHECK(view.content_id(viewer(1, true), "a@corp.example") == "a@corp.example");
}

TEST_CASE("fields that come twice stay where they are") {
  const Shown shown =
      show(trace() + block("From: a@corp.example\nTo: pta@school.example\nFrom: b@corp.example\n"
                           "Message-ID: <1@corp.example>\nMessage-ID: <2@corp.example>\n"));
  CHECK(bodies(shown.out, "From") ==
        std::vector{world().phantom(1, "a@corp.example"), world().phantom(1, "b@corp.example")});
  CHECK(bodies(shown.out, "Message-ID") == std::vector{"<" + world().sealed(1, "1@corp.example") + ">",
                                                       "<" + world().sealed(1, "2@corp.example") + ">"});
  CHECK(shown.out.find("To:") < shown.out.rfind("From:"));
}

TEST_CASE("ids come back to who knows them") {
  const Shown shown =
      show(trace() + block("In-Reply-To: <" + world().sent(1, "mine@home.example") + ">\nReferences: <" +
                           world().sent(2, "hers@home.example") + "> <x@corp.example>\n"));
  CHECK(body(shown.out, "In-Reply-To") == "<mine@home.example>");
  CHECK(body(shown.out, "References") == "<" + world().sealed(1, world().sent(2, "hers@home.example")) +
                                             "> <" + world().sealed(1, "x@corp.example") + ">");
}

TEST_CASE("a part shows what concerns its body") {
  HeaderView view;
  const std::string id = view.content_id(viewer(), "image001.png@mail.corp.example");
  CHECK(id.size() == std::string_view("image001.png@mail.corp.example").size());
  CHECK(id.starts_with("image001.png@"));
  CHECK(id.find("corp") == std::string::npos);
  CHECK(id == view.content_id(viewer(), "image001.png@mail.corp.example"));
  CHECK(id != view.content_id(viewer(2), "image001.png@mail.corp.example"));
  CHECK(view.content_id(viewer(), "image001.png@01DA1B2C.3D4E5F60") == "image001.png@01DA1B2C.3D4E5F60");
  CHECK(view.content_id(viewer(), "ii_123") == "ii_123");
  CHECK(view.content_id(viewer(), "a@b.example@host").find("example") == std::string::npos);
  CHECK(view.content_id(viewer(), "a%40b.example@host").find("example") == std::string::npos);
  const Shown shown = show(
      block("Content-Type: image/png; name=\"taro@corp.example.png\"\nContent-ID:\n "
            "<image001.png@mail.corp.example>\n"
            "Content-Transfer-Encoding: base64\nFrom: alice@corp.example\nSubject: x\nX-Mail: corp.example\n"
            "Content-Location: http://corp.example/\n"),
      viewer(), BlockKind::part);
  CHECK(shown.step == 0);
  CHECK(shown.out.find("Content-ID:\r\n <" + id + ">\r\nContent-Transfer-Encoding: base64\r\nX-Filler: ") !=
        std::string::npos);
  CHECK(body(shown.out, "Content-Type") ==
        "image/png; name=\"" + world().phantom(1, "taro@corp.example") + ".png\"");
}

TEST_CASE("octets that readers disagree about") {
  using namespace std::literals;
  const std::string text =
      trace() + "Subject: a\0b\rFrom: x@corp.example\r\nFrom: alice@corp.example\r\n\r\n"s;
  const Shown shown = show(text);
  CHECK(shown.out.find('\0') == std::string::npos);
  CHECK(shown.out.find("corp") == std::string::npos);
  CHECK(body(shown.out, "From") == world().phantom(1, "alice@corp.example"));
  const Shown lf =
      show(with_lf(trace() + "From: alice@corp.example\nTo: " + std::string(90, 'x') + "@corp.example\n\n"));
  CHECK(lf.out.find('\r') == std::string::npos);
  CHECK(lf.step == 0);
}

TEST_CASE("any octets keep their number and their lines") {
  constexpr std::string_view kPieces[] = {"From: ",
                                          "To: ",
                                          "Subject: ",
                                          "Message-ID: ",
                                          "X-Y:",
                                          "alice@corp.example",
                                          "<",
                                          ">",
                                          ",",
                                          "\r\n",
                                          "\n",
                                          "\r\n ",
                                          "\r",
                                          " ",
                                          "\t",
                                          ":",
                                          "\"",
                                          "(",
                                          "\xE3\x81\x82",

                                          "=?utf-8?q?",
                                          "?=",
                                          "Content-Type: text/plain",
                                          "; name=",
                                          "\r\n\r\n",
                                          std::string_view("\0", 1),
                                          "Content-ID: ",
                                          "Date: x",
                                          "References: "};
  Numbers numbers(7);
  for (int round = 0; round < 4000; ++round) {
    std::string text;
    for (std::size_t i = numbers.below(40); i > 0; --i) text += kPieces[numbers.below(std::size(kPieces))];
    INFO(text);
    const BlockKind kind = numbers.one_in(3) ? BlockKind::part : BlockKind::message;
    const Shown shown = show(text, viewer(), kind);
    CHECK(shown.out.find("alice@corp") == std::string::npos);
    if (shown.step == 0) CHECK(show(text, viewer(), kind).out == shown.out);
  }
}

TEST_CASE("beyond the bounds nothing is shown") {
  std::string large = "From: alice@corp.example\r\n";
  while (large.size() <= 256 * 1024) large += "X-Large: " + std::string(60, 'a') + "\r\n";
  const Shown shown = show(large + "\r\n");
  CHECK(shown.step == static_cast<unsigned>(Step::all));
  CHECK(shown.out.starts_with("X-Filler: .."));
  std::string many;
  for (int i = 0; i < 2001; ++i) many += "A:b\r\n";
  CHECK(show(many + "\r\n").step == static_cast<unsigned>(Step::all));
}

TEST_CASE("what gives way where no room is") {
  const auto steps = [](std::string_view fields, Step expected) {
    const Shown shown = show(block(fields));
    INFO(shown.out);
    CHECK(static_cast<Step>(shown.step) == expected);
    CHECK(shown.out.find("corp") == std::string::npos);
    return shown.out;
  };
  const std::string id = std::string(50, 'i') + "@c.example";
  std::string out =
      steps("From: alice.of.accounting.department@subsidiary.corporation.example\nReferences: <1" + id +
                ">\n <2" + id + ">\n <3" + id + ">\n <4" + id + ">\n <5" + id + ">\n <6" + id +
                ">\nKeywords: one, two, three, four, five, six, seven, eight, "
                "nine, ten, eleven, twelve, thirteen, fourteen\n",
            Step::references);
  CHECK(bodies(out, "Keywords").empty());
  CHECK(body(out, "References").find(world().sealed(1, "1" + id)) != std::string::npos);
  CHECK(body(out, "References").find(world().sealed(1, "6" + id)) != std::string::npos);
  out = steps("From: \"A name of some length, so that room is found\" <a@c.example>\n", Step::names);
  CHECK(body(out, "From") == world().phantom(1, "a@c.example"));
  out = steps("Message-ID: <12345678901234567890123456789012345@mail.corp.example>\nSubject: x\n", Step::ids);
  CHECK(body(out, "Message-ID").ends_with("@p.school.example>"));
  CHECK(body(out, "Subject") == "x");
  out = steps("Subject: from a@c.example\nDate: Thu, 1 Jan 2026 12:34:56 +0900\n", Step::text);
  CHECK(body(out, "Subject") == "from");
  CHECK(body(out, "Date") == "Thu, 1 Jan 2026 12:34:56 +0900");
  out = steps("From: Alice <a@c.example>, Bob\n <b@c.example>, Carol Somebody <c@c.example>\n",
              Step::recipients);
  CHECK(body(out, "From") == world().phantom(1, "a@c.example"));
  out = steps("To: a@c.example\nDate: Thu, 1 Jan 2026 12:34:56 +0900\n", Step::recipients);
  CHECK(bodies(out, "To").empty());
  CHECK(body(out, "Date") == "Thu, 1 Jan 2026 12:34:56 +0900");
}

TEST_CASE("the body's structure is told in every step") {
  for (std::size_t room = 0; room < 40; ++room) {
    const std::string text = block("To: " + std::string(room, 'a') +
                                   "@b.example\nContent-Type: text/plain; charset=utf-8;\n"
                                   " name*=UTF-8''%E3%81%82a%40corp.example%E3%81%82\n"
                                   "Content-Transfer-Encoding: base64\n");
    const Shown shown = show(text);
    INFO(shown.out);
    CHECK(body(shown.out, "Content-Type").starts_with("text/plain;"));
    CHECK(body(shown.out, "Content-Type").find("charset=utf-8") != std::string::npos);
    CHECK(body(shown.out, "Content-Transfer-Encoding") == "base64");
    CHECK(shown.out.find("corp") == std::string::npos);
  }
}

TEST_CASE("fallbacks are counted") {
  using metrics::Counter;
  const auto all = [] {
    std::uint64_t sum = 0;
    for (auto each = static_cast<unsigned>(Counter::size_fallbacks_references);
         each <= static_cast<unsigned>(Counter::size_fallbacks_all); ++each) {
      sum += metrics::value(static_cast<Counter>(each));
    }
    return sum;
  };
  const auto before = all();
  show(trace() + block("To: a@c.example\n"));
  CHECK(all() == before);
  const auto texts = metrics::value(Counter::size_fallbacks_text);
  show(block("Subject: from a@c.example\nDate: Thu, 1 Jan 2026 12:34:56 +0900\n"));
  CHECK(all() == before + 1);
  CHECK(metrics::value(Counter::size_fallbacks_text) == texts + 1);
}

TEST_CASE("after a change of the routes nothing old is shown") {
  HeaderView view;
  const std::string text = trace() + block("From: Alice <alice@corp.example>\n");
  std::string out;
  std::vector<PhantomWrite> fresh;
  view.show(viewer(1), BlockKind::message, text, out, fresh);
  World other;
  other.add("other@school.example", "", {"officer@home.example"}, NamePolicy::hide);
  other.build();
  // The same id and generation: only clear() tells.
  view.clear();
  std::string now;
  view.show({&other.routes(), &other.member(1), false}, BlockKind::message, text, now, fresh);
  CHECK(body(now, "From") == other.phantom(1, "alice@corp.example"));
  CHECK(fresh.back().member == &other.member(1));
}

TEST_CASE("a part's Content-ID as long as a block may be is masked in linear time") {
  std::string id = "x@";
  while (id.size() < 240'000) id += "mail.corp.example.";
  const std::string text = "Content-ID: <" + id + ">\r\n\r\n";
  const Shown shown = show(text, viewer(), BlockKind::part);
  CHECK(shown.out.find("corp") == std::string::npos);
}

}  // namespace kage::mapping::test
