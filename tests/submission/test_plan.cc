// Sorting of recipients and the plan of copies, without Redis and sockets.
#include <catch2/catch.hpp>

#include "base/clock.h"
#include "plan_scene.h"

using namespace kage;
using namespace kage::submission;
using namespace kage::submission::test;

namespace {

/// The whole of an answer, or what kind of recipient it is.
std::string sorted(Face face, std::string_view address,
                   std::optional<message::Address> sender = parse("a@out.example")) {
  const auto routes = make_routes();
  const auto recipient = classify(*routes, face, sender, parse(address), kNow);
  if (!recipient) return std::string(line(recipient.error()).substr(0, 9));
  constexpr std::string_view kNames[] = {"public", "phantom", "bounce", "direct"};
  return std::string(kNames[static_cast<std::size_t>(recipient->kind)]) + " " + recipient->key;
}

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
