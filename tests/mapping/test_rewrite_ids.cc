// Message ids on their way: sealed towards members, opened towards correspondents, so that both see one
// thread (contract R4.6).
#include <catch2/catch.hpp>

#include "base/text.h"
#include "message/encoded_word.h"
#include "rewrite_world.h"

namespace kage::mapping::test {

TEST_CASE("ids towards a member") {
  const World world = small_world();
  const auto reference = [&](MemberId member, const std::string& id) {
    return value(inward(world, member, kFrom + "References: <" + id + ">\n"), "References");
  };
  const auto brackets = [](const std::string& id) { return "<" + id + ">"; };
  CHECK(reference(1, "x@corp.example") == brackets(world.sealed(1, "x@corp.example")));
  CHECK(reference(1, world.sent(1, "mine@home.example")) == "<mine@home.example>");
  // What a colleague wrote is known here by the id of the copy that stayed inside.
  const std::string mine = world.sent(1, "mine@home.example"), his = world.sent(2, "his@work.example");
  CHECK(reference(1, his) == brackets(world.sealed(1, his)));
  CHECK(reference(4, mine) == brackets(world.sealed(4, mine)));  // the same mailbox stands behind both
  CHECK(reference(4, his) == brackets(his));                     // another organisation
  // At our domain, but nothing that we made: it may say anything.
  CHECK(reference(1, "x@school.example") == brackets(world.sealed(1, "x@school.example")));
  CHECK(reference(1, "no-sign") == brackets(world.sealed(1, "no-sign")));
}

TEST_CASE("ids towards a correspondent") {
  const World world = small_world();
  const auto brackets = [](const std::string& id) { return "<" + id + ">"; };
  const auto reference = [&](const std::string& id, std::vector<std::string> to) {
    return value(
        outward(world, 1, kFrom + "References: <" + id + ">\n", to.front(), {.phantoms = to, .direct = {}}),
        "References");
  };
  const std::string at_corp = world.sealed(1, "x@mail.corp.example");
  CHECK(reference("mine@home.example", {"a@corp.example"}) == brackets(world.sent(1, "mine@home.example")));
  CHECK(reference(at_corp, {"a@corp.example"}) == "<x@mail.corp.example>");
  CHECK(reference(at_corp, {"a@work.example"}) == "<x@mail.corp.example>");
  CHECK(reference(world.sent(2, "his@work.example"), {"a@corp.example"}) ==
        brackets(world.sent(2, "his@work.example")));
  CHECK(reference(world.sealed(2, "x@corp.example"), {"a@corp.example"}) ==
        brackets(world.sent(1, world.sealed(2, "x@corp.example"))));
  // Several in private: only ids of the correspondent's own domain, above or below it.
  CHECK(reference(at_corp, {"a@corp.example", "b@work.example"}) == "<x@mail.corp.example>");
  CHECK(reference(at_corp, {"a@deep.mail.corp.example", "b@work.example"}) == "<x@mail.corp.example>");
  CHECK(reference(at_corp, {"b@work.example", "a@corp.example"}) == brackets(world.sent(1, at_corp)));
  CHECK(reference(at_corp, {"a@badmail.corp.example", "b@work.example"}) == brackets(world.sent(1, at_corp)));
  CHECK(reference(world.sealed(1, "x@example"), {"a@corp.example", "b@work.example"}) ==
        brackets(world.sent(1, world.sealed(1, "x@example"))));
  // What was sealed comes back to the member as the id that the member knows.
  CHECK(value(inward(world, 1, kFrom + "In-Reply-To: <" + world.sent(1, at_corp) + ">\n"), "In-Reply-To") ==
        brackets(at_corp));
}

TEST_CASE("whom an answer to several is to, knows the id that it answers") {
  const World world = small_world();
  const auto brackets = [](const std::string& id) { return "<" + id + ">"; };
  const std::string answered = world.sealed(1, "x@mail.provider.example");
  const std::string other = world.sealed(1, "y@mail.provider.example");
  const std::string alice = world.phantom(1, "alice@corp.example");
  const std::string bob = world.phantom(1, "bob@work.example");
  const Sent both{.phantoms = {"alice@corp.example", "bob@work.example"}, .direct = {}};
  const auto ids = [&](const std::string& lists, std::string_view to, const std::string& in_reply_to,
                       const Sent& sent) {
    const std::string out = outward(
        world, 1,
        kFrom + lists + "In-Reply-To: " + in_reply_to + "\nReferences: <" + other + "> <" + answered + ">\n",
        to, sent);
    return value(out, "In-Reply-To") + " / " + value(out, "References");
  };
  const auto sealed = [&](const std::string& id) { return brackets(world.sent(1, id)); };
  const std::string opened = "<x@mail.provider.example> / " + sealed(other) + " <x@mail.provider.example>";
  const std::string closed = sealed(answered) + " / " + sealed(other) + " " + sealed(answered);
  const std::string answer = brackets(answered);
  const std::string lists = "To: Alice <" + alice + ">, " + bob + "\n";
  CHECK(ids(lists, "alice@corp.example", answer, both) == opened);
  CHECK(ids(lists, "bob@work.example", answer, both) == closed);
  CHECK(ids("Cc: " + bob + "\nTo: Answers: " + upper(alice) + ";\n", "alice@corp.example", answer, both) ==
        opened);
  // Alone, all is opened, as before.
  CHECK(ids(lists, "alice@corp.example", answer, {.phantoms = {"alice@corp.example"}, .direct = {}}) ==
        "<x@mail.provider.example> / <y@mail.provider.example> <x@mail.provider.example>");
  // What correspondents know as ours is for all of them.
  const std::string ours = world.sent(2, "1@work.example");
  CHECK(ids(lists, "bob@work.example", brackets(world.sealed(1, ours)), both).starts_with(brackets(ours)));
  // Nobody is answered: another stands first, or none in To, or it is not one id.
  CHECK(ids("To: pta@school.example, " + alice + "\nCc: " + bob + "\n", "alice@corp.example", answer, both) ==
        closed);
  CHECK(ids("Cc: " + alice + ", " + bob + "\n", "alice@corp.example", answer, both) == closed);
  CHECK(ids(lists, "alice@corp.example", answer + " <z@home.example>", both) ==
        sealed(answered) + " " + sealed("z@home.example") + " / " + sealed(other) + " " + sealed(answered));
  // By a real address, or who has a mailbox here.
  CHECK(ids("To: alice@corp.example, " + bob + "\n", "alice@corp.example", answer, both) == closed);
  CHECK(ids("To: alice@corp.example, " + bob + "\n", "alice@corp.example", answer,
            {.phantoms = {"bob@work.example"}, .direct = {"alice@corp.example"}}) == closed);
  const Sent colleague{.phantoms = {"colleague@work.example", "bob@work.example"}, .direct = {}};
  CHECK(ids("To: " + world.phantom(1, "colleague@work.example") + ", " + bob + "\n", "colleague@work.example",
            answer, colleague) == closed);
}

TEST_CASE("a thread goes both ways") {
  const World world = small_world();
  const std::string first = inward(world, 1, kFrom + "Message-ID: <1@corp.example>\n");
  const std::string seen = value(first, "Message-ID");
  const std::string answer = outward(
      world, 1, kFrom + "Message-ID: <2@home.example>\nIn-Reply-To: " + seen + "\nReferences: " + seen + "\n",
      "alice@corp.example", {.phantoms = {"alice@corp.example"}, .direct = {}});
  CHECK(value(answer, "In-Reply-To") == "<1@corp.example>");
  const std::string shown = value(answer, "Message-ID");
  CHECK(shown.ends_with("@school.example>"));
  const std::string again = inward(world, 1,
                                   kFrom + "Message-ID: <3@corp.example>\nIn-Reply-To: " + shown +
                                       "\nReferences: <1@corp.example> " + shown + "\n");
  CHECK(value(again, "In-Reply-To") == "<2@home.example>");
  CHECK(value(again, "References") == seen + " <2@home.example>");
}

TEST_CASE("a message without an id gets the one that was made") {
  const World world = small_world();
  for (const std::string_view block :
       {"From: a@b.example\n", "From: a@b.example\nMessage-ID:\n", "From: a@b.example\nMessage-ID: none\n"}) {
    const std::string out = inward(world, 1, block, {}, "made@p.school.example");
    CHECK(value(out, "Message-ID") == "<made@p.school.example>");
    CHECK(count(out, "Message-ID") == 1);
    CHECK(value(inward(world, 1, block), "Message-ID") == "(none)");
    CHECK(value(outward(world, 1, block, "a@b.example", {.phantoms = {"a@b.example"}, .direct = {}},
                        "made@school.example"),
                "Message-ID") == "<made@school.example>");
  }
  CHECK(value(inward(world, 1, "Message-ID: <1@b.example>\n", {}, "made@p.school.example"), "Message-ID") ==
        "<" + world.sealed(1, "1@b.example") + ">");
}

TEST_CASE("long references keep both ends and stay below 8 kB") {
  const World world = small_world();
  std::string block = kFrom + "References:";
  for (int i = 0; i < 3000; ++i) block += " <" + std::to_string(i) + "@corp.example>";
  const std::string out = value(inward(world, 1, block + "\n"), "References");
  CHECK(out.size() < 8000);
  CHECK(out.starts_with("<" + world.sealed(1, "0@corp.example") + "> <" + world.sealed(1, "1@corp.example") +
                        "> "));
  CHECK(out.ends_with("<" + world.sealed(1, "2998@corp.example") + "> <" +
                      world.sealed(1, "2999@corp.example") + ">"));
}

TEST_CASE("loops are told by our own sealed ids") {
  const World world = small_world();
  const auto loops = [&](const std::string& id) {
    return is_loop(parsed("Message-ID: <" + id + ">\n"), world.routes());
  };
  CHECK(loops(world.sealed(1, "1@corp.example")));
  CHECK(loops(world.sealed(4, "1@corp.example")));
  CHECK_FALSE(loops(world.sent(1, "1@corp.example")));
  CHECK_FALSE(loops("1@corp.example"));
  CHECK_FALSE(loops("1@p.school.example"));
  CHECK_FALSE(is_loop(parsed("Subject: x\n"), world.routes()));
}

}  // namespace kage::mapping::test
