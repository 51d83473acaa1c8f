"""Attacks on people behind the same gateway: by a member who wants an address, a correspondent who wants a mailbox, and a
stranger who wants to use a phantom (contract R3.1 to R3.3, R6.2)."""

import base64
import itertools
import unittest

from harness.gateway import member, toml
from harness.mail import address, field, find_traces, ids, message
from harness.small import COACH, OFFICER, PASSWORD, PHANTOM_DOMAIN, PUBLIC, STRANGER, TEACHER, Small, front_fields
from harness.smtp_client import Client

OFFICE = "office@school.example"
CLERK = "clerk@nifty.test"  # of the office
NUMBERS = itertools.count(1)


class Attack(Small):
    members = (OFFICER, TEACHER, COACH)

    @classmethod
    def routes(cls, members=None):
        hashed = cls.gateway.hash_password(PASSWORD)
        add = lambda mailboxes: [member(m, password_hash=hashed) for m in mailboxes]
        return toml({"address": [{"address": PUBLIC, "display_name": "PTA", **cls.settings, "member": add(cls.members)},
                                 {"address": OFFICE, **cls.settings, "member": add([CLERK])},
                                 {"address": "club@other.example", "member": add([CLERK])}]})

    @classmethod
    def prepare(cls, space):
        super().prepare(space)
        cls.sink.extensions.append("DSN")
        cls.gateway.settle(OFFICE)

    def write(self, sender, to, subject="Hello", extra="", name=""):
        return message(f"{name} <{sender}>", to, subject, message_id=f"a{next(NUMBERS)}@{sender.split('@')[1]}", extra=extra)

    def by_recipient(self, count):
        found = self.copies(count)
        self.assertEqual(len(found), count)
        return {copy.recipient: copy for copy in found}

    def inbound_copy(self, text, mailbox):
        self.assertReply(self.inbound(text), 250)
        return self.copy_for(mailbox, self.copies(3))

    def traces(self, *people):
        return [part for mailbox in people for part in (mailbox, *mailbox.split("@"))]

    def assertHides(self, copy, *people):
        self.assertEqual(find_traces(copy.header, self.traces(*people)), [], copy.header)


class Shown(Attack):
    """`anonymize = "never"`: it shows correspondents, and no colleague."""

    settings = {"anonymize": "never"}

    def test_a_colleague_who_writes_to_all_shows_no_mailbox(self):
        for way in ("submission", "plain", "other office"):
            self.sink.clear()
            writer = CLERK if way == "other office" else OFFICER
            text = self.write(writer, PUBLIC, name="Hanako")
            reply = self.inbound(text, sender=writer) if way == "plain" else self.submit(writer, PUBLIC, text)
            self.assertReply(reply, 250)
            for reader in (TEACHER, COACH):
                copy = self.copy_for(reader, self.sink.messages)
                with self.subTest(way=way, reader=reader):
                    self.assertHides(copy, writer)
                    if way == "other office":  # another organisation's: a correspondent, who is its public address
                        self.assertEqual(field(copy.data, "From"), "club@other.example")
                        self.assertNotIn(b"Hanako", copy.header)
                    else:
                        self.assertRegex(field(copy.data, "From"), rf"^Hanako <[0-9a-z]{{16}}@{PHANTOM_DOMAIN}>$")
        # A stranger is shown, here.
        self.sink.clear()
        self.assertReply(self.inbound(self.write(STRANGER, PUBLIC)), 250)
        self.assertIn(f'"{STRANGER}"', field(self.by_recipient(3)[TEACHER].data, "From"))

    def test_a_bounce_does_not_show_where_a_correspondent_is(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        self.assertReply(self.submit(OFFICER, phantom, self.write(OFFICER, phantom)), 250)
        sender = self.copies(1)[0].sender
        self.assertReply(self.inbound(self.write("MAILER-DAEMON@stranger.test", sender), sender, ""), 250)
        self.assertHides(self.copies(1)[0], STRANGER)


class Open(Attack):
    """`recipients = "open"`: correspondents see each other, and neither sees who is behind the address."""

    settings = {"recipients": "open"}

    def setUp(self):
        super().setUp()
        self.phantom = self.phantom_of(STRANGER, OFFICER)
        self.assertReply(self.inbound(self.write(TEACHER, PUBLIC), sender=TEACHER), 250)
        self.teacher = address(self.copy_for(OFFICER, self.copies(3)).data)

    def test_a_colleague_among_the_recipients(self):
        """By phantom and by mailbox, in every field where a recipient stands."""
        for way, colleague, to in itertools.product(("To", "Cc"), (self.teacher, TEACHER, OFFICER), (1, 2)):
            with self.subTest(way=way, colleague=colleague, first=to):
                self.sink.clear()
                mailbox = TEACHER if colleague == self.teacher else colleague
                extra = f"Cc: {colleague}" if way == "Cc" else ""
                listed = self.phantom if way == "Cc" else f"{self.phantom}, {colleague}"
                text = self.write(OFFICER, listed, f"see {colleague} and {self.phantom}", extra)
                self.assertReply(self.submit(OFFICER, [self.phantom, colleague][::1 if to == 1 else -1], text), 250)
                found = self.by_recipient(2)
                self.assertHides(found[STRANGER], OFFICER, TEACHER)
                self.assertHides(found[mailbox], STRANGER)

    def test_correspondents_see_each_other(self):
        self.assertReply(self.submit(OFFICER, [self.phantom, "b@other.test"],
                                     self.write(OFFICER, f"{self.phantom}, b@other.test")), 250)
        for copy in self.by_recipient(2).values():
            self.assertEqual(field(copy.data, "To"), f"{STRANGER}, b@other.test")

    def test_an_answer_to_all_reaches_everybody_once(self):
        for order in (1, -1):
            to = [PUBLIC, self.teacher, self.phantom][::order]
            text = self.write(OFFICER, ", ".join(to), name="Hanako")
            self.assertReply(self.submit(OFFICER, to, text), 250)
            found = self.by_recipient(4)
            self.assertEqual(set(found), {OFFICER, TEACHER, COACH, STRANGER})
            self.assertHides(found[STRANGER], OFFICER, TEACHER, COACH)
            self.assertHides(found[TEACHER], OFFICER, COACH, STRANGER)
            self.assertHides(found[COACH], OFFICER, TEACHER, STRANGER)
            self.sink.clear()

    def test_the_thread_inside(self):
        self.sink.clear()
        self.assertReply(self.inbound(self.write(STRANGER, PUBLIC, "Sunday")), 250)
        asked = self.by_recipient(3)
        known = ids(asked[OFFICER].data, "Message-ID")[0]
        self.assertReply(self.submit(OFFICER, PUBLIC, self.write(OFFICER, PUBLIC, "Re: Sunday", f"In-Reply-To: <{known}>")), 250)
        for reader, copy in self.by_recipient(3).items():
            self.assertEqual(ids(copy.data, "In-Reply-To"), ids(asked[reader].data, "Message-ID"))

    def test_text_put_in_the_place_of_text(self):
        """A phantom inside a name, of somebody whose local part has to be quoted."""
        odd = "a..b@docomo.test"
        phantom = self.phantom_of(odd, OFFICER)
        for to in (f'"{phantom}" <{PUBLIC}>', f'"x {phantom}, y" <{PUBLIC}>', f"{PUBLIC} ({phantom})",
                   f'{phantom} <{PUBLIC}>, "{phantom}" <{phantom}>'):
            with self.subTest(to=to):
                self.sink.clear()
                self.assertReply(self.submit(OFFICER, [PUBLIC, phantom], self.write(OFFICER, to, phantom)), 250)
                found = self.by_recipient(4)
                for reader in (OFFICER, TEACHER):
                    self.assertEqual(find_traces(found[reader].header, ["a..b", "docomo.test"][:1 if reader == TEACHER else 2]), [])


class Private(Attack):
    """The defaults."""

    settings = {"share_replies": True}

    def setUp(self):
        super().setUp()
        self.phantom = self.phantom_of(STRANGER, OFFICER)

    def test_an_accomplice_is_told_nothing(self):
        """Addressed together with a phantom, which is also put wherever a member can put text."""
        extra = "\n".join(f"{name}: {self.phantom}" for name in ("Cc", "Comments", "Keywords", "Thread-Topic", "Reply-To"))
        text = self.write(OFFICER, f"{self.phantom}, thief@outside.test", f"who is {self.phantom}?", extra)
        self.assertReply(self.submit(OFFICER, [self.phantom, "thief@outside.test"], text), 250)
        found = self.by_recipient(4)
        self.assertHides(found["thief@outside.test"], STRANGER)
        self.assertHides(found[TEACHER], STRANGER, OFFICER)

    def test_ids_are_not_opened_for_an_accomplice(self):
        """Ids name hosts: one of a correspondent, sealed, is quoted to an address of the member's own."""
        asked = ids(self.inbound_copy(self.write(STRANGER, PUBLIC), OFFICER).data, "Message-ID")[0]
        self.assertReply(self.inbound(self.write(TEACHER, PUBLIC), sender=TEACHER), 250)
        colleague = address(self.copy_for(OFFICER, self.copies(3)).data)
        for target in ("officer@home.test", OFFICER, colleague):
            with self.subTest(target=target):
                self.sink.clear()
                text = self.write(OFFICER, target, extra=f"In-Reply-To: <{asked}>\nReferences: <{asked}>")
                self.assertReply(self.submit(OFFICER, target, text), 250)
                for copy in self.sink.messages:
                    self.assertHides(copy, STRANGER)

    def test_reports_of_success_are_not_asked_for(self):
        """They name the address in their text."""
        for asked, said in (("SUCCESS", "NEVER"), ("SUCCESS,DELAY", "NEVER"), ("SUCCESS,FAILURE,DELAY", "FAILURE"),
                            ("FAILURE", "FAILURE"), ("NEVER", "NEVER")):
            with Client(self.gateway.submission, server_name="mx.school.example") as client:
                client.ehlo()
                client.starttls(self.tls)
                client.ehlo()
                client.auth_plain(OFFICER, PASSWORD)
                client.mail(OFFICER, "RET=FULL ENVID=x")
                self.assertReply(client.rcpt(self.phantom, f"NOTIFY={asked} ORCPT=rfc822;x@y.test"), 250)
                self.sink.clear()
                self.assertReply(client.data(self.write(OFFICER, self.phantom)), 250)
            said_to_hop = [text for _, text in self.sink.commands if STRANGER in text]
            self.assertEqual(said_to_hop, [f"RCPT TO:<{STRANGER}> NOTIFY={said}"])

    def test_a_colleague_who_is_a_correspondent_has_it_once(self):
        self.assertReply(self.submit(OFFICER, [self.phantom, TEACHER], self.write(OFFICER, f"{self.phantom}, {TEACHER}")), 250)
        found = self.by_recipient(3)
        self.assertEqual(set(found), {STRANGER, TEACHER, COACH})
        self.assertHides(found[STRANGER], OFFICER, TEACHER, COACH)
        self.assertHides(found[TEACHER], OFFICER, COACH, STRANGER)
        self.assertHides(found[COACH], OFFICER, TEACHER, STRANGER)

    def test_no_spelling_of_a_stolen_phantom_is_served(self):
        local = self.phantom.split("@")[0]
        spellings = [self.phantom.upper(), f'"{local}"@{PHANTOM_DOMAIN}', f"{self.phantom}.", f"{local}+x@{PHANTOM_DOMAIN}",
                     f"@{PHANTOM_DOMAIN}:{self.phantom}", f"{local}%{PHANTOM_DOMAIN}@school.example",
                     f'"{self.phantom}"@{PHANTOM_DOMAIN}', f"{local}@school.example", f"{local}@P.SCHOOL.EXAMPLE",
                     f"{local}@[127.0.0.1]"]
        for target in spellings:
            with self.subTest(target=target):
                text = self.write(TEACHER, self.phantom)
                self.sink.clear()
                reply = self.submit(TEACHER, target, text)
                if reply.code == 250:  # a real address of somewhere else, to us
                    self.assertNotIn(STRANGER, [copy.recipient for copy in self.sink.messages])
                else:
                    self.assertReply(reply, 5)
                self.sink.clear()
                self.assertReply(self.inbound(front_fields(TEACHER) + text, target, TEACHER), 5)
                self.assertReply(self.inbound(front_fields("x@outside.test") + text, target, OFFICER), 5)
                self.assertEqual(self.sink.messages, [])

    def test_a_phantom_is_nobody_at_another_phantom_domain(self):
        other = self.phantom.split("@")[0] + "@p.other.example"
        for reply in (self.submit(OFFICER, other, self.write(OFFICER, other)),
                      self.inbound(front_fields(OFFICER) + self.write(OFFICER, other), other, OFFICER)):
            self.assertReply(reply, 550, "5.1.1")
        self.assertReply(self.submit(OFFICER, self.phantom, self.write(OFFICER, self.phantom)), 250)

    def test_nobody_logs_in_as_somebody_else(self):
        """An authorization identity that is another person's, and names that look like another login."""
        for identity, user in ((OFFICER, TEACHER), ("", TEACHER + " "), (TEACHER, f"{TEACHER}\0{OFFICER}")):
            with Client(self.gateway.submission) as client:
                client.ehlo()
                client.starttls(self.tls)
                client.ehlo()
                said = base64.b64encode(f"{identity}\0{user}\0{PASSWORD}".encode()).decode()
                if client.command("AUTH PLAIN " + said).code == 235:
                    client.mail(OFFICER)
                    self.assertReply(client.rcpt(self.phantom), 550, "5.1.1")

    def test_who_the_header_says_wrote_it_changes_nothing(self):
        """The login decides; the header only chooses among the login's own addresses."""
        stolen = self.submit(TEACHER, self.phantom, self.write(OFFICER, self.phantom))
        self.assertReply(stolen, 550, "5.1.1")
        for author in (OFFICER, OFFICE, CLERK, f"{OFFICER}>, <{TEACHER}"):
            self.sink.clear()
            self.assertReply(self.submit(TEACHER, "a@b.test", self.write(author, "a@b.test", extra=f"Sender: {OFFICER}")), 250)
            copy = self.copy_for("a@b.test", self.sink.messages)
            self.assertEqual(address(copy.data), PUBLIC)
            self.assertHides(copy, OFFICER, TEACHER, CLERK)
            self.assertRegex(copy.sender, rf"^b[0-9a-z]{{26}}@{PHANTOM_DOMAIN}$")

    def test_a_correspondent_learns_nothing_by_receipts_and_ids(self):
        """Ids of ours that are quoted back, moved or cut open to their member and nobody else."""
        self.assertReply(self.submit(OFFICER, self.phantom, self.write(OFFICER, self.phantom)), 250)
        sealed = ids(self.copy_for(STRANGER, self.sink.messages).data, "Message-ID")[0]
        self.sink.clear()
        moved = sealed.split("@")[0] + "@" + PHANTOM_DOMAIN
        cut = sealed[:5] + ("a" if sealed[5] != "a" else "b") + sealed[6:]
        text = self.write(STRANGER, OFFICE, extra=f"References: <{sealed}> <{moved}> <{cut}>\n"
                          f"Disposition-Notification-To: {STRANGER}\nReturn-Receipt-To: {STRANGER}")
        self.assertReply(self.inbound(text, OFFICE), 250)
        copy = self.copy_for(CLERK, self.sink.messages)
        self.assertHides(copy, OFFICER)
        self.assertEqual([n for n in ("disposition-", "return-receipt") if n in copy.header.decode().lower()], [])

    def test_a_stranger_who_says_he_is_a_phantom_gets_nobodys_mail(self):
        """Nobody could answer him there: it is a message without an author, whether the phantom exists or not."""
        for phantom in (self.phantom, f"0123456789abcdef@{PHANTOM_DOMAIN}"):
            text = self.write(phantom, PUBLIC, extra=f"Reply-To: {phantom}")
            self.assertReply(self.inbound(text, sender=phantom), 250)
            copy = self.copy_for(TEACHER, self.copies(3))
            self.assertEqual(address(copy.data), "postmaster@school.example")
            self.assertNotIn(phantom.split("@")[0].encode(), copy.header)
            self.assertIsNone(field(copy.data, "Reply-To"))


del Attack
if __name__ == "__main__":
    unittest.main(verbosity=2)
