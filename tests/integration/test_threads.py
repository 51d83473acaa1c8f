"""One thread on both sides: ids that each side knows, and none of the other side's (contract R4.6)."""

import unittest

from harness.mail import address, find_traces, header_of, ids, message
from harness.small import OFFICER, PUBLIC, STRANGER, TEACHER, Small


class Threads(Small):
    def reach_members(self, text):
        self.assertReply(self.inbound(text), 250)
        copies = self.copies(2)
        return self.copy_for(OFFICER, copies).data, self.copy_for(TEACHER, copies).data

    def reach_stranger(self, text):
        self.assertReply(self.submit(OFFICER, self.phantom, text), 250)
        return self.copies(1)[0].data

    def test_a_long_conversation(self):
        # The stranger writes.
        first, first_teacher = self.reach_members(message(STRANGER, PUBLIC, message_id="s1@stranger.test"))
        self.phantom = address(first)
        m1 = ids(first, "Message-ID")[0]
        self.assertTrue(m1.endswith("@p.school.example"), m1)
        self.assertNotEqual([m1], ids(first_teacher, "Message-ID"), "two members could link their copies")

        # A member answers: the stranger sees their own id again, and none of the provider's.
        answer = self.reach_stranger(message(OFFICER, self.phantom, message_id="r1@gmail.test", extra=
                                             f"In-Reply-To: <{m1}>\nReferences: <{m1}>"))
        x1 = ids(answer, "Message-ID")[0]
        self.assertTrue(x1.endswith("@school.example"), x1)
        self.assertEqual(ids(answer, "In-Reply-To"), ["s1@stranger.test"])
        self.assertEqual(ids(answer, "References"), ["s1@stranger.test"])
        self.assertEqual(find_traces(header_of(answer), ["r1@", "gmail.test", "p.school.example"]), [])

        # The stranger answers the answer: the member sees their own id again.
        second, second_teacher = self.reach_members(message(
            STRANGER, PUBLIC, message_id="s2@stranger.test", extra=
            f"In-Reply-To: <{x1}>\nReferences: <s1@stranger.test> <{x1}>"))
        m2 = ids(second, "Message-ID")[0]
        self.assertEqual(ids(second, "In-Reply-To"), ["r1@gmail.test"])
        self.assertEqual(ids(second, "References"), [m1, "r1@gmail.test"])
        self.assertEqual(find_traces(header_of(second), ["s1@", "s2@", "stranger.test"]), [])
        # The colleague sees the thread too, without the officer's own id.
        self.assertEqual(ids(second_teacher, "References")[0], ids(first_teacher, "Message-ID")[0])
        self.assertEqual(find_traces(header_of(second_teacher), ["r1@", "gmail.test", "stranger.test"]), [])

        # The member follows up on their own message.
        follow_up = self.reach_stranger(message(OFFICER, self.phantom, message_id="r2@gmail.test", extra=
                                                f"In-Reply-To: <r1@gmail.test>\nReferences: <{m1}> <r1@gmail.test>"))
        self.assertEqual(ids(follow_up, "In-Reply-To"), [x1])
        self.assertEqual(ids(follow_up, "References"), ["s1@stranger.test", x1])
        self.assertEqual(find_traces(header_of(follow_up), ["r1@", "r2@", "gmail.test", "p.school.example"]), [])

        # The stranger follows up on their own message.
        third, _ = self.reach_members(message(STRANGER, PUBLIC, message_id="s3@stranger.test", extra=
                                              f"In-Reply-To: <s2@stranger.test>\nReferences: <s1@stranger.test> <{x1}> "
                                              f"<s2@stranger.test> <other@third-party.test>"))
        self.assertEqual(ids(third, "In-Reply-To"), [m2])
        self.assertEqual(ids(third, "References")[:3], [m1, "r1@gmail.test", m2])
        self.assertEqual(find_traces(header_of(third), ["stranger.test", "third-party.test"]), [])

    def test_ids_of_the_plain_reply_way_are_the_same(self):
        first, _ = self.reach_members(message(STRANGER, PUBLIC, message_id="p1@stranger.test"))
        phantom, m1 = address(first), ids(first, "Message-ID")[0]
        reply = self.plain_reply(OFFICER, phantom, message(OFFICER, phantom, message_id="q1@gmail.test", extra=
                                                           f"In-Reply-To: <{m1}>"))
        self.assertReply(reply, 250)
        self.assertEqual(ids(self.copies(1)[0].data, "In-Reply-To"), ["p1@stranger.test"])

    def test_an_answer_to_all_finds_the_thread_of_whom_it_answers(self):
        # Ids of providers, which say nothing of whose they are.
        first, _ = self.reach_members(message(STRANGER, PUBLIC, message_id="o1@prod.provider.test",
                                              extra="Cc: Third <third@else.test>"))
        author, third, answered = address(first), address(first, "Cc"), ids(first, "Message-ID")[0]
        text = message(OFFICER, author, message_id="a1@gmail.test",
                       extra=f"Cc: {third}\nIn-Reply-To: <{answered}>\nReferences: <{answered}>")
        self.assertReply(self.submit(OFFICER, [author, third], text), 250)
        copies = self.copies(2)
        known = self.copy_for(STRANGER, copies).data
        self.assertEqual(ids(known, "In-Reply-To"), ["o1@prod.provider.test"])
        self.assertEqual(ids(known, "References"), ["o1@prod.provider.test"])
        self.assertEqual(find_traces(header_of(self.copy_for("third@else.test", copies).data),
                                     ["o1@", "provider.test", "stranger.test"]), [])

    def test_a_colleagues_answer_tells_correspondents_no_id_of_the_writers_provider(self):
        first, first_teacher = self.reach_members(message(STRANGER, PUBLIC, message_id="n1@stranger.test"))
        phantom, teachers = address(first), address(first_teacher)
        text = message(OFFICER, PUBLIC, message_id="n2@gmail.test", extra=f"Cc: {phantom}")
        self.assertReply(self.submit(OFFICER, [PUBLIC, phantom], text), 250)
        copies = self.copies(3)
        known = ids(self.copy_for(STRANGER, copies).data, "Message-ID")
        seen = ids(self.copy_for(TEACHER, copies).data, "Message-ID")[0]
        answer = message(TEACHER, PUBLIC, message_id="n3@docomo.test", extra=f"Cc: {teachers}\nIn-Reply-To: <{seen}>")
        self.assertReply(self.submit(TEACHER, [PUBLIC, teachers], answer), 250)
        copies = self.copies(3)
        to_stranger = self.copy_for(STRANGER, copies).data
        self.assertEqual(ids(to_stranger, "In-Reply-To"), known)
        self.assertEqual(find_traces(header_of(to_stranger), ["n2@", "gmail.test", "docomo.test"]), [])
        self.assertEqual(ids(self.copy_for(OFFICER, copies).data, "In-Reply-To"), ["n2@gmail.test"])

    def test_a_message_without_an_id_gets_one_of_ours(self):
        first, _ = self.reach_members(message(STRANGER, PUBLIC))
        self.assertRegex(ids(first, "Message-ID")[0], r"@p\.school\.example$")
        phantom = address(first)
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 250)
        self.assertRegex(ids(self.copies(1)[0].data, "Message-ID")[0], r"@school\.example$")

    def test_a_message_without_an_id_keeps_its_thread_and_comes_back_once(self):
        first, _ = self.reach_members(message(STRANGER, PUBLIC, "without an id"))
        phantom, made = address(first), ids(first, "Message-ID")[0]
        self.assertReply(self.inbound(b"Received: from gmail.test by mx.school.example; Thu, 01 Jan 2026 10:51:00 +0900\r\n" + first),
                         554, "5.4.6")
        self.assertEqual(self.sink.messages, [])
        # What the correspondent sees of it opens, on its way back, to what the member knows.
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom, extra=f"In-Reply-To: <{made}>")), 250)
        quoted = ids(self.copies(1)[0].data, "In-Reply-To")[0]
        self.assertRegex(quoted, r"@school\.example$")
        answer, _ = self.reach_members(message(STRANGER, PUBLIC, "answer", extra=f"References: <{quoted}>"))
        self.assertEqual(ids(answer, "References"), [made])


if __name__ == "__main__":
    unittest.main(verbosity=2)
