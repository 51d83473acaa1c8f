"""Bounces come back to addresses that tell us, and nobody else, what they belong to (contract R4.7)."""

import base64
import json
import re
import unittest
from email.header import decode_header, make_header

from harness.mail import address, field, find_traces, message
from harness.small import OFFICER, PHANTOM_DOMAIN, PUBLIC, STRANGER, TEACHER, Small, front_fields

BOUNCE = re.compile(r"^b[0-9a-z]{26}@p\.school\.example$")


class Bounces(Small):
    settings = {"collect": True}

    def known(self):
        """All phantoms, also of who was only mentioned."""
        listed = self.gateway.command("phantoms", "--config", self.gateway.config_path, "--address", PUBLIC, "--all", "--format", "csv")
        return sorted(listed.stdout.splitlines())

    def outward(self):
        """Envelope sender of a message from the officer to the stranger, and the phantom."""
        phantom = self.phantom_of(STRANGER, OFFICER)
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 250)
        return self.copies(1)[0].sender, phantom

    def test_envelope_senders_are_ours_and_tell_nothing(self):
        senders = []
        for _ in range(3):
            self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
            senders += [copy.sender for copy in self.copies(2)]
        senders.append(self.outward()[0])
        for sender in senders:
            self.assertRegex(sender, BOUNCE)
        self.assertEqual(len(set(senders)), len(senders), "two copies could be linked")

    def test_a_correspondents_bounce_reaches_the_member_who_wrote(self):
        sender, phantom = self.outward()
        bounce = message("MAILER-DAEMON@stranger.test", sender, "Undelivered", message_id="dsn@stranger.test")
        for number, envelope in enumerate(("", "mailer-daemon@stranger.test", "postmaster@stranger.test")):
            with self.subTest(envelope=envelope):
                text = bounce.replace(b"dsn@", b"dsn%d@" % number)
                self.assertReply(self.inbound(text, sender, envelope), 250)
                copy, = self.copies(1)
                self.assertEqual(copy.recipients, [OFFICER])
                self.assertEqual(find_traces(copy.header, ["stranger.test"]), [])

    def test_the_member_is_told_in_our_words(self):
        """A report names the address that failed, in its headers, its text and what it gives back."""
        sender, phantom = self.outward()
        report = (f"--b\r\nContent-Type: text/plain\r\n\r\n<{STRANGER}>: mailbox is full at mx.stranger.test\r\n\r\n"
                  f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.stranger.test\r\n\r\n"
                  f"Original-Recipient: rfc822;{STRANGER}\r\nFinal-Recipient: RFC822; <{STRANGER.upper()}>\r\n"
                  f"Action: failed\r\nStatus: 5.2.2 (full)\r\nDiagnostic-Code: smtp; 552 {STRANGER}\r\n\r\n"
                  f"--b\r\nContent-Type: message/rfc822\r\n\r\nTo: {STRANGER}\r\n\r\nHello.\r\n--b--\r\n")
        for number, (author, extra) in enumerate((
                ("MAILER-DAEMON@mx.stranger.test", ""), ("Stranger <postmaster@stranger.test>", "Content-Type: text/plain"),
                ("MicrosoftExchange329e@stranger.test", 'Content-Type: multipart/report; boundary="b"'), ("", ""))):
            with self.subTest(author=author):
                text = message(author, sender, f"Undelivered to {STRANGER} by mx.stranger.test", report,
                               message_id=f"dsn-{number}@stranger.test", extra=extra)
                self.assertReply(self.inbound(text, sender, ""), 250)
                copy, = self.copies(1)
                words = base64.b64decode(copy.body).decode()
                for part in ("stranger", "yamada"):
                    self.assertNotIn(part, (copy.data.decode("latin-1") + words).lower())
                self.assertEqual(find_traces(copy.header, ["stranger", "yamada"]), [])
                self.assertEqual(address(copy.data), PUBLIC)
                self.assertIn(f"  {phantom}\r\n    5.2.2 The mailbox is full.", words)

    def dsn(self, sender, *groups, name="dsn"):
        """A report with a group of fields for each recipient."""
        parts = ["--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.stranger.test\r\n\r\n",
                 *("\r\n".join(group) + "\r\n\r\n" for group in groups), "--b--\r\n"]
        return message("MAILER-DAEMON@mx.stranger.test", sender, "Report", "".join(parts), message_id=f"{name}@mx.stranger.test",
                       extra='Content-Type: multipart/report; report-type=delivery-status; boundary="b"')

    def test_a_delay_is_not_told_as_a_failure(self):
        sender, phantom = self.outward()
        group = f"Final-Recipient: rfc822; {STRANGER}", "Action: delayed", "Status: 4.4.1"
        self.assertReply(self.inbound(self.dsn(sender, group, name="late"), sender, ""), 250)
        copy, = self.copies(1)
        words = base64.b64decode(copy.body).decode()
        self.assertIn("Delayed", str(make_header(decode_header(field(copy.data, "Subject")))))
        self.assertIn(f"  {phantom}\r\n    4.4.1 Not delivered yet", words)
        self.assertNotIn("gave your message back", words)

    def test_a_success_that_nobody_asked_for_is_told_to_nobody(self):
        sender, _ = self.outward()
        group = f"Final-Recipient: rfc822; {STRANGER}", "Action: delivered", "Status: 2.0.0"
        self.assertReply(self.inbound(self.dsn(sender, group, name="there"), sender, ""), 250)
        self.assertEqual(self.sink.messages, [])

    def test_who_forwards_is_known_by_the_address_that_was_written_to(self):
        sender, phantom = self.outward()
        group = (f"Original-Recipient: rfc822; {STRANGER}", "Final-Recipient: rfc822; taro-private@elsewhere.test",
                 "Action: failed", "Status: 5.1.1")
        self.assertReply(self.inbound(self.dsn(sender, group, name="forwarded"), sender, ""), 250)
        words = base64.b64decode(self.copies(1)[0].body).decode()
        self.assertEqual(re.findall(r"\S+@\S+", words), [phantom])

    def test_a_plain_text_report_names_whom_the_member_knows(self):
        """Carriers and qmail write no fields. Whoever else the text mentions becomes nobody's phantom."""
        gone, there = "gone@carrier.test", "there@carrier.test"
        phantoms = [self.phantom_of(stranger, OFFICER) for stranger in (gone, there)]
        self.assertReply(self.submit(OFFICER, phantoms, message(OFFICER, ", ".join(phantoms))), 250)
        sender = next(m.sender for m in self.copies(2) if m.recipient == gone)
        body = (f"<{gone}>: 550 Unknown user {gone}\r\nAsk help@carrier.test.\r\n\r\n--- Below this line is a copy of the message.\r\n"
                f"Received: by mx.school.example\r\nTo: {gone}, {there}\r\n")
        before = self.known()
        text = message("MAILER-DAEMON@carrier.test", sender, "Mail System Error", body, message_id="text@carrier.test")
        self.assertReply(self.inbound(text, sender, ""), 250)
        words = base64.b64decode(self.copies(1)[0].body).decode()
        self.assertEqual(re.findall(r"\S+@\S+", words), phantoms[:1])
        self.assertNotIn("carrier", words)
        self.assertEqual(self.known(), before, "no phantom more, none changed")

    def test_an_absence_is_no_report(self):
        sender, phantom = self.outward()
        text = message(f"Taro <{STRANGER}>", sender, "Away", "Until Monday.\r\n", extra="Auto-Submitted: auto-replied")
        self.assertReply(self.inbound(text, sender, ""), 250)
        copy, = self.copies(1)
        self.assertEqual((address(copy.data), copy.body), (phantom, b"Until Monday.\r\n"))

    def test_a_report_is_for_one_member(self):
        """Its body is no other's, and nobody else's is replaced."""
        sender, _ = self.outward()
        text = message("MAILER-DAEMON@stranger.test", sender, "Undelivered")
        self.assertReply(self.inbound(text, [sender, PUBLIC], ""), 550, "5.1.1")
        self.assertEqual(self.sink.messages, [])

    def test_what_is_no_bounce_is_refused(self):
        sender, _ = self.outward()
        unknown = self.inbound(message(STRANGER, PUBLIC), "nobody@school.example")
        text = message(STRANGER, sender)
        self.assertEqual(self.inbound(text, sender), unknown)
        forged = ("c" if sender[1] != "c" else "d").join([sender[0], sender[2:]])
        for target in (forged, "b" + "a" * 26 + "@" + PHANTOM_DOMAIN):
            self.assertEqual(self.inbound(text, target, ""), unknown)
        self.assertEqual(self.sink.messages, [])

    def test_a_members_bounce_is_taken_and_told_to_nobody(self):
        self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
        sender = self.copy_for(TEACHER, self.copies(2)).sender
        text = message("MAILER-DAEMON@docomo.test", sender, "Undelivered to " + TEACHER)
        self.assertReply(self.inbound(text, sender, ""), 250)
        self.assertEqual(self.sink.messages, [])
        self.assertNotIn("teacher", self.gateway.process.text())
        # The operator can tell whose mailbox it is.
        dropped = self.gateway.events("bounce.dropped")[-1]
        shown = json.loads(self.gateway.show("--format", "json").stdout)["addresses"][0]["members"]
        self.assertEqual([m["mailbox"] for m in shown if m["log_tag"] == dropped["member"]], [TEACHER])
        self.assertEqual(self.gateway.metrics()["kagemusha_bounces_dropped_total"], 1)

    def test_the_operator_can_tell_whose_copy_was_refused(self):
        self.sink.fail("rcpt", match=TEACHER, reply=f"550 5.1.1 <{TEACHER}> is gone")
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, message_id="gone@stranger.test")), 554, "5.1.1")
        phantom = address(self.copies(1)[0].data)
        self.sink.fail("rcpt", match=STRANGER, reply=f"550 5.7.1 <{STRANGER}> wants none")
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 554, "5.7.1")
        shown = json.loads(self.gateway.show("--format", "json").stdout)["addresses"][0]["members"]
        names = {m["log_tag"]: m["mailbox"] for m in shown}
        hop = self.gateway.config["next_hop"][0]["name"]
        self.assertEqual([(names[e["member"]], e["towards"], e["status"], e["hop"]) for e in self.gateway.events("copy.refused")[-2:]],
                         [(TEACHER, "member", "5.1.1", hop), (OFFICER, "correspondent", "5.7.1", hop)])
        for part in ("docomo", "stranger", "gmail"):
            self.assertNotIn(part, self.gateway.log())

    def test_a_forgotten_members_bounces_are_dead(self):
        sender, _ = self.outward()
        self.assertEqual(self.gateway.forget(PUBLIC, OFFICER).returncode, 0)
        reply = self.inbound(message("MAILER-DAEMON@stranger.test", sender), sender, "")
        self.gateway.apply(self.routes())
        self.assertReply(reply, 550, "5.1.1")
        self.assertReply(self.inbound(message("MAILER-DAEMON@stranger.test", sender), sender, ""), 550, "5.1.1")

    def test_two_absences_do_not_answer_each_other(self):
        """Neither answers <> or what says that nobody wrote it (RFC 3834 §2); our copies have an envelope sender."""
        self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
        phantom = address(self.copy_for(OFFICER, self.copies(2)).data)
        away = front_fields(OFFICER) + message(OFFICER, phantom, "Away")
        self.assertReply(self.inbound(away, phantom, ""), 250)
        copy, = self.copies(1)
        self.assertEqual(field(copy.data, "Auto-Submitted"), "auto-replied")
        self.assertReply(self.inbound(message(STRANGER, address(copy.data), "Away too"), sender=""), 250)
        for copy in self.copies(2):
            self.assertEqual(field(copy.data, "Auto-Submitted"), "auto-replied")

    def test_no_bounce_of_a_bounce(self):
        # A message from <> to a public address crosses, and its copies carry an address of ours all the same.
        self.assertReply(self.inbound(message("MAILER-DAEMON@stranger.test", PUBLIC), PUBLIC, ""), 250)
        for copy in self.copies(2):
            self.assertRegex(copy.sender, BOUNCE)
            self.assertTrue(address(copy.data).endswith("@" + PHANTOM_DOMAIN), copy.header)


if __name__ == "__main__":
    unittest.main(verbosity=2)
