"""What is missing or wrong gives a 4xx, nothing passes, and the process recovers by itself (contract R3.8)."""

import itertools
import os
import shutil
import ssl
import unittest

from harness import smtp_client
from harness.certificates import Authority
from harness.mail import message
from harness.redis import Redis
from harness.sink import Sink
from harness.small import OFFICER, PASSWORD, PUBLIC, STRANGER, Small
from harness.waiting import wait_for


_numbers = itertools.count(1)


def attempt():
    """A fresh message, so that the ledger never answers for it."""
    number = next(_numbers)
    return message(STRANGER, PUBLIC, f"attempt {number}", message_id=f"attempt{number}@stranger.test")


class Broken(Small):
    """Shared: nothing passes now; later everything passes again without anybody doing anything to kagemusha."""

    def expect_closed(self, what):
        for _ in range(2):
            reply = self.inbound(attempt())
            self.assertReply(reply, 4, msg=what)
        self.assertEqual(self.sink.messages, [], what)

    def expect_recovery(self, what):
        def delivered():
            return self.inbound(attempt()).code == 250
        wait_for(delivered, 30, "recovery from " + what)
        pid = self.gateway.process.pid
        self.assertTrue(self.gateway.process.running())
        self.sink.wait(lambda s: len(s.messages) >= len(self.members))
        self.assertEqual(pid, self.gateway.process.pid)


class RedisFails(Broken):
    def expect_closed(self, what):
        super().expect_closed(what)
        # Not even a beginning of what shows a phantom that is not stored (contract R4.4).
        self.assertNotIn("DATA", [command for _, command in self.sink.commands], what)

    @classmethod
    def make_redis(cls, space):
        cls.redis = Redis(space).start()
        return cls.redis

    def setUp(self):
        super().setUp()
        if not self.redis.process.running():
            self.redis.start()
        self.expect_recovery("the test before")
        self.sink.clear()

    def test_killed_and_started_again(self):
        self.redis.kill()
        self.expect_closed("Redis killed")
        self.assertReply(self.submit(OFFICER, "someone@outside.test", attempt()), 4)
        self.redis.start()
        self.expect_recovery("a killed Redis")

    def test_restarted(self):
        self.assertReply(self.inbound(attempt()), 250)
        self.sink.clear()
        self.redis.stop()
        self.redis.start()
        self.expect_recovery("a restarted Redis")

    def test_read_only(self):
        self.redis.call("REPLICAOF", "127.0.0.1", "1")
        try:
            self.expect_closed("Redis read-only")
        finally:
            self.redis.call("REPLICAOF", "NO", "ONE")
        self.expect_recovery("a read-only Redis")

    def test_out_of_memory(self):
        self.redis.call("CONFIG", "SET", "maxmemory", "1")
        try:
            self.expect_closed("Redis out of memory")
        finally:
            self.redis.call("CONFIG", "SET", "maxmemory", "0")
        self.expect_recovery("a full Redis")

    def test_slow(self):
        self.redis.freeze()
        try:
            self.expect_closed("Redis frozen")
        finally:
            self.redis.thaw()
        self.expect_recovery("a frozen Redis")

    def test_killed_in_mid_body(self):
        text = attempt()
        with smtp_client.Client(self.gateway.inbound) as client:
            client.ehlo()
            client.pipeline(f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{PUBLIC}>")
            self.assertReply(client.command("DATA"), 354)
            client.send(text + b"more\r\n" * 1000)
            self.sink.wait(lambda s: sum("DATA" == c for _, c in s.commands) >= len(self.members))
            self.redis.kill()
            client.send(b".\r\n")
            # What was begun needs nothing of Redis any more: 250 is the next hop's word (contract R3.7).
            self.assertReply(client.reply(), 250)
        self.assertEqual(sorted(m.recipient for m in self.sink.messages), sorted(self.members))
        self.sink.clear()
        self.expect_closed("Redis killed in mid-body")
        self.redis.start()
        self.expect_recovery("a Redis killed in mid-body")

    def test_flushed(self):
        # All data gone: nothing is known any more, so nothing may pass; what was backed up comes back.
        dump = {key: self.redis.call("DUMP", key) for key in self.redis.call("KEYS", "{kage}*")}
        self.redis.call("FLUSHALL")
        self.assertReply(self.inbound(attempt()), 4)
        self.assertEqual(self.sink.messages, [])
        # Key by key, the generation first and a pause after it: what is read meanwhile cannot be used.
        first = [key for key in dump if key == b"{kage}:gen"]
        self.assertEqual(len(first), 1, sorted(dump))
        self.redis.call("RESTORE", first[0], "0", dump[first[0]])
        wait_for(lambda: any("missing" in event["reason"] for event in self.gateway.events("mapping.not_ready")),
                 30, "the gateway to have read a part of the routes")
        for key, value in dump.items():
            if key not in first:
                self.redis.call("RESTORE", key, "0", value)
        self.expect_recovery("a flushed Redis")


class KeyFails(Broken):
    @classmethod
    def make_redis(cls, space):
        cls.redis = Redis(space).start()
        return cls.redis

    def restart_with_key(self, content):
        """Restarts with this key file, or none; gives back a function that restores the right one."""
        self.gateway.stop()
        saved = self.gateway.key_path + ".saved"
        shutil.copy2(self.gateway.key_path, saved)
        os.unlink(self.gateway.key_path)
        if content is not None:
            with open(self.gateway.key_path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
                file.write(content)
        self.gateway.start(wait="listening")
        return lambda: os.replace(saved, self.gateway.key_path)

    def test_missing(self):
        restore = self.restart_with_key(None)
        self.expect_closed("key missing")
        self.assertFalse(os.path.exists(self.gateway.key_path), "a key was made although Redis holds data of another")
        restore()
        self.expect_recovery("a missing key")

    def test_wrong(self):
        restore = self.restart_with_key("ab" * 32 + "\n")
        self.expect_closed("key wrong")
        restore()
        self.expect_recovery("a wrong key")

    def test_not_a_key(self):
        restore = self.restart_with_key("hello\n")
        self.expect_closed("key garbled")
        restore()
        self.expect_recovery("a garbled key")

    def test_readable_by_others(self):
        self.gateway.stop()
        os.chmod(self.gateway.key_path, 0o644)
        self.gateway.start(wait="listening")
        self.expect_closed("key readable by others")
        os.chmod(self.gateway.key_path, 0o600)
        self.expect_recovery("a key readable by others")

    def test_redis_missing_at_start(self):
        self.gateway.stop()
        self.redis.stop()
        self.gateway.start(wait="listening")
        self.expect_closed("Redis missing at start")
        self.redis.start()
        self.expect_recovery("a Redis missing at start")


class NextHopFails(Broken):
    @classmethod
    def configure(cls):
        cls.gateway.config["next_hop"][0].update(connect_timeout="1s", command_timeout="1s", final_timeout="1s")

    def test_down(self):
        self.sink.stop()
        self.expect_closed("next hop down")
        self.sink.start()
        self.expect_recovery("a next hop that was down")

    def test_hanging(self):
        for stage in ("connect", "ehlo", "mail", "rcpt", "data", "dot"):
            with self.subTest(stage=stage):
                self.sink.close_all()
                self.sink.fail(stage, action="hang")
                self.expect_closed("next hop hangs at " + stage)
                self.sink.heal()
                self.expect_recovery("a next hop that hung")
                self.sink.clear()

    def test_closing_in_mid_body(self):
        body = b"0123456789" * 7 + b"\r\n"
        text = attempt() + body * 20_000
        self.sink.fail("body", action="close", after=200_000)
        self.assertReply(self.inbound(text), 4)
        self.assertEqual(self.sink.messages, [])
        self.sink.heal()
        self.assertReply(self.inbound(text), 250)

    def test_greeting_is_not_smtp(self):
        for garbage in ("hello there", "220-" + "x" * 5000, "999 what", "2"):
            with self.subTest(garbage=garbage[:10]):
                self.sink.close_all()
                self.sink.fail("connect", reply=garbage)
                self.expect_closed("garbage from the next hop")
                self.sink.heal()


class NextHopCertificate(Small):
    """A next hop whose certificate does not check out gets nothing."""

    @classmethod
    def configure(cls):
        cls.sinks = {}
        other = Authority(cls.space, "other")
        cases = {"good": cls.authority.issue("localhost", file="good"), "stranger": other.issue("localhost"),
                 "name": cls.authority.issue("elsewhere.test")}
        hops = []
        for tls in ("starttls", "implicit"):
            for name, (certificate, key) in cases.items():
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate, key)
                sink = Sink(cls.space, context=context, implicit=tls == "implicit").start()
                cls.sinks[tls, name] = sink
                hops.append({"name": f"{tls}-{name}", "domains": [f"{tls}-{name}.test"], "host": "localhost",
                             "port": sink.port, "tls": tls, "ca_file": cls.authority.certificate,
                             "connect_timeout": "3s"})
        plain = cls.sinks["starttls", "plain"] = Sink(cls.space).start()
        hops.append({"name": "plain", "domains": ["starttls-plain.test"], "host": "localhost", "port": plain.port,
                     "tls": "starttls", "ca_file": cls.authority.certificate})
        liar = cls.sinks["starttls", "injecting"] = Sink(cls.space, context=context).start()
        liar.fail("starttls", reply="220 2.0.0 go on\r\n250 2.0.0 injected before the handshake")
        hops.append({"name": "liar", "domains": ["starttls-injecting.test"], "host": "localhost", "port": liar.port,
                     "tls": "starttls", "ca_file": cls.authority.certificate, "connect_timeout": "3s",
                     "command_timeout": "2s"})
        cls.gateway.config["next_hop"] += hops

    def test_only_the_right_certificate_gets_mail(self):
        for (tls, name), sink in self.sinks.items():
            with self.subTest(tls=tls, certificate=name):
                recipient = f"someone@{tls}-{name}.test"
                reply = self.submit(OFFICER, recipient, message(OFFICER, recipient))
                if name == "good":
                    self.assertReply(reply, 250)
                    self.assertTrue(sink.messages[0].tls)
                else:
                    self.assertReply(reply, 4)
                    self.assertEqual(sink.messages, [])
                    self.assertFalse([c for _, c in sink.commands if c.startswith("MAIL")], sink.commands)


class NextHopLogin(Small):
    """A provider's submission server as next hop, with AUTH."""

    @classmethod
    def configure(cls):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cls.authority.issue("localhost", file="relay"))
        cls.relay = Sink(cls.space, context=context, login=("relay-user", PASSWORD)).start()
        hop = {"host": "localhost", "port": cls.relay.port, "tls": "starttls", "ca_file": cls.authority.certificate,
               "username": "relay-user"}
        cls.gateway.config["next_hop"] += [
            {"name": "right", "domains": ["right.test"], "password": PASSWORD, **hop},
            {"name": "wrong", "domains": ["wrong.test"], "password": "no", **hop}]

    def test_login(self):
        self.assertReply(self.submit(OFFICER, "x@right.test", message(OFFICER, "x@right.test")), 250)
        self.assertEqual(self.relay.messages[0].login, "relay-user")
        self.assertReply(self.submit(OFFICER, "x@wrong.test", message(OFFICER, "x@wrong.test")), 4)
        self.assertEqual(len(self.relay.messages), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
