"""Several workers and several nodes: one truth (contract R3.4, R9.4)."""

import re
import threading
import unittest

from harness import smtp_client
from harness.gateway import Gateway
from harness.mail import address, message
from harness.redis import Redis
from harness.small import COACH, OFFICER, PUBLIC, STRANGER, TEACHER, Small
from harness.waiting import wait_for


class Workers(Small):
    workers = 4

    @classmethod
    def make_redis(cls, space):
        cls.redis = Redis(space).start()
        return cls.redis

    def test_many_at_once_get_the_same_phantoms(self):
        replies = []

        def send(number):
            for turn in range(5):
                replies.append(self.inbound(message(STRANGER, PUBLIC, message_id=f"{number}.{turn}@stranger.test")).code)
        threads = [threading.Thread(target=send, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(replies, [250] * 80)
        copies = self.copies(160)
        for member in self.members:
            self.assertEqual(len({address(c.data) for c in copies if c.recipients == [member]}), 1)

    def test_a_second_node_tells_the_same(self):
        second = Gateway(self.space, name="second", next_hop_port=self.sink.port, certificate=self.certificate,
                         redis=self.redis, keys={"master": self.gateway.key_path})
        second.start()
        phantom = self.phantom_of(STRANGER, OFFICER)
        self.assertReply(smtp_client.send(second.inbound, STRANGER, PUBLIC, message(STRANGER, PUBLIC)), 250)
        self.assertEqual(address(self.copy_for(OFFICER, self.copies(2)).data), phantom)
        # What one node is told, the other knows before it decides anything.
        self.gateway.apply(self.routes([TEACHER, COACH]), "--yes")
        self.addCleanup(lambda: self.gateway.apply(self.routes()))
        reply = smtp_client.submit(second.submission, self.tls, OFFICER, "correct horse", OFFICER, phantom,
                                   message(OFFICER, phantom))
        self.assertReply(reply, 5)
        self.sink.clear()
        text = message(STRANGER, PUBLIC, message_id="second@stranger.test")
        reply = smtp_client.send(second.inbound, STRANGER, PUBLIC, text)
        if reply.code // 100 == 4:
            reply = smtp_client.send(second.inbound, STRANGER, PUBLIC, text)
        self.assertReply(reply, 250)
        self.assertEqual(sorted(m.recipients[0] for m in self.copies(2)), sorted([TEACHER, COACH]))
        second.stop()

    def test_the_retry_may_come_to_another_node(self):
        second = Gateway(self.space, name="third", next_hop_port=self.sink.port, redis=self.redis,
                         keys={"master": self.gateway.key_path}).start()
        text = message(STRANGER, PUBLIC, message_id="nodes@stranger.test")
        self.sink.fail("rcpt", match=TEACHER, reply="451 4.3.0 not now")
        self.assertReply(self.inbound(text), 4)
        self.sink.heal()
        self.assertReply(smtp_client.send(second.inbound, STRANGER, PUBLIC, text), 250)
        self.assertEqual(sorted(m.recipients[0] for m in self.sink.messages), sorted([OFFICER, TEACHER]))
        second.stop()

    def test_a_node_that_dies_takes_nobody_with_it(self):
        """Its sessions end; the other node goes on, and delivers what the first one had begun."""
        second = Gateway(self.space, name="dying", next_hop_port=self.sink.port, redis=self.redis,
                         keys={"master": self.gateway.key_path}).start()
        text = message(STRANGER, PUBLIC, message_id="dying@stranger.test")
        replies = []

        def send():
            try:
                replies.append(smtp_client.send(second.inbound, STRANGER, PUBLIC, text).code)
            except OSError:
                replies.append(None)
        self.sink.fail("rcpt", match=TEACHER, action="hang", times=1)
        with smtp_client.Client(self.gateway.inbound) as waiting:
            waiting.ehlo()
            first = threading.Thread(target=send)
            first.start()
            self.sink.wait(lambda s: s.hanging == 1)
            second.kill()
            first.join()
            self.sink.heal()
            self.assertEqual(replies, [None])
            self.assertReply(waiting.command("NOOP"), 250)
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, message_id="meanwhile@stranger.test")), 250)
        self.copies(2)
        self.sink.clear()
        # Until its lock expires nobody else may deliver the message; the retry waits for a while.
        locks = self.redis.call("KEYS", "kage:k:*")
        self.assertEqual(len(locks), 1)
        self.assertGreater(self.redis.call("PTTL", locks[0]), 0)
        retry = threading.Thread(target=lambda: replies.append(self.inbound(text).code))
        before = self.gateway.metrics()["kagemusha_redis_waits_total"]
        retry.start()
        wait_for(lambda: self.gateway.metrics()["kagemusha_redis_waits_total"] >= before + 3, 20, "the retry to ask again")
        self.assertEqual(self.sink.messages, [])
        self.redis.call("DEL", locks[0])
        retry.join()
        self.assertEqual(replies, [None, 250])
        self.assertEqual(sorted(m.recipients[0] for m in self.copies(2)), sorted([OFFICER, TEACHER]))


class ManyRecipients(Small):
    """One message to 200 phantoms: more copies than connections, each with its own body, and few round trips."""

    def test_two_hundred_phantoms(self):
        strangers = [f"s{n}@stranger.test" for n in range(200)]
        everyone = ", ".join(strangers)
        # One message that shows the officer all of them at once.
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, extra="Cc: " + everyone.replace(", s1", ",\n s1"))), 250)
        copy = self.copy_for(OFFICER, self.copies(2))
        cc = re.findall(r"[0-9a-z]{16}@p\.school\.example", copy.header.decode().split("Cc:", 1)[1])
        phantoms = list(dict.fromkeys(cc))[:200]
        self.assertEqual(len(phantoms), 200)
        body = b"".join(b"%06d line of a body\r\n" % n for n in range(10_000))
        text = message(OFFICER, phantoms[0], body=body, message_id="many@gmail.test")
        waits = self.waits()
        self.assertReply(self.submit(OFFICER, phantoms, text), 250)
        self.assertLessEqual(self.waits() - waits, 2, "Redis round trips on the critical path")
        copies = self.copies(200)
        self.assertEqual(sorted(c.recipients[0] for c in copies), sorted(strangers))
        self.assertTrue(all(c.body == body for c in copies))
        self.assertLessEqual(self.sink.most_open, 20)

    def waits(self):
        return self.gateway.metrics()["kagemusha_redis_waits_total"]

    def test_few_round_trips_each_way(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        for way in (lambda: self.inbound(message(STRANGER, PUBLIC)),
                    lambda: self.plain_reply(OFFICER, phantom, message(OFFICER, phantom)),
                    lambda: self.submit(OFFICER, phantom, message(OFFICER, phantom))):
            before = self.waits()
            self.assertReply(way(), 250)
            self.assertLessEqual(self.waits() - before, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
