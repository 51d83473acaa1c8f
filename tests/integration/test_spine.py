"""The story of the project through real servers: mail crosses the gateway both ways (contract chapters 2 and 3)."""

import unittest

from harness import mail, smtp_client, world
from harness.case import Case
from harness.mail import address, field, message
from harness.world import COLLEAGUE, OFFICER, PHANTOM_DOMAIN, PUBLIC, TEACHER, World


class Spine(Case):
    @classmethod
    def prepare(cls, space):
        cls.world = World(space).start()
        cls.seen = {}

    def next_message(self, mailbox):
        """The newest message of a mailbox; each call waits for one more than the last one saw."""
        count = self.seen.get(mailbox, 0) + 1
        messages = self.world.mailbox(mailbox, count)
        self.seen[mailbox] = len(messages)
        return messages[-1]

    def both_members_get(self, stranger, subject):
        self.world.stranger_writes(stranger, message(f"Stranger <{stranger}>", PUBLIC, subject,
                                                     message_id=f"{subject}@{stranger.split('@')[1]}"))
        return self.next_message(OFFICER), self.next_message(TEACHER)

    def test_1_two_members_see_two_phantoms(self):
        at_officer, at_teacher = self.both_members_get("yamada@stranger.test", "first")
        phantoms = {address(at_officer), address(at_teacher)}
        self.assertEqual(len(phantoms), 2)
        for phantom in phantoms:
            self.assertRegex(phantom, r"^[0-9a-z]{16}@p\.school\.example$")
        for copy, own, other in ((at_officer, OFFICER, TEACHER), (at_teacher, TEACHER, OFFICER)):
            # The provider's own delivery writes the member's mailbox in its trace fields; nobody else's may show.
            self.assertEqual(mail.find_traces(mail.header_of(copy), ["yamada", "stranger.test", other]), [])
            self.assertEqual(address(copy, "To"), PUBLIC)
            self.assertRegex(address(copy, "Return-Path"), r"@p\.school\.example$")
            self.assertTrue(field(copy, "From").startswith("Stranger <"), field(copy, "From"))

    def test_2_an_answer_through_submission(self):
        for implicit in (False, True):
            with self.subTest(implicit=implicit):
                at_officer, _ = self.both_members_get("sato@stranger.test", f"question-{implicit}")
                reply = self.world.member_submits(
                    OFFICER, address(at_officer), message(OFFICER, address(at_officer), "Re: question", "Yes.\r\n",
                                                          message_id=f"answer-{implicit}@gmail.test"), implicit)
                self.assertReply(reply, 250)
                answer = self.next_message("sato@stranger.test")
                self.assertEqual(address(answer), PUBLIC)
                self.assertIn("Hanako", field(answer, "From"))
                self.assertEqual(address(answer, "To"), "sato@stranger.test")
                self.assertEqual(mail.find_traces(mail.header_of(answer), ["officer", "gmail.test", "docomo.test",
                                                                           address(at_officer).split("@")[0]]), [])
                self.assertRegex(address(answer, "Return-Path"), r"@p\.school\.example$")
                self.assertIn(b"Yes.", answer)

    def test_3_a_plain_reply_from_a_carrier_phone(self):
        _, at_teacher = self.both_members_get("suzuki@elsewhere.test", "phone")
        phantom = address(at_teacher)
        self.world.phone_replies(TEACHER, phantom, message(TEACHER, phantom, "Re: phone", "From my phone.\r\n"))
        answer = self.next_message("suzuki@elsewhere.test")
        self.assertEqual(address(answer), PUBLIC)
        self.assertEqual(mail.find_traces(mail.header_of(answer), ["teacher", "docomo.test", phantom.split("@")[0]]), [])
        self.assertIn(b"From my phone.", answer)

    def test_4_a_stolen_phantom_is_worth_nothing(self):
        at_officer, at_teacher = self.both_members_get("yamada@stranger.test", "stolen")
        never_existed = "a" * 16 + "@" + PHANTOM_DOMAIN
        thieves = [COLLEAGUE, TEACHER, "yamada@stranger.test"]
        before = len(self.world.mailbox("yamada@stranger.test", 0))
        for thief in thieves:
            refusals = []
            for target in (address(at_officer), never_existed):
                text = (f"Authentication-Results: mx.school.example; dmarc=pass header.from={thief.split('@')[1]}\r\n"
                        "Received: from a by b; Thu, 01 Jan 2026 10:51:00 +0900\r\n").encode() + message(thief, target)
                with smtp_client.Client(self.world.gateway.inbound) as client:
                    client.ehlo()
                    refusals.append([client.mail(thief), client.rcpt(target), client.data(text)])
            stolen, unknown = refusals
            self.assertEqual(stolen, unknown, thief)
            self.assertReply(stolen[-1], 550, "5.1.1", thief)
        # On the submission port too, for who may log in at all.
        with self.subTest("submission"):
            stolen = self.world.member_submits(OFFICER, address(at_teacher), message(OFFICER, address(at_teacher)))
            unknown = self.world.member_submits(OFFICER, never_existed, message(OFFICER, never_existed))
            self.assertEqual(stolen, unknown)
            self.assertReply(stolen, 550, "5.1.1")
            self.assertReply(self.world.member_submits(COLLEAGUE, address(at_teacher), b""), 535)
        self.assertEqual(len(self.world.mailbox("yamada@stranger.test", 0)), before)

    def test_5_the_same_phantom_after_a_restart(self):
        before = [address(copy) for copy in self.both_members_get("sato@stranger.test", "before")]
        self.world.gateway.restart()
        after = [address(copy) for copy in self.both_members_get("SATO@stranger.test", "after")]
        self.assertEqual(before, after)

    def test_6_forgotten_means_dead_at_once_and_for_good(self):
        at_officer, at_teacher = self.both_members_get("suzuki@elsewhere.test", "forget")
        result = self.world.gateway.forget(PUBLIC, OFFICER)
        self.assertEqual(result.returncode, 0, result.stderr)
        phantom = address(at_officer)
        text = (b"Authentication-Results: mx.school.example; dmarc=pass header.from=gmail.test\r\n"
                b"Received: from a by b; Thu, 01 Jan 2026 10:51:00 +0900\r\n") + message(OFFICER, phantom)
        self.assertReply(smtp_client.send(self.world.gateway.inbound, OFFICER, phantom, text), 550, "5.1.1")
        self.assertReply(self.world.member_submits(OFFICER, phantom, text), 5)
        # The other member is untouched.
        self.world.phone_replies(TEACHER, address(at_teacher), message(TEACHER, address(at_teacher), "Re: still here"))
        self.assertIn("still here", field(self.next_message("suzuki@elsewhere.test"), "Subject"))
        # Added again: a new member with other phantoms, and the old one stays dead.
        self.world.gateway.apply(world.ROUTES)
        again_officer, again_teacher = self.both_members_get("suzuki@elsewhere.test", "again")
        self.assertNotEqual(address(again_officer), phantom)
        self.assertEqual(address(again_teacher), address(at_teacher))
        self.assertReply(smtp_client.send(self.world.gateway.inbound, OFFICER, phantom, text), 550, "5.1.1")


if __name__ == "__main__":
    unittest.main(verbosity=2)
