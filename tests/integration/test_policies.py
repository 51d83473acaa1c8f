"""Policies of a public address (contract chapter 7): who is shown, who has a colleague's answer, who may write to whom."""

import base64
import email
import email.policy
import itertools
import unittest

from harness.gateway import member, routes
from harness.mail import address, field, find_traces, header_of, ids, message
from harness.small import COACH, OFFICER, PASSWORD, PUBLIC, STRANGER, TEACHER, Small, front_fields

NUMBERS = itertools.count(1)  # of messages: two with one id would be a message and its retry
ISO_2022_JP_184 = "=?ISO-2022-JP?B?" + base64.b64encode("１８４相談".encode("iso2022_jp")).decode() + "?="


class Prefix(Small):
    """`anonymize = "prefix"`: who writes 184 before the subject stays hidden."""

    settings = {"anonymize": "prefix"}

    def seen(self, subject):
        """How the officer's copy shows the author, and the subject."""
        self.sink.clear()
        self.assertReply(self.inbound(message(f"Taro Yamada <{STRANGER}>", PUBLIC, subject=subject)), 250)
        copy = self.copy_for(OFFICER, self.copies(2)).data
        self.assertTrue(address(copy).endswith("@p.school.example"), "an answer goes through the gateway in every case")
        return field(copy, "From").rpartition(" <")[0], field(copy, "Subject")

    def test_who_is_shown(self):
        shown = f'"Taro Yamada ({STRANGER})"'
        self.assertEqual(self.seen("Lunch"), (shown, "Lunch"))
        self.assertEqual(self.seen("184 Lunch"), ("Taro Yamada", "Lunch"))
        self.assertEqual(self.seen("=?UTF-8?B?" + base64.b64encode("１８４Lunch".encode()).decode() + "?="),
                         ("Taro Yamada", "Lunch"))
        self.assertEqual(self.seen("Re: 184 Lunch"), ("Taro Yamada", "Re: Lunch"))
        name, subject = self.seen(ISO_2022_JP_184)
        self.assertEqual((name, base64.b64decode(subject.split("?")[3]).decode()), ("Taro Yamada", "相談"))

    def test_184_in_every_charset(self):
        word = lambda charset, octets: f"=?{charset}?B?{base64.b64encode(octets).decode()}?="
        for name, subject in {
                "Shift_JIS": word("Shift_JIS", "１８４相談".encode("cp932")),
                "EUC-JP": word("EUC-JP", "１８４相談".encode("euc_jp")),
                "GB2312": word("GB2312", "１８４ abc".encode("gb2312")),
                "UTF-16": word("UTF-16BE", "１８４相談".encode("utf-16-be")),
                "quoted": "=?utf-8?Q?=EF=BC=91=EF=BC=98=EF=BC=94_abc?=",
                "in two words": "=?utf-8?B?" + base64.b64encode("１８".encode()).decode() + "?=\r\n =?utf-8?B?"
                                + base64.b64encode("４abc".encode()).decode() + "?=",
                "digits in ASCII, the rest in JIS": word("ISO-2022-JP", "184相談".encode("iso2022_jp")),
                "JIS Roman": word("ISO-2022-JP", b"\x1b(J184\x1b$BAjCL\x1b(B"),
                "unencoded JIS": "１８４相談".encode("iso2022_jp").decode("ascii"),
                "an answer": "Re: " + ISO_2022_JP_184,
                "an answer in one word": word("ISO-2022-JP", "Ｒｅ：１８４相談".encode("iso2022_jp")),
                "unknown charset": word("x-unheard-of", b"184 abc"),
                "undecodable": "=?utf-8?X?abc?= abc"}.items():
            with self.subTest(name):
                self.assertEqual(self.seen(subject)[0], "Taro Yamada")
        self.assertEqual(self.seen(word("Shift_JIS", "相談１８４".encode("cp932")))[0], f'"Taro Yamada ({STRANGER})"')

    def test_operators_see_the_rule_and_not_the_person(self):
        before = self.gateway.metrics()
        self.seen("184 Lunch")
        self.seen("Lunch")
        after = self.gateway.metrics()
        for label in ('{shown="no",rule="184"}', '{shown="yes",rule="no 184"}'):
            name = "kagemusha_authors_total" + label
            self.assertEqual(after[name] - before[name], 1, name)
        self.assertEqual([event["author"] for event in self.gateway.events("message")[-2:]],
                         ['"hidden: 184"', '"shown: no 184"'])
        self.assertNotIn(STRANGER, self.gateway.log())

    def test_an_answer_to_a_shown_author_stays_behind_the_public_address(self):
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, subject="Lunch")), 250)
        phantom = address(self.copy_for(OFFICER, self.copies(2)).data)
        self.sink.clear()
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom, subject="Re: Lunch")), 250)
        answer = self.copies(1)[0]
        self.assertEqual(address(answer.data), PUBLIC)
        self.assertEqual(find_traces(header_of(answer.data), ["gmail.test", OFFICER]), [])


class Shared(Small):
    """`share_replies`: colleagues see what one of them answers."""

    members = (OFFICER, TEACHER, COACH)
    settings = {"share_replies": True}
    everybody = False

    def phantoms(self, text):
        """The stranger's phantom and the id, for each member."""
        self.sink.clear()
        self.assertReply(self.inbound(text), 250)
        copies = self.copies(len(self.members))
        found = {m: self.copy_for(m, copies).data for m in self.members}
        return {m: (address(data), ids(data, "Message-ID")[0]) for m, data in found.items()}

    def answer(self, phantoms, way):
        self.sink.clear()
        phantom, first_id = phantoms[OFFICER]
        text = message(f"Hanako <{OFFICER}>", phantom, subject="Re: Lunch", message_id=f"r{next(NUMBERS)}@gmail.test",
                       extra=f"In-Reply-To: <{first_id}>\nReferences: <{first_id}>", body="Yes.\r\n")
        self.written = text
        if way == "phone":
            reply = self.inbound(front_fields(OFFICER) + text, to=phantom, sender=OFFICER)
        else:
            reply = self.submit(OFFICER, phantom, text)
        self.assertReply(reply, 250)
        return self.copies(1 + len(self.readers()))

    def readers(self):
        return [m for m in self.members if m != OFFICER or self.everybody]

    def test_everybody_has_the_answer_once_by_every_way_out(self):
        for number, way in enumerate(("submission", "phone")):
            with self.subTest(way=way):
                phantoms = self.phantoms(message(STRANGER, PUBLIC, subject="Lunch", message_id=f"s{number}@stranger.test"))
                copies = self.answer(phantoms, way)
                outward = self.copy_for(STRANGER, copies)
                seen_ids = set(ids(outward.data, "Message-ID"))
                for reader in self.readers():
                    copy = self.copy_for(reader, copies)
                    phantom, first_id = phantoms[reader]
                    self.assertEqual(address(copy.data), PUBLIC)
                    self.assertEqual(address(copy.data, "To"), phantom)
                    self.assertEqual(address(copy.data, "Reply-To"), phantom)
                    self.assertEqual(ids(copy.data, "In-Reply-To"), [first_id], "the thread that the reader knows")
                    self.assertTrue(copy.data.endswith(b"Yes.\r\n"))
                    own = ids(copy.data, "Message-ID")[0]
                    self.assertNotIn(own, seen_ids | set(ids(self.written, "Message-ID")), "ids that no mail system folds into one")
                    seen_ids.add(own)
                    others = [m for m in self.members if m != reader] + [STRANGER, "gmail.test", "stranger.test"]
                    own_domain = reader.split("@")[1]
                    self.assertEqual(find_traces(header_of(copy.data), [o for o in others if own_domain not in o]), [])

    def test_an_answer_to_a_shared_copy_goes_on(self):
        phantoms = self.phantoms(message(STRANGER, PUBLIC, subject="Lunch", message_id="s9@stranger.test"))
        copies = self.answer(phantoms, "submission")
        known = ids(self.copy_for(STRANGER, copies).data, "Message-ID")[0]
        shared = self.copy_for(TEACHER, copies).data
        target, shared_id = address(shared, "Reply-To"), ids(shared, "Message-ID")[0]
        self.sink.clear()
        self.assertReply(self.submit(TEACHER, target, message(
            TEACHER, target, subject="Re: Lunch", message_id="t1@docomo.test",
            extra=f"In-Reply-To: <{shared_id}>\nReferences: <{shared_id}>")), 250)
        copies = self.copies(1 + len([m for m in self.members if m != TEACHER or self.everybody]))
        outward = self.copy_for(STRANGER, copies).data
        self.assertEqual(ids(outward, "In-Reply-To"), [known], "the correspondent's own thread")
        self.assertEqual(find_traces(header_of(outward), ["docomo.test", "gmail.test", "p.school.example"]), [])

    def test_nobody_has_it_twice_when_the_public_address_is_a_recipient_too(self):
        phantoms = self.phantoms(message(STRANGER, PUBLIC, subject="Lunch", message_id="s10@stranger.test"))
        phantom = phantoms[OFFICER][0]
        self.sink.clear()
        self.assertReply(self.submit(OFFICER, [phantom, PUBLIC], message(OFFICER, f"{phantom}, {PUBLIC}")), 250)
        copies = self.copies(1 + len(self.members))
        self.assertEqual(sorted(c.recipients[0] for c in copies), sorted([STRANGER, *self.members]))


    def test_a_colleague_whose_mailbox_is_gone_refuses_no_answer(self):
        phantoms = self.phantoms(message(STRANGER, PUBLIC, subject="Lunch", message_id="s11@stranger.test"))
        phantom = phantoms[OFFICER][0]
        for way, send in (("submission", self.submit), ("phone", self.plain_reply)):
            with self.subTest(way=way):
                self.sink.heal()
                self.sink.clear()
                self.sink.fail("rcpt", match=COACH, reply=f"550 5.1.1 <{COACH}> is gone")
                self.sink.fail("rcpt", match=TEACHER, reply="451 4.2.1 later")
                text = message(OFFICER, phantom, subject="Re: Lunch", message_id=f"gone-{way}@gmail.test")
                self.assertReply(send(OFFICER, phantom, text), 451, "4.2.1")
                self.sink.faults.pop()
                for _ in range(2):
                    self.assertReply(send(OFFICER, phantom, text), 250)
                got = [m.recipient for m in self.sink.messages if m.sender]
                self.assertEqual(sorted(got), sorted([STRANGER, *(r for r in self.readers() if r != COACH)]), "each once")
                report, = [m for m in self.sink.messages if m.sender == ""]
                self.assertEqual(report.recipient, OFFICER)
                words = next(email.message_from_bytes(report.data, policy=email.policy.default).iter_parts()).get_content()
                self.assertIn(f"  {PUBLIC}  (one of those behind it", words)
                for part in ("coach", "yahoo", "teacher", "docomo"):
                    self.assertNotIn(part, report.data.decode() + words)

    def test_a_refused_report_of_colleagues_refuses_no_answer(self):
        """Whom it is for has it: "not sent" would have the member send it again."""
        phantom = self.phantoms(message(STRANGER, PUBLIC, message_id="s12@stranger.test"))[OFFICER][0]
        self.sink.clear()
        for mailbox in (OFFICER, COACH):
            self.sink.fail("rcpt", match=mailbox, reply="550 5.7.1 no")
        text = message(OFFICER, phantom, message_id="unreportable@gmail.test")
        for _ in range(2):
            self.assertReply(self.submit(OFFICER, phantom, text), 250)
        self.assertEqual(sorted(m.recipient for m in self.sink.messages), sorted([STRANGER, TEACHER]))

    def test_a_correspondent_who_is_gone_is_reported(self):
        phantom = self.phantoms(message(STRANGER, PUBLIC, message_id="s13@stranger.test"))[OFFICER][0]
        self.sink.clear()
        self.sink.fail("rcpt", match=STRANGER, reply="550 5.1.1 gone")
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom, message_id="nobody@gmail.test")), 250)
        report, = [m for m in self.sink.messages if m.sender == ""]
        self.assertIn(f"Final-Recipient: rfc822; {phantom}\r\n", report.data.decode())


class SharedWithSelf(Shared):
    settings = {"share_replies": "self"}
    everybody = True


class PhantomsOnly(Small):
    """`direct = false` (contract R7.4), and mailboxes on a domain that only the inside reaches (R7.5)."""

    settings = {"direct": False}

    def test_real_addresses_are_refused_and_phantoms_served(self):
        self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
        phantom = address(self.copy_for(OFFICER, self.copies(2)).data)
        self.sink.clear()
        self.assertReply(self.submit(OFFICER, STRANGER, message(OFFICER, STRANGER)), 550, "5.7.1")
        self.assertEqual(self.sink.messages, [])
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 250)
        self.assertReply(self.submit(OFFICER, PUBLIC, message(OFFICER, PUBLIC)), 250)

    def test_outside_mail_reaches_an_inside_address_by_the_public_one_only(self):
        for inside in (OFFICER, "boss@" + OFFICER.split("@")[1]):
            self.assertReply(self.inbound(message(STRANGER, inside), to=inside), 550)
        self.assertEqual(self.sink.messages, [])

    def test_a_stolen_phantom_is_worth_nothing(self):
        self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
        phantom = address(self.copy_for(OFFICER, self.copies(2)).data)
        self.sink.clear()
        self.assertReply(self.submit(TEACHER, phantom, message(TEACHER, phantom)), 550, "5.1.1")
        for thief in ("thief@outside.test", TEACHER):
            reply = self.inbound(front_fields(thief) + message(thief, phantom), to=phantom, sender=thief)
            self.assertReply(reply, 550, "5.1.1")
        self.assertEqual(self.sink.messages, [])


class TwoGroups(Small):
    """One person behind two public addresses answers from the right one without thinking about it."""

    OFFICE = "office@school.example"

    @classmethod
    def routes(cls, members=None):
        hashed = cls.gateway.hash_password(PASSWORD)
        return routes({PUBLIC: [member(OFFICER, password_hash=hashed), member(TEACHER, password_hash=hashed)],
                       cls.OFFICE: [member(OFFICER, password_hash=hashed)]})

    def test_the_answer_comes_from_the_address_that_was_written_to(self):
        for public, count in ((PUBLIC, 2), (self.OFFICE, 1)):
            self.sink.clear()
            self.assertReply(self.inbound(message(STRANGER, public), to=public), 250)
            phantom = address(self.copy_for(OFFICER, self.copies(count)).data)
            self.sink.clear()
            self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 250)
            self.assertEqual(address(self.copies(1)[0].data), public)
            self.assertReply(self.plain_reply(OFFICER, phantom, message(OFFICER, phantom, "by phone")), 250)
            self.assertEqual(address(self.copies(1)[0].data), public)

    def test_a_new_correspondent_has_it_from_the_address_that_the_program_wrote(self):
        """If that is one of the login's; else from the first of them by the alphabet, as the proxy does."""
        for author, public in ((self.OFFICE, self.OFFICE), (PUBLIC, PUBLIC), (OFFICER, self.OFFICE), (STRANGER, self.OFFICE),
                               (f"Hanako <{self.OFFICE.upper()}>", self.OFFICE)):
            with self.subTest(author=author):
                self.assertReply(self.submit(OFFICER, STRANGER, message(author, STRANGER, f"for {author}")), 250)
                self.assertEqual(address(self.copies(1)[0].data), public)
        # Somebody who is not of the office does not write in its name.
        self.assertReply(self.submit(TEACHER, STRANGER, message(self.OFFICE, STRANGER)), 250)
        self.assertEqual(address(self.copies(1)[0].data), PUBLIC)


if __name__ == "__main__":
    unittest.main()
