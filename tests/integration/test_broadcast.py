"""Broadcast: parents register by one mail, the school writes to all of them, and gets one report of what was refused."""

import base64
import email
import email.policy
import threading
import unittest

from harness import smtp_client
from harness.mail import address, field, find_traces, header_of, ids, message
from harness.small import OFFICER, PUBLIC, TEACHER, Small
from harness.waiting import wait_for

PARENTS = [f"parent{n:03}@home{n % 7}.test" for n in range(500)]
BROKEN = PARENTS[17], PARENTS[240], PARENTS[499]
REFUSAL = "550 5.1.1 <{}> is gone from mailhost.secret.test"


class Crowd(Small):
    """Small, with parents who wrote to the public address once."""

    members = (OFFICER,)
    parents = PARENTS[:12]
    broken = ()

    @classmethod
    def prepare(cls, space):
        super().prepare(space)
        cls.phantoms = cls.register(cls.parents)

    @classmethod
    def register(cls, parents):
        """Each parent sends one mail: {parent: the officer's phantom for them}."""
        cls.sink.clear()
        with smtp_client.Client(cls.gateway.inbound) as client:
            client.ehlo()
            for number, parent in enumerate(parents):
                text = message(f"Parent {number} <{parent}>", PUBLIC, f"register {number}", message_id=f"r{number}@home.test")
                replies = client.pipeline(f"MAIL FROM:<{parent}>", f"RCPT TO:<{PUBLIC}>")
                assert [r.code for r in replies] == [250, 250], replies
                reply = client.data(text)
                assert reply.code == 250, reply
        found = {}
        for envelope in cls.sink.wait_messages(len(parents) * len(cls.members)):
            if envelope.recipients == [OFFICER]:
                found[parents[int(field(envelope.data, "Subject").split()[-1])]] = address(envelope.data)
        return found

    def broadcast(self, to, name, subject="To all parents", header_to=None, **more):
        """The officer writes to phantoms."""
        text = message(f"Sato <{OFFICER}>", header_to or ", ".join(to), subject, message_id=f"{name}@gmail.test", **more)
        return self.submit(OFFICER, to, text)

    def refuse(self, parents):
        for parent in parents:
            self.sink.fail("rcpt", match=parent, reply=REFUSAL.format(parent))

    def count(self):
        """How many copies each recipient has, the officer's reports aside."""
        found = {}
        for envelope in self.sink.messages:
            for recipient in envelope.recipients:
                found[recipient] = found.get(recipient, 0) + 1
        found.pop(OFFICER, None)
        return found

    def report(self):
        """(message, text for people, [(phantom, status)]) of the only report."""
        envelope = self.copy_for(OFFICER, [m for m in self.sink.messages if m.recipients == [OFFICER]])
        self.assertEqual(envelope.sender, "", "nobody is told of a report that fails")
        parsed = email.message_from_bytes(envelope.data, policy=email.policy.default)
        self.assertEqual(parsed.get_content_type(), "multipart/report")
        self.assertEqual(parsed["Auto-Submitted"], "auto-replied")
        text, status = parsed.iter_parts()
        self.assertEqual(status.get_content_type(), "message/delivery-status")
        blocks = [part for part in status.get_payload() if part["Final-Recipient"]]
        self.assertTrue(all(part["Action"] == "failed" for part in blocks))
        shown = [(part["Final-Recipient"].split(";")[1].strip(), part["Status"]) for part in blocks]
        words = text.get_content()
        readable = envelope.data + words.encode()
        for secret in (b"home", b"secret", b"is gone", b"parent0"):
            self.assertNotIn(secret, readable)
        return parsed, words, shown


class Broadcast(Crowd):
    """500 parents, three of whose addresses are broken."""

    parents = PARENTS
    settings = {"recipients": "private"}

    def test_three_are_broken(self):
        self.refuse(BROKEN)
        to = list(self.phantoms.values())
        self.assertReply(self.broadcast(to, "all"), 250)
        self.assertEqual(self.count(), {p: 1 for p in PARENTS if p not in BROKEN})
        parsed, words, shown = self.report()
        broken = {self.phantoms[p] for p in BROKEN}
        self.assertEqual({phantom for phantom, _ in shown}, broken)
        self.assertEqual({status for _, status in shown}, {"5.1.1"})
        self.assertEqual(address(bytes(parsed), "From"), PUBLIC)
        self.assertEqual(parsed["In-Reply-To"], "<all@gmail.test>")
        for phantom in broken:
            self.assertIn(f"{phantom}  (recipient {to.index(phantom) + 1})", words)
        self.assertIn("There is no such mailbox.", words)
        self.assertIn("To all parents", words)
        for copy in self.sink.messages[:20]:
            if copy.recipients != [OFFICER]:
                self.assertEqual(address(copy.data, "To"), copy.recipient, "names this parent only")
        self.assertEqual(self.gateway.events("message")[-1]["refused"], "3")
        progress = self.gateway.metrics()
        self.assertEqual(progress["kagemusha_reports_total"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
