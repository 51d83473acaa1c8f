"""IMAP sessions through the proxy: what is offered, commands that pass, IDLE, APPEND, COMPRESS, and what a session costs
(contract R3.5, R8.4)."""

import os
import time
import unittest
import zlib

from harness.faulty_upstream import FaultyUpstream
from harness.gateway import sanitized
from harness.imap_client import Imap, Literal
from harness.proxied import PASSWORD, PUBLIC, READER, Proxied, cyrus, provider

OTHER = "other@gmail.test"
MESSAGE = b"From: a <a@x.test>\r\nTo: pta@school.example\r\nSubject: hello\r\n\r\nbody\r\n"


class Lines:
    """A connection on which a test says and reads plain lines."""

    def __init__(self, client):
        self.client = client

    def ask(self, *lines):
        """Sends lines and reads up to the tagged answer of the last, whose tag is its first word."""
        self.client.send("".join(line + "\r\n" for line in lines).encode("latin-1"))
        return self.until(lines[-1].split(" ")[0])

    def until(self, tag):
        found = []
        while True:
            line = self.client.line().decode("latin-1").rstrip("\r\n")
            found.append(line)
            if line.startswith(tag + " "):
                return found


class Sessions(Proxied):
    users = (READER, OTHER)
    config = {"proxy": {"max_append": "1MB", "max_command": "16kB"}}

    @classmethod
    def fill(cls):
        with cls.direct() as client:
            for _ in range(3):
                client.append("INBOX", MESSAGE)

    def lines(self, user=READER):
        return Lines(self.proxied(user))

    def test_capabilities_are_an_allow_list(self):
        with self.proxied() as client, self.direct() as straight:
            ours = {"IMAP4REV1", "LITERAL+", "SASL-IR", "ID", "COMPRESS=DEFLATE"}
            self.assertEqual(set(), client.capabilities - straight.capabilities - ours)
            for name in ("LITERAL+", "IDLE", "UIDPLUS", "MOVE", "CONDSTORE", "QRESYNC", "ESEARCH", "SORT", "THREAD=REFERENCES",
                         "MULTIAPPEND", "BINARY", "ENABLE", "LIST-STATUS", "UNSELECT", "COMPRESS=DEFLATE"):
                self.assertIn(name, client.capabilities)
            for name in ("NOTIFY", "CATENATE", "URLAUTH", "LOGIN-REFERRALS", "SEARCH=FUZZY", "CONTEXT=SEARCH", "METADATA",
                         "PREVIEW", "ESORT", "I18NLEVEL=1", "IMAP4REV2"):
                self.assertNotIn(name, client.capabilities)

    def test_what_is_not_known_is_not_passed(self):
        with self.proxied() as client:
            client.select()
            for line in ("XLIST \"\" *", "GETACL INBOX", "NOTIFY NONE", "GETMETADATA INBOX /private", "SETQUOTA x (STORAGE 1)",
                         "STATUS INBOX (DELETED-STORAGE)", "SELECT INBOX (ANNOTATE)", "STORE 1 ANNOTATION (x)",
                         "STORE 1:x +FLAGS (\\Seen)", "COPY 1", "LIST (ACL) \"\" *", 'LIST "" * RETURN (MYRIGHTS)',
                         "RENAME a", "EXPUNGE 1", "UID EXPUNGE", "UID NOOP", "ENABLE", "CHECK x"):
                self.assertEqual(client.command(line).status.name, b"BAD", line)
            client.ok("NOOP")

    def test_mailboxes(self):
        with self.proxied(OTHER) as client:
            client.ok("CREATE one")
            client.ok("CREATE", Literal("二".encode("utf-7")))
            client.ok('RENAME one "two {3}"')
            client.ok("SUBSCRIBE", Literal(b"two {3}"))
            names = {r.data[2] for r in client.ok('LIST "" "*"').all(b"LIST")}
            self.assertIn(b"two {3}", names)
            self.assertEqual([r.data[2] for r in client.ok('LSUB "" *').all(b"LSUB")], [b"two {3}"])
            answer = client.ok('LIST (SUBSCRIBED) "" (tw% INBOX) RETURN (CHILDREN STATUS (MESSAGES UIDNEXT))')
            self.assertEqual(len(answer.all(b"STATUS")), 1)
            self.assertEqual(client.ok('STATUS "two {3}" (MESSAGES UNSEEN HIGHESTMODSEQ)').one(b"STATUS").data[1][b"MESSAGES"], b"0")
            client.ok("NAMESPACE")
            client.ok('UNSUBSCRIBE "two {3}"')
            client.ok('DELETE "two {3}"')
            self.assertEqual(client.command("SELECT nowhere").status.name, b"NO")
            self.assertEqual(client.command("FETCH 1 FLAGS").status.name, b"BAD")
            client.logout()

    def test_flags_copies_and_moves(self):
        with self.proxied(OTHER) as client:
            client.ok("CREATE box")
            client.ok("CREATE away")
            for _ in range(4):
                client.append("box", MESSAGE, "\\Seen $Mine")
            client.select("box")
            self.assertEqual(client.exists, 4)
            self.assertEqual(client.ok("STORE 1 +FLAGS (\\Flagged $Other)").fetched[1][b"FLAGS"][-1:], [b"$Other"])
            client.ok("UID STORE 1:2 -FLAGS.SILENT \\Seen")
            client.ok("STORE 2 (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)")
            client.ok("COPY 1 away")
            self.assertIn(b"COPYUID", client.ok("UID COPY 2 away").status.text)
            client.ok("UID MOVE 2 away")
            client.ok("STORE 1 +FLAGS (\\Deleted)")
            client.ok("UID EXPUNGE 1")
            client.ok("EXPUNGE")
            self.assertEqual(client.exists, 2)
            client.ok("SEARCH RETURN (SAVE) ALL")
            client.ok("STORE $ +FLAGS (\\Answered)")
            client.ok("UNSELECT")
            self.assertEqual(client.command("EXPUNGE").status.name, b"BAD")
            client.ok("SELECT away (CONDSTORE)")
            client.ok("CLOSE")

    def test_quick_resync(self):
        with self.proxied() as client:
            client.ok("ENABLE QRESYNC X-UNKNOWN")
            answer = client.ok("SELECT INBOX (QRESYNC (1 1 1:10))")
            self.assertTrue(any(r.code.startswith(b"UIDVALIDITY") for r in answer.all(b"OK")))
            client.ok("UNSELECT")
        with self.proxied() as client:
            self.assertEqual(client.ok("ENABLE UNKNOWN").one(b"ENABLED").data, [])

    def test_pipelined_commands(self):
        with self.proxied() as client:
            client.select()
            client.send(b"".join(b"p%d NOOP\r\n" % n for n in range(10_000)))
            for n in range(10_000):
                self.assertTrue(Lines(client).until(f"p{n}")[-1].startswith(f"p{n} OK"))
            client.ok("NOOP")

    def test_large_commands(self):
        with self.proxied() as client:
            lines = Lines(client)
            self.assertIn("BAD", lines.ask("a LOGIN {20000}")[-1])
            self.assertIn("BAD", lines.ask("a CREATE {20000+}", "x" * 20000 + " {30000+}", "y" * 30000, "b NOOP")[0])
            client.send(b"a NOOP " + b"x" * 40000 + b"\r\nb NOOP\r\n")
            self.assertTrue(client.line().startswith(b"* BAD "))
            self.assertTrue(lines.until("b")[-1].startswith("b OK"))
            client.send(b"a CREATE {1000000000+}\r\n")
            self.assertTrue(client.line().startswith(b"* BYE "))

    def test_append(self):
        """What the client stores is there octet for octet (issue: APPEND), and reads the same."""
        with self.proxied(OTHER) as client, self.direct(OTHER) as straight:
            client.ok("CREATE sent")
            written = [b"From: other@gmail.test\r\nTo: 0123456789abcdef@p.school.example\r\n\r\n" + body
                       for body in (b"", b"x\r\n", b"y" * 200_000 + b"\r\n", "日本語\r\n".encode())]
            for data in written:
                answer = client.ok('APPEND sent (\\Seen) "01-Jan-2026 10:51:00 +0900"', Literal(data))
                self.assertIn(b"APPENDUID", answer.status.text)
            client.ok("APPEND", Literal(b"sent"), Literal(written[1]))
            client.literal_plus = False
            client.ok("APPEND", Literal(b"sent"), "()", Literal(written[1]))
            self.assertTrue(client.command("APPEND nowhere", Literal(b"x")).status.text.startswith(b"[TRYCREATE]"))
            client.literal_plus = True
            self.assertTrue(client.command("APPEND nowhere", Literal(b"x")).status.text.startswith(b"[TRYCREATE]"))
            straight.select("sent")
            client.select("sent")
            expected = written + [written[1]] * 2
            for side in (straight, client):
                got = side.fetch("1:*", "(BODY.PEEK[])")
                self.assertEqual([bytes(got[n][b"BODY[]"]) for n in sorted(got)], expected)

    def test_append_of_several_messages(self):
        with self.proxied(OTHER) as client:
            client.ok("CREATE multi")
            client.ok("APPEND multi (\\Seen)", Literal(MESSAGE), '"01-Jan-2026 10:51:00 +0900"', Literal(MESSAGE),
                      Literal(MESSAGE))
            self.assertEqual(client.ok("STATUS multi (MESSAGES)").one(b"STATUS").data[1][b"MESSAGES"], b"3")

    def test_append_beyond_the_bound(self):
        with self.proxied() as client:
            client.literal_plus = False
            self.assertTrue(client.command("APPEND INBOX", Literal(b"x" * (1 << 20) + b"y")).status.text.startswith(b"[TOOBIG]"))
            client.literal_plus = True
            self.assertTrue(client.command("APPEND INBOX", Literal(b"x" * (1 << 20) + b"y")).status.text.startswith(b"[TOOBIG]"))
            client.ok("NOOP")
            client.send(b"a APPEND INBOX {1000000000+}\r\n")
            self.assertTrue(client.line().startswith(b"* BYE "))
        with self.proxied() as client:
            for line in ("APPEND INBOX", "APPEND", "APPEND INBOX (\\Seen"):
                self.assertEqual(client.command(line).status.name, b"BAD", line)
            # Refused here: a server that refuses it may take the message for commands.
            for options in ("x", "(\\Recent)", "(\\Seen \\Unheard)", '"yesterday"', '"32-Jan-26 10:51:00 +0900"',
                            '"01-Jam-2026 10:51:00 +0900"'):
                self.assertEqual(client.command(f"APPEND INBOX {options}", Literal(b"abc")).status.name, b"BAD", options)
            for options in ("(\\seen $Forwarded x)", '" 1-jan-2026 10:51:00 -0330"', '(\\Draft) "31-Dec-2026 23:59:59 +0000"'):
                client.ok(f"APPEND INBOX {options}", Literal(MESSAGE))
            client.ok("NOOP")

    def test_idle(self):
        with self.proxied(OTHER) as client, self.direct(OTHER) as straight:
            straight.ok("CREATE idle")
            client.select("idle")
            client.send(b"i IDLE\r\n")
            self.assertTrue(client.line().startswith(b"+ "))
            for count in (1, 2):
                straight.append("idle", MESSAGE)
                self.assertEqual(client.line(), b"* %d EXISTS\r\n" % count)
                self.assertTrue(client.line().endswith(b" RECENT\r\n"))
            straight.select("idle")
            straight.ok("STORE 1 +FLAGS (\\Flagged)")
            self.assertRegex(client.line(), rb"^\* 1 FETCH \((UID 1 )?FLAGS \(.*\\Flagged.*\)\)")
            client.send(b"DONE\r\n")
            self.assertTrue(Lines(client).until("i")[-1].startswith("i OK"))
            client.ok("NOOP")
            client.send(b"i IDLE\r\nDONE\r\nj IDLE\r\ndone\r\nk NOOP\r\n")
            self.assertTrue(Lines(client).until("k")[-1].startswith("k OK"))
            client.send(b"i IDLE\r\nNOOP\r\n")
            self.assertTrue(client.line().startswith(b"+ "))
            self.assertTrue(client.line().startswith(b"* BYE "))

    def test_compression(self):
        with self.proxied() as client:
            client.ok("COMPRESS DEFLATE")
            deflate, inflate = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
            sock = client.sock

            def ask(text):
                sock.sendall(deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH))
                answer = b""
                while not (answer.endswith(b"\r\n") and answer.rpartition(b"\r\n")[0].rpartition(b"\r\n")[2].startswith(b"a ")):
                    answer += inflate.decompress(sock.recv(65536))
                return answer
            self.assertNotIn(b"COMPRESS", ask(b"a CAPABILITY\r\n"))
            self.assertIn(b"COMPRESSIONACTIVE", ask(b"a COMPRESS DEFLATE\r\n"))
            self.assertIn(b"a OK", ask(b"a SELECT INBOX\r\n"))
            self.assertIn(b"Subject: hello", ask(b"a FETCH 1:3 BODY.PEEK[]\r\n"))
            self.assertIn(b"* BYE", ask(b"a LOGOUT\r\n"))

    def test_a_login_that_is_no_longer_registered(self):
        """Contract R3.5: within a second in sessions that are open."""
        gateway = self.make_gateway(self.space, "forgetting")
        gateway.start()
        gateway.apply(self.routes())
        gateway.settle(PUBLIC)
        idle, waiting, staying = (self.proxied(user, gateway) for user in (OTHER, OTHER, READER))
        idle.select()
        idle.send(b"i IDLE\r\n")
        self.assertTrue(idle.line().startswith(b"+ "))
        self.assertEqual(gateway.forget(PUBLIC, OTHER).returncode, 0)
        before = time.monotonic()
        for client in (idle, waiting):
            self.assertTrue(client.line().startswith(b"* BYE "))
        self.assertLess(time.monotonic() - before, 1)
        staying.select()
        staying.close()
        gateway.stop()

    def test_a_stop_says_goodbye(self):
        gateway = self.make_gateway(self.space, "stopping")
        gateway.start()
        gateway.apply(self.routes())
        gateway.settle(PUBLIC)
        one, two = self.proxied(READER, gateway), self.proxied(READER, gateway)
        two.select()
        two.send(b"i IDLE\r\n")
        self.assertTrue(two.line().startswith(b"+ "))
        gateway.stop()
        for client in (one, two):
            self.assertTrue(client.line().startswith(b"* BYE "))
            client.close()

    def test_too_many_connections(self):
        gateway = self.make_gateway(self.space, "crowded", limits={"max_connections": 2})
        gateway.start()
        first, second = Imap(gateway.imap), Imap(gateway.imap)
        third = Imap(gateway.imap, greet=False)
        self.assertEqual(third.line(), b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n")
        for client in (first, second, third):
            client.close()
        gateway.stop()


class Idle(Proxied):
    """What a session costs that only waits: it owns no buffer, and of a TLS connection its keys."""

    users = (READER, "reader@plain.test")
    config = {"proxy": {"require_tls": False}}
    tls_on_both_sides, plain = 12, 8  # kB, half as much again as measured

    @staticmethod
    def make_server(space, authority, users):
        return FaultyUpstream(space, authority, {}).start()

    @classmethod
    def make_gateway(cls, space, name, **more):
        gateway = super().make_gateway(space, name, **more)
        without = FaultyUpstream(space, cls.authority, {})
        without.context = None
        without.start()
        gateway.config["provider"] = [
            provider(cls.authority, cls.server.imaps, cls.server.pop3s, ["gmail.test"]),
            {**provider(cls.authority, without.imaps, without.pop3s, ["plain.test"], name="plain"),
             "imap_host": "127.0.0.1", "imap_tls": "none"}]
        return gateway

    def resident(self):
        with open(f"/proc/{self.gateway.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1024

    def hold(self, count, tls):
        """Sessions with an open mailbox; every other one is in IDLE."""
        clients = []
        for number in range(count):
            port, user = (self.gateway.imaps, self.users[0]) if tls else (self.gateway.imap, self.users[1])
            clients.append(Imap(port, self.tls if tls else None, user, PASSWORD))
            self.addCleanup(clients[-1].close)
            clients[-1].select()
            if number % 2:
                clients[-1].send(b"i IDLE\r\n")
                self.assertTrue(clients[-1].line().startswith(b"+ "))
        return clients

    @unittest.skipIf(sanitized(), "the memory of a sanitizer's build means nothing")
    def test_memory(self):
        for tls, count, most in ((False, 250, self.plain), (True, 80, self.tls_on_both_sides)):
            with self.subTest(tls=tls):
                self.hold(20, tls)  # what is made once
                before = self.resident()
                clients = self.hold(count, tls)
                self.assertLess((self.resident() - before) / count, most, "kB for each session")
                for client in clients[::20]:
                    client.ok("NOOP")


class AtCyrus(Proxied):
    """What Dovecot does not have, or does in another way."""

    make_server = staticmethod(cyrus)

    def test_capabilities(self):
        with self.proxied() as client:
            for name in ("SPECIAL-USE", "CREATE-SPECIAL-USE", "OBJECTID", "QUOTA", "STATUS=SIZE", "SAVEDATE", "THREAD=REFS"):
                self.assertIn(name, client.capabilities)
            for name in ("ACL", "ANNOTATE-EXPERIMENT-1", "CATENATE", "METADATA", "URLAUTH", "XLIST", "MAILBOX-REFERRALS",
                         "LIST-MYRIGHTS", "PREVIEW"):
                self.assertNotIn(name, client.capabilities)

    def test_what_only_this_server_has(self):
        with self.proxied() as client:
            client.ok("CREATE kept (USE (\\Archive))")
            found = client.ok('LIST (SPECIAL-USE) "" "*"').all(b"LIST")
            self.assertIn(b"kept", [r.data[2] for r in found])
            found = client.ok('LIST "" "*" RETURN (SPECIAL-USE CHILDREN STATUS (MESSAGES SIZE))')
            self.assertIn(b"\\Archive", [flag for r in found.all(b"LIST") for flag in r.data[0]])
            self.assertEqual(len(found.all(b"STATUS")), len(found.all(b"LIST")))
            client.append("kept", MESSAGE)
            status = client.ok("STATUS kept (SIZE HIGHESTMODSEQ)").one(b"STATUS").data[1]
            self.assertEqual(status[b"SIZE"], b"%d" % len(MESSAGE))
            self.assertTrue(client.ok("GETQUOTAROOT kept").all(b"QUOTAROOT"))
            client.ok("SELECT kept (CONDSTORE)")
            item = client.fetch("1", "(UID EMAILID THREADID SAVEDATE MODSEQ)")[1]
            self.assertEqual({b"UID", b"EMAILID", b"THREADID", b"SAVEDATE", b"MODSEQ"}, set(item))

    def test_a_session(self):
        with self.proxied() as client:
            client.ok("CREATE box")
            for _ in range(3):
                client.append("box", MESSAGE)
            client.ok("APPEND box", Literal(MESSAGE), Literal(MESSAGE))
            client.select("box")
            self.assertEqual(client.exists, 5)
            client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
            client.ok("UID MOVE 3 INBOX")
            client.ok("EXPUNGE")
            self.assertEqual(client.exists, 2)
            client.send(b"i IDLE\r\n")
            self.assertTrue(client.line().startswith(b"+ "))
            client.send(b"DONE\r\n")
            self.assertTrue(Lines(client).until("i")[-1].startswith("i OK"))
            client.logout()


if __name__ == "__main__":
    unittest.main()
