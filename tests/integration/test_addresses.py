"""Addresses as they are in the wild, and several people in one message (contract R4.2, R4.5, chapter 6)."""

import unittest

from harness.gateway import member, routes
from harness.mail import address, all_fields, field, find_traces, message
from harness.sink import Sink
from harness.small import COACH, OFFICER, PUBLIC, STRANGER, TEACHER, Small
from harness.smtp_client import Client

OTHER = "club@school.example"


class OldCarriers(Small):
    """Local parts that docomo gave out and RFC 5321 does not allow."""

    @classmethod
    def configure(cls):
        # A strict server: it takes such local parts quoted only. (A bare one never matches `<"`.)
        cls.strict = Sink(cls.space).start()
        cls.gateway.config["next_hop"].append(
            {"name": "strict", "domains": ["strict.test"], "host": "127.0.0.1", "port": cls.strict.port, "tls": "none"})
        for bare in ("<a..b", "<a...b"):
            cls.strict.fail("rcpt", match=bare, reply="501 5.1.3 Bad recipient address syntax")
        cls.strict.fail("rcpt", match="<abc.@", reply="553 5.1.3 Bad recipient address syntax")

    def test_they_cross_both_ways(self):
        for local in ("a..b", "abc.", "a...b..c."):
            for domain in ("docomo.ne.jp.test", "strict.test"):
                for written in (f"{local}@{domain}", f'"{local}"@{domain}'):
                    with self.subTest(written=written):
                        self.sink.clear()
                        self.strict.clear()
                        self.assertReply(self.inbound(message(written, PUBLIC), sender=written), 250)
                        copy = self.copy_for(OFFICER, self.copies(2))
                        phantom = address(copy.data)
                        self.assertRegex(phantom, r"^[0-9a-z]{16}@p\.school\.example$")
                        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 250)
                        got = (self.strict if domain == "strict.test" else self.sink).wait_messages(1)[0]
                        if domain == "strict.test":
                            self.assertEqual(got.recipient, f'"{local}"@{domain}')
                        else:
                            self.assertIn(got.recipient, (f"{local}@{domain}", f'"{local}"@{domain}'))

    def test_quoted_or_not_is_the_same_person(self):
        self.assertEqual(self.phantom_of("x..y@docomo.ne.jp.test", OFFICER), self.phantom_of('"x..y"@docomo.ne.jp.test', OFFICER))

    def test_a_member_with_such_a_mailbox(self):
        self.gateway.apply(self.routes([OFFICER, "m..x.@docomo.ne.jp.test"]))
        self.addCleanup(lambda: self.gateway.apply(self.routes()))
        self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
        recipients = [m.recipients[0].replace('"', "") for m in self.copies(2)]
        self.assertIn("m..x.@docomo.ne.jp.test", recipients)


class Spelling(Small):
    def test_case_and_spelling(self):
        one = self.phantom_of("Some.One@Stranger.TEST", OFFICER)
        self.assertEqual(one, self.phantom_of("some.one@stranger.test", OFFICER))
        self.assertEqual(one, self.phantom_of('"SOME.ONE"@stranger.test', OFFICER))
        self.assertNotEqual(one, self.phantom_of("some.two@stranger.test", OFFICER))
        # What goes out is the spelling that was last seen.
        self.phantom_of("Some.ONE@Stranger.test", OFFICER)
        self.assertReply(self.submit(OFFICER, one, message(OFFICER, one)), 250)
        self.assertEqual(self.copies(1)[0].recipient, "Some.ONE@Stranger.test")

    def test_a_phantom_survives_upper_case(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        shouted = phantom.upper()
        self.assertReply(self.submit(OFFICER, shouted, message(OFFICER, shouted)), 250)
        self.assertEqual(self.copies(1)[0].recipient, STRANGER)
        self.assertReply(self.plain_reply(OFFICER, shouted, message(OFFICER, shouted)), 250)
        self.assertEqual(self.copies(1)[0].recipient, STRANGER)

    def test_a_public_address_in_any_case(self):
        self.assertReply(self.inbound(message(STRANGER, PUBLIC.upper()), PUBLIC.upper()), 250)
        self.copies(2)

    def test_internationalized(self):
        sender = "山田@日本語.test"
        self.assertReply(self.inbound(message(sender, PUBLIC), sender=sender, parameters="SMTPUTF8"), 250)
        copy = self.copy_for(OFFICER, self.copies(2))
        phantom = address(copy.data)
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 250)
        out = self.copies(1)[0]
        self.assertIn(out.recipient, (sender, "山田@xn--wgv71a119e.test"))
        self.assertIn("SMTPUTF8", out.parameters)

    def test_unknown_and_foreign_recipients(self):
        for recipient, code, enhanced in (("nobody@school.example", 550, "5.1.1"), ("x@p.school.example", 550, "5.1.1"),
                                          ("x@elsewhere.test", 550, "5.7.1"), ("x@sub.school.example", 550, "5.7.1"),
                                          ("postmaster", 550, "5.1.1"), ("postmaster@school.example", 550, "5.1.1")):
            with self.subTest(recipient=recipient), Client(self.gateway.inbound) as client:
                client.ehlo()
                client.mail(STRANGER)
                self.assertReply(client.rcpt(recipient), code, enhanced)


class Private(Small):
    """R6.1 with recipients = "private": each copy names its own correspondent only."""

    def test_several_phantoms(self):
        strangers = ["a@one.test", "b@two.test", "hidden@three.test"]
        phantoms = [self.phantom_of(s, OFFICER) for s in strangers]
        text = message(OFFICER, phantoms[0], "to several", extra=f"Cc: {phantoms[1]}", message_id="several@gmail.test")
        self.assertReply(self.submit(OFFICER, phantoms, text), 250)
        copies = self.copies(3)
        self.assertEqual(sorted(c.recipients[0] for c in copies), strangers)
        self.check(copies, strangers, phantoms)

    def check(self, copies, strangers, phantoms):
        for copy in copies:
            others = [s for s in strangers if s != copy.recipient]
            self.assertEqual(find_traces(copy.header, [*others, *(o.split("@")[1] for o in others),
                                                       *(p.split("@")[0] for p in phantoms)]), [])
            self.assertIn(copy.recipient.encode(), copy.header)

    def test_real_addresses_beside_phantoms(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        text = message(OFFICER, f"{phantom}, Direct <direct@outside.test>")
        self.assertReply(self.submit(OFFICER, [phantom, "direct@outside.test"], text), 250)
        self.check(self.copies(2), [STRANGER, "direct@outside.test"], [phantom])


class Open(Private):
    """R6.1 with recipients = "open": as ordinary mail, but a Bcc is never shown."""

    settings = {"recipients": "open"}

    def check(self, copies, strangers, phantoms):
        shown, hidden = strangers[:2], strangers[2:]
        for copy in copies:
            for stranger in shown:
                self.assertIn(stranger.encode(), copy.header)
            if copy.recipient not in hidden:
                self.assertEqual(find_traces(copy.header, [h.split("@")[1] for h in hidden]), [])
            self.assertEqual(find_traces(copy.header, [p.split("@")[0] for p in phantoms]), [])
            self.assertEqual(all_fields(copy.data, "Bcc"), [])


class PublicAmongRecipients(Small):
    """R6.3: a public address of ours is delivered inside, once, without a loop."""

    @classmethod
    def routes(cls, members=None):
        hashed = cls.gateway.hash_password("correct horse")
        return routes({PUBLIC: [member(OFFICER, password_hash=hashed), TEACHER], OTHER: [COACH, OFFICER]})

    def test_a_stranger_writes_to_two_public_addresses(self):
        self.gateway.settle(OTHER)
        self.assertReply(self.inbound(message(STRANGER, f"{PUBLIC}, {OTHER}"), [PUBLIC, OTHER, PUBLIC]), 250)
        copies = self.copies(4)
        self.assertEqual(sorted(c.recipients[0] for c in copies), sorted([OFFICER, TEACHER, COACH, OFFICER]))
        # The same mailbox behind two public addresses is two members, with two phantoms.
        self.assertEqual(len({address(c.data) for c in copies if c.recipients == [OFFICER]}), 2)
        for copy in copies:
            self.assertEqual(field(copy.data, "To"), f"{PUBLIC}, {OTHER}")

    def test_a_member_writes_to_a_public_address(self):
        self.gateway.settle(OTHER)
        phantom = self.phantom_of(STRANGER, OFFICER)
        text = message(OFFICER, f"{phantom}, {OTHER}", message_id="inside@gmail.test")
        self.assertReply(self.submit(OFFICER, [phantom, OTHER], text), 250)
        copies = self.copies(3)
        self.assertEqual(sorted(c.recipients[0] for c in copies), sorted([STRANGER, COACH, OFFICER]))
        for copy in copies:
            if copy.recipients != [OFFICER]:
                self.assertEqual(find_traces(copy.header, ["officer", "gmail.test"]), [])
            if copy.recipients != [STRANGER]:
                self.assertEqual(find_traces(copy.header, ["stranger.test"]), [])

    def phantom_of(self, stranger, mailbox):
        self.assertReply(self.inbound(message(stranger, PUBLIC), sender=stranger), 250)
        return address(self.copy_for(mailbox, self.copies(2)).data)

    def test_a_mailbox_that_forwards_back_makes_no_loop(self):
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, message_id="loop@stranger.test")), 250)
        came_back = self.copy_for(TEACHER, self.copies(2)).data
        self.assertReply(self.inbound(came_back, PUBLIC, TEACHER), 554, "5.4.6")
        hops = "".join("Received: from a by b; Thu, 01 Jan 2026 10:51:00 +0900\n" for _ in range(60))
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, extra=hops)), 554, "5.4.6")
        self.assertEqual(self.sink.messages, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
