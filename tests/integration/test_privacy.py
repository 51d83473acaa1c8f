"""After a whole story, nothing at rest names anybody (contract R3.5, R3.6, R9.5)."""

import os
import re
import resource
import signal
import unittest

from harness.gateway import sanitized
from harness.mail import message
from harness.redis import Redis
from harness.small import OFFICER, PUBLIC, STRANGER, TEACHER, Small
from harness.smtp_client import Client

EVENT = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|error) [a-z_.]+'
                   r'( [a-z_0-9]+=("([^"\\]|\\.)*"|[^\s"]+))*')
# Whatever names a person, a mailbox or a public address, in whole or by its domain.
NEEDLES = [part for a in (OFFICER, TEACHER, STRANGER, PUBLIC, "direct@outside.test") for part in (a, a.split("@")[1])]
NEEDLES += ["officer", "teacher", "yamada", "Secret Name", "PTA committee", "secret subject", "client.test", "correct horse"]


class Privacy(Small):
    settings = {"display_name": "PTA committee"}

    @classmethod
    def make_redis(cls, space):
        cls.redis = Redis(space).start()
        return cls.redis

    def story(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        text = message(f"Secret Name <{OFFICER}>", phantom, "secret subject", message_id="secret@gmail.test")
        self.assertReply(self.submit(OFFICER, [phantom, "direct@outside.test"], text), 250)
        self.assertReply(self.plain_reply(OFFICER, phantom, text.replace(b"<secret@", b"<secret2@")), 250)
        self.assertReply(self.plain_reply(TEACHER, phantom, message(TEACHER, phantom)), 550)
        self.assertReply(self.submit("nobody@nowhere.test", phantom, text), 535)
        self.assertReply(self.inbound(text, "unknown@school.example"), 550)
        self.assertReply(self.inbound(text, "relay@elsewhere.test"), 550)
        self.sink.fail("rcpt", reply=f"550 5.1.1 <{OFFICER}> does not exist here")
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, "secret subject", message_id="s2@stranger.test")), 5)
        self.sink.heal()
        self.sink.fail("dot", reply=f"451 4.2.2 <{TEACHER}> is full")
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, "secret subject", message_id="s3@stranger.test")), 4)
        self.sink.heal()
        self.metrics = repr(self.gateway.metrics())
        self.gateway.kill()
        self.gateway.start()
        return phantom

    def found_in(self, octets):
        octets = octets.lower()
        return sorted({n for n in NEEDLES if n.lower().encode() in octets})

    def test_nothing_at_rest_names_anybody(self):
        self.story()
        self.redis.call("SAVE")
        self.redis.call("BGREWRITEAOF")
        # `log_level = "debug"`: the most that can ever be logged.
        log, files = self.gateway.log(), self.redis.files()
        for told in ("copy.refused", "login", "message"):
            self.assertRegex(log, rf"(?m)^\S+ +\w+ {re.escape(told)} ")
        self.assertEqual([line for line in log.splitlines() if not EVENT.fullmatch(line)], [], "one line an event")
        self.assertIn(b"kage:p:", files)
        self.assertEqual(self.found_in(log.encode()), [])
        self.assertEqual(self.found_in(files), [])
        self.assertIn("copies", self.metrics)
        self.assertEqual(self.found_in(self.metrics.encode()), [])
        for folder, _, names in os.walk(self.gateway.state):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        self.assertEqual(self.found_in(file.read() + name.encode()), [], path)

    @unittest.skipIf(sanitized(), "a sanitizer's build says all it knows")
    def test_a_crash_shows_nobody(self):
        """It ends in the middle of a message: no memory in a file, no address in what it says last."""
        limits = resource.getrlimit(resource.RLIMIT_CORE)
        self.assertNotEqual(limits[1], 0, "where nothing may, this says nothing")
        resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_CORE, limits)
        self.gateway.stop()
        self.gateway.start()
        process, before = self.gateway.process, len(self.gateway.log())
        with open(f"/proc/{process.pid}/limits") as file:
            self.assertRegex(file.read(), r"(?m)^Max core file size +0 +0 ")
        with Client(self.gateway.inbound) as client:
            client.ehlo()
            for line in (f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{PUBLIC}>"):
                self.assertReply(client.command(line), 250)
            self.assertReply(client.command("DATA"), 354)
            client.send(message(STRANGER, PUBLIC, "secret subject"))
            process.send(signal.SIGABRT)
            _, status = os.waitpid(process.pid, 0)
        self.gateway.kill()  # and what it had started
        self.assertEqual(os.WTERMSIG(status), signal.SIGABRT)
        self.assertFalse(os.WCOREDUMP(status))
        self.assertEqual(self.found_in(self.gateway.log()[before:].encode()), [])
        self.gateway.start()

    def test_what_was_forgotten_is_in_no_file_any_more(self):
        phantom = self.phantom_of("lost@stranger.test", OFFICER)
        key = "kage:p:" + phantom.split("@")[0]
        value = self.redis.call("GET", key)
        self.assertIsNotNone(value)
        self.assertIn(value, self.redis.files())
        result = self.gateway.forget(PUBLIC, OFFICER)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIsNone(self.redis.call("GET", key))
        self.assertNotIn(value, self.redis.files(), "the AOF still holds a forgotten member's phantom")
        self.assertNotIn(phantom.split("@")[0].encode(), self.redis.files())


if __name__ == "__main__":
    unittest.main(verbosity=2)
