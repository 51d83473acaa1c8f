// Sorting of recipients and the plan of copies, without Redis and sockets.
#include <catch2/catch.hpp>

#include <algorithm>

#include "base/clock.h"
#include "submission/plan.h"

using namespace kage;
using namespace kage::submission;

namespace {

constexpr std::int64_t kNow = 1'795'000'000;

message::Address parse(std::string_view text) {
  return message::parse_address(text).value();
}

mapping::RouteTable::Row row(mapping::MemberId id, std::string address, std::string_view mailbox) {
  mapping::MemberSpec spec;
  spec.mailbox = parse(mailbox);
  return {id, mapping::MemberKeys(std::string(32, static_cast<char>('a' + id))), std::move(address),
          std::move(spec)};
}

mapping::Routes make_routes(bool with_teacher = true, bool collect = false,
                            mapping::SharePolicy share = mapping::SharePolicy::nobody) {
  std::vector<mapping::DomainSpec> domains{{"school.example", ""}};
  std::vector<mapping::AddressSpec> addresses(2);
  addresses[0].address = parse("pta@school.example");
  addresses[0].collect = collect;
  addresses[0].share_replies = share;
  addresses[1].address = parse("office@school.example");
  std::vector<mapping::RouteTable::Row> rows;
  rows.push_back(row(1, "pta@school.example", "officer@gmail.example"));
  rows.push_back(row(3, "office@school.example", "officer@gmail.example"));
  if (with_teacher) rows.push_back(row(2, "pta@school.example", "Teacher@docomo.example"));
  return mapping::RouteTable::build(std::move(domains), std::move(addresses), std::move(rows),
                                    std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
      .value();
}

/// The whole of an answer, or what kind of recipient it is.
std::string sorted(Face face, std::string_view address,
                   std::optional<message::Address> sender = parse("a@out.example")) {
  const auto routes = make_routes();
  const auto recipient = classify(*routes, face, sender, parse(address), kNow);
  if (!recipient) return std::string(line(recipient.error()).substr(0, 9));
  constexpr std::string_view kNames[] = {"public", "phantom", "bounce", "direct"};
  return std::string(kNames[static_cast<std::size_t>(recipient->kind)]) + " " + recipient->key;
}

struct Scene {
  mapping::Routes routes = make_routes();
  ClientEnvelope envelope;
  Origin origin;
  std::optional<mapping::ParsedHeader> header;

  explicit Scene(Face face, std::string block) {
    envelope.routes = routes;
    envelope.sender = parse("stranger@out.example");
    origin.face = face;
    if (face != Face::inbound) origin.login = "officer@gmail.example";
    header.emplace(mapping::ParsedHeader::parse(std::move(block)).value());
  }

  void add(std::string_view address, mapping::MemberId member = 0, std::string_view correspondent = {}) {
    auto recipient = classify(*routes, origin.face, envelope.sender, parse(address), kNow).value();
    if (member != 0) {
      recipient.member = member;
      recipient.correspondent = parse(correspondent);
    }
    envelope.recipients.push_back(std::move(recipient));
  }
  /// A phantom in To or Cc that is no recipient of this transaction, resolved.
  void mention(mapping::MemberId member, std::string_view correspondent) {
    add(phantom(member, correspondent), member, correspondent);
    envelope.mentioned.push_back(std::move(envelope.recipients.back()));
    envelope.recipients.pop_back();
  }
  Plan plan() { return Plan::make(*header, envelope, origin, kNow).value(); }
  std::string phantom(mapping::MemberId member, std::string_view correspondent) const {
    return mapping::phantom_address(*routes->find_member(member), parse(correspondent).canonical());
  }
};

/// "in 1 officer@gmail.example" and "out 2 a@b.example", sorted.
std::vector<std::string> summary(const Plan& plan) {
  std::vector<std::string> out;
  for (const auto& copy : plan.copies()) {
    out.push_back((copy.inward ? "in " : "out ") + std::to_string(copy.member->id) + " " +
                  copy.recipient.spelling);
  }
  std::ranges::sort(out);
  return out;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("recipients of the inbound face") {
  CHECK(sorted(Face::inbound, "PTA@School.Example") == "public pta@school.example");
  CHECK(sorted(Face::inbound, "\"pta\"@school.example") == "public pta@school.example");
  CHECK(sorted(Face::inbound, "nobody@school.example") == "550 5.1.1");
  CHECK(sorted(Face::inbound, "0123456789ABCDEF@p.school.example") == "phantom 0123456789abcdef");
  CHECK(sorted(Face::inbound, "0123456789abcdef@school.example") == "550 5.1.1");
  CHECK(sorted(Face::inbound, "0123456789abcde@p.school.example") == "550 5.1.1");
  CHECK(sorted(Face::inbound, "a@elsewhere.example") == "550 5.7.1");
}

TEST_CASE("who is collected is a person who wrote") {
  const auto registered = [](const std::string& fields, bool from_nobody = false) {
    Scene scene(Face::inbound, "From: Hanako <hanako@docomo.example>\r\nTo: pta@school.example\r\n" + fields);
    scene.routes = make_routes(true, true);
    scene.envelope.routes = scene.routes;
    if (from_nobody) scene.envelope.sender.reset();
    scene.add("pta@school.example");
    const Plan plan = scene.plan();
    return std::ranges::count_if(plan.request().phantoms,
                                 [](const auto& write) { return write.seen.has_value(); });
  };
  for (const char* person : {"", "Auto-Submitted: no\r\n", "auto-submitted:\r\n NO (a person)\r\n",
                             "Precedence: first-class\r\n"}) {
    INFO(person);
    CHECK(registered(person) == 2);
  }
  for (const char* machine :
       {"Auto-Submitted: auto-replied\r\n", "Auto-Submitted: auto-generated; type=x\r\n",
        "List-Id: News <n.x>\r\n", "LIST-UNSUBSCRIBE: <https://x.example/>\r\n", "Precedence: bulk\r\n",
        "Precedence:  List \r\n"}) {
    INFO(machine);
    CHECK(registered(machine) == 0);
  }
  CHECK(registered("", true) == 0);
}

TEST_CASE("a public address that nobody stands behind is not in use for now") {
  std::vector<mapping::AddressSpec> addresses(2);
  addresses[0].address = parse("pta@school.example");
  addresses[1].address = parse("postmaster@school.example");
  const auto deserted =
      mapping::RouteTable::build({{"school.example", ""}}, std::move(addresses), {},
                                 std::make_shared<const mapping::MasterKeys>(std::string(32, 'm')), 1)
          .value();
  const auto sender = parse("a@out.example");
  for (const Face face : {Face::inbound, Face::submission}) {
    CHECK(classify(*deserted, face, sender, parse("pta@school.example"), kNow).error() ==
          Answer::nobody_behind);
  }
  message::Address postmaster;
  postmaster.local = postmaster.spelling = "postmaster";
  CHECK(classify(*deserted, Face::inbound, sender, postmaster, kNow).error() == Answer::nobody_behind);

  // Forgotten between RCPT and the end of the data.
  Scene scene(Face::inbound, "From: stranger@out.example\r\nMessage-ID: <1@out.example>\r\n");
  scene.add("pta@school.example");
  scene.envelope.routes = deserted;
  CHECK(Plan::make(*scene.header, scene.envelope, scene.origin, kNow).error() == Answer::nobody_behind);
}

TEST_CASE("recipients of the submission faces") {
  CHECK(sorted(Face::submission, "pta@school.example") == "public pta@school.example");
  CHECK(sorted(Face::submission, "nobody@school.example") == "550 5.1.1");
  CHECK(sorted(Face::submission, "nobody@p.school.example") == "550 5.1.1");
  CHECK(sorted(Face::submissions, "A..b@docomo.example") == "direct a..b@docomo.example");
}

TEST_CASE("bounces come back from nobody, or from a mailer-daemon") {
  const auto routes = make_routes();
  const auto ask = [&](mapping::BounceOf what, std::optional<message::Address> sender, std::int64_t later) {
    const std::string local = mapping::bounce_local(routes->master(), what, *routes->find_member(2), kNow);
    return classify(*routes, Face::inbound, sender, parse(local + "@p.school.example"), kNow + later);
  };
  const auto outward = ask(mapping::BounceOf::to_correspondent, std::nullopt, 0);
  REQUIRE(outward);
  CHECK(outward->kind == Recipient::Kind::bounce);
  CHECK(outward->member == 2);
  CHECK_FALSE(outward->discard);
  CHECK(ask(mapping::BounceOf::to_member, parse("MAILER-DAEMON@docomo.example"), 86'400)->discard);
  CHECK(ask(mapping::BounceOf::to_member, parse("stranger@out.example"), 0).error() == Answer::no_such_user);
  CHECK(ask(mapping::BounceOf::to_member, std::nullopt, 61 * 86'400).error() == Answer::no_such_user);
}

TEST_CASE("an inbound message has a copy for each member, once") {
  Scene scene(Face::inbound, "From: stranger@out.example\r\nMessage-ID: <1@out.example>\r\n");
  scene.add("pta@school.example");
  scene.add("PTA@school.example");
  scene.add("office@school.example");
  const Plan plan = scene.plan();
  CHECK(summary(plan) ==
        Lines{"in 1 officer@gmail.example", "in 2 Teacher@docomo.example", "in 3 officer@gmail.example"});
  CHECK(plan.request().copies.size() == 3);
  CHECK(plan.request().phantoms.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const Copy copy = plan.write(i, *scene.header, scene.envelope, "by mx");
    CHECK(copy.header.find("out.example") == std::string::npos);
    CHECK(copy.mail_from.ends_with("@p.school.example"));
    CHECK(copy.header.find(scene.phantom(plan.copies()[i].member->id, "stranger@out.example")) !=
          std::string::npos);
  }
}

TEST_CASE("tags of a message and its copies are the same in a retry, and only then") {
  const auto tags = [](std::string block) {
    Scene scene(Face::inbound, std::move(block));
    scene.add("pta@school.example");
    return scene.plan().request();
  };
  const auto one = tags("From: s@out.example\r\nMessage-ID: <1@out.example>\r\n");
  const auto retry = tags("Received: from x\r\nFrom: s@out.example\r\nMessage-ID: <1@out.example>\r\n");
  const auto other = tags("From: s@out.example\r\nMessage-ID: <2@out.example>\r\n");
  CHECK(one.message == retry.message);
  CHECK(one.copies == retry.copies);
  CHECK(one.message != other.message);
  CHECK(one.copies[0] != one.copies[1]);
  CHECK(one.copies[0] != other.copies[0]);
}

TEST_CASE("a submission to phantoms and real addresses has a copy for each correspondent") {
  Scene scene(Face::submission, "From: Officer <office@school.example>\r\nMessage-ID: <1@gmail.example>\r\n");
  scene.add(scene.phantom(1, "a@out.example"), 1, "a@out.example");
  scene.add("b@out.example");
  scene.add("B@out.example");
  const Plan plan = scene.plan();
  // Who writes to b is who the header's From says.
  CHECK(summary(plan) == Lines{"out 1 a@out.example", "out 3 b@out.example"});
  const Copy copy = plan.write(0, *scene.header, scene.envelope, "by mx");
  CHECK(copy.header.find("pta@school.example") != std::string::npos);
  CHECK(copy.header.find("gmail") == std::string::npos);
}

TEST_CASE("who writes to a real address") {
  const auto writer = [](std::string from, bool with_phantom) {
    Scene scene(Face::submission, "From: " + from + "\r\n");
    if (with_phantom) scene.add(scene.phantom(3, "a@out.example"), 3, "a@out.example");
    scene.add("b@out.example");
    const Plan plan = scene.plan();
    return plan.logged_member()->id;
  };
  CHECK(writer("pta@school.example", false) == 1);
  CHECK(writer("office@school.example", false) == 3);
  CHECK(writer("Office <office@school.example>, pta@school.example", false) == 3);
  CHECK(writer("officer@gmail.example", true) == 3);
  CHECK(writer("nobody@elsewhere.example", true) == 3);
}

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

TEST_CASE("an address at a phantom domain never gets a phantom, whether it exists or not") {
  Scene scene(Face::inbound, "Subject: s\r\n");
  const std::string bounce =
      mapping::bounce_local(scene.routes->master(), mapping::BounceOf::to_correspondent,
                            *scene.routes->find_member(2), kNow) +
      "@p.school.example";
  const auto shown = [&](const std::string& address) {
    scene.header.emplace(mapping::ParsedHeader::parse("From: s@out.example\r\nTo: \"Taro\" <" + address +
                                                      ">\r\nCc: pta@school.example\r\nReply-To: " + address +
                                                      "\r\nSubject: of " + address +
                                                      "\r\nMessage-ID: <1@out.example>\r\n")
                             .value());
    scene.envelope.recipients.clear();
    scene.add("pta@school.example");
    const Plan plan = scene.plan();
    for (const auto& stored : plan.request().phantoms)
      CHECK(stored.spelling.find("p.school.example") == std::string::npos);
    return plan.write(1, *scene.header, scene.envelope, "").header;
  };
  const std::string never = shown("0123456789abcdef@p.school.example");
  CHECK(never.find("To:") == std::string::npos);
  CHECK(never.find("0123456789abcdef") == std::string::npos);
  CHECK(shown(scene.phantom(1, "a@out.example")) == never);
  CHECK(shown(scene.phantom(2, "a@out.example")) == never);
  const std::string answered = shown(bounce);
  CHECK(answered.find("To: \"Taro\" <pta@school.example>\r\n") != std::string::npos);
  CHECK(answered.find("Reply-To:") == std::string::npos);
  CHECK(answered.find("@p.school.example") == answered.find(scene.phantom(2, "s@out.example")) + 16);
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

TEST_CASE("a message without an id gets one for each member, equal in an inbound retry") {
  const auto id_of = [](const Copy& copy) {
    const std::size_t at = copy.header.find("Message-ID: <");
    REQUIRE(at != std::string::npos);
    return copy.header.substr(at, copy.header.find('\n', at) - at);
  };
  const auto ids = [&](Face face) {
    Scene scene(face, "From: s@out.example\r\n");
    scene.add("pta@school.example");
    const Plan plan = scene.plan();
    return std::pair(id_of(plan.write(0, *scene.header, scene.envelope, "")),
                     id_of(plan.write(1, *scene.header, scene.envelope, "")));
  };
  const auto inbound = ids(Face::inbound);
  CHECK(inbound.first != inbound.second);
  CHECK(inbound == ids(Face::inbound));
  CHECK(inbound.first.find("@p.school.example") != std::string::npos);
  CHECK(ids(Face::submission) != ids(Face::submission));
}

TEST_CASE("a message without a date gets that of its receipt in every copy, and is the same in a retry") {
  constexpr std::string_view kDate = "\r\nDate: ";
  const auto dates = [&](const Plan& plan, const Scene& scene) {
    std::vector<std::string> found;
    for (std::size_t i = 0; i < plan.copies().size(); ++i) {
      const std::string header = plan.write(i, *scene.header, scene.envelope, "by mx").header;
      const std::size_t at = header.find(kDate);
      REQUIRE(at != std::string::npos);
      CHECK(header.find(kDate, at + 1) == std::string::npos);
      const std::size_t begin = at + kDate.size();
      found.push_back(header.substr(begin, header.find('\r', begin) - begin));
    }
    return found;
  };
  const std::string written = "Thu, 01 Jan 2026 13:19:00 +0900";
  for (const Face face : {Face::inbound, Face::submission}) {
    for (const bool shared : {false, true}) {
      for (const std::string id : {"", "Message-ID: <1@gmail.example>\r\n"}) {
        const auto scene = [&](const std::string& date) {
          Scene made(face,
                     "From: officer@gmail.example\r\n" + id + (date.empty() ? "" : "Date: " + date + "\r\n"));
          if (shared)
            made.routes = made.envelope.routes = make_routes(true, false, mapping::SharePolicy::everybody);
          made.add(made.phantom(1, "a@out.example"), 1, "a@out.example");
          if (!shared) made.add("pta@school.example");
          return made;
        };
        Scene without = scene("");
        const Plan plan = without.plan();
        const Lines made(3, rfc5322_date(kNow));
        CHECK(dates(plan, without) == made);
        const Plan retry = Plan::make(*without.header, without.envelope, without.origin, kNow + 600).value();
        CHECK(retry.request().message == plan.request().message);
        CHECK(retry.request().copies == plan.request().copies);
        Scene with = scene(written);
        CHECK(dates(with.plan(), with) == Lines(3, written));
      }
    }
  }
  // One that may not cross is none.
  Scene odd(Face::inbound, "From: s@out.example\r\nDate: at s@out.example\r\n");
  odd.add("pta@school.example");
  CHECK(dates(odd.plan(), odd) == Lines(2, rfc5322_date(kNow)));
}

TEST_CASE("a message without an id is known when a member's mailbox forwards it back") {
  for (const Face face : {Face::inbound, Face::submission}) {
    Scene scene(face, "From: s@out.example\r\n");
    scene.add("pta@school.example");
    const Plan plan = scene.plan();
    for (std::size_t i = 0; i < plan.copies().size(); ++i) {
      const std::string copy = plan.write(i, *scene.header, scene.envelope, "").header;
      CHECK(mapping::is_loop(mapping::ParsedHeader::parse(copy).value(), *scene.routes));
    }
  }
}

TEST_CASE("a phantom that is dead, unresolved or another's refuses the whole message") {
  Scene scene(Face::inbound, "From: officer@gmail.example\r\n");
  scene.add("pta@school.example");
  scene.add("0123456789abcdef@p.school.example");
  CHECK(Plan::make(*scene.header, scene.envelope, scene.origin, kNow).error() == Answer::no_such_user);

  Scene gone(Face::inbound, "From: teacher@docomo.example\r\n");
  gone.add(gone.phantom(2, "a@out.example"), 2, "a@out.example");
  CHECK(owns_phantoms(*gone.routes, gone.envelope.recipients, parse("TEACHER@docomo.example")));
  CHECK_FALSE(owns_phantoms(*gone.routes, gone.envelope.recipients, parse("officer@gmail.example")));
  gone.envelope.routes = make_routes(false);
  CHECK_FALSE(
      owns_phantoms(*gone.envelope.routes, gone.envelope.recipients, parse("teacher@docomo.example")));
  CHECK(Plan::make(*gone.header, gone.envelope, gone.origin, kNow).error() == Answer::no_such_user);
}

TEST_CASE("a bounce of what a member wrote goes to that member only; one of a member's mailbox to nobody") {
  Scene scene(Face::inbound, "From: MAILER-DAEMON@out.example\r\n");
  scene.envelope.sender.reset();
  const auto local = [&](mapping::BounceOf what) {
    return mapping::bounce_local(scene.routes->master(), what, *scene.routes->find_member(2), kNow) +
           "@p.school.example";
  };
  scene.add(local(mapping::BounceOf::to_correspondent));
  CHECK(summary(scene.plan()) == Lines{"in 2 Teacher@docomo.example"});
  scene.envelope.recipients.clear();
  scene.add(local(mapping::BounceOf::to_member));
  const Plan plan = scene.plan();
  CHECK(plan.copies().empty());
  CHECK(plan.logged_member()->id == 2);
}

TEST_CASE("what came from the null sender and leaves with one of ours says that nobody wrote it") {
  const auto field = [](Face face, std::string more, bool null_sender) {
    Scene scene(face, "From: officer@gmail.example\r\nMessage-ID: <1@gmail.example>\r\n" + more);
    if (null_sender) scene.envelope.sender.reset();
    if (face == Face::inbound) scene.add("pta@school.example");
    scene.add(scene.phantom(1, "a@out.example"), 1, "a@out.example");
    const Plan plan = scene.plan();
    std::string found;
    for (std::size_t i = 0; i < plan.copies().size(); ++i) {
      const Copy copy = plan.write(i, *scene.header, scene.envelope, "by mx");
      for (const auto& each : message::tokenize(copy.header).value()) {
        if (each.is("Auto-Submitted")) found.append(each.body);
      }
    }
    return found;
  };
  CHECK(field(Face::inbound, "", true) == " auto-replied auto-replied auto-replied");
  CHECK(field(Face::submission, "", true) == " auto-replied");
  CHECK(field(Face::submission, "", false) == "");
  CHECK(field(Face::submission, "auto-submitted: auto-notified\r\n", true) == " auto-notified");
}

TEST_CASE("a report in our words says once that nobody wrote it") {
  Scene scene(Face::inbound, "From: MAILER-DAEMON@out.example\r\nAuto-Submitted: auto-generated\r\n");
  scene.envelope.sender.reset();
  scene.add(mapping::bounce_local(scene.routes->master(), mapping::BounceOf::to_correspondent,
                                  *scene.routes->find_member(2), kNow) +
            "@p.school.example");
  const std::string header = scene.plan().write(0, *scene.header, scene.envelope, "by mx").header;
  const std::size_t at = header.find("Auto-Submitted: auto-replied\r\n");
  CHECK(at != std::string::npos);
  CHECK(header.find("Auto-Submitted", at + 1) == std::string::npos);
}

TEST_CASE("our Received field names no client") {
  Origin origin;
  origin.peer.ip = "192.0.2.1";
  CHECK(received_body("mx.example", origin, false, kNow).starts_with("by mx.example with SMTP id "));
  origin.extended = true;
  origin.tls = true;
  CHECK(received_body("mx.example", origin, false, kNow).starts_with("by mx.example with ESMTPS id "));
  origin.login = "officer@gmail.example";
  const std::string body = received_body("mx.example", origin, true, kNow);
  CHECK(body.starts_with("by mx.example with UTF8SMTPSA id "));
  CHECK(body.find("192.0.2.1") == std::string::npos);
  CHECK(body.find("gmail") == std::string::npos);
}
