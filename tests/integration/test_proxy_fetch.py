"""FETCH through the proxy is FETCH: of mail that needs no rewriting every octet is the provider's own, whatever is asked,
in whatever order; and reading leaves the flags as the provider itself would have left them (contract R8.2, R8.6)."""

import re
import unittest

from harness.imap_client import Literal
from harness.proxied import DATE, READER, Proxied

# The member's own writing, which never travelled, reads as it was written (Drafts, Sent).
OWN = f"From: {READER}\r\nTo: friend@elsewhere.test\r\nDate: Thu, 01 Jan 2026 10:51:00 +0900\r\nSubject: "
MULTIPART = "\r\n".join([
    "mixed", "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b-1"', "", "preamble", "--b-1",
    "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "", "44GT44KT44Gr44Gh44Gv", "--b-1",
    "Content-Type: message/rfc822", "", OWN + "inner", "Content-Type: multipart/alternative; boundary=in", "", "--in", "",
    "plain", "--in", "Content-Type: text/html", "Content-Transfer-Encoding: quoted-printable", "", "<p>=E3=81=82</p>",
    "--in--", "--b-1", 'Content-Type: application/pdf; name="a b.pdf"', "Content-ID: <part@elsewhere.test>",
    "Content-Disposition: attachment; filename*=utf-8''%E8%A1%A8.pdf", "Content-Transfer-Encoding: base64", "",
    "JVBERi0xLjQK", "--b-1--", "epilogue", ""])
MESSAGES = [OWN + "plain\r\n\r\none\r\ntwo\r\n", OWN + "empty\r\n\r\n", OWN + MULTIPART, OWN + "long\r\n\r\n" + "x" * 70 + "\r\n",
            OWN + "big\r\n\r\n" + ("y" * 70 + "\r\n") * 3000]
SECTIONS = ["", "HEADER", "TEXT", "HEADER.FIELDS (From \"subject\" x-none)", "HEADER.FIELDS.NOT (DATE)", "1", "1.MIME", "2",
            "2.MIME", "2.HEADER", "2.TEXT", "2.HEADER.FIELDS (Subject)", "2.1", "2.2", "2.2.MIME", "3", "3.MIME", "9", "2.9", "9.MIME"]
RANGES = ["<0.1>", "<0.5000>", "<3.10>", "<77.200>", "<200000.50000>", "<400000.3>"]


def asked():
    """Commands, as a client may send them one after another."""
    yield from ("FETCH 1:* ALL", "FETCH 1:* FAST", "FETCH 1:* FULL", "UID FETCH 1:* (FLAGS)", "FETCH * (UID)",
                "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)", "fetch 2,1 (flags body)",
                "FETCH 1:* (RFC822.HEADER)", "UID FETCH 1:3 (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (Date)] UID)",
                "UID FETCH 999 (FLAGS BODY.PEEK[])", "UID FETCH 3 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[2.2])",
                "UID FETCH 3 (BINARY.PEEK[1]<2.5> BINARY.SIZE[3])", "FETCH 1:* (MODSEQ)",
                "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)")
    for section in SECTIONS:
        yield f"FETCH 1:* (BODY.PEEK[{section}])"
        yield f"UID FETCH 3 BODY.PEEK[{section}]"
        for piece in RANGES:
            yield f"UID FETCH 3,5 (BODY.PEEK[{section}]{piece})"


READING = ["FETCH 1 (BODY[TEXT])", "FETCH 2 (RFC822)", "FETCH 3 (BODY[2.HEADER])", "FETCH 4 (BODY[]<0.10>)", "FETCH 4 (BODY[]<0.10>)",
           "FETCH 5 (BODY.PEEK[] RFC822.HEADER ENVELOPE)", "FETCH 5 (BODY[HEADER.FIELDS (From)])", "FETCH 1 (RFC822.TEXT)"]


def plainly(response):
    """A response without what differs between any two answers: the tag, and times in Dovecot's texts."""
    return re.sub(rb"\(\d\.\d+ \+ [^)]*\)", b"()", response.raw)


class Fetch(Proxied):
    @classmethod
    def fill(cls):
        with cls.direct() as client:
            for name in ("same", "seen-direct", "seen-proxied"):
                client.ok(f"CREATE {name}")
                for message in MESSAGES:
                    client.ok(f"APPEND {name} {DATE}", Literal(message.encode()))
                client.select(name)  # none of them is recent from now on

    def answers(self, client, mailbox, commands):
        client.select(mailbox)
        for command in commands:
            answer = client.command(command)
            # One item a response or all in one: a client puts them together.
            items = {}
            for response in answer.all(b"FETCH"):
                items.setdefault(response.number, {}).update(response.data)
            yield command, answer.status.name, items, [plainly(r) for r in answer.untagged]

    def test_every_octet_is_the_provider_s_own(self):
        commands, whole = list(asked()), 0
        with self.direct() as direct, self.proxied() as proxied:
            pairs = zip(self.answers(direct, "same", commands), self.answers(proxied, "same", commands))
            for (command, status, items, raw), (_, shown_status, shown, shown_raw) in pairs:
                with self.subTest(command=command):
                    self.assertEqual(shown_status, status)
                    self.assertEqual(shown, items)
                    whole += raw == shown_raw
        # The order of items and the form of strings are the provider's, too, but where a header's parts are told from it.
        self.assertGreater(whole, len(commands) // 2)

    def test_reading_sets_what_the_provider_would_have_set(self):
        with self.direct() as direct, self.proxied() as proxied:
            for client, mailbox in ((direct, "seen-direct"), (proxied, "seen-proxied")):
                client.select(mailbox)
                client.told = []
                for command in READING:
                    client.ok(command)
                    client.told.append({n: m[b"FLAGS"] for n, m in client.fetch("1:*", "(FLAGS)").items()})
            self.assertEqual(proxied.told, direct.told)
            self.assertEqual({tuple(flags) for flags in direct.told[-1].values()} & {()}, set())

    def test_what_is_not_known_is_refused(self):
        with self.proxied() as client:
            client.select("same")
            for command in ("FETCH 1 (PREVIEW)", "FETCH 1 (X-GM-MSGID)", "FETCH 1 (BODY[HEADER.FIELDS])", "FETCH 1 ()", "FETCH 0 FLAGS",
                            "FETCH 1 (FLAGS) (UNKNOWN 1)", "FETCH 1 BODY[1.MIME.2]", "FETCH 1 BODY[]<5>"):
                self.assertEqual(client.command(command).status.name, b"BAD", command)
            client.ok("FETCH 1 (FLAGS)")


if __name__ == "__main__":
    unittest.main(verbosity=2)
