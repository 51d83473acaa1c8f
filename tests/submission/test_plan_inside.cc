// The plan of what members write to those inside: colleagues, other public addresses, and a message that
// comes in several transactions.
#include <catch2/catch.hpp>

#include "plan_scene.h"

using namespace kage;
using namespace kage::submission;
using namespace kage::submission::test;

TEST_CASE("a member's message to the own public address is delivered inside, under the author's phantoms") {
  const Face face = GENERATE(Face::submission, Face::inbound);
  Scene scene(face, "From: Officer <" +
                        std::string(face == Face::inbound ? "officer@gmail.example" : "pta@school.example") +
                        ">\r\nTo: pta@school.example, " +
                        mapping::phantom_address(*make_routes()->find_member(1), "a@out.example") +
                        "\r\nMessage-ID: <1@gmail.example>\r\n");
  scene.add("pta@school.example");
  scene.add(scene.phantom(1, "a@out.example"), 1, "a@out.example");
  const Plan plan = scene.plan();
  CHECK(summary(plan) ==
        Lines{"in 1 officer@gmail.example", "in 2 Teacher@docomo.example", "out 1 a@out.example"});
  for (std::size_t i = 0; i < plan.copies().size(); ++i) {
    const Copy copy = plan.write(i, *scene.header, scene.envelope, "by mx");
    INFO(copy.header);
    CHECK(copy.header.find("officer@gmail.example") == std::string::npos);
    if (plan.copies()[i].inward && plan.copies()[i].member->id == 2) {
      CHECK(copy.header.find(scene.phantom(2, "officer@gmail.example")) != std::string::npos);
      CHECK(copy.header.find(scene.phantom(2, "a@out.example")) != std::string::npos);
      CHECK(copy.header.find(scene.phantom(1, "a@out.example")) == std::string::npos);
    }
  }
}

TEST_CASE("ids of a member's message to colleagues are those that correspondents know", "[R3.2]") {
  // What `member` gets of it as a member or, for 0, the correspondent a@out.example.
  const auto field_for = [](Scene& scene, mapping::MemberId member, std::string_view name) {
    const Plan plan = scene.plan();
    for (std::size_t i = 0; i < plan.copies().size(); ++i) {
      const PlannedCopy& copy = plan.copies()[i];
      if (copy.inward ? copy.member->id != member : member != 0) continue;
      const Copy written = plan.write(i, *scene.header, scene.envelope, "by mx");
      INFO(written.header);
      if (!copy.inward) CHECK(written.header.find("gmail") == std::string::npos);
      return message::unfold(mapping::ParsedHeader::parse(written.header).value().body_of(name));
    }
    return std::string("no copy");
  };
  const auto scene = [](const std::string& author, mapping::MemberId member, const std::string& ids) {
    Scene made(Face::inbound, "From: " + author + "\r\nTo: pta@school.example\r\n" + ids);
    made.add("pta@school.example");
    made.add("office@school.example");
    made.add(made.phantom(member, "a@out.example"), member, "a@out.example");
    return made;
  };
  Scene first = scene("officer@gmail.example", 1, "Message-ID: <1@gmail.example>\r\n");
  const std::string known = field_for(first, 0, "Message-ID");
  const std::string to_teacher = field_for(first, 2, "Message-ID");
  const std::string to_office = field_for(first, 3, "Message-ID");
  for (const std::string& id : {field_for(first, 1, "Message-ID"), to_teacher, to_office})
    CHECK(id.ends_with("@p.school.example>"));
  // The colleague answers.
  Scene answer = scene("teacher@docomo.example", 2,
                       "Message-ID: <2@docomo.example>\r\nIn-Reply-To: " + to_teacher + "\r\n");
  CHECK(field_for(answer, 0, "In-Reply-To") == known);
  CHECK(field_for(answer, 1, "In-Reply-To") == "<1@gmail.example>");
  CHECK(field_for(answer, 2, "In-Reply-To") == to_teacher);
  CHECK(field_for(answer, 3, "In-Reply-To") == to_office);
  // To the author alone, whose mailbox then is a correspondent's; and to somebody else at that provider.
  for (const std::string to : {"officer@gmail.example", "stranger@gmail.example"}) {
    Scene alone(Face::inbound,
                "From: teacher@docomo.example\r\nMessage-ID: <2@docomo.example>\r\nIn-Reply-To: " +
                    to_teacher + "\r\n");
    alone.add(alone.phantom(2, to), 2, to);
    const Copy copy = alone.plan().write(0, *alone.header, alone.envelope, "by mx");
    CHECK(message::unfold(mapping::ParsedHeader::parse(copy.header).value().body_of("In-Reply-To")) ==
          (to == "officer@gmail.example" ? "<1@gmail.example>" : known));
  }
  // The author follows up.
  Scene more =
      scene("officer@gmail.example", 1, "Message-ID: <3@gmail.example>\r\nReferences: <1@gmail.example>\r\n");
  CHECK(field_for(more, 0, "References") == known);
  CHECK(field_for(more, 1, "References") == "<1@gmail.example>");
  CHECK(field_for(more, 2, "References") == to_teacher);
  CHECK(field_for(more, 3, "References") == to_office);
}

TEST_CASE("a reply to all in two transactions is planned as in one") {
  const std::string text = "From: Officer <officer@gmail.example>\r\nTo: Yamada <" +
                           Scene(Face::inbound, "").phantom(1, "a@out.example") +
                           ">\r\nCc: pta@school.example\r\nMessage-ID: <1@gmail.example>\r\n";
  Scene whole(Face::inbound, text);
  whole.add(whole.phantom(1, "a@out.example"), 1, "a@out.example");
  whole.add("pta@school.example");
  Scene part(Face::inbound, text);
  part.mention(1, "a@out.example");
  part.add("pta@school.example");
  const Plan one = whole.plan();
  const Plan two = part.plan();
  CHECK(summary(two) == Lines{"in 1 officer@gmail.example", "in 2 Teacher@docomo.example"});
  REQUIRE(one.copies().size() == 3);
  CHECK(one.request().message == two.request().message);
  for (std::size_t i = 0; i < 2; ++i) {
    REQUIRE(one.copies()[i + 1].inward);
    CHECK(one.copies()[i + 1].tag == two.copies()[i].tag);
    CHECK(one.write(i + 1, *whole.header, whole.envelope, "").header ==
          two.write(i, *part.header, part.envelope, "").header);
  }
  // Nobody vouched for the author, or it is another's: then it means nothing to anybody.
  part.envelope.mentioned.clear();
  const Plan none = part.plan();
  for (std::size_t i = 0; i < none.copies().size(); ++i) {
    const std::string header = none.write(i, *part.header, part.envelope, "").header;
    INFO(header);
    CHECK(header.find("To:") == std::string::npos);
    CHECK(header.find("Yamada") == std::string::npos);
  }
}

TEST_CASE("a colleague's copy is one entry of the ledger, as a correspondent and as a member") {
  const std::string text =
      "From: officer@gmail.example\r\nTo: " + Scene(Face::inbound, "").phantom(1, "teacher@docomo.example") +
      "\r\nCc: pta@school.example\r\nMessage-ID: <1@gmail.example>\r\n";
  Scene outward(Face::inbound, text);
  outward.add(outward.phantom(1, "teacher@docomo.example"), 1, "Teacher@Docomo.example");
  Scene inward(Face::inbound, text);
  inward.mention(1, "teacher@docomo.example");
  inward.add("pta@school.example");
  REQUIRE(summary(outward.plan()) == Lines{"out 1 Teacher@Docomo.example"});
  const Plan inside = inward.plan();
  REQUIRE(inside.copies()[1].member->id == 2);
  CHECK(outward.plan().copies()[0].tag == inside.copies()[1].tag);
}

TEST_CASE("each part of a message has a report of its own, and its retry the same") {
  const auto report = [](std::vector<std::string> correspondents) {
    Scene scene(Face::inbound, "From: officer@gmail.example\r\nMessage-ID: <1@gmail.example>\r\n");
    for (const std::string& each : correspondents) scene.add(scene.phantom(1, each), 1, each);
    const Plan plan = scene.plan();
    REQUIRE(plan.reportable());
    REQUIRE(plan.request().copies.size() == correspondents.size() + 1);
    return plan.request().copies.back();
  };
  CHECK(report({"a@out.example", "b@out.example"}) == report({"b@out.example", "a@out.example"}));
  CHECK(report({"a@out.example", "b@out.example"}) != report({"c@out.example", "d@out.example"}));
}

TEST_CASE("what the ledger remembers of a complete success") {
  const auto remembered = [](std::string header, bool to_public) {
    Scene scene(Face::inbound, "From: officer@gmail.example\r\nTo: " +
                                   Scene(Face::inbound, "").phantom(1, "a@out.example") + "\r\n" + header);
    if (to_public) {
      scene.add("pta@school.example");
      scene.mention(1, "a@out.example");
    } else {
      scene.add(scene.phantom(1, "a@out.example"), 1, "a@out.example");
    }
    return scene.plan().remembered();
  };
  const std::string date = "Date: Mon, 23 Nov 2026 05:00:00 +0900\r\n";
  const std::string cc = "Cc: pta@school.example\r\n";
  CHECK(remembered("Message-ID: <1@gmail.example>\r\n", false));
  CHECK_FALSE(remembered(date, false));
  CHECK(remembered(date + cc, false));
  CHECK(remembered(date + cc, true));
  CHECK_FALSE(remembered(cc, false));
  CHECK_FALSE(remembered(cc, true));
}

TEST_CASE("to the people of another organisation a writer is the public address") {
  std::vector<mapping::AddressSpec> addresses(3);
  addresses[0].address = parse("pta@school.example");
  addresses[0].display_name = "PTA committee";
  addresses[1].address = parse("sales@corp.example");
  addresses[1].display_name = "Corp Sales";
  addresses[2].address = parse("office@school.example");
  std::vector<mapping::RouteTable::Row> rows;
  rows.push_back(row(1, "pta@school.example", "officer@gmail.example"));
  rows.push_back(row(2, "pta@school.example", "teacher@docomo.example"));
  rows.push_back(row(3, "sales@corp.example", "chair@corp.test"));
  rows.push_back(row(4, "office@school.example", "clerk@office.test"));
  Scene scene(Face::submission, "Subject: s\r\n");
  scene.routes = scene.envelope.routes =
      mapping::RouteTable::build({{"school.example", ""}, {"corp.example", ""}}, std::move(addresses),
                                 std::move(rows),
                                 std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
          .value();
  const auto& chair = *scene.routes->find_member(3);
  const std::string known = mapping::seal_msg_id(scene.routes->master(), *scene.routes->find_member(1),
                                                 "first@out.example", "p.school.example");
  const std::string colleague = scene.phantom(1, "teacher@docomo.example");
  scene.header.emplace(mapping::ParsedHeader::parse(
                           "From: Hanako <officer@gmail.example>\r\nTo: Yamada <" +
                           scene.phantom(1, "a@out.example") + ">, Taro <" + colleague +
                           ">\r\nCc: sales@corp.example, office@school.example\r\nSubject: of " + colleague +
                           "\r\nMessage-ID: <1@gmail.example>\r\nIn-Reply-To: <" + known + ">\r\n")
                           .value());
  scene.add("sales@corp.example");
  scene.add("office@school.example");
  scene.add(scene.phantom(1, "a@out.example"), 1, "a@out.example");
  scene.add(colleague, 1, "teacher@docomo.example");
  const Plan plan = scene.plan();
  REQUIRE(plan.copies()[0].member == &chair);
  const std::string header = plan.write(0, *scene.header, scene.envelope, "").header;
  INFO(header);
  CHECK(header.find("From: PTA committee <pta@school.example>\r\n") != std::string::npos);
  CHECK(header.find("To: Yamada <" + scene.phantom(3, "a@out.example") + ">\r\n") != std::string::npos);
  CHECK(header.find("Cc: sales@corp.example, office@school.example\r\n") != std::string::npos);
  CHECK(header.find("Subject: of pta@school.example\r\n") != std::string::npos);
  for (const std::string_view secret : {"Hanako", "Taro", "gmail", "docomo", "out.example"})
    CHECK(header.find(secret) == std::string::npos);
  for (const std::string_view mailbox : {"officer@gmail.example", "teacher@docomo.example"})
    CHECK(header.find(scene.phantom(3, mailbox)) == std::string::npos);
  const std::string first =
      mapping::seal_msg_id(scene.routes->master(), chair, "first@out.example", "p.corp.example");
  CHECK(header.find("In-Reply-To: <" + first) != std::string::npos);
  const std::size_t id = header.find("Message-ID: <") + 13;
  const auto opened = mapping::open_msg_id(
      *scene.routes, std::string_view(header).substr(id, header.find('>', id) - id), "school.example");
  REQUIRE(opened);
  CHECK(opened->original == "1@gmail.example");

  // Within a domain people see the person.
  REQUIRE(plan.copies()[1].member->id == 4);
  const std::string within = plan.write(1, *scene.header, scene.envelope, "").header;
  CHECK(within.find("From: Hanako <" + scene.phantom(4, "officer@gmail.example") + ">") != std::string::npos);

  // The writer stands behind both: there are colleagues, not correspondents.
  Scene both(Face::submission, "From: officer@gmail.example\r\nMessage-ID: <2@gmail.example>\r\n");
  std::vector<mapping::AddressSpec> two(2);
  two[0].address = parse("pta@school.example");
  two[1].address = parse("sales@corp.example");
  std::vector<mapping::RouteTable::Row> again;
  again.push_back(row(1, "pta@school.example", "officer@gmail.example"));
  again.push_back(row(2, "sales@corp.example", "officer@gmail.example"));
  again.push_back(row(3, "sales@corp.example", "chair@corp.test"));
  both.routes = both.envelope.routes =
      mapping::RouteTable::build({{"school.example", ""}, {"corp.example", ""}}, std::move(two),
                                 std::move(again),
                                 std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
          .value();
  both.add("sales@corp.example");
  const Plan inside = both.plan();
  for (std::size_t i = 0; i < inside.copies().size(); ++i) {
    if (inside.copies()[i].member->id != 3) continue;
    CHECK(inside.write(i, *both.header, both.envelope, "")
              .header.find(both.phantom(3, "officer@gmail.example")) != std::string::npos);
  }
}

TEST_CASE("a colleague sees phantoms of their own in a header of any size that was let in") {
  Scene scene(Face::inbound, "Subject: another\r\n");
  std::string block = "From: officer@gmail.example\r\nTo: pta@school.example, " +
                      scene.phantom(1, "a@out.example") + "\r\nMessage-ID: <1@gmail.example>\r\n";
  for (int i = 0; i < 2500; ++i) block += "X-Padding: " + std::string(150, 'x') + "\r\n";
  scene.header.emplace(mapping::ParsedHeader::parse(block, {1 << 20, 3000}).value());
  scene.add("pta@school.example");
  scene.add(scene.phantom(1, "a@out.example"), 1, "a@out.example");
  const Plan plan = scene.plan();
  REQUIRE(plan.copies().size() == 3);
  REQUIRE(plan.copies()[1].member->id == 2);
  const std::string header = plan.write(1, *scene.header, scene.envelope, "by mx").header;
  CHECK(header.find(scene.phantom(2, "officer@gmail.example")) != std::string::npos);
  CHECK(header.find(scene.phantom(2, "a@out.example")) != std::string::npos);
}
