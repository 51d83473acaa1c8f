"""An answer to all from a mailbox elsewhere: mail systems send one transaction for each recipient domain, and a public
address and its phantoms are at two (contract R3.4, R4.6, R6.2, R7.3)."""

import itertools
import re
import threading
import unittest

from harness.mail import address, field, header_of, ids, message
from harness.small import OFFICER, PUBLIC, STRANGER, TEACHER, Small
from harness.smtp_client import Client
from harness.waiting import wait_for

DATE = "Mon, 23 Nov 2026 05:00:00 +0900"


class SplitReply(Small):
    """The officer answers to all: once to the phantom, once to the public address."""

    rounds = 0

    def setUp(self):
        super().setUp()
        SplitReply.rounds += 1
        first = message(f"Yamada <{STRANGER}>", PUBLIC, message_id=f"{self.rounds}@stranger.test")
        self.assertReply(self.inbound(first), 250)
        copies = self.copies(2)
        at_officer, at_teacher = (self.copy_for(m, copies).data for m in (OFFICER, TEACHER))
        self.phantom, self.teachers_phantom = address(at_officer), address(at_teacher)
        self.known_to_officer = ids(at_officer, "Message-ID")[0]
        self.known_to_teacher = ids(at_teacher, "Message-ID")[0]

    def write(self, to, message_id="answer"):
        identity = f"Message-ID: <{message_id}.{self.rounds}@gmail.test>\n" if message_id else ""
        return (f"From: Officer <{OFFICER}>\nTo: {to}\nCc: {PUBLIC}\nDate: {DATE}\nSubject: Re: {self.rounds}\n{identity}"
                f"In-Reply-To: <{self.known_to_officer}>\nReferences: <{self.known_to_officer}>\n\nYes.\n"
                ).replace("\n", "\r\n").encode()

    def both_ways(self, message_id="answer"):
        """Both transactions, in each order; gives what arrived after each pair."""
        for public_first in (False, True):
            self.setUp()
            text = self.write(f"Yamada <{self.phantom}>", message_id)
            for to in sorted((self.phantom, PUBLIC), key=lambda each: (each == PUBLIC) != public_first):
                self.assertReply(self.plain_reply(OFFICER, to, text), 250)
            with self.subTest(public_first=public_first):
                yield list(self.sink.messages)

    def one_each(self, messages):
        self.assertEqual(sorted(m.recipients[0] for m in messages), sorted([OFFICER, TEACHER, STRANGER]))

    def test_a_colleague_knows_everybody_in_it(self):
        for arrived in self.both_ways():
            self.one_each(arrived)
            copy = self.copy_for(TEACHER, arrived).data
            self.assertEqual(address(copy, "To"), self.teachers_phantom)
            self.assertEqual(ids(copy, "In-Reply-To"), [self.known_to_teacher])
            self.assertEqual(ids(copy, "References"), [self.known_to_teacher])
            own = self.copy_for(OFFICER, arrived).data
            self.assertEqual(address(own, "To"), self.phantom)
            self.assertEqual(ids(own, "In-Reply-To"), [self.known_to_officer])

    def test_who_is_not_vouched_for_has_no_phantom_resolved(self):
        def trips():
            return self.gateway.metrics()["kagemusha_redis_waits_total"]
        never = "0123456789abcdef@p.school.example"
        shown = []
        for listed in (self.phantom, self.teachers_phantom, never):
            before = trips()
            self.assertReply(self.inbound(self.write(f"Yamada <{listed}>", message_id=listed), sender=OFFICER), 250)
            self.assertEqual(trips() - before, 1)
            shown.append([field(m.data, "To") for m in sorted(self.copies(2), key=lambda m: m.recipients)])
        self.assertEqual(shown, [[None, None]] * 3)

    def test_a_colleagues_phantom_is_as_one_that_never_existed(self):
        shown = []
        for listed in (self.teachers_phantom, "0123456789abcdef@p.school.example"):
            text = self.write(f"Yamada <{listed}>", message_id=listed)
            self.assertReply(self.plain_reply(OFFICER, PUBLIC, text), 250)
            shown.append([(field(m.data, "To"), field(m.data, "Cc"))
                          for m in sorted(self.copies(2), key=lambda m: m.recipients)])
        self.assertEqual(shown[0], shown[1])
        for copy in shown[0]:
            self.assertEqual(copy, (None, PUBLIC))


class NotShared(SplitReply):
    def test_a_colleagues_answer_to_all_arrives(self):
        self.assertReply(self.plain_reply(OFFICER, PUBLIC, self.write(f"Yamada <{self.phantom}>")), 250)
        copy = self.copy_for(TEACHER, self.copies(2)).data
        to = [address(copy, "From"), address(copy, "To")]
        self.assertReply(self.submit(TEACHER, to, message(TEACHER, ", ".join(to), "Re: Re: s")), 250)
        self.assertEqual(sorted(m.recipients[0] for m in self.copies(2)), sorted([OFFICER, STRANGER]))


class Shared(SplitReply):
    settings = {"share_replies": True}

    def test_without_an_id_too(self):
        for arrived in self.both_ways(message_id=None):
            self.one_each(arrived)


class SharedWithSelf(SplitReply):
    settings = {"share_replies": "self"}

    def test_a_colleague_who_is_also_a_correspondent(self):
        """The officer's phantom for the teacher and the public address: the teacher has one copy."""
        self.assertReply(self.plain_reply(TEACHER, PUBLIC, message(TEACHER, PUBLIC, "hello", message_id="h@docomo.test")), 250)
        self.phantom = address(self.copy_for(OFFICER, self.copies(2)).data)
        text = self.write(f"Teacher <{self.phantom}>", "to a colleague")
        self.assertReply(self.plain_reply(OFFICER, self.phantom, text), 250)
        self.assertReply(self.plain_reply(OFFICER, PUBLIC, text), 250)
        self.assertEqual(sorted(m.recipients[0] for m in self.copies(2)), sorted([OFFICER, TEACHER]))


class EachRecipient(Small):
    """Telephones' mail systems send one transaction for each recipient: the copies are those of one transaction."""

    settings = {"share_replies": "self", "recipients": "open"}

    def people(self, mailbox, copies):
        return sorted(address(self.copy_for(mailbox, pair).data) for pair in copies)

    def test_every_copy_names_everybody(self):
        strangers = (STRANGER, "zoe@other.test")
        arrived = []
        for stranger in strangers:
            self.sink.clear()
            self.assertReply(self.inbound(message(stranger, PUBLIC), sender=stranger), 250)
            arrived.append(list(self.copies(2)))
        mine, teachers = self.people(OFFICER, arrived), self.people(TEACHER, arrived)
        for number, order in enumerate(itertools.permutations([*mine, PUBLIC])):
            self.sink.clear()
            text = (f"From: {OFFICER}\nTo: {', '.join(mine)}\nCc: {PUBLIC}\nDate: {DATE}\nSubject: Re: all\n"
                    f"Message-ID: <each{number}@gmail.test>\n\nYes.\n").replace("\n", "\r\n").encode()
            for to in order * 2:  # and a retry of all
                self.assertReply(self.plain_reply(OFFICER, to, text), 250)
            with self.subTest(order=number):
                copies = {m.recipients[0]: m.data for m in self.sink.messages}
                self.assertEqual(sorted(m.recipients[0] for m in self.sink.messages), sorted([OFFICER, TEACHER, *strangers]))
                for who, known in ((TEACHER, teachers), (OFFICER, mine), *((stranger, strangers) for stranger in strangers)):
                    listed = re.findall(r"[^<>,\s]+@[^<>,\s]+", field(copies[who], "To"))
                    self.assertEqual(sorted(listed), sorted(known), who)


class AutomaticAnswer(Small):
    def test_our_own_sender_in_to_is_the_public_address(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom, "s")), 250)
        sent_from = self.copies(1)[0].sender
        away = message(STRANGER, f"PTA <{sent_from}>", "away", extra="Auto-Submitted: auto-replied")
        self.assertReply(self.inbound(away, sent_from, sender=""), 250)
        self.assertEqual(field(self.copies(1)[0].data, "To"), f"PTA <{PUBLIC}>")


class AtOnce(Small):
    def test_two_transactions_of_one_message_at_the_same_time(self):
        """The second waits for the first, and is not sent away."""
        text = message(STRANGER, PUBLIC, "at once", message_id="once@stranger.test")
        head, body = text.split(b"\r\n\r\n", 1)
        with Client(self.gateway.inbound) as first:
            first.ehlo()
            first.pipeline(f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{PUBLIC}>")
            first.command("DATA")
            first.send(head + b"\r\n\r\n")
            self.sink.wait(lambda s: s.open == 2)
            replies = []
            second = threading.Thread(target=lambda: replies.append(self.inbound(text)))
            before = self.gateway.metrics()["kagemusha_redis_waits_total"]
            second.start()
            wait_for(lambda: self.gateway.metrics()["kagemusha_redis_waits_total"] >= before + 8, 20,
                     "the second to ask for the lock again and again")
            first.send(body + b".\r\n")
            self.assertReply(first.reply(), 250)
            second.join()
        self.assertReply(replies[0], 250)
        self.assertEqual(sorted(m.recipients[0] for m in self.sink.messages), sorted([OFFICER, TEACHER]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
