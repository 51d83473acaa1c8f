"""A school year behind one address, told as it happens: a committee of four, parents who give their address or withhold it,
answers from web mail, a mail program and a phone, a broadcast to everybody, and a new committee in April.
"""

import unittest

from harness import smtp_client
from harness.gateway import member, toml
from harness.mail import address, field, header_of, find_traces, ids, message
from harness.sink import Sink
from harness.story import Stage, Story, jis, phantoms_in, reply_address, utf8

PTA, NEWS = "pta@school.example", "news@school.example"

# The committee: Gmail in the browser, a mail program that reads through Kagemusha, a carrier's phone, another web mail.
CHAIR, TREASURER, COACH, CLERK = "hanako.chair@gmail.test", "jiro.money@icloud.test", "coach.k@docomo.test", "clerk@yahoo.test"
COMMITTEE = {CHAIR: ("Hanako", {"folds": True}), TREASURER: ("Jiro Endo", {"reads": "gateway"}), COACH: "Kenta", CLERK: "Mari Ito"}
NEXT_COMMITTEE = {"a.new@gmail-two.test": "Aoi", "b.new@ezweb.test": "Botan", "c.new@nifty.test": "Chika", "d.new@ocn.test": "Dai"}
OFFICE = "desk@office.test"  # sends the newsletter

AYA, BEN, CHIE, DAICHI = "mori.ay@mori.test", "b1974@hara.test", "kubo-c@kubo.test", "d.d-7@softbank.test"
PARENTS = {AYA: "Aya Mori", BEN: "Ben Okada", CHIE: "Chie Ueda", DAICHI: "Daichi"}

FAMILIES = [f"family{number:03d}@families.test" for number in range(500)]
BROKEN = FAMILIES[7], FAMILIES[250], FAMILIES[499]


def routes(committee):
    """The routes file of a year. Whoever writes 184 before the subject stays anonymous; all see every answer."""
    return toml({"address": [
        {"address": PTA, "display_name": "PTA committee", "anonymize": "prefix", "share_replies": "self",
         "member": [member(mailbox) for mailbox in committee]},
        {"address": NEWS, "display_name": "School news", "collect": True, "member": [member(OFFICE)]}]})


class SchoolYear(Story):
    @classmethod
    def prepare(cls, space):
        cls.stage = Stage(space, PTA, routes(COMMITTEE), {**COMMITTEE, **NEXT_COMMITTEE, OFFICE: "School office"}, PARENTS)
        cls.sink = Sink(space).start()  # the provider of five hundred families, and of the office
        cls.stage.gateway.config["next_hop"].insert(0, {
            "name": "families", "domains": ["families.test", "office.test"], "host": "127.0.0.1", "port": cls.sink.port,
            "tls": "none"})
        cls.stage.start()
        cls.stage.gateway.settle(NEWS)
        cls.committee, cls.parents = cls.stage.all(COMMITTEE), cls.stage.all(PARENTS)
        cls.next_committee = cls.stage.all(NEXT_COMMITTEE)
        cls.chair, cls.treasurer, cls.coach, cls.clerk = cls.committee
        cls.aya, cls.ben, cls.chie, cls.daichi = cls.parents

    # May: parents write

    def everybody_has(self, text, shown, subject):
        """All four of the committee have it once, each from a phantom of its own; whether the author is shown, and how the
        subject reads."""
        phantoms = set()
        for person in self.committee:
            data = person.finds(text)
            phantoms.add(address(data))
            self.assertRegex(address(data), r"^[0-9a-z]{16}@p\.school\.example$")
            self.assertEqual(address(data, "To"), PTA)
            self.assertEqual("(" in field(data, "From"), shown, field(data, "From"))
            self.assertIn(field(data, "Subject"), (subject, utf8(subject)))
        self.assertEqual(len(phantoms), 4)

    def test_1_parents_give_their_address_or_withhold_it(self):
        self.aya.writes(PTA, "Lunch money", "Is it 4,000 yen?")
        self.ben.writes(PTA, "184 About class 3", "Somebody is bullied.")
        self.chie.writes(PTA, utf8("１８４　掃除当番"), "Must we clean in August?")
        self.daichi.writes(PTA, jis("１８４給食の件"), "Is there milk?")
        self.ben.writes(PTA, "Re: 184 About class 3", "It happened again.")
        self.everybody_has("4,000 yen", True, "Lunch money")
        self.everybody_has("Somebody is bullied", False, "About class 3")
        self.everybody_has("clean in August", False, "掃除当番")
        self.everybody_has("Is there milk", False, "給食の件")
        self.everybody_has("It happened again", False, "Re: About class 3")
        self.assertEqual(field(self.chair.finds("4,000 yen"), "From").split(" <")[0], f'"Aya Mori ({AYA})"')
        authors = {name: count for name, count in self.stage.gateway.metrics().items() if "authors_total" in name and count}
        self.assertEqual(authors, {'kagemusha_authors_total{shown="yes",rule="no 184"}': 1,
                                   'kagemusha_authors_total{shown="no",rule="184"}': 4})

    # June: answers, from whatever people have at hand

    def parent_has_the_answer(self, parent, text, written):
        data = parent.finds(text)
        self.assertEqual(address(data), PTA)
        self.assertEqual(address(data, "To"), parent.mailbox)
        self.assertEqual(ids(data, "In-Reply-To"), ids(written, "Message-ID"), "the parent's own thread")
        return data

    def committee_has_the_answer(self, text, question):
        """Everybody once, the writer too, from the window, in the thread that each of them knows; ids that fold nowhere."""
        known = set()
        for person in self.committee:
            asked, data = person.finds(question), person.finds(text)
            self.assertEqual(address(data), PTA)
            self.assertEqual(address(data, "To"), reply_address(asked))
            self.assertEqual(address(data, "Reply-To"), reply_address(asked))
            self.assertIn(ids(data, "In-Reply-To")[0], person.ids_of(question))
            known.add(ids(data, "Message-ID")[0])
        self.assertEqual(len(known), 4)

    def test_2_answers_from_web_mail_a_mail_program_and_a_phone(self):
        self.chair.answers_by_web_mail(self.chair.finds("Somebody is bullied"), "We talk to the teacher.")
        self.treasurer.answers_by_program(self.treasurer.finds("4,000 yen"), "It is 4,200 yen now.")
        self.coach.answers_by_phone(self.coach.finds("Is there milk"), "牛乳はあります。")
        for parent, text, question in ((self.ben, "We talk to the teacher.", "Somebody is bullied"),
                                       (self.aya, "It is 4,200 yen now.", "4,000 yen"),
                                       (self.daichi, "牛乳はあります。", "Is there milk")):
            written = next(data for data in parent.sent if question.encode() in data)
            self.parent_has_the_answer(parent, text, written)
            self.committee_has_the_answer(text, question)

    def test_3_the_talk_goes_on_whoever_of_the_committee_answers(self):
        first = self.ben.finds("We talk to the teacher.")
        written = self.ben.answers(first, "Thank you all.", before="184 ")
        for person in self.committee:
            thanks = person.finds("Thank you all.")
            self.assertEqual(address(thanks), address(person.finds("Somebody is bullied")), "one person, one phantom")
            self.assertIn(ids(thanks, "In-Reply-To")[0], person.ids_of("We talk to the teacher."), "one thread for each")
        # Mari answers what Hanako wrote: it goes to Ben, by his phantom for Mari, and into his thread.
        shared = self.clerk.finds("We talk to the teacher.")
        self.clerk.answers_by_program(shared, "And I call you on Monday.")
        answer = self.ben.finds("And I call you on Monday.")
        self.assertEqual((address(answer), ids(answer, "In-Reply-To")), (PTA, ids(first, "Message-ID")))
        self.committee_has_the_answer("And I call you on Monday.", "We talk to the teacher.")
        self.assertNotEqual(ids(written, "Message-ID"), ids(answer, "Message-ID"))

    def test_4_the_committee_among_itself(self):
        """A member writes to the window like anybody: colleagues see a phantom, whatever the policy shows of others."""
        for way, text in (("program", "Who brings chairs?"), ("web mail", "Who brings tables?")):
            data = message(f"Hanako <{CHAIR}>", PTA, "Sunday", text + "\r\n", message_id=f"{way[:3]}@mail.gmail.test")
            if way == "program":
                self.stage.accepted(self.chair.submits(PTA, data))
            else:
                self.stage.through_front(CHAIR, PTA, data)
            for person in self.committee[1:]:
                received = person.finds(text)
                self.assertRegex(field(received, "From"), r"^Hanako <[0-9a-z]{16}@p\.school\.example>$")
        # Jiro answers to her alone.
        self.treasurer.answers_by_program(self.treasurer.finds("Who brings chairs?"), "I do.", )
        answer = self.chair.finds("I do.")
        self.assertEqual(ids(answer, "In-Reply-To"), ["pro@mail.gmail.test"])

    def test_5_nobody_is_seen(self):
        anonymous = [self.ben, self.chie, self.daichi]
        self.assertNobodyIsSeen(self.stage, self.committee, [*self.committee, *anonymous, *self.next_committee])
        self.assertNobodyIsSeen(self.stage, self.parents, [*self.parents, *self.committee])
        # Read through the gateway nothing else comes out either.
        for data in self.treasurer.inbox():
            words = {t for person in [*anonymous, self.chair, self.coach, self.clerk] for t in person.traces()}
            self.assertEqual(find_traces(header_of(data), words), [])
        self.assertEqual(self.stage.kept_of([*self.committee, *self.parents]), [])

    # September: everybody

    def test_6_registration_broadcast_and_answers(self):
        """Five hundred families register by writing once; one message reaches all, and none sees another."""
        self.sink.clear()
        with smtp_client.Client(self.stage.gateway.inbound) as client:
            client.ehlo()
            for family in FAMILIES:
                text = message(family, NEWS, "register", "Please.\r\n", message_id="register@" + family)
                *_, ready = client.pipeline(f"MAIL FROM:<{family}>", f"RCPT TO:<{NEWS}>", "DATA")
                self.assertReply(ready, 354)
                client.send(smtp_client.stuff(text))
                self.assertReply(client.reply(), 250)
        # The office's address book: what is in its mailbox, or what the gateway lists of those who wrote.
        registered = self.sink.wait_messages(500)
        self.assertTrue(all(m.recipients == [OFFICE] for m in registered))
        book = [address(m.data) for m in registered]
        self.assertEqual(len(set(book)), 500)
        gateway = self.stage.gateway
        listed = gateway.command("phantoms", "--config", gateway.config_path, "--address", NEWS, "--format", "csv").stdout
        self.assertEqual(phantoms_in(listed.encode()), {phantom.encode() for phantom in book})
        self.assertEqual([word for word in (*FAMILIES[::50], "families.test") if word in listed], [])
        self.sink.clear()
        for broken in BROKEN:
            self.sink.fail("rcpt", reply="550 5.1.1 no such family", match=broken)
        office = self.stage.people[OFFICE]
        reply = office.submits([NEWS, *book], message(OFFICE, NEWS, "Typhoon", "No school tomorrow.\r\n",
                                                      message_id="typhoon@office.test"))
        self.assertReply(reply, 250)
        self.sink.heal()
        # One report tells the office of the three, by the phantoms in its book.
        report, = (m for m in self.sink.messages if m.recipients == [OFFICE] and b"report-type=delivery-status" in m.header)
        self.assertEqual(phantoms_in(report.data), {book[FAMILIES.index(family)].encode() for family in BROKEN})
        served = [m for m in self.sink.messages if m.recipients != [OFFICE]]
        self.assertEqual(sorted(m.recipients for m in served), sorted([f] for f in FAMILIES if f not in BROKEN))
        for envelope in served:
            self.assertEqual((address(envelope.data), address(envelope.data, "To")), (NEWS, envelope.recipient))
            others = ["office.test", "p.school.example", *(f for f in FAMILIES[::50] if f != envelope.recipient)]
            self.assertEqual([o for o in others if o.encode() in envelope.data], [])
        # Two families answer; the office knows which, by the phantom in its book.
        for family in (FAMILIES[0], FAMILIES[42]):
            got = next(m.data for m in served if m.recipient == family)
            self.sink.clear()
            answer = message(family, NEWS, "Re: Typhoon", "Thank you.\r\n", message_id="thanks@" + family,
                             extra=f"In-Reply-To: <{ids(got, 'Message-ID')[0]}>")
            self.assertReply(smtp_client.send(self.stage.gateway.inbound, family, NEWS, answer), 250)
            received, = self.sink.wait_messages(1)
            self.assertEqual(address(received.data), book[FAMILIES.index(family)])
            self.assertEqual(ids(received.data, "In-Reply-To"), ["typhoon@office.test"])

    # April: a new committee

    def test_7_april(self):
        old = {person: address(person.finds("Somebody is bullied")) for person in self.committee}
        before = {person: len(person.inbox()) for person in self.committee}
        result = self.stage.gateway.apply(routes(NEXT_COMMITTEE), "--yes")
        self.assertEqual(result.returncode, 0, result.stderr)
        # The old phantoms are dead, for those who had them and for those who come after.
        never = self.stage.vouched(CHAIR, "a" * 16 + "@p.school.example", message(CHAIR, PTA))
        self.assertReply(never, 550, "5.1.1")
        for person, phantom in old.items():
            for author in (person, self.next_committee[0]):
                self.assertEqual(self.stage.vouched(author.mailbox, phantom, message(author.mailbox, phantom)), never)
            self.assertReply(person.submits(phantom, message(person.mailbox, phantom)), 5)
        self.assertReply(self.next_committee[1].submits(old[self.coach], message("x@y.test", old[self.coach])), 550, "5.1.1")
        # The window is where it was. Ben, who remembers an old answer, writes on.
        self.ben.answers(self.ben.finds("We talk to the teacher."), "Is somebody there?", before="184 ")
        for person in self.next_committee:
            data = person.finds("Is somebody there?")
            self.assertEqual(address(data, "To"), PTA)
            self.assertNotIn(address(data), old.values())
        self.assertEqual({person: len(person.inbox()) for person in (self.chair, self.coach, self.clerk)},
                         {person: before[person] for person in (self.chair, self.coach, self.clerk)}, "nothing for the old")
        first = self.next_committee[0]
        first.answers_by_web_mail(first.finds("Is somebody there?"), "We are new here.")
        self.assertEqual(address(self.ben.finds("We are new here.")), PTA)
        for person in self.next_committee:
            person.finds("We are new here.")
        self.assertNobodyIsSeen(self.stage, [*self.next_committee, self.ben], [*self.committee, *self.next_committee, self.chie])


if __name__ == "__main__":
    unittest.main(verbosity=2)
