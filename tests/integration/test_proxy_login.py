"""Logins at the IMAP proxy: ways in, refusals that look alike, bounds, and a provider that cannot judge or goes away
(contract R8.5, R3.8)."""

import base64
import time
import unittest

from harness.certificates import Authority
from harness.faulty_upstream import FaultyUpstream
from harness.imap_client import Closed, Imap
from harness.proxied import PASSWORD, READER, Proxied, provider
from harness.waiting import wait_for
from test_proxy_session import Lines

STRANGER = "stranger@gmail.test"  # has a mailbox at the provider, but is no member
REFUSED = b"[AUTHENTICATIONFAILED] Wrong login or password"


def plain(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


class Logins(Proxied):
    users = (READER, STRANGER)
    config = {"proxy": {"login_timeout": "60s"}}

    @classmethod
    def routes(cls, users=None):
        return super().routes([READER])

    def bare(self):
        return Imap(self.gateway.imaps, self.tls)

    def test_ways_to_log_in(self):
        way = plain(READER, PASSWORD)
        login, secret = (base64.b64encode(t.encode()).decode() for t in (READER, PASSWORD))
        for lines in (
                [f'a LOGIN {READER} "{PASSWORD}"'],
                [f'a login "{READER.upper()}" "{PASSWORD}"'],
                [f"a LOGIN {{{len(READER)}+}}", f"{READER} {{{len(PASSWORD)}+}}", PASSWORD],
                [f"a AUTHENTICATE PLAIN {way}"],
                [f"a authenticate plain {way}"]):
            with self.subTest(lines[0].split(" ")[1] + str(len(lines))), self.bare() as client:
                client.send("".join(line + "\r\n" for line in lines).encode())
                answer = Lines(client).until("a")[-1]
                self.assertTrue(answer.startswith("a OK [CAPABILITY IMAP4rev1 "), answer)
                client.select()
        for first, *more in (["a AUTHENTICATE PLAIN", way], ["a AUTHENTICATE LOGIN", login, secret],
                             [f"a AUTHENTICATE LOGIN {login}", secret],
                             [f"a LOGIN {{{len(READER)}}}", f"{READER} {{{len(PASSWORD)}}}", PASSWORD]):
            with self.subTest(first), self.bare() as client:
                client.send(first.encode() + b"\r\n")
                for line in more:
                    self.assertTrue(client.line().startswith(b"+ "))
                    client.send(line.encode() + b"\r\n")
                self.assertTrue(Lines(client).until("a")[-1].startswith("a OK "))

    def test_wrong_logins_look_alike(self):
        answers = set()
        for user, password in ((READER, "wrong"), (STRANGER, PASSWORD), ("nobody@nowhere.test", PASSWORD), ("x", "y")):
            with self.bare() as client:
                answers.add(client.command("LOGIN", f'"{user}"', f'"{password}"').status.text)
        self.assertEqual(answers, {REFUSED})
        self.assertNotIn(STRANGER, self.server.text())  # contract R8.5: never passed on
        with self.bare() as client:
            self.assertEqual(client.command(f"AUTHENTICATE PLAIN {plain(READER, 'wrong')}").status.text, REFUSED)

    def test_malformed_logins(self):
        with self.bare() as client:
            lines = Lines(client)
            for line in ("a LOGIN", "a LOGIN x", 'a LOGIN "x', "a LOGIN x y z", "a AUTHENTICATE PLAIN !!!",
                         "a AUTHENTICATE PLAIN " + base64.b64encode(b"x").decode()):
                self.assertIn(" BAD ", lines.ask(line)[-1], line)
            self.assertIn(" NO ", lines.ask("a AUTHENTICATE CRAM-MD5")[-1])
            client.send(b"a AUTHENTICATE PLAIN\r\n")
            self.assertEqual(client.line(), b"+ \r\n")
            self.assertIn(" BAD ", lines.ask("*", "b NOOP")[0])
            for line in ("a SELECT INBOX", "a FETCH 1 ALL", 'a LIST "" "*"', "a IDLE", "a APPEND INBOX {3+}\r\nabc"):
                self.assertIn(" BAD ", lines.ask(line)[-1], line)

    def test_bearer_tokens_are_refused_as_their_rfc_wants(self):
        """Dovecot here knows no token: the provider offers no mechanism for it."""
        token = base64.b64encode(f"user={READER}\x01auth=Bearer abc\x01\x01".encode()).decode()
        with self.bare() as client:
            answer = client.command(f"AUTHENTICATE XOAUTH2 {token}")
            self.assertTrue(answer.status.text.startswith(b"[UNAVAILABLE]"), answer)
        token = base64.b64encode(b"user=nobody@gmail.test\x01auth=Bearer abc\x01\x01").decode()
        with self.bare() as client:
            client.send(f"a AUTHENTICATE XOAUTH2 {token}\r\n".encode())
            self.assertTrue(client.line().startswith(b"+ "))
            self.assertEqual(Lines(client).ask("", "b NOOP")[0], "a NO " + REFUSED.decode())

    def test_three_failures_end_the_connection(self):
        with self.bare() as client:
            for _ in range(3):
                answer = client.command('LOGIN nobody@elsewhere.test x')
            self.assertEqual(answer.status.text, REFUSED)
            self.assertEqual(client.response().name, b"BYE")
            with self.assertRaises(Closed):
                client.line()

    def test_mistakes_in_a_row_end_the_connection(self):
        with self.bare() as client:
            client.login(READER, PASSWORD)
            for _ in range(30):
                self.assertEqual(client.command("FROBNICATE").name, b"BAD")
                self.assertEqual(client.command("NOOP").name, b"OK", "many in a long session are no reason")
            for _ in range(20):
                self.assertEqual(client.command("FROBNICATE").name, b"BAD")
            self.assertEqual(client.response().name, b"BYE")
            with self.assertRaises(Closed):
                client.line()

    def test_tls(self):
        with Imap(self.gateway.imap) as client:
            capabilities = client.greeting.code.split()
            self.assertIn(b"STARTTLS", capabilities)
            self.assertIn(b"LOGINDISABLED", capabilities)
            self.assertFalse([c for c in capabilities if c.startswith(b"AUTH=")])
            for line in (f"LOGIN {READER} x", f"AUTHENTICATE PLAIN {plain(READER, PASSWORD)}"):
                self.assertTrue(client.command(line).status.text.startswith(b"[PRIVACYREQUIRED]"))
        with Imap(self.gateway.imap, self.tls, READER, PASSWORD, starttls=True) as client:
            self.assertNotIn("STARTTLS", client.capabilities)
            client.select()
        with self.bare() as client:
            self.assertIn(b"AUTH=PLAIN", client.greeting.code.split())
            self.assertEqual(client.command("STARTTLS").status.name, b"BAD")

    def test_nothing_from_before_the_handshake_is_used(self):
        with Imap(self.gateway.imap) as client:
            client.send(b"a STARTTLS\r\nb NOOP\r\n")
            self.assertTrue(client.line().startswith(b"a BAD "))
            self.assertTrue(client.line().startswith(b"* BYE "))

    def test_before_login(self):
        with self.bare() as client:
            client.ok("NOOP")
            client.ok("ID NIL")
            self.assertEqual(client.ok('ID ("name" "x")').one(b"ID").data, [[b"name", b"Kagemusha"]])
            self.assertIn("IMAP4REV1", client.ok("CAPABILITY") and client.capabilities)
            self.assertEqual(client.command("NONSENSE").status.name, b"BAD")
            client.logout()


class Throttled(Proxied):
    def attempt(self, password):
        with Imap(self.gateway.imaps, self.tls) as client:
            return client.command("LOGIN", READER, f'"{password}"').status

    def test_who_guesses_has_to_wait(self):
        for _ in range(5):
            self.assertEqual(self.attempt("wrong").text, REFUSED)
        # The right password has to wait as well; then it is taken.
        before = time.monotonic()
        self.assertIn(b"[UNAVAILABLE] Too many failed logins", self.attempt(PASSWORD).text)
        wait_for(lambda: self.attempt(PASSWORD).name == b"OK", 20, "the wait to end")
        self.assertGreater(time.monotonic() - before, 0.3)
        metrics = self.gateway.metrics()
        self.assertEqual(metrics['kagemusha_proxy_logins_total{answer="refused"}'], 5)
        self.assertGreaterEqual(metrics['kagemusha_proxy_logins_total{answer="throttled"}'], 1)
        self.assertGreaterEqual(metrics['kagemusha_connections_total{face="imap"}'], 7)


class ManyOfOneLogin(Proxied):
    config = {"proxy": {"max_connections_per_login": 2}}

    def test_a_bound(self):
        held = [self.proxied(), self.proxied()]
        with Imap(self.gateway.imaps, self.tls) as client:
            self.assertTrue(client.command(f'LOGIN {READER} "{PASSWORD}"').status.text.startswith(b"[LIMIT]"))
        held[0].logout()

        def again():
            with Imap(self.gateway.imaps, self.tls) as client:
                return client.command(f'LOGIN {READER} "{PASSWORD}"').ok
        wait_for(again, 10, "room for another connection")
        held[1].close()


FAULTS = {
    "hang": {"login": lambda c: c.hang()},
    "bye": {"login": lambda c: (c.send(b"* BYE overloaded\r\n"), c.close())},
    "unavailable": {"login": lambda c: (c.tagged(b"NO [UNAVAILABLE] mail.secret.test is down"), c.line())},
    "inuse": {"login": lambda c: (c.tagged(b"NO [INUSE] busy"), c.line())},
    "denied": {"login": lambda c: (c.tagged(b"NO [ALERT] visit https://secret.test/"), c.line())},
    "garbage": {"login": lambda c: (c.send(b"\0\xff what is this\r\n" * 10), c.hang())},
    "cut": {"login": lambda c: c.close()},
    "endless": {"login": lambda c: c.pour(b"x" * 65536, 64 << 20)},
    "otherstag": {"login": lambda c: (c.send(b"zz OK yes\r\n"), c.hang())},
    "dies": {"NOOP": lambda c: c.close()},
    "byes": {"NOOP": lambda c: (c.send(b"* BYE reader@secret.test\r\n"), c.close())},
    "hangs": {"NOOP": lambda c: c.hang()},
    "idles": {"IDLE": lambda c: (c.send(b"+ go\r\n* 4 EXISTS\r\n"), c.close())},
    "noidle": {"IDLE": lambda c: (c.tagged(b"NO not now"), c.obey(b"NOOP", b""))},
    "early": {"APPEND": lambda c: (c.tagged(b"NO [OVERQUOTA] full"), None)},
    "late": {"IDLE": lambda c: (c.send(b"+ go\r\n"), c.tagged(b"OK enough"), c.line())},
}


class Faults(Proxied):
    """Each local part is a login whose provider fails in its own way."""

    users = tuple(sorted(f"{name}@gmail.test" for name in FAULTS)) + ("down@down.test", "wrongca@wrongca.test", "name@name.test",
                                                                       "nothing@nothing.test")
    config = {"proxy": {"upstream_timeout": "3s"}}

    @staticmethod
    def make_server(space, authority, users):
        return FaultyUpstream(space, authority, FAULTS).start()

    @classmethod
    def make_gateway(cls, space, name, **more):
        gateway = super().make_gateway(space, name, **more)
        here = (cls.server.imaps, cls.server.pop3s)
        hanging = FaultyUpstream(space, cls.authority, {})
        hanging.greeting = lambda c: c.hang()
        hanging.start()
        gateway.config["provider"] = [
            provider(cls.authority, *here, ["gmail.test"], timeout="3s"),
            provider(cls.authority, 9, 9, ["down.test"], name="down", timeout="3s"),
            provider(Authority(space, "stranger"), *here, ["wrongca.test"], name="wrongca", timeout="3s"),
            {**provider(cls.authority, *here, ["name.test"], name="name", timeout="3s"), "imap_host": "127.0.0.2"},
            provider(cls.authority, hanging.imaps, hanging.pop3s, ["nothing.test"], name="nothing", timeout="1s")]
        return gateway

    def log_in(self, user):
        client = Imap(self.gateway.imaps, self.tls)
        return client, client.command("LOGIN", user, "x").status

    def test_logins_that_nobody_can_judge(self):
        for user in ("hang@gmail.test", "bye@gmail.test", "unavailable@gmail.test", "inuse@gmail.test", "garbage@gmail.test",
                     "cut@gmail.test", "endless@gmail.test", "otherstag@gmail.test", "down@down.test", "wrongca@wrongca.test",
                     "name@name.test", "nothing@nothing.test"):
            with self.subTest(user):
                client, status = self.log_in(user)
                self.assertEqual(status.text, b"[UNAVAILABLE] The mail server is not available, try again later")
                client.ok("NOOP")
                client.close()
        metrics = self.gateway.metrics()
        for reason in ("unreachable", "tls", "timed_out", "protocol", "unavailable"):
            self.assertGreaterEqual(metrics['kagemusha_upstream_failures_total{reason="%s"}' % reason], 1, reason)

    def test_a_refusal_in_our_words(self):
        client, status = self.log_in("denied@gmail.test")
        self.assertEqual(status.text, REFUSED)
        client.close()

    def test_a_session_whose_provider_goes(self):
        for name in ("dies", "byes", "hangs"):
            with self.subTest(name):
                client, status = self.log_in(f"{name}@gmail.test")
                self.assertEqual(status.name, b"OK")
                client.select()
                client.send(b"a NOOP\r\n")
                line = client.line()
                self.assertTrue(line.startswith(b"* BYE [UNAVAILABLE]"), line)
                with self.assertRaises(Closed):
                    client.line()

    def test_idle_at_a_provider_that_goes(self):
        client, _ = self.log_in("idles@gmail.test")
        client.select()
        client.send(b"a IDLE\r\n")
        self.assertEqual([client.line()[:4] for _ in range(3)], [b"+ id", b"* 4 ", b"* BY"])
        with self.assertRaises(Closed):
            client.line()

    def test_idle_that_the_provider_does_not_want(self):
        client, _ = self.log_in("noidle@gmail.test")
        client.select()
        self.assertEqual(client.command("IDLE").status.name, b"NO")
        client.close()

    def test_idle_that_the_provider_ends(self):
        client, _ = self.log_in("late@gmail.test")
        client.select()
        client.send(b"a IDLE\r\n")
        self.assertTrue(client.line().startswith(b"+ "))
        client.send(b"DONE\r\n")
        self.assertTrue(Lines(client).until("a")[-1].startswith("a OK"))
        client.close()


if __name__ == "__main__":
    unittest.main()
