"""Forgetting is immediate: what is forgotten on one node is dead and no longer shown on another within a second, in
sessions that are open (contract R3.5, R9.4)."""

import re
import subprocess
import threading
import time
import unittest

from harness import smtp_client
from harness.gateway import member, program, routes
from harness.imap_client import Closed, Imap, ProtocolError
from harness.mail import message
from harness.proxied import PASSWORD, PUBLIC, READER, Pop, Proxied
from harness.redis import Redis
from harness.small import front_fields
from harness.waiting import wait_for

CLUB = "club@school.example"  # a second public address, with the same mailbox behind it
OTHER = "other@gmail.test"
PHANTOM = rb"[0-9a-z]{16}@p\.school\.example"


def delivered(number, public):
    return (f"Return-Path: <s{number}@stranger.test>\r\nDelivered-To: {READER}\r\nReceived: from mx.stranger.test (mx.stranger.test "
            f"[192.0.2.1])\r\n\tby mx.gmail.test with ESMTPS id {number};\r\n\tThu, 01 Jan 2026 10:51:00 +0900\r\n").encode() + message(
                f"s{number}@stranger.test", public, f"number {number}", message_id=f"{number}@stranger.test")


class Forget(Proxied):
    users = (READER, OTHER)

    @classmethod
    def make_gateway(cls, space, name, **more):
        if not hasattr(cls, "redis"):
            cls.redis = Redis(space).start()
        return super().make_gateway(space, name, redis=cls.redis, **more)

    @classmethod
    def prepare(cls, space):
        super().prepare(space)
        cls.second = cls.make_gateway(space, "second", keys={"master": cls.gateway.key_path})
        cls.second.start()
        cls.second.settle(PUBLIC)

    @classmethod
    def routes(cls, users=None):
        return routes({PUBLIC: [member(READER), member(OTHER)], CLUB: [member(READER)]})

    @classmethod
    def fill(cls):
        with cls.direct() as client:
            for number in range(10):
                client.append("INBOX", delivered(number, CLUB))
            for number in range(10, 20):
                client.append("INBOX", delivered(number, PUBLIC))
        with cls.direct(OTHER) as client:
            client.append("INBOX", delivered(30, PUBLIC))

    def setUp(self):
        self.gateway.apply(self.routes())
        for gateway in (self.gateway, self.second):
            gateway.settle(CLUB)
            gateway.settle(PUBLIC)

    def phantoms(self, client, numbers="1:10"):
        found = client.fetch(numbers, "(BODY.PEEK[HEADER.FIELDS (From)])")
        return [re.search(PHANTOM, next(iter(m.values()))).group(0).decode() for _, m in sorted(found.items())]

    def reply(self, gateway, phantom, sender=READER):
        """The first digit of the answer to a plain reply: there is no next hop here, so 4 is a living phantom's."""
        text = front_fields(sender) + message(sender, phantom)
        return smtp_client.send(gateway.inbound, sender, phantom, text).code // 100

    def both(self, phantom, sender=READER):
        return {self.reply(gateway, phantom, sender) for gateway in (self.gateway, self.second)}

    def forget(self, address, mailbox):
        """Returns at the moment at which the phantoms are dead: deleting them, which comes behind, goes on."""
        process = subprocess.Popen([program(), "forget", "--config", self.gateway.config_path, "--address", address,
                                    "--mailbox", mailbox, "--yes"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, cwd=self.gateway.folder)
        self.addCleanup(self.ended_well, process)
        said = ""
        for line in process.stdout:
            said += line
            if "phantoms are dead" in line or "phantom is dead" in line:
                return time.monotonic()
        self.fail(said)

    def ended_well(self, process):
        with process:
            rest = process.stdout.read()
        self.assertEqual(process.returncode, 0, rest)

    def within_a_second(self, since, predicate, what):
        wait_for(predicate, 10, what)
        self.assertLess(time.monotonic() - since, 1.0, what)

    def test_an_open_session_shows_another_phantom(self):
        """Of two members behind one login one is forgotten: the login still works, the phantom is gone."""
        client = self.proxied(gateway=self.second)
        client.select()
        old = self.phantoms(client)
        self.assertEqual(len(set(old)), 10)
        client.fetch("1:10", "(ENVELOPE BODY.PEEK[])")  # everything is cached on the second node
        self.assertEqual(self.both(old[0]), {4})
        began = self.forget(CLUB, READER)

        def gone():
            nonlocal client
            said = []
            try:
                client.ok("FETCH 1:10 (ENVELOPE BODY.PEEK[] BODY.PEEK[HEADER])", observe=lambda r: said.append(r.raw))
            except Closed:  # the change came within an answer
                self.assertRegex(said[-1], rb"^\* BYE \[UNAVAILABLE\] The address mapping changed")
                client = self.proxied(gateway=self.second)
                client.select()
                return False
            text = b"".join(said)
            return not any(phantom.split("@")[0].encode() in text for phantom in old)
        self.within_a_second(began, gone, "the old phantoms to be gone from an open session")
        self.assertEqual(self.both(old[0]) | self.both(old[1]), {5})
        # The mail shows with the login's other member; searching for a dead phantom finds nothing.
        self.assertEqual(len(set(self.phantoms(client))), 10)
        self.assertEqual(client.ok(f"SEARCH FROM {old[0]}").numbers, [])
        client.logout()

    def test_sessions_of_a_forgotten_login_end(self):
        imap = Imap(self.second.imaps, self.tls, OTHER, PASSWORD)
        imap.select()
        idle = Imap(self.second.imaps, self.tls, OTHER, PASSWORD)
        idle.select()
        idle.send(b"x IDLE\r\n")
        idle.until(lambda r: r.kind == "continuation", [])
        pop = Pop(self.second.pop3s, self.tls, OTHER, PASSWORD)
        pop.ok("STAT")
        phantom = self.phantoms(imap, "1")[0]
        untouched = self.proxied(gateway=self.second)
        untouched.select()
        ended = {}

        def watch(name, client):
            try:
                while True:
                    client.response() if isinstance(client, Imap) else client.one()
            except (Closed, ConnectionError):
                ended[name] = time.monotonic()
            except ProtocolError as error:
                ended[name] = error
        watchers = [threading.Thread(target=watch, args=pair, daemon=True) for pair in
                    (("imap", imap), ("idle", idle), ("pop", pop))]
        for watcher in watchers:
            watcher.start()
        began = self.forget(PUBLIC, OTHER)
        for watcher in watchers:
            watcher.join(10)
        self.assertEqual(set(ended), {"imap", "idle", "pop"})
        self.assertLess(max(ended.values()) - began, 1.0, ended)
        self.assertEqual(self.both(phantom, OTHER), {5})
        for gateway in (self.gateway, self.second):
            with Imap(gateway.imaps, self.tls) as client:
                self.assertEqual(client.command(f'LOGIN {OTHER} "{PASSWORD}"').name, b"NO")
        self.assertEqual(len(untouched.fetch("1:*", "(ENVELOPE)")), 20)
        untouched.logout()

    def test_added_again_it_starts_anew(self):
        with self.proxied(OTHER, self.second) as client:
            client.select()
            old = self.phantoms(client, "1")
        self.forget(PUBLIC, OTHER)
        self.gateway.apply(self.routes())

        def back():
            with Imap(self.second.imaps, self.tls) as client:
                return client.command(f'LOGIN {OTHER} "{PASSWORD}"').ok
        wait_for(back, 20, "the login to be known again")
        with self.proxied(OTHER, self.second) as client:
            client.select()
            self.assertNotEqual(self.phantoms(client, "1"), old)
        self.assertEqual(self.both(old[0], OTHER), {5})


if __name__ == "__main__":
    unittest.main(verbosity=2)
