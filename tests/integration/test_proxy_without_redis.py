"""What a phantom stands for is in Redis before the phantom is seen (contract R4.4); without Redis a client is told so, and
nothing of its mail (contract R3.8). All is well again by itself."""

import re
import unittest

from harness.imap_client import Closed, Imap
from harness.mail import message
from harness.proxied import PASSWORD, PUBLIC, READER, Pop, Proxied
from harness.redis import Redis
from harness.waiting import wait_for

PHANTOM = rb"([0-9a-z]{16})@p\.school\.example"
COUNT = 12
TAKEN = iter(range(1, COUNT + 1))  # a message is looked at for the first time once


def delivered(number):
    """From somebody of whom nobody wrote before."""
    return (f"Return-Path: <s{number}@stranger.test>\r\nReceived: from mx.stranger.test (mx.stranger.test [192.0.2.1])\r\n"
            f"\tby mx.gmail.test with ESMTPS id {number};\r\n\tThu, 01 Jan 2026 10:51:00 +0900\r\n").encode() + message(
                f"s{number}@stranger.test", PUBLIC, f"number {number}", message_id=f"{number}@stranger.test")


class WithoutRedis(Proxied):
    @classmethod
    def make_gateway(cls, space, name, **more):
        cls.redis = Redis(space).start()
        return super().make_gateway(space, name, redis=cls.redis, **more)

    @classmethod
    def fill(cls):
        with cls.direct() as client:
            for number in range(COUNT):
                client.append("INBOX", delivered(number))

    def tearDown(self):
        super().tearDown()
        self.recover()

    def recover(self):
        self.redis.thaw()
        if not self.redis.process.running():
            self.redis.start()
        wait_for(lambda: self.login(Imap(self.gateway.imaps, self.tls)).ok, 30, "logins to be served again")

    @staticmethod
    def login(client):
        with client:
            return client.command(f'LOGIN {READER} "{PASSWORD}"')

    def check_hidden(self, said):
        self.assertEqual(re.findall(PHANTOM + rb"|stranger|number \d", said), [], said)

    def outages(self, check):
        """check(begin) for each way to be away."""
        for way, begin in (("killed", lambda: self.redis.kill()), ("frozen", lambda: self.redis.freeze())):
            with self.subTest(way):
                check(begin)
            self.recover()

    def test_what_is_shown_is_stored(self):
        with self.proxied() as client, self.proxied_pop() as pop:
            client.select(examine=True)
            for item in ("ENVELOPE", "BODY.PEEK[]", "BODY.PEEK[HEADER.FIELDS (From)]"):
                answer = client.ok(f"FETCH {next(TAKEN)} ({item})")
                shown = set(re.findall(PHANTOM, b"".join(r.raw for r in answer.untagged).replace(b'" "', b"@")))
                self.assertEqual(len(shown), 1, item)
                self.assertEqual(self.redis.call("EXISTS", "kage:p:" + shown.pop().decode()), 1, item)
            shown = set(re.findall(PHANTOM, pop.ok(f"TOP {next(TAKEN)} 0").text))
            self.assertEqual([self.redis.call("EXISTS", "kage:p:" + p.decode()) for p in shown], [1])

    def test_imap(self):
        def check(begin):
            with self.proxied() as client:
                client.select(examine=True)
                begin()
                said = []
                try:
                    answer = client.command(f"FETCH {next(TAKEN)} (ENVELOPE BODY.PEEK[])", observe=lambda r: said.append(r.raw))
                    said.append(answer.status.raw)
                except Closed:
                    pass
                self.check_hidden(b"".join(said))
                self.assertRegex(said[-1], rb"^(\* BYE|T\d+ NO) \[UNAVAILABLE\] The address mapping")
        self.outages(check)

    def test_pop3(self):
        def check(begin):
            with self.proxied_pop() as pop:
                begin()
                reply = pop.command(f"RETR {next(TAKEN)}")
                self.check_hidden(reply.status + (reply.text or b""))
                self.assertTrue(reply.status.startswith(b"-ERR [SYS/TEMP] The address mapping"), reply)
        self.outages(check)

    def test_logins(self):
        self.redis.kill()
        self.gateway.wait_event("mapping.not_ready")
        status = self.login(Imap(self.gateway.imaps, self.tls)).status
        self.assertEqual((status.name, status.code), (b"NO", b"UNAVAILABLE"))
        with Pop(self.gateway.pop3s, self.tls) as pop:
            pop.ok(f"USER {READER}")
            self.assertTrue(pop.command(f"PASS {PASSWORD}").status.startswith(b"-ERR [SYS/TEMP]"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
