// Rewriting, rule by rule; ids are in test_rewrite_ids.cc. Whole messages are in the golden cases; places
// where addresses hide in the canary test.
#include <catch2/catch.hpp>

#include "base/text.h"
#include "message/encoded_word.h"
#include "rewrite_world.h"

namespace kage::mapping::test {

TEST_CASE("the author is exactly one address in exactly one From") {
  const auto author = [](std::string_view block) -> std::string {
    const auto found = parsed(block).author();
    return found ? found->spelling : "(none)";
  };
  CHECK(author("From: A <a@b.example>\n") == "a@b.example");
  CHECK(author("From: \"a..b\"@docomo.example\n") == "\"a..b\"@docomo.example");
  CHECK(author("From: Group: a@b.example;\n") == "a@b.example");
  CHECK(author("From: a@b.example\nfrom: a@b.example\n") == "(none)");
  CHECK(author("From: a@b.example, c@d.example\n") == "(none)");
  CHECK(author("From: a@b.example, a@b.example\n") == "(none)");
  CHECK(author("From: nobody\n") == "(none)");
  CHECK(author("From:\n") == "(none)");
  CHECK(author("Sender: a@b.example\n") == "(none)");
}

TEST_CASE("message id, hops, identity") {
  const ParsedHeader header = parsed(
      "Received: a\nReceived: b\nMessage-ID: (c) <one@x.example>\nMessage-ID: <two@x.example>\n"
      "Date: today\nSubject: x\n folded\n");
  CHECK(header.message_id() == "one@x.example");
  CHECK(header.hops() == 2);
  CHECK(parsed("Message-ID: none\n").message_id().empty());
  CHECK(parsed("Message-ID: bare@x.example\n").message_id() == "bare@x.example");
  CHECK(parsed("").message_id().empty());

  const std::string block = "From: a@b.example\nTo: c@d.example\nSubject: x\n folded\nMessage-ID: <1@x>\n";
  const std::string identity = parsed(block).identity();
  CHECK(parsed("Received: another\nX-Trace: y\n" + block).identity() == identity);
  CHECK(parsed("From: a@b.example\nTo: c@d.example\nSubject: x folded\nMessage-ID: <1@x>\n").identity() ==
        identity);
  CHECK(parsed("From: a@b.example\nTo: c@d.example\nSubject: x\nMessage-ID: <1@x>\n").identity() != identity);
  // A value cannot pretend to be the next field.
  CHECK(parsed("Subject: a\nTo: b\n").identity() != parsed("Subject: ato:1:b\n").identity());
}

TEST_CASE("bounds") {
  CHECK(ParsedHeader::parse(std::string(300'000, 'x')).error().code == Errc::limit);
  std::string fields;
  for (int i = 0; i < 2001; ++i) fields += "X: y\r\n";
  CHECK(ParsedHeader::parse(fields).error().code == Errc::limit);
  std::string list = "To: a@b";
  for (int i = 0; i < 5000; ++i) list += ",a@b";
  CHECK(ParsedHeader::parse(list + "\r\n").error().code == Errc::limit);
  std::string many;
  for (int field = 0; field < 6; ++field) {
    many += "Keywords: ";
    for (int i = 0; i < 2000; ++i) many += "a" + std::to_string(field * 2000 + i) + "@b.jp ";
    many += "\r\n";
  }
  CHECK(ParsedHeader::parse(many).error().code == Errc::limit);
}

TEST_CASE("phantoms are derived for outside addresses only") {
  const World world = small_world();
  const ParsedHeader header = parsed(
      "From: Alice <ALICE@corp.example>\nTo: pta@school.example, officer@home.example, "
      "colleague@work.example\n"
      "Cc: alice@CORP.example\nSubject: see bob@home.example\nX-Drop: carol@home.example\n");
  CHECK(header.addresses().size() == 5);
  const PhantomMap map =
      derive_phantoms(header, world.routes(), world.member(1), address("eve@corp.example"));
  CHECK(map.size() == 4);
  CHECK(map.contains("alice@corp.example"));
  CHECK(map.contains("colleague@work.example"));
  CHECK(map.contains("bob@home.example"));
  CHECK(map.contains("eve@corp.example"));
  // contract R3.4: another member, another phantom; the same mailbox behind another address too.
  for (const MemberId other : {2U, 3U, 4U}) {
    const PhantomMap others = derive_phantoms(header, world.routes(), world.member(other), std::nullopt);
    CHECK(others.at("alice@corp.example") != map.at("alice@corp.example"));
  }
}

TEST_CASE("without its phantom an address vanishes") {
  const World world = small_world();
  const ParsedHeader header =
      parsed(kFrom + "To: pta@school.example, bob@home.example\nSubject: bob@home.example!\n");
  const PhantomMap none;
  const std::string out = rewrite_inward(header, {.routes = world.routes(),
                                                  .member = world.member(1),
                                                  .phantoms = none,
                                                  .envelope_from = std::nullopt,
                                                  .received = {}});
  CHECK(value(out, "From") == "postmaster@school.example");
  CHECK(value(out, "To") == "pta@school.example");
  CHECK(value(out, "Subject") == "!");
}

TEST_CASE("From that is made") {
  const World world = small_world();
  const std::string phantom = world.phantom(1, "alice@corp.example");
  CHECK(value(inward(world, 1, "Subject: x\n", "alice@corp.example"), "From") == phantom);
  CHECK(value(inward(world, 1, "From: nobody here\n", "alice@corp.example"), "From") == phantom);
  CHECK(value(inward(world, 1, "From: Group:;\n", "alice@corp.example"), "From") == phantom);
  CHECK(value(inward(world, 1, "Subject: x\n"), "From") == "postmaster@school.example");
  CHECK(value(inward(world, 1, "Subject: x\n", "officer@home.example"), "From") == "pta@school.example");
  CHECK(value(inward(world, 1, "Subject: x\n", "open@school.example"), "From") == "open@school.example");
  CHECK(count(inward(world, 1, "From: x\nFrom: y\n"), "From") == 1);
}

TEST_CASE("what only looks like an encoded-word hides no address", "[R3.1]") {
  const World world = small_world();
  for (const std::string_view text :
       {"=?UTF-8?B?taro@leak.example?=", "=?UTF-8?B?44GK taro@leak.example 44GK?=",
        "=?taro@leak.example?B?YWJj?=", "=?utf-8*taro@leak.example?B?YWJj?=",
        "=?ISO-2022-JP?B?GyRC taro@leak.example GyhC?=", "=?UTF-8?B?YQ==<taro@leak.example>?=",
        "=?utf-8?B?taro@leak.example YQ==?= ok", "=?UTF-8?X?taro@leak.example?=",
        "=?x-none?B?taro@leak.example?=", "\x1b$B@h@8\x1b(B =?UTF-8?B?taro@leak.example?="}) {
    for (const std::string& field :
         {"Subject: " + std::string(text), "Comments: " + std::string(text),
          "Content-Description: " + std::string(text), "From: " + std::string(text) + " <y@x.example>",
          "Cc: y@x.example (" + std::string(text) + ")", "Cc: " + std::string(text) + ": y@x.example;",
          "Content-Disposition: attachment; filename=\"" + std::string(text) + "\""}) {
      INFO(field);
      CHECK(inward(world, 1, field + "\n").find("leak.example") == std::string::npos);
    }
  }
  CHECK(value(inward(world, 1, "Subject: =?UTF-8?Q?Lunch_@_noon?=\n"), "Subject") ==
        "=?UTF-8?Q?Lunch_@_noon?=");
}

TEST_CASE("parameters and comments of Content-Type name no host", "[R3.1]") {
  const World world = small_world();
  for (const std::string_view field :
       {"Content-Type: message/external-body; access-type=anon-ftp; site=\"ftp.leak.example\"; "
        "name=\"a.txt\"",
        "Content-Type: text/plain; charset=utf-8; x-mail-host=mail.leak.example",
        "Content-Type: text/plain (made at mail.leak.example); charset=utf-8",
        "Content-Disposition: attachment; filename=a.pdf; x-host=\"mail.leak.example\"",
        "Content-Disposition: attachment; filename*0=taro; filename*2=\"@leak.example\""}) {
    INFO(field);
    const std::string out = inward(world, 1, std::string(field) + "\n");
    CHECK(out.find("leak.example") == std::string::npos);
    CHECK(out.find("Content-") != std::string::npos);
  }
  for (const std::string_view field :
       {"Content-Type: multipart/signed; protocol=\"application/vnd.oasis.text\"; micalg=sha-256; "
        "boundary=\"a.b.cd\"\n",
        "Content-Type: application/vnd.oasis.opendocument.text; name=\"report.final.odt\"\n",
        "Content-Disposition: attachment; filename=archive.tar.gz; size=12\n"}) {
    CHECK(with_lf(inward(world, 1, std::string(field))).find(field) != std::string::npos);
  }
}

TEST_CASE("what needs no change leaves byte for byte") {
  const World world = small_world();
  const std::string_view fields[] = {
      "To: pta@school.example\n",
      "To:pta@school.example\n",
      "To:   \"P, T A\"\n\t<PTA@School.example>  ,open@school.example\n",
      "to : <pta@school.example> (the (whole) committee)\n",
      "Cc: undisclosed-recipients:;\n",
      "Cc: Us: pta@school.example, open@school.example;, officer@home.example\n",
      "To: =?iso-2022-jp?B?GyRCM3Q8MDJxPFIbKEI=?= <pta@school.example>\n",
      "To: \x1b$B@h@8\x1b(B <pta@school.example>\n",
      "SUBJECT:  two  spaces \n\t folded \n",
      "Subject: =?utf-8?b?44GC?=\n =?utf-8?b?44GE?=\n",
      "Subject: \x1b$B@h@8$N7o\x1b(B\n",
      "Subject: P@ssw0rd, Meeting @ 5pm, @home\n",
      "Subject: mail officer@home.example or pta@school.example\n",
      "Subject:\n",
      "Date: Thu, 1 Jan 26 13:19 JST (Tokyo)\n",
      "Content-Type: text/plain; charset=\"utf-8\" (plain) ; format=flowed\n",
      "Content-Type: multipart/mixed; boundary=\"x@corp.example\"\n",
      "Content-Disposition: attachment; filename=\"Taro@Sales.pdf\"\n",
      "Content-Type: image/png; name=\"icon@2x.png\"\n",
      "MIME-Version: 1.0 (Mac OS X Mail 16.0 \\(3696.120.41.1.1\\))\n",
      "Content-Transfer-Encoding: QUOTED-PRINTABLE\n",
      "Auto-Submitted: auto-replied (vacation)\n",
      "Keywords:\n one,\n two\n",
  };
  for (const std::string_view field : fields) {
    INFO(field);
    const std::string out = inward(world, 1, std::string(field) + kFrom);
    CHECK(with_lf(out).starts_with(field));
    CHECK(malformed(out).empty());
  }
}

TEST_CASE("a long file name is not cut in what stands for an address") {
  const World world = small_world();
  for (std::size_t before = 150; before <= 210; ++before) {
    const std::string name = std::string(before - 1, 'n') + " stranger@corp.example and more";
    const std::string out = inward(
        world, 1, "Content-Disposition: attachment; filename=\"" + name + ".pdf\"\n" + std::string(kFrom));
    INFO(before << '\n' << out);
    const auto parsed = ParsedHeader::parse(out, {});
    REQUIRE(parsed);
    for (const ParsedHeader::Found& found : parsed->addresses()) {
      CHECK((found.canonical.ends_with("@p.school.example") || found.canonical.ends_with("@school.example")));
    }
    CHECK(out.find("stranger@corp") == std::string::npos);
  }
}

TEST_CASE("lines that nobody may see are made good") {
  const World world = small_world();
  const std::string long_word(3000, 'w');
  const std::string long_text = [] {
    std::string text;
    for (int i = 0; i < 600; ++i) text += "word ";
    return text;
  }();
  const std::string nul = std::string("Subject: a") + '\0' + "b\r\n";
  for (const std::string& field :
       {"Subject: " + long_word + "\n", "Subject: " + long_text + "\n", std::string("Subject: a\n \n b\n"),
        nul, std::string("Subject: a\rb\r\n"), "To: " + long_word + " <pta@school.example>\n",
        "To: \"" + long_text + "\" <alice@corp.example>\n", "To: (" + long_word + ") alice@corp.example\n",
        "Content-Type: text/plain; name=\"" + long_word + "@corp.example\"\n",
        "Message-ID: <" + long_word + "@corp.example>\n", "Subject: " + long_word + "@corp.example\n",
        "From: " + std::string(200, 'l') + "@" + std::string(60, 'd') + ".example\n",
        std::string("Subject: no line end")}) {
    const std::string out = inward(world, 1, field);
    INFO(field.substr(0, 100));
    CHECK(malformed(out).empty());
    CHECK(malformed(outward(world, 1, field, "alice@corp.example",
                            {.phantoms = {"alice@corp.example"}, .direct = {}}))
              .empty());
    CHECK(out.find("corp.example") == std::string::npos);
  }
  // A bare CR cannot glue an address together that was not there when it was looked for.
  CHECK(value(inward(world, 1, "Subject: alice@co\rrp.example\n"), "Subject").find("corp") ==
        std::string::npos);
}

TEST_CASE("free text inward") {
  const World world = small_world();
  const std::string alice = world.phantom(1, "alice@corp.example");
  const std::pair<std::string, std::string> cases[] = {
      {"ask alice@corp.example.", "ask " + alice + "."},
      {"<alice@corp.example>", "<" + alice + ">"},
      {"Alice@Corp.Example", alice},
      {"pta@school.example alice@corp.example officer@home.example",
       "pta@school.example " + alice + " officer@home.example"},
      {"=?utf-8?q?alice=40corp=2Eexample?=", alice},
      {"alice%40corp.example", alice},
      {"alice&#64;corp.example", alice},
      {"alice&#0064;corp.example", alice},
      {"alice&#x40;corp.example", alice},
      {"alice&#X0040;corp.example", alice},
      {"alice&commat;corp.example", alice},
      {"alice\\@corp.example", alice},
      {"\"alice\"@corp.example", alice},
      {"alice@corp.\n example", alice},
      {"alice@corp\n .example now", alice + " now"},
      {"by taro@mailhost.\n Please look", "by taro@mailhost. Please look"},
      {"by taro@mailhost\n and others.", "by taro@mailhost and others."},
      {"alice@mail.corp.\n corp.example is", world.phantom(1, "alice@mail.corp.corp.example") + " is"},
      {"ask alice@corp.example.\n Then go.", "ask " + alice + ". Then go."},
      {"ask alice@corp.example.\n Bob too", "ask " + alice + ". Bob too"},
      {"@alice.\n corp.example", "@alice. corp.example"},
  };
  for (const auto& [from, to] : cases) {
    INFO(from);
    CHECK(value(inward(world, 1, kFrom + "Subject: " + from + "\n"), "Subject") == to);
  }
  // Known from an address field, though no domain of the outside: replaced in text as well.
  const std::string out = inward(world, 1, "From: root@mailhost\nSubject: by root@mailhost and x@other\n");
  CHECK(value(out, "Subject") == "by " + world.phantom(1, "root@mailhost") + " and x@other");
}

TEST_CASE("free text outward") {
  const World world = small_world();
  const Sent sent{.phantoms = {"alice@corp.example", "bob@home.example"}, .direct = {"carol@work.example"}};
  const auto subject = [&](MemberId member, std::string_view text, std::string_view to) {
    return value(outward(world, member,
                         kFrom + "To: " + world.phantom(member, "alice@corp.example") +
                             ", carol@work.example\nSubject: " + std::string(text) + "\n",
                         to, sent),
                 "Subject");
  };
  const std::string alice = world.phantom(1, "alice@corp.example");
  const std::string bob = world.phantom(1, "bob@home.example");
  CHECK(subject(1, alice, "alice@corp.example") == "alice@corp.example");
  CHECK(subject(1, alice, "bob@home.example") == "pta@school.example");
  CHECK(subject(1, bob, "alice@corp.example") == "pta@school.example");
  CHECK(subject(1, "alice@corp.example", "alice@corp.example") == "alice@corp.example");
  CHECK(subject(1, "bob@home.example officer@home.example open@school.example", "alice@corp.example") ==
        "pta@school.example pta@school.example open@school.example");
  CHECK(subject(1, world.phantom(2, "alice@corp.example"), "alice@corp.example") == "pta@school.example");
  const std::string folded =
      "at " + alice.substr(0, alice.find('.') + 1) + "\n " + alice.substr(alice.find('.') + 1);
  CHECK(subject(1, folded, "alice@corp.example") == "at alice@corp.example");
  CHECK(subject(1, folded, "bob@home.example") == "at pta@school.example");
  CHECK(subject(1, "officer@home.\n example", "alice@corp.example") == "pta@school.example");
  // Open: who is visible in To or Cc may be named; Bob stood in Bcc.
  CHECK(subject(3,
                world.phantom(3, "alice@corp.example") + " carol@work.example " +
                    world.phantom(3, "bob@home.example") + " dave@work.example",
                "carol@work.example") ==
        "alice@corp.example carol@work.example open@school.example open@school.example");
}

TEST_CASE("From outward is the public address with a configured name") {
  World world;
  world.add("pta@school.example", "PTA, the committee", {"a@home.example"});
  world.add("two@school.example", "Two", {"b@home.example"}).named("\xE5\xB1\xB1\xE7\x94\xB0");
  world.add("three@school.example", "", {"c@home.example"});
  world.add("four@school.example", "", {"d@home.example"}).named("d@home.example");
  world.build();
  const auto from = [&](MemberId member) {
    return value(outward(world, member, "From: x@y.example\nTo: alice@corp.example\n", "alice@corp.example",
                         {.phantoms = {}, .direct = {"alice@corp.example"}}),
                 "From");
  };
  CHECK(from(1) == "\"PTA, the committee\" <pta@school.example>");
  CHECK(message::decode_words(from(2)) == "\xE5\xB1\xB1\xE7\x94\xB0 <two@school.example>");
  CHECK(from(3) == "three@school.example");
  CHECK(from(4) == "four@school.example");  // a name that shows the mailbox is none
}

TEST_CASE("To outward, private") {
  const World world = small_world();
  const Sent sent{.phantoms = {"alice@corp.example", "bob@home.example"}, .direct = {"carol@work.example"}};
  const std::string alice = world.phantom(1, "alice@corp.example");
  const auto copy = [&](const std::string& fields, std::string_view to) {
    return outward(world, 1, kFrom + fields, to, sent);
  };
  const auto to_alice = [&](const std::string& fields) {
    return value(copy(fields, "alice@corp.example"), "To");
  };
  CHECK(to_alice("To: Alice <" + alice + ">\n") == "Alice <alice@corp.example>");
  CHECK(to_alice("To: " + alice + " (Alice)\n") == "alice@corp.example (Alice)");
  CHECK(to_alice("To: x@y.example\nCc: Alice <" + alice + ">\n") == "Alice <alice@corp.example>");
  CHECK(to_alice("To: " + alice + "\nCc: Alice <" + alice + ">\n") == "Alice <alice@corp.example>");
  CHECK(to_alice("To: \"" + alice + "\" <" + alice + ">\n") == "alice@corp.example");
  CHECK(to_alice("To: \"officer@home.example\" <" + alice + ">\n") == "alice@corp.example");
  // Phones that know no name write the address's local part.
  const auto local = [&](std::string_view real) {
    const std::string phantom = world.phantom(1, real);
    return phantom.substr(0, phantom.find('@'));
  };
  for (const std::string& name :
       {local("alice@corp.example"), upper(local("alice@corp.example")), local("bob@home.example")}) {
    CHECK(to_alice("To: " + name + " <" + alice + ">\n") == "alice@corp.example");
    CHECK(to_alice("To: \" " + name + "\" <" + alice + "> (" + name + ")\n") == "alice@corp.example");
    CHECK(to_alice("To: " + name + " <alice@corp.example>\n") == "alice@corp.example");
  }
  CHECK(to_alice("To: alice <" + alice + ">\n") == "alice <alice@corp.example>");
  CHECK(to_alice("To: " + lower(alice) + "\n") == "alice@corp.example");
  CHECK(to_alice("To: ALICE@corp.example\n") == "ALICE@corp.example");
  CHECK(to_alice("Subject: x\n") == "alice@corp.example");
  CHECK(to_alice("To: undisclosed-recipients:;\n") == "alice@corp.example");
  CHECK(to_alice("To: broken <<\n") == "alice@corp.example");
  const std::string bcc =
      copy("To: Alice <" + alice + ">\nBcc: Bob <" + world.phantom(1, "bob@home.example") + ">\n",
           "bob@home.example");
  CHECK(value(bcc, "To") == "bob@home.example");
  const std::string both =
      copy("Cc: x@y.example\nTo: Alice <" + alice + ">\nCc: z@y.example\n", "alice@corp.example");
  CHECK(count(both, "To") == 1);
  CHECK(count(both, "Cc") == 0);
}

TEST_CASE("To and Cc outward, open") {
  const World world = small_world();
  const Sent sent{.phantoms = {"alice@corp.example", "bob@home.example"}, .direct = {"carol@work.example"}};
  const auto phantom = [&](std::string_view real) { return world.phantom(3, real); };
  const auto copy = [&](const std::string& fields, std::string_view to) {
    return outward(world, 3, kFrom + fields, to, sent);
  };
  const std::string fields = "To: Alice <" + phantom("alice@corp.example") + ">, Eve <" +
                             phantom("eve@corp.example") + ">, open@home.example\n" +
                             "Cc: Team: carol@work.example, dave@work.example;, pta@school.example\n";
  for (const std::string_view to : {"alice@corp.example", "bob@home.example", "carol@work.example"}) {
    const std::string out = copy(fields, to);
    CHECK(value(out, "To") == "Alice <alice@corp.example>");
    CHECK(value(out, "Cc") == "Team: carol@work.example;, pta@school.example");
  }
  const std::string alice = phantom("alice@corp.example");
  const std::string local = alice.substr(0, alice.find('@'));
  CHECK(value(copy("To: " + local + " <" + alice + ">, " + local + ": carol@work.example;\n",
                   "carol@work.example"),
              "To") == "alice@corp.example, undisclosed-recipients: carol@work.example;");
  CHECK(value(copy("To: \"see dave@work.example\" <carol@work.example>\n", "carol@work.example"), "To") ==
        "carol@work.example");
  CHECK(value(copy("To: dave@work.example\n", "bob@home.example"), "To") == "undisclosed-recipients:;");
  CHECK(value(copy("To: dave@work.example\nCc: carol@work.example\n", "bob@home.example"), "To") == "(none)");
  // Members' mailboxes are for nobody, those behind other public addresses neither (contract R3.2); and who
  // has one is told of nobody else.
  const Sent with_member{.phantoms = {}, .direct = {"carol@work.example", "officer@home.example"}};
  const std::string both = "To: carol@work.example, officer@home.example\n";
  CHECK(value(outward(world, 3, kFrom + both, "carol@work.example", with_member), "To") ==
        "carol@work.example");
  CHECK(value(outward(world, 3, kFrom + both, "officer@home.example", with_member), "To") ==
        "officer@home.example");
  CHECK(with_lf(copy("To:  carol@work.example ,\n  pta@school.example\n", "carol@work.example"))
            .find("To:  carol@work.example ,\n  pta@school.example\n") != std::string::npos);
}

TEST_CASE("fields that stand twice") {
  const World world = small_world();
  const std::string out =
      inward(world, 1,
             "Subject: 1\nSubject: 2\nDate: 1\nDate: 2\nTo: a@b.example\nCc: pta@school.example\n"
             "To: c@d.example\nCc: e@f.example\nReply-To: a@b.example\nReply-To: c@d.example\n"
             "References: <1@b.example>\nReferences: <2@b.example>\nComments: 1\nComments: 2\n");
  CHECK(value(out, "Subject") == "1");
  CHECK(value(out, "Date") == "1");
  CHECK(value(out, "To") == world.phantom(1, "a@b.example") + ", " + world.phantom(1, "c@d.example"));
  CHECK(value(out, "Cc") == "pta@school.example, " + world.phantom(1, "e@f.example"));
  CHECK(value(out, "Reply-To") == world.phantom(1, "a@b.example"));
  CHECK(value(out, "References") == "<" + world.sealed(1, "1@b.example") + ">");
  CHECK(count(out, "Comments") == 2);
  for (const std::string_view name : {"Subject", "Date", "To", "Cc", "Reply-To", "References"})
    CHECK(count(out, name) == 1);
}

TEST_CASE("fields that pass") {
  const World world = small_world();
  const std::pair<std::string, std::string> cases[] = {
      {"Date: Thu, 1 Jan 2026 00:00:00 +0900 (by a@b.example)", "Thu, 1 Jan 2026 00:00:00 +0900"},
      {"Date: a@b.example", "(none)"},
      {"Date: mail.corp.example", "(none)"},
      {"MIME-Version: 1.0 (mail.corp.example)", "1.0"},
      {"MIME-Version: 1.0 (a\\@b.example)", "1.0"},
      {"Content-Transfer-Encoding: base64 (a@b)", "base64"},
      {"Auto-Submitted: auto-notified; owner-email=\"a@b.example\"", "auto-notified"},
      {"X-Priority: =?utf-8?q?a=40b=2Eexample?=", "(none)"},
      {"Precedence: list", "list"},
  };
  for (const auto& [field, expected] : cases) {
    INFO(field);
    CHECK(value(inward(world, 1, field + "\n"), field.substr(0, field.find(':'))) == expected);
  }
}

TEST_CASE("parameters") {
  const World world = small_world();
  const std::string a = world.phantom(1, "a@b.example");
  const std::pair<std::string, std::string> cases[] = {
      {"text/plain; name=a@b.example", "text/plain; name=\"" + a + "\""},
      {"text/plain; name=\"x a@b.example.pdf\"; charset=UTF-8",
       "text/plain; name=\"x " + a + ".pdf\"; charset=UTF-8"},
      {"text/plain; charset=utf-8 (a@b.example)", "text/plain; charset=utf-8"},
      {"text/plain (a@b.example); charset=utf-8", "text/plain; charset=utf-8"},
      {"multipart/related; boundary=\"a@b.example\"; start=\"<a@b>\"",
       "multipart/related; boundary=\"a@b.example\""},
      {"message/partial; id=\"1@b.example\"; number=1", "message/partial; number=1"},
      {"a@b.example; charset=utf-8", "(none)"},
      {"text/plain; a@b.example=x; charset=utf-8", "text/plain; charset=utf-8"},
  };
  for (const auto& [from, to] : cases) {
    INFO(from);
    CHECK(value(inward(world, 1, "Content-Type: " + from + "\n"), "Content-Type") == to);
  }
  CHECK(value(inward(world, 1, "Content-Disposition: inline; boundary=\"a@b.example\"\n"),
              "Content-Disposition") == "inline");
}

TEST_CASE("a block cut anywhere is still rewritten well") {
  const World world = small_world();
  const std::string block = with_crlf(
      "From: =?utf-8?q?A=40lice?= \"q\\\"<\" (c (d)) <alice@corp.example>\nTo: G: pta@school.example, \"a "
      "b\"@x.example;\n"
      "Subject: \x1b$B@h\x1b(B alice@corp.example =?iso-2022-jp?b?GyRC?=\nMessage-ID: <1@\n corp.example>\n"
      "Content-Type: text/plain; name*0*=utf-8''a%40; name*1=\"corp.example\" (c)\n");
  for (std::size_t cut = 0; cut <= block.size(); ++cut) {
    const std::string part = block.substr(0, cut);
    const auto header = ParsedHeader::parse(part);
    REQUIRE(header);
    INFO(part);
    const PhantomMap phantoms = derive_phantoms(*header, world.routes(), world.member(1), std::nullopt);
    const std::string out = rewrite_inward(*header, {.routes = world.routes(),
                                                     .member = world.member(1),
                                                     .phantoms = phantoms,
                                                     .envelope_from = std::nullopt,
                                                     .received = "by mx; now"});
    CHECK(malformed(out).empty());
    CHECK(out.find("corp.example") == std::string::npos);
  }
}

TEST_CASE("large headers are no more than large") {
  const World world = small_world();
  const auto repeated = [](std::string_view piece, std::size_t octets) {
    std::string out;
    while (out.size() + piece.size() < octets) out += piece;
    return out;
  };
  std::string list = "To: ";
  for (int i = 0; i < 4999; ++i)
    list += "User " + std::to_string(i) + " <u" + std::to_string(i) + "@d.example>,\n ";
  for (const std::string& block :
       {list + "pta@school.example\n", "Subject: " + repeated("a@b.example ", 250'000) + "\n",
        "Subject: " + repeated("@", 250'000) + "\n", "Subject: " + repeated("=?utf-8?q?", 250'000) + "\n",
        "Subject: " + repeated("a@ ", 250'000) + "\n", "Subject: " + repeated("a@b@", 250'000) + "\n",
        "To: " + repeated("(", 250'000) + "\n", "To: " + repeated("\"", 250'000) + "\n",
        "To: " + repeated("a@", 250'000) + "\n", "References: " + repeated("<a@b>", 250'000) + "\n",
        "Content-Type: " + repeated("a;", 250'000) + "\n", "Date: " + repeated("(a@b", 250'000) + "\n",
        "Subject: " + repeated("\x1b$B", 250'000) + "\n", "To: \"" + repeated("\\", 250'000) + "\n"}) {
    INFO(block.substr(0, 40));
    const auto header = ParsedHeader::parse(with_crlf(block), {.max_octets = 1U << 20U, .max_fields = 2000});
    REQUIRE(header);
    const PhantomMap phantoms = derive_phantoms(*header, world.routes(), world.member(1), std::nullopt);
    const std::string out = rewrite_inward(*header, {.routes = world.routes(),
                                                     .member = world.member(1),
                                                     .phantoms = phantoms,
                                                     .envelope_from = std::nullopt,
                                                     .received = "by mx; now"});
    CHECK(malformed(out).empty());
  }
}

}  // namespace kage::mapping::test
