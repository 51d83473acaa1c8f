"""Private: an address of its own in every place that mail has for one, and none of them can be read in anything that the
proxy says, by IMAP or POP3, whole or its domain, raw or decoded (contract R3.1). Nor in logs, metrics or Redis (R3.6).
"""

import re
import unittest

from harness.imap_client import Imap, Literal
from harness.messages import canaries, corpus
from harness.proxied import DATE, PASSWORD, PHANTOM_DOMAIN, PUBLIC, READER, Pop, Proxied, cyrus, dovecot
from harness.redis import Redis
from test_canaries import ADDRESS_FORMS, TEXT_FORMS
from test_proxy_consistent import sections

# Of charsets every fifth: their places for addresses are the same.
MESSAGES = [m for n, m in enumerate(corpus(READER, PUBLIC, ADDRESS_FORMS, TEXT_FORMS, trees=25, big=False))
            if not m.bare and (n >= 68 or n % 5 == 0) and len(m.data) < 50_000]
# Every FETCH item that a client may ask for; what a server does not know it refuses.
ITEMS = """ENVELOPE BODYSTRUCTURE BODY RFC822 RFC822.HEADER RFC822.TEXT ALL FULL FAST BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT]
BODY.PEEK[MIME] BODY.PEEK[1] BODY.PEEK[2] BODY.PEEK[1.MIME] BODY.PEEK[2.MIME] BODY.PEEK[3.MIME] BODY.PEEK[1.1.MIME] BODY.PEEK[1.HEADER]
BODY.PEEK[2.HEADER] BODY.PEEK[3.HEADER] BODY.PEEK[1.TEXT] BODY.PEEK[2.TEXT] BODY.PEEK[3] BODY.PEEK[1.1] BODY.PEEK[1.2] BODY.PEEK[2.1]
BODY.PEEK[1.1.1] BODY.PEEK[2.1.HEADER] BODY.PEEK[2.HEADER.FIELDS (From)] BODY.PEEK[2.HEADER.FIELDS.NOT (X-None)]
BODY.PEEK[HEADER.FIELDS.NOT (X-None)] BINARY.PEEK[] BINARY.PEEK[1] BINARY.PEEK[2] BINARY.PEEK[1.1] BINARY.SIZE[1] PREVIEW PREVIEW(LAZY)
SNIPPET X-GM-MSGID X-GM-THRID X-GM-LABELS EMAILID THREADID SAVEDATE MODSEQ INTERNALDATE ANNOTATION CID DIGEST.SHA1 X-REAL-UID
X-GUID X-MAILBOX X-SAVEDATE""".replace("\n", " ").replace(" (", "\0(").replace("] ", "]\1").split(" ")
ITEMS = [item.replace("\0", " ") for word in ITEMS for item in word.split("\1") if item]
FIELDS = re.findall(r"[\w-]+", """From Sender Reply-To To Cc Bcc Message-ID In-Reply-To References Subject Comments Keywords
Return-Path Delivered-To Received Authentication-Results DKIM-Signature X-Unheard-Of List-Id List-Unsubscribe List-Post Resent-From
Resent-To Resent-Message-ID Thread-Topic Content-Type Content-Description X-Long X-Field-7 X-After""")


class Private(Proxied):
    @classmethod
    def make_gateway(cls, space, name, **more):
        cls.redis = Redis(space).start()
        return super().make_gateway(space, name, redis=cls.redis, **more)

    @classmethod
    def fill(cls):
        cls.stored = cls.put(READER, MESSAGES)

    def check(self, octets, what):
        found = canaries(octets)
        if found:
            at = re.search(found[0].encode(), octets, re.I)
            near = octets[max(0, at.start() - 300):at.end() + 200] if at else octets[:500]
            self.fail(f"{what}: {found[:8]} can be read\n{near!r}")

    def test_the_canaries_are_there(self):
        """Read directly, every message is full of them: the detector sees what it is to see."""
        with self.direct() as client:
            client.select(examine=True)
            silent = [n for n, m in client.fetch("1:*", "(BODY.PEEK[])").items() if not canaries(bytes(m[b"BODY[]"]))]
        self.assertLessEqual(len(silent), 2)

    def test_every_fetch_item(self):
        seen = 0
        with self.proxied() as client:
            client.select()
            client.ok("UID STORE 1:* +FLAGS (\\Seen)")
            for item in ITEMS:
                for form in (f"FETCH 1:* {item}" if item in ("ALL", "FULL", "FAST") else f"FETCH 1:* ({item})",):
                    raws = []
                    answer = client.command(form, observe=lambda r: raws.append(r.raw))
                    raws.append(answer.status.raw)
                    seen += len(raws)
                    with self.subTest(item=item):
                        self.check(b"\r\n\r\n".join(raws), item)
            self.assertGreater(seen, 30 * len(self.stored))

    def test_every_field(self):
        with self.proxied() as client:
            client.select(examine=True)
            for name in FIELDS:
                for section in (f"HEADER.FIELDS ({name})", f"1.HEADER.FIELDS ({name})", f"3.HEADER.FIELDS ({name} X)"):
                    answer = client.command(f"FETCH 1:* (BODY.PEEK[{section}])")
                    with self.subTest(section=section):
                        self.check(b"\r\n\r\n".join(r.raw for r in answer.untagged), section)

    def test_every_section(self):
        with self.proxied() as client:
            client.select(examine=True)
            structures = client.fetch("1:*", "(BODYSTRUCTURE)")
            for number, items in structures.items():
                names = [name for name, _ in sections(items[b"BODYSTRUCTURE"])]
                asked = [f"BODY.PEEK[{n}]" for n in names]
                asked += [f"BODY.PEEK[{n}.MIME]" for n in names if not n.endswith(("HEADER", "TEXT"))]
                for r in client.ok(f"FETCH {number} ({' '.join(asked)})").untagged:
                    self.check(r.raw, f"{self.stored[number - 1].name} sections")

    def test_partials(self):
        """The pieces that a partial fetch gives, glued in the order of asking and by themselves."""
        with self.proxied() as client:
            client.select(examine=True)
            for size, end in ((23, 900), (100, 3000)):
                for begin in range(0, end, 41 * size):
                    asked = " ".join(f"BODY.PEEK[]<{p}.{size}>" for p in range(begin, begin + 41 * size, size))
                    glued = []
                    for r in client.command(f"FETCH 1:* ({asked})").all(b"FETCH"):
                        pieces = [value or b"" for name, value in r.data.items() if b"<" in name]
                        glued += [b"".join(pieces), b"\r\n".join(pieces)]
                    self.check(b"\r\n\r\n".join(glued), f"partials of {size}")

    def test_searches_sorts_and_threads(self):
        """Nothing but numbers comes back, and none for a question about a real address."""
        with self.proxied() as client:
            client.select(examine=True)
            for number in (3, 40, 77):
                raw = MESSAGES[number].data
                local, domain = re.search(rb"cnry\d+x", raw).group(0).decode(), re.search(rb"dom\d+y\.test", raw).group(0).decode()
                for key in ("FROM", "TO", "CC", "BCC", "SUBJECT", "HEADER From", "HEADER Return-Path", "HEADER Received",
                            "HEADER X-Unheard-Of", "HEADER Message-ID", "TEXT", "HEADER DKIM-Signature"):
                    for needle in (local, domain, f"{local}@{domain}", local[:7], domain[:6]):
                        answer = client.command(f'SEARCH {key} "{needle}"')
                        with self.subTest(key=key, needle=needle):
                            self.assertTrue(answer.ok, answer)
                            self.assertEqual(answer.numbers, [])
            for command in ("SEARCH RETURN (ALL COUNT) ALL", "SORT (FROM) UTF-8 ALL", "SORT (DISPLAYFROM) UTF-8 ALL",
                            "THREAD REFERENCES UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "SEARCH FUZZY FROM x",
                            "SEARCH ANNOTATION x y z", "SEARCH X-GM-RAW cnry", "SEARCH CHARSET X-NONE FROM cnry"):
                answer = client.command(command)
                for r in (*answer.untagged, answer.status):
                    self.check(r.raw, command)

    def test_refusals_and_everything_else(self):
        with self.proxied() as client:
            client.select()
            for command in ("FETCH 1:* (NOTHING)", "FETCH 99999 (ENVELOPE)", 'SELECT "cnry no such"', "FROBNICATE", "GENURLAUTH x y",
                            "NOTIFY SET (SELECTED (MessageNew (BODY.PEEK[HEADER])))", "GETMETADATA INBOX /private/comment",
                            "URLFETCH \"imap://reader@localhost/INBOX/;UID=1\"", "XCONVERSATIONS", "DUMP INBOX", "SCAN \"\" * cnry",
                            "GETANNOTATION INBOX * *", "LIST (SPECIAL-USE) \"\" * RETURN (STATUS (MESSAGES))", "MYRIGHTS INBOX",
                            "GETACL INBOX", "COPY 1:5 nowhere", "GETQUOTAROOT INBOX", "XLIST \"\" *", "NAMESPACE", "ID NIL"):
                answer = client.command(command)
                for r in (*answer.untagged, answer.status):
                    self.check(r.raw, command)
            answer = client.command('SELECT INBOX (QRESYNC (1 1))')
            for r in (*answer.untagged, answer.status):
                self.check(r.raw, "QRESYNC")

    def test_idle_and_new_mail(self):
        """What arrives while the client waits is told by its number alone."""
        with self.proxied() as client, self.direct() as other:
            client.select()
            tag = client.new_tag()
            client.send(tag + b" IDLE\r\n")
            client.until(lambda r: r.kind == "continuation", [])
            other.ok(f"APPEND INBOX (\\Seen) {DATE}", Literal(MESSAGES[5].data))
            got = []
            client.until(lambda r: r.name == b"EXISTS", got)
            client.send(b"DONE\r\n")
            client.until(lambda r: r.kind == "tagged", got)
            for r in got:
                self.check(r.raw, "IDLE")

    def test_pop3(self):
        with self.proxied_pop() as pop:
            for number, message in enumerate(self.stored, 1):
                for command in (f"RETR {number}", f"TOP {number} 0", f"TOP {number} 30"):
                    self.check(pop.ok(command).text, f"{message.name} {command}")
            for command in ("CAPA", "STAT", "LIST", "UIDL", "RETR 99999", "XSENDER 1", "LAST", "AUTH", "TOP 1", "TOP -1 2",
                            "LIST 1", "UIDL 1", "HELP"):
                reply = pop.command(command)
                self.check(reply.status + b"\r\n" + (reply.text or b""), command)
            pop.quit()

    def test_the_shown_addresses_are_phantoms(self):
        with self.proxied() as client:
            client.select(examine=True)
            senders = [m[b"ENVELOPE"][2] for m in client.fetch("1:*", "(ENVELOPE)").values()]
        phantoms = [a for group in senders if group for a in group if a[3] == PHANTOM_DOMAIN.encode()]
        self.assertGreater(len(phantoms), len(self.stored) * 2 // 3)

    def test_nothing_stays_behind(self):
        with self.proxied() as client:
            client.select(examine=True)
            client.ok("FETCH 1:* (ENVELOPE BODY.PEEK[])")
        words = (rf"(cnry\d{{4,}}x|dom\d{{4,}}y|reader@|gmail\.test|{PASSWORD})").encode()  # contract R8.5: no password, too
        kept = self.redis.files()
        self.assertGreater(self.redis.call("DBSIZE"), 500)
        self.assertEqual(sorted(set(re.findall(words, kept, re.I)))[:5], [])
        self.assertEqual(sorted(set(re.findall(words, self.gateway.log().encode(), re.I)))[:5], [])
        self.assertEqual(sorted(set(re.findall(words, repr(self.gateway.metrics()).encode(), re.I)))[:5], [])


class WithDovecot(Private):
    make_server = staticmethod(dovecot)


class WithCyrus(Private):
    make_server = staticmethod(cyrus)
    # What does not depend on the provider is asked once.
    test_every_field = test_partials = test_searches_sorts_and_threads = test_nothing_stays_behind = None


del Private


if __name__ == "__main__":
    unittest.main(verbosity=2)
