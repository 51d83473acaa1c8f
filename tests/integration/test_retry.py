"""Exact retry (contract R3.7): 250 only when all were served, 4xx otherwise, and never a second copy."""

import threading
import unittest

from harness.mail import address, all_fields, ids, message
from harness.sink import Sink
from harness.small import COACH, OFFICER, PUBLIC, STRANGER, TEACHER, Small
from harness.smtp_client import Client
from harness.waiting import wait_for

BIG_BODY = b"".join(b"line %06d of a body that fills several buffers\r\n" % n for n in range(20_000))


class Retry(Small):
    members = (OFFICER, TEACHER, COACH)

    @classmethod
    def configure(cls):
        # The teacher's mail goes by a next hop of its own, which a test can break alone.
        cls.broken = Sink(cls.space).start()
        fast = {"connect_timeout": "1s", "command_timeout": "1s", "final_timeout": "1s"}
        hop = {"host": "127.0.0.1", "tls": "none", **fast}
        cls.gateway.config["next_hop"] = [
            {"name": "default", "domains": ["*"], "port": cls.sink.port, **hop},
            {"name": "broken", "domains": ["docomo.test"], "port": cls.broken.port, **hop}]

    def setUp(self):
        super().setUp()
        self.broken.heal()
        self.broken.clear()

    def served(self):
        """How many copies each member has."""
        messages = self.sink.messages + self.broken.messages
        return {m: sum(e.recipients == [m] for e in messages) for m in self.members}

    def expect_one_each(self):
        self.assertEqual(self.served(), dict.fromkeys(self.members, 1))

    def test_the_next_hop_fails_for_one_of_three(self):
        matrix = [(stage, how) for stage in ("connect", "ehlo", "mail", "rcpt", "data", "dot")
                  for how in ({"reply": "451 4.3.0 not now"}, {"action": "close"}, {"action": "hang"})]
        matrix += [("body", {"action": "close", "after": 100_000}), ("body", {"action": "hang", "after": 100_000})]
        for number, (stage, how) in enumerate(matrix):
            with self.subTest(stage=stage, **how):
                self.setUp()
                text = message(STRANGER, PUBLIC, f"try {number}", message_id=f"try{number}@stranger.test",
                               body=BIG_BODY if stage == "body" else b"Short.\r\n")
                # A pooled connection is past its greeting: begin with a new one.
                self.broken.close_all()
                self.broken.fail(stage, **how)
                self.assertReply(self.inbound(text), 4)
                self.assertEqual(self.served(), {OFFICER: 1, TEACHER: 0, COACH: 1})
                self.assertReply(self.inbound(text), 4, msg="still broken")
                self.broken.heal()
                self.until_delivered(text)
                self.expect_one_each()
                for copy in self.sink.messages + self.broken.messages:
                    self.assertEqual(copy.body, text.split(b"\r\n\r\n", 1)[1])

    def test_the_answer_after_the_dot_is_lost(self):
        # What docs/operate.md promises: the copy goes again, with the same Message-ID, so that mailboxes fold the two.
        text = message(STRANGER, PUBLIC, "lost", message_id="lost@stranger.test")
        self.broken.fail("dot", action="keep_close", times=1)
        self.assertReply(self.inbound(text), 4)
        self.assertReply(self.inbound(text), 250)
        self.assertEqual(self.served(), {OFFICER: 1, TEACHER: 2, COACH: 1})
        one, two = self.broken.messages
        self.assertEqual(ids(one.data, "Message-ID"), ids(two.data, "Message-ID"))
        self.assertEqual(one.body, two.body)

    def test_a_refusal_is_final_for_its_recipient_only(self):
        text = message(STRANGER, PUBLIC, "refused", message_id="refused@stranger.test")
        self.broken.fail("rcpt", reply="550 5.1.1 nobody@docomo.test unknown")
        reply = self.inbound(text)
        self.assertReply(reply, 554)
        self.assertNotIn("docomo", reply.text)
        self.assertEqual(self.served(), {OFFICER: 1, TEACHER: 0, COACH: 1})

    def test_the_client_never_heard_our_250(self):
        text = message(STRANGER, PUBLIC, "again", message_id="again@stranger.test")
        for _ in range(3):
            self.assertReply(self.inbound(text), 250)
        self.expect_one_each()

    def test_another_message_with_the_same_id_is_delivered(self):
        one = message(STRANGER, PUBLIC, "same", "One.\r\n", message_id="same@stranger.test")
        two = message(STRANGER, PUBLIC, "same", "Two.\r\n", message_id="same@stranger.test")
        self.assertReply(self.inbound(one), 250)
        self.until_delivered(two)
        self.assertEqual(self.served(), dict.fromkeys(self.members, 2))

    def test_equal_messages_without_an_id_are_two_messages(self):
        text = message(STRANGER, PUBLIC, "no id")
        self.assertReply(self.inbound(text), 250)
        self.assertReply(self.inbound(text), 250)
        self.assertEqual(self.served(), dict.fromkeys(self.members, 2))

    def test_a_failed_message_without_an_id_is_retried_exactly(self):
        text = message(STRANGER, PUBLIC, "no id, failing")
        self.broken.fail("rcpt", reply="451 4.3.0 not now")
        self.assertReply(self.inbound(text), 4)
        self.broken.heal()
        self.assertReply(self.inbound(text), 250)
        self.expect_one_each()

    def test_a_failed_message_without_a_date_is_retried_exactly(self):
        for message_id in (None, "undated@stranger.test"):
            with self.subTest(message_id=message_id):
                self.setUp()
                text = message(STRANGER, PUBLIC, "no date", message_id=message_id, date=False)
                self.broken.fail("rcpt", reply="451 4.3.0 not now")
                self.assertReply(self.inbound(text), 4)
                self.broken.heal()
                self.assertReply(self.inbound(text), 250)
                self.expect_one_each()
                for copy in self.sink.messages + self.broken.messages:
                    self.assertEqual(len(all_fields(copy.data, "Date")), 1)

    def test_the_same_message_twice_at_once(self):
        self.broken.fail("dot", action="hang", times=1)
        text = message(STRANGER, PUBLIC, "twice", message_id="twice@stranger.test")
        replies = {}
        attempts = [threading.Thread(target=lambda n=n: replies.update({n: self.inbound(text)})) for n in range(2)]
        attempts[0].start()
        self.broken.wait(lambda s: s.hanging == 1)
        before = self.gateway.metrics()["kagemusha_redis_waits_total"]
        attempts[1].start()
        wait_for(lambda: self.gateway.metrics()["kagemusha_redis_waits_total"] > before, 20, "the second attempt")
        self.broken.release()
        for attempt in attempts:
            attempt.join()
        self.assertReply(replies[0], 4)
        self.assertReply(replies[1], 250)  # it waited, and delivers what the first one did not
        self.expect_one_each()

    def test_the_client_vanishes_in_mid_body(self):
        text = message(STRANGER, PUBLIC, "vanish", BIG_BODY, message_id="vanish@stranger.test")
        with Client(self.gateway.inbound) as client:
            client.ehlo()
            client.pipeline(f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{PUBLIC}>")
            client.command("DATA")
            client.send(text[:len(text) // 2])
        self.until_delivered(text)
        self.expect_one_each()

    def test_a_member_writes_to_three_correspondents(self):
        strangers = ["a@one.test", "b@docomo.test", "c@three.test"]
        phantoms = [self.phantom_for(s) for s in strangers]
        self.setUp()
        self.broken.fail("data", reply="452 4.3.1 full")
        text = message(OFFICER, ", ".join(phantoms), "to three", message_id="three@gmail.test")
        self.assertReply(self.submit(OFFICER, phantoms, text), 4)
        self.broken.heal()
        self.assertReply(self.submit(OFFICER, phantoms, text), 250)
        messages = self.sink.messages + self.broken.messages
        self.assertEqual(sorted(m.recipients[0] for m in messages), strangers)

    def phantom_for(self, stranger):
        self.sink.clear()
        self.assertReply(self.inbound(message(stranger, PUBLIC), sender=stranger), 250)
        return address(self.sink.to(OFFICER)[0].data)


if __name__ == "__main__":
    unittest.main(verbosity=2)
