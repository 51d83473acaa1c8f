"""POP3 through the proxy (RFC 1939, RFC 2449, RFC 2595, RFC 5034, contract chapter 8) against a real Dovecot: logins and
their refusals, listings, messages at constant size, TOP as a prefix of RETR, pipelining, and no canary in anything."""

import base64
import email
import poplib
import re
import ssl
import unittest

from harness.messages import Message, corpus
from harness.proxied import PASSWORD, PUBLIC, READER, Pop, Proxied, provider
from harness.traces import readings
from harness.waiting import wait_for
from test_canaries import ADDRESS_FORMS, TEXT_FORMS

STRANGER = "somebody@gmail.test"  # at the same provider, not registered with us
DEPTH = 6


def nested(depth):
    """A message within a message within …, each with a header that has to be rewritten, and dots in its text."""
    inner = b".innermost\r\n..\r\n.\r\n"
    for level in range(depth):
        boundary = b"b%d" % level
        inner = (b"Received: from mx.dom%04dy.test by mx.provider.test;\r\n\tThu, 01 Jan 2026 10:51:00 +0900\r\n"
                 b"From: Level <cnry%04dx@dom%04dy.test>\r\nTo: pta@school.example\r\nSubject: level %d\r\n"
                 b"Message-ID: <cnry%04dx@dom%04dy.test>\r\nMIME-Version: 1.0\r\n"
                 b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\nContent-Type: text/plain\r\n"
                 b"Content-ID: <cnry%04dx@dom%04dy.test>\r\n\r\nlevel %d\r\n--%s\r\nContent-Type: message/rfc822\r\n\r\n"
                 b"%s\r\n--%s--\r\n") % (*(7000 + level,) * 3, level, *(7100 + level,) * 2, boundary, boundary,
                                        *(7200 + level,) * 2, level, boundary, inner, boundary)
    return inner


def messages():
    """Some of every shape; none with a bare LF, of which Dovecot keeps its own count."""
    made = [m for m in corpus(READER, PUBLIC, ADDRESS_FORMS, TEXT_FORMS, trees=20, big=False) if not m.bare]
    return [*made[::3], Message("nested", nested(DEPTH))]


def leaks(octets):
    """Domains, and whole addresses, in what is shown. Not what stays as it is: a display name (contract R5.2), though some
    people are called as their address begins, and the part of a Content-ID that names no host."""
    found = set()
    for text in readings(octets):
        text = re.sub(rb"(?i)(content-id:\s*<|cid:)cnry\d+x@", b"", text)
        found |= set(re.findall(rb"dom\d{4,}y|cnry\d{4,}x(?=.?(?:@|%40|=40|&#|\xef\xbc\xa0))", text.lower()))
    return sorted(found)


def plain(login, password):
    return base64.b64encode(f"\0{login}\0{password}".encode()).decode()


class Pop3(Proxied):
    users = (READER, "quiet@gmail.test", "deleter@gmail.test", "leaver@gmail.test")

    @classmethod
    def fill(cls):
        cls.messages = cls.put(READER, messages())
        cls.put("quiet@gmail.test", cls.messages[-2:])
        for user in cls.users[2:]:
            cls.put(user, cls.messages[:3])

    def plain_pop(self, **more):
        return Pop(self.gateway.pop3, self.tls, **more)

    # Messages

    def test_listings_are_the_servers_and_sizes_are_true(self):
        with self.proxied_pop() as pop, self.direct_pop() as direct:
            for command in ("STAT", "LIST 2", "UIDL 2"):
                self.assertEqual(pop.ok(command).status, direct.ok(command).status)
            sizes = [int(line.split()[1]) for line in pop.ok("LIST").lines]
            self.assertEqual(len(sizes), len(self.messages))
            self.assertEqual(pop.ok("LIST").text, direct.ok("LIST").text)
            self.assertEqual(pop.ok("UIDL").text, direct.ok("UIDL").text)
            for number, size in enumerate(sizes, 1):
                text = pop.ok(f"RETR {number}").text
                original = direct.ok(f"RETR {number}").text
                self.assertEqual(len(text), len(original), self.messages[number - 1].name)
                self.assertEqual(text.count(b"\n"), original.count(b"\n"), self.messages[number - 1].name)
                # POP3 ends every message with a line end.
                self.assertIn(len(text) - size, (0, 2), self.messages[number - 1].name)

    def test_no_canary_in_any_answer(self):
        with self.proxied_pop() as pop:
            for number, message in enumerate(self.messages, 1):
                self.assertEqual(leaks(pop.ok(f"RETR {number}").text), [], message.name)
                self.assertEqual(leaks(pop.ok(f"TOP {number} 3").text), [], message.name)
            for command in ("CAPA", "LIST", "UIDL", "STAT", "NOOP", "RSET"):
                reply = pop.ok(command)
                self.assertEqual(leaks(reply.status + (reply.text or b"")), [], command)

    def test_top_is_a_prefix_of_retr_wherever_it_ends(self):
        number = len(self.messages)
        with self.proxied_pop() as pop, self.direct_pop() as direct:
            whole = pop.ok(f"RETR {number}").text
            lines = whole.count(b"\n")
            self.assertNotEqual(whole, direct.ok(f"RETR {number}").text)
            for count in range(lines + 2):
                top = pop.ok(f"TOP {number} {count}").text
                self.assertTrue(whole.startswith(top), (count, top[-200:]))
                self.assertEqual(top.count(b"\n"), direct.ok(f"TOP {number} {count}").text.count(b"\n"), count)
            for other in range(1, number):
                whole = pop.ok(f"RETR {other}").text
                for count in (0, 1, 7):
                    self.assertTrue(whole.startswith(pop.ok(f"TOP {other} {count}").text),
                                    (self.messages[other - 1].name, count))

    def test_from_is_a_phantom_that_stays(self):
        seen = set()
        for _ in range(2):
            with self.proxied_pop() as pop:
                message = email.message_from_bytes(pop.ok(f"TOP {len(self.messages)} 0").text)
                self.assertRegex(message["From"], r"<[a-z0-9]{16}@p\.school\.example>")
                seen.add(message["From"])
        self.assertEqual(len(seen), 1)

    def test_top_leaves_messages_unread(self):
        user = "quiet@gmail.test"
        with self.proxied_pop(user) as pop:
            for number in (1, 2):
                for count in (0, 5, 20, 40):
                    pop.ok(f"TOP {number} {count}")
            pop.quit()
        with self.direct(user) as client:
            client.select()
            self.assertEqual([b"\\Seen" in m[b"FLAGS"] for m in client.fetch("1:*", "(FLAGS)").values()], [False, False])

    # Commands

    def test_pipelined_commands_are_answered_in_order(self):
        commands = ["STAT", "NOOP", "LIST", "UIDL", *(f"RETR {n}" for n in range(1, 8)), "XYZZY", "TOP 1 2", "RETR 0",
                    "RETR 99999", "LIST 1", "RSET", "CAPA", "NOOP"]
        with self.proxied_pop() as one, self.proxied_pop() as other:
            together = one.pipeline(*commands)
            self.assertEqual([(r.status, r.text) for r in together],
                             [(r.status, r.text) for r in (other.command(c) for c in commands)])
            self.assertEqual([r.ok for r in together[-8:]], [False, True, False, False, True, True, True, True])

    def test_a_whole_session_in_one_write(self):
        with Pop(self.gateway.pop3s, self.tls) as pop:
            pop.send(f"CAPA\r\nUSER {READER}\r\nPASS {PASSWORD}\r\nSTAT\r\nRETR 1\r\nQUIT\r\n".encode())
            self.assertTrue(pop.reply(True).ok)
            for multi in (False, False, False, True, False):
                self.assertTrue(pop.reply(multi).ok)
            self.assertEqual(pop.file.read(1), b"")

    def test_ten_thousand_pipelined_commands(self):
        with self.proxied_pop() as pop:
            pop.send(b"NOOP\r\n" * 10_000)
            for _ in range(10_000):
                self.assertTrue(pop.reply().ok)

    def test_unknown_commands_do_not_reach_the_server(self):
        with self.proxied_pop() as pop:
            for command in ("XTND XMIT", "LAST", "APOP a b", "STLS", "USER x", "PASS x", "AUTH PLAIN", "UTF8", "LANG", "",
                            "RETR", "RETR x", "RETR -1", "RETR 1 2", "DELE", "TOP 1", "TOP 1 x", "LIST x"):
                self.assertTrue(pop.command(command).status.startswith(b"-ERR"), command)
            for _ in range(30):
                self.assertTrue(pop.ok("NOOP").ok)
                self.assertFalse(pop.command("BAD").ok, "many in a long session are no reason to end it")
            self.assertTrue(pop.ok("NOOP").ok)
            for _ in range(20):
                self.assertFalse(pop.command("BAD").ok)
            self.assertFalse(pop.one().ok)
            self.assertEqual(pop.file.read(1), b"")

    def test_overlong_lines(self):
        with self.proxied_pop() as pop:
            self.assertFalse(pop.command("RETR " + "1" * 100_000).ok)
            self.assertTrue(pop.command("NOOP").ok)
            with self.assertRaises((ConnectionError, ssl.SSLEOFError)):  # and no time-out
                pop.send(b"x" * (3 << 20))
                while True:
                    pop.reply()

    def test_deletions_happen_with_quit_only(self):
        with self.proxied_pop("leaver@gmail.test") as pop:
            pop.ok("DELE 1")
        with self.proxied_pop("deleter@gmail.test") as pop:
            pop.ok("DELE 1")
            pop.ok("DELE 2")
            self.assertFalse(pop.command("RETR 1").ok)
            pop.ok("RSET")
            pop.ok("DELE 3")
            pop.quit()

        def left(user):
            with self.direct_pop(user) as direct:
                return len(direct.ok("LIST").lines)
        wait_for(lambda: left("deleter@gmail.test") == 2, 20, "the deletion")
        self.assertEqual(left("leaver@gmail.test"), 3)

    def test_poplib(self):
        client = poplib.POP3("localhost", self.gateway.pop3)
        client.stls(self.authority.client_context())
        client.user(READER)
        client.pass_(PASSWORD)
        count, octets = client.stat()
        self.assertEqual(count, len(self.messages))
        self.assertEqual(sum(int(line.split()[1]) for line in client.list()[1]), octets)
        self.assertIn("TOP", client.capa())
        _, lines, _ = client.retr(count)
        self.assertEqual(client.top(count, 2)[1], lines[:len(client.top(count, 2)[1])])
        client.quit()

    # Logins

    def test_capabilities(self):
        with self.plain_pop(stls=True) as pop, Pop(self.gateway.pop3, host="localhost") as bare, self.proxied_pop() as inside:
            self.assertEqual(bare.ok("CAPA").lines, [b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"UTF8",
                                                     b"STLS", b"IMPLEMENTATION Kagemusha"])
            self.assertEqual(pop.ok("CAPA").lines,
                             [b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"UTF8", b"USER",
                              b"SASL PLAIN XOAUTH2 OAUTHBEARER", b"IMPLEMENTATION Kagemusha"])
            # Dovecot 2.3 has no UTF8.
            self.assertEqual(inside.ok("CAPA").lines,
                             [b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"USER",
                              b"SASL PLAIN XOAUTH2 OAUTHBEARER", b"IMPLEMENTATION Kagemusha"])
            self.assertNotIn(b"<", bare.greeting.status)

    def test_no_login_without_tls(self):
        with Pop(self.gateway.pop3) as pop:
            for command in (f"USER {READER}", "AUTH PLAIN", f"AUTH PLAIN {plain(READER, PASSWORD)}"):
                self.assertTrue(pop.command(command).status.startswith(b"-ERR [SYS/PERM]"), command)
            self.assertFalse(pop.command(f"PASS {PASSWORD}").ok)
            self.assertFalse(pop.command("STAT").ok)
            pop.quit()

    def test_nothing_before_the_handshake_is_used(self):
        with Pop(self.gateway.pop3) as pop:
            pop.send(f"STLS\r\nUSER {READER}\r\n".encode())
            self.assertTrue(pop.reply().status.startswith(b"-ERR"))
            self.assertEqual(pop.file.read(1), b"")

    def test_sasl(self):
        response = plain(READER, PASSWORD)
        with self.plain_pop(stls=True) as pop:
            self.assertTrue(pop.command("UTF8").ok)
            self.assertTrue(pop.command(f"AUTH PLAIN {response}").ok)
            self.assertTrue(pop.command("STAT").ok)
        with self.plain_pop(stls=True) as pop:
            self.assertEqual(pop.command("AUTH PLAIN").status, b"+ ")
            self.assertFalse(pop.command("*").ok)
            self.assertEqual(pop.command("AUTH plain").status, b"+ ")
            self.assertTrue(pop.command(response).ok)
            self.assertTrue(pop.command("STAT").ok)
        with self.plain_pop(stls=True) as pop:
            for bad in ("AUTH PLAIN !!!", "AUTH PLAIN " + base64.b64encode(b"nothing").decode(), "AUTH CRAM-MD5", "AUTH",
                        "AUTH PLAIN " + base64.b64encode(f"other@x.test\0{READER}\0{PASSWORD}".encode()).decode()):
                self.assertFalse(pop.command(bad).ok, bad)

    def test_oauth_refusals_are_dialogs(self):
        for mechanism, message in (("XOAUTH2", f"user={READER}\x01auth=Bearer token\x01\x01"),
                                   ("OAUTHBEARER", f"n,a={READER},\x01auth=Bearer token\x01\x01")):
            with self.plain_pop(stls=True) as pop:
                reply = pop.command(f"AUTH {mechanism} {base64.b64encode(message.encode()).decode()}")
                self.assertTrue(reply.status.startswith(b"+ "), reply)
                self.assertTrue(pop.command("AQ==").status.startswith(b"-ERR [AUTH]"))

    def test_wrong_password_and_unknown_login_get_the_same_words(self):
        replies = set()
        for login, password in ((READER, "wrong"), (STRANGER, PASSWORD), ("nobody@nowhere.test", PASSWORD), ("nobody", "x")):
            with self.plain_pop(stls=True) as pop:
                self.assertTrue(pop.command(f"USER {login}").ok)
                replies.add(pop.command(f"PASS {password}").status)
                replies.add(pop.command(f"AUTH PLAIN {plain(login, password)}").status)
                self.assertFalse(pop.command("STAT").ok)
        self.assertEqual(len(replies), 1, replies)
        self.assertTrue(replies.pop().startswith(b"-ERR [AUTH] "))
        # Only registered logins are passed on at all (contract R8.5).
        self.assertNotIn(STRANGER, self.server.text())
        self.assertNotIn("nobody", self.server.text())

    def test_the_log_names_nobody(self):
        with self.proxied_pop() as pop:
            pop.ok("STAT")
            self.assertNotIn("@", self.gateway.log())
            self.assertTrue(any(e.get("protocol") == "pop3" for e in self.gateway.events("login")))


class Pop3Failures(Proxied):
    """What closes or changes while a session is open; each test leaves the stage as it found it."""

    users = (READER, "other@gmail.test")

    @classmethod
    def fill(cls):
        for user in cls.users:
            cls.put(user, messages()[:3])

    def test_a_forgotten_login_ends_its_open_sessions(self):
        user = "other@gmail.test"
        with self.proxied_pop(user) as pop, self.proxied_pop() as stays:
            pop.ok("RETR 1")
            self.assertEqual(self.gateway.forget(PUBLIC, user).returncode, 0)
            self.assertEqual(pop.file.read(1), b"")
            stays.ok("RETR 1")
            with Pop(self.gateway.pop3s, self.tls) as again:
                again.ok(f"USER {user}")
                self.assertTrue(again.command(f"PASS {PASSWORD}").status.startswith(b"-ERR [AUTH]"))
        self.gateway.apply(self.routes())

    def test_upstream_with_stls(self):
        gateway = self.make_gateway(self.space, "stls")
        gateway.config["provider"] = [{**provider(self.authority, self.server.imaps, self.server.pop3, {"gmail.test"}),
                                       "pop3_tls": "starttls"}]
        gateway.start()
        gateway.apply(self.routes())
        gateway.settle(PUBLIC)
        with self.proxied_pop(gateway=gateway) as pop, self.direct_pop() as direct:
            self.assertEqual(pop.ok("LIST").text, direct.ok("LIST").text)
            self.assertEqual(leaks(pop.ok("RETR 1").text), [])
        gateway.stop()

    def test_upstream_down(self):
        with self.proxied_pop() as pop:
            self.server.stop()
            try:
                reply = pop.command("RETR 1")
                self.assertTrue(reply.status.startswith(b"-ERR [SYS/TEMP]"), reply)
                self.assertEqual(pop.file.read(1), b"")
                with Pop(self.gateway.pop3s, self.tls) as again:
                    again.ok(f"USER {READER}")
                    self.assertTrue(again.command(f"PASS {PASSWORD}").status.startswith(b"-ERR [SYS/TEMP]"))
                    self.server.start()
                    again.ok(f"USER {READER}")
                    again.ok(f"PASS {PASSWORD}")
                    again.ok("RETR 1")
            finally:
                if not self.server.process.running():
                    self.server.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
