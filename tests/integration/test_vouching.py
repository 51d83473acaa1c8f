"""Who may reply from outside: the author is the member, and the mail system in front says so (issue: point 7)."""

import unittest

from harness import smtp_client
from harness.mail import message
from harness.small import OFFICER, STRANGER, TEACHER, Small

RECEIVED = b"Received: from phone.test by mx.school.example; Thu, 01 Jan 2026 10:51:00 +0900\r\n"
OURS = "Authentication-Results: mx.school.example; "


class Vouching(Small):
    # 127.0.0.1 is the front, 127.0.0.2 a carrier's gateway that is trusted by name, 127.0.0.3 is anybody.
    config = {"inbound": {"authserv_ids": ["mx.school.example"], "fronts": ["127.0.0.1/32"],
                          "trusted": [{"name": "carrier-gateway", "networks": ["127.0.0.2/32"]}]}}

    def setUp(self):
        super().setUp()
        self.phantom = self.phantom_of(STRANGER, OFFICER)

    def reply(self, results, author=OFFICER, sender=None, source=None, extra=""):
        text = (results + "\r\n").encode() if results else b""
        body = message(author, self.phantom, extra=extra)
        self.sink.clear()
        reply = smtp_client.send(self.gateway.inbound, sender or OFFICER, self.phantom, text + RECEIVED + body, source=source)
        self.assertEqual(len(self.sink.messages), 1 if reply.code == 250 else 0)
        return reply

    def test_verdicts_that_count(self):
        for results in ("dmarc=pass header.from=gmail.test", "spf=pass smtp.mailfrom=gmail.test",
                        "spf=pass smtp.mailfrom=officer@gmail.test", "dkim=pass header.d=gmail.test",
                        "dkim=pass header.i=@gmail.test", "dkim=pass header.d=mail.gmail.test",
                        "spf=fail smtp.mailfrom=x.test; dkim=pass header.d=gmail.test",
                        "DMARC=Pass (p=none) header.from=GMAIL.TEST",
                        "dkim=fail header.d=gmail.test; dkim=pass (good) header.d=gmail.test",
                        "spf (x) = pass (y) smtp (z) . mailfrom = gmail.test"):
            with self.subTest(results):
                self.assertReply(self.reply(OURS + results), 250)

    def test_verdicts_that_do_not(self):
        for results in ("", "none", "dmarc=fail header.from=gmail.test", "spf=pass smtp.mailfrom=evil.test",
                        "dkim=pass header.d=evil.test", "dkim=pass header.d=test", "dmarc=pass header.from=evil.test",
                        "spf=softfail smtp.mailfrom=gmail.test", "dkim=neutral header.d=gmail.test",
                        "dmarc=fail header.from=gmail.test; dkim=pass header.d=gmail.test",
                        "dkim=pass", "dkim=pass (header.d=gmail.test)", "dkim=\"pass header.d=gmail.test\"",
                        "iprev=pass policy.iprev=gmail.test", "dkim=passheader.d=gmail.test"):
            with self.subTest(results):
                self.assertReply(self.reply(OURS + results if results else ""), 550, "5.1.1")

    def test_whose_field_it_is(self):
        good = "dmarc=pass header.from=gmail.test"
        self.assertReply(self.reply("Authentication-Results: mx.evil.test; " + good), 550)
        self.assertReply(self.reply("Authentication-Results: mx.school.example.evil.test; " + good), 550)
        self.assertReply(self.reply("X-Authentication-Results: mx.school.example; " + good), 550)
        self.assertReply(self.reply("Authentication-Results: mx.school.example 1; " + good), 250)
        # Below the front's own Received field it came with the message, and anybody can write it.
        forged = OURS + good + "\nReceived: from a by b; Thu, 01 Jan 2026 10:51:00 +0900"
        below = "Received: from x by y; Thu, 01 Jan 2026 10:51:00 +0900\n" + forged
        self.assertReply(self.reply("", extra=below), 550)
        # Right below it, where some fronts write: only when this one wrote nothing above.
        for word in ("spf=fail smtp.mailfrom=evil.test", "spf=pass smtp.mailfrom=evil.test", "none"):
            self.assertReply(self.reply(OURS + word, extra=OURS + good), 550, "5.1.1")
        self.assertReply(self.reply("", extra=OURS + good), 250)
        # A front that judges authors says one thing, of one author.
        two = OURS + "dmarc=pass header.from=evil.test; " + good
        self.assertReply(self.reply(two), 550, "5.1.1")

    def test_from_whom_it_comes(self):
        good = OURS + "dmarc=pass header.from=gmail.test"
        self.assertReply(self.reply(good, source="127.0.0.3"), 550)
        self.assertReply(self.reply("", source="127.0.0.3"), 550)
        self.assertReply(self.reply("", source="127.0.0.2"), 250)
        self.assertReply(self.reply("", source="127.0.0.2", author=TEACHER), 550)

    def test_who_the_author_is(self):
        good = OURS + "dmarc=pass header.from=gmail.test"
        self.assertReply(self.reply(good, author="other@gmail.test"), 550)
        self.assertReply(self.reply(good, author="OFFICER@Gmail.TEST"), 250)
        self.assertReply(self.reply(good, author=f"\"{TEACHER}\" <{OFFICER}>"), 250)
        self.assertReply(self.reply(good, author=f"{OFFICER}, other@gmail.test"), 550)
        self.assertReply(self.reply(good, extra=f"From: {TEACHER}"), 550)
        # BATV and VERP change the envelope sender of real replies.
        self.assertReply(self.reply(good, sender="prvs=123456abcd=officer@gmail.test"), 250)
        self.assertReply(self.reply(good, sender=""), 250)

    def test_a_reply_to_two_phantoms_of_which_one_is_stolen(self):
        stolen = self.phantom_of(STRANGER, TEACHER)
        text = (OURS + "dmarc=pass header.from=gmail.test\r\n").encode() + RECEIVED + message(OFFICER, self.phantom)
        self.assertReply(self.inbound(text, [self.phantom, stolen], OFFICER), 550, "5.1.1")
        self.assertEqual(self.sink.messages, [])

    def test_rcpt_tells_nothing(self):
        with smtp_client.Client(self.gateway.inbound) as client:
            client.ehlo()
            client.mail(STRANGER)
            self.assertEqual(client.rcpt(self.phantom), client.rcpt("a" * 16 + "@p.school.example"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
