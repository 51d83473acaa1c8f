"""Alive under faults: whatever an upstream or a client does wrong, its session ends cleanly, memory stays bounded, and all
others go on untouched (contract R3.8). What a broken upstream says in clear is not passed on either."""

import concurrent.futures
import contextlib
import random
import socket
import ssl
import threading
import time
import unittest

from harness.faulty_upstream import MESSAGE, FaultyUpstream
from harness.gateway import sanitized
from harness.imap_client import Closed, Imap, Literal, ProtocolError, quote
from harness.messages import canaries
from harness.proxied import PASSWORD, PUBLIC, READER, Pop, Proxied, dovecot, provider

CANARY = b"cnry7777x@dom7777y.test"
ENVELOPE = b'ENVELOPE (NIL "s" (("n" NIL "cnry7777x" "dom7777y.test")) NIL NIL NIL NIL NIL NIL "<' + CANARY + b'>")'
HEADER = MESSAGE[:MESSAGE.index(b"\r\n\r\n") + 4]


def says(*pieces, then=None):
    """The connection sends this and then goes on honestly, or does `then`."""
    def hook(c):
        c.send(*pieces)
        if then:
            then(c)
    return hook


def close(c):
    c.close()


def hang(c):
    c.hang()


def literal(name, data, size=None):
    return name + b" {%d}\r\n" % (len(data) if size is None else size) + data


def fetch(body):
    return b"* 1 FETCH (" + body + b")\r\n"


WHOLE = literal(b"BODY[]", MESSAGE)
HEAD = literal(b"BODY[HEADER]", HEADER)
GARBAGE = random.Random(4).randbytes(3000)

# What the upstream does when it gets a command. All of it is sent by servers that are broken, hostile or cut off.
IMAP_FAULTS = {
    "close-after-login": {"SELECT": close},
    "close-in-login": {"login": close},
    "hang-in-login": {"login": hang},
    "hang-in-select": {"SELECT": hang},
    "garbage-in-login": {"login": says(GARBAGE, then=hang)},
    "garbage-in-select": {"SELECT": says(GARBAGE, b"\r\n")},
    "garbage-in-fetch": {"*FETCH": says(GARBAGE, b"\r\n")},
    "close-in-fetch": {"*FETCH": close},
    "close-in-line": {"*FETCH": says(b"* 1 FETCH (UID 1 FLA", then=close)},
    "close-in-literal": {"*FETCH": says(b"* 1 FETCH (UID 1 BODY[] {5000}\r\n", MESSAGE, then=close)},
    "close-in-partial": {"*FETCH": says(b"* 1 FETCH (UID 1 BODY[]<0> {5000}\r\n", MESSAGE, then=close)},
    "close-in-header": {"*FETCH": says(b"* 1 FETCH (UID 1 BODY[HEADER] {5000}\r\n", MESSAGE[:100], then=close)},
    "close-before-end": {"*FETCH": says(fetch(b"UID 1 " + WHOLE), then=close)},
    "hang-in-fetch": {"*FETCH": hang},
    "hang-in-line": {"*FETCH": says(b"* 1 FETCH (UID 1 FLA", then=hang)},
    "hang-in-literal": {"*FETCH": says(b"* 1 FETCH (UID 1 BODY[] {5000}\r\n", MESSAGE, then=hang)},
    "literal-beyond-bounds": {"*FETCH": says(b"* 1 FETCH (UID 1 BODY[] {99999999999999999999999}\r\n", MESSAGE, then=hang)},
    "literal-of-4-gigabytes": {"*FETCH": says(b"* 1 FETCH (UID 1 BODY[] {4294967295}\r\n", MESSAGE, then=hang)},
    "literal-negative": {"*FETCH": says(b"* 1 FETCH (UID 1 BODY[] {-5}\r\n", MESSAGE)},
    "endless-literal": {"*FETCH": says(b"* 1 FETCH (UID 1 BODY[HEADER] {2000000000}\r\n",
                                       then=lambda c: c.pour(b"X-Endless: y\r\n" * 5000, 100_000_000))},
    "endless-field": {"*FETCH": says(b"* 1 FETCH (UID 1 BODY[HEADER] {2000000000}\r\nFrom: ",
                                     then=lambda c: c.pour(b"y" * 65536, 100_000_000))},
    "endless-line": {"*FETCH": says(b"* OK ", then=lambda c: c.pour(b"z" * 65536, 100_000_000))},
    "endless-responses": {"*FETCH": lambda c: c.pour(fetch(b"FLAGS (\\Seen " + b"w" * 1000 + b")") * 50, 80_000_000)},
    "endless-structure": {"*FETCH": says(b"* 1 FETCH (UID 1 BODYSTRUCTURE ",
                                         then=lambda c: c.pour(b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)' * 2000, 100_000_000))},
    "deep-structure": {"*FETCH": says(b"* 1 FETCH (UID 1 BODYSTRUCTURE " + b"(" * 500_000 + b")" * 500_000 + b")\r\n")},
    "deep-envelope": {"*FETCH": says(fetch(b"UID 1 ENVELOPE " + b"(" * 5000 + b")" * 5000))},
    "unbalanced": {"*FETCH": says(b"* 1 FETCH (UID 1 ENVELOPE ((((\r\n")},
    "unbalanced-2": {"*FETCH": says(b"* 1 FETCH UID 1)\r\n")},
    "broken-quote": {"*FETCH": says(b'* 1 FETCH (UID 1 ENVELOPE ("' + CANARY + b'\r\n')},
    "line-of-LF": {"*FETCH": says(b"* 1 FETCH (FLAGS ())\n* OK x\n")},
    "NUL": {"*FETCH": says(b"* OK a\0b\r\n")},
    "number-too-big": {"*FETCH": says(b"* 99999999999999999999 EXISTS\r\n")},
    "fetch-of-nobody": {"*FETCH": says(b"* 4000000000 FETCH (FLAGS ())\r\n* 0 FETCH (FLAGS ())\r\n* 77 FETCH (UID 1 "
                                       + WHOLE + b" " + HEAD + b")\r\n")},
    "fetch-without-number": {"*FETCH": says(b"* FETCH (FLAGS ())\r\n")},
    "foreign-tag": {"*FETCH": says(b"foreign OK done\r\n")},
    "answered-twice": {"*FETCH": lambda c: c.tagged()},
    "answered-in-advance": {"*FETCH": says(b"k1 OK x\r\nk2 OK x\r\nk3 OK x\r\nk4 OK x\r\nk5 OK x\r\nk6 OK x\r\nk7 OK x\r\nk8 OK x\r\n")},
    "no-header-given": {"*FETCH": lambda c: (c.send(fetch(b"UID 1 " + ENVELOPE + b" " + WHOLE)), c.tagged(), c.hang())},
    "no-body-given": {"*FETCH": lambda c: (c.send(fetch(b"UID 1 " + HEAD)), c.tagged(), c.hang())},
    "nothing-given": {"*FETCH": lambda c: (c.tagged(), c.hang())},
    "body-is-NIL": {"*FETCH": lambda c: (c.send(fetch(b"UID 1 BODY[] NIL BODY[HEADER] NIL")), c.tagged(), c.hang())},
    "body-is-a-list": {"*FETCH": says(fetch(b"UID 1 BODY[] (a b)"))},
    "other-section": {"*FETCH": says(fetch(b"UID 1 " + literal(b"BODY[1.MIME]", b"X: " + CANARY + b"\r\n\r\n")))},
    "other-header": {"*FETCH": says(fetch(b"UID 1 " + literal(b"BODY[HEADER]", b"From: a@b.test\r\n\r\n") + b" " + WHOLE))},
    "other-uid": {"*FETCH": says(fetch(b"UID 7777 " + HEAD + b" " + WHOLE), fetch(b"UID 8 " + WHOLE + b" " + HEAD))},
    "other-size": {"*FETCH": says(fetch(b"UID 1 RFC822.SIZE 3 " + HEAD + b" " + WHOLE))},
    "items-twice": {"*FETCH": says(fetch(b"UID 1 " + HEAD + b" " + HEAD + b" " + WHOLE + b" " + WHOLE + b" " + ENVELOPE))},
    "origin-not-asked": {"*FETCH": says(fetch(b"UID 1 " + literal(b"BODY[]<7>", MESSAGE[7:])))},
    "body-in-quotes": {"*FETCH": says(fetch(b'UID 1 BODY[] "From: ' + CANARY + b'" BODY[HEADER] "From: ' + CANARY + b'"'))},
    "rfc822-unasked": {"*FETCH": says(fetch(literal(b"RFC822", MESSAGE) + b" " + literal(b"RFC822.HEADER", HEADER)))},
    "unsolicited-envelope": {"NOOP": says(fetch(b"UID 1 " + ENVELOPE)), "*FETCH": says(fetch(b"FLAGS () " + ENVELOPE))},
    "unsolicited-body": {"NOOP": says(fetch(b"FLAGS () " + WHOLE)), "SELECT": says(fetch(WHOLE))},
    "unsolicited-items": {"NOOP": says(fetch(b"X-GM-LABELS (\"" + CANARY + b"\") PREVIEW \"" + CANARY + b"\" X-NEW \"" + CANARY
                                             + b'" ANNOTATION (/comment (value.priv "' + CANARY + b'"))'))},
    "bye": {"*FETCH": says(b"* BYE [ALERT] write to " + CANARY + b"\r\n", then=close)},
    "bye-and-on": {"NOOP": says(b"* BYE because of " + CANARY + b"\r\n")},
    "alert": {"NOOP": says(b"* OK [ALERT] mail of " + CANARY + b"\r\n* NO [ALERT] " + CANARY + b"\r\n* OK [REFERRAL imap://" + CANARY
                           + b"/] x\r\n* OK [X-" + CANARY + b"] x\r\n* BAD " + CANARY + b"\r\n")},
    "no-with-text": {"*FETCH": lambda c: (c.tagged(b"NO [X-REASON " + CANARY + b"] refused for " + CANARY), c.hang())},
    "preauth-late": {"NOOP": says(b"* PREAUTH " + CANARY + b"\r\n")},
    "continuation-unasked": {"NOOP": says(b"+ " + CANARY + b"\r\n"), "*FETCH": says(b"+ go ahead\r\n")},
    "lists-unasked": {"NOOP": says(b'* LIST () "/" x\r\n* STATUS x (MESSAGES 1)\r\n* LSUB () "/" x\r\n'
                                   b"* SEARCH 1 2 3\r\n* SORT 3 2 1\r\n* THREAD (1)(2)\r\n* ESEARCH (TAG \"x\") ALL 1\r\n"
                                   b"* METADATA INBOX (/private/comment \"" + CANARY + b"\")\r\n* X-NEW " + CANARY + b"\r\n"
                                   b"* ID (\"name\" \"" + CANARY + b"\")\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n")},
    "enabled-unasked": {"NOOP": says(b"* ENABLED UTF8=ACCEPT X-" + CANARY.replace(b"@", b"-") + b"\r\n")},
    "capability-unasked": {"NOOP": says(b"* CAPABILITY IMAP4rev1 X-" + CANARY + b" X-GM-EXT-1\r\n")},
    "expunge-in-fetch": {"FETCH": says(b"* 3 EXPUNGE\r\n")},
    "expunge-of-nobody": {"NOOP": says(b"* 3 EXPUNGE\r\n" * 10)},
    "exists-falls": {"NOOP": says(b"* 1 EXISTS\r\n")},
    "exists-within-fetch": {"*FETCH": says(b"* 5 EXISTS\r\n", fetch(b"FLAGS (\\Seen)"), b"* 2 RECENT\r\n")},
    "vanished-unasked": {"NOOP": says(b"* VANISHED 1:99\r\n* VANISHED (EARLIER) 1:" + b"9" * 30 + b"\r\n")},
    "flags-broken": {"NOOP": says(fetch(b"FLAGS (" + CANARY + b" \"x\" (y)"))},
    "search-of-strangers": {"*SEARCH": lambda c: (c.send(b"* SEARCH 1 2 3 99999 4294967296 -1 x\r\n"), c.tagged(), c.hang())},
    "search-endless": {"*SEARCH": says(b"* SEARCH", then=lambda c: c.pour(b" 1" * 30000, 100_000_000))},
}

POP3_FAULTS = {
    "pop-close-in-login": {"login": close},
    "pop-hang-in-login": {"login": hang},
    "pop-garbage-in-login": {"login": says(GARBAGE, then=hang)},
    "pop-close-in-retr": {"POP3 RETR": says(b"+OK\r\n", MESSAGE[:200], then=close)},
    "pop-close-in-list": {"POP3 LIST": says(b"+OK\r\n1 100\r\n2", then=close)},
    "pop-hang-in-retr": {"POP3 RETR": says(b"+OK\r\n", MESSAGE[:200], then=hang)},
    "pop-hang-in-line": {"POP3 RETR": says(b"+OK\r\nReceived: fro", then=hang)},
    "pop-hang-in-stat": {"POP3 STAT": hang},
    "pop-garbage-in-stat": {"POP3 STAT": says(GARBAGE, b"\r\n")},
    "pop-garbage-in-list": {"POP3 LIST": says(b"+OK\r\n", GARBAGE.replace(b"\n.", b"x"), b"\r\n.\r\n")},
    "pop-endless-line": {"POP3 RETR": says(b"+OK\r\nFrom: ", then=lambda c: c.pour(b"z" * 65536, 40_000_000))},
    "pop-endless-header": {"POP3 RETR": says(b"+OK\r\n", then=lambda c: c.pour(b"X-More: y\r\n" * 6000, 10_000_000))},
    "pop-endless-list": {"POP3 LIST": says(b"+OK\r\n", then=lambda c: c.pour(b"1 100\r\n" * 9000, 10_000_000))},
    "pop-endless-status": {"POP3 STAT": says(b"+OK ", then=lambda c: c.pour(b"1" * 65536, 100_000_000))},
    "pop-text-in-status": {"POP3 STAT": says(b"+OK 3 " + CANARY + b"\r\n", then=hang),
                           "POP3 RETR": says(b"-ERR [X-" + CANARY + b"] gone to " + CANARY + b"\r\n", then=hang)},
    "pop-text-behind-status": {"POP3 RETR": says(b"+OK message of " + CANARY + b"\r\n" + MESSAGE + b".\r\n", then=hang)},
    "pop-list-of-text": {"POP3 LIST": says(b"+OK\r\n1 " + CANARY + b"\r\n" + CANARY + b" 2\r\n.\r\n", then=hang)},
    "pop-uidl-of-text": {"POP3 UIDL": says(b"+OK\r\n1 " + b"u" * 5000 + b"\r\n.\r\n", then=hang)},
    "pop-two-answers": {"POP3 STAT": says(b"+OK 1 2\r\n")},
    "pop-no-dot": {"POP3 RETR": says(b"+OK\r\n" + MESSAGE, then=hang)},
    "pop-other-size": {"POP3 RETR": says(b"+OK 3 octets\r\n" + MESSAGE + b"more\r\n" * 500 + b".\r\n", then=hang)},
    "pop-dots-not-doubled": {"POP3 RETR": says(b"+OK\r\n" + HEADER + b".x\r\n. \r\n.\r\n", then=hang)},
}
BOUND = 64 << 20  # of memory more than before, whatever happens


def spread(faults):
    """"*FETCH" is FETCH and UID FETCH."""
    return {name: {key: hook for command, hook in hooks.items() for key in
                   ([command[1:], "UID " + command[1:]] if command.startswith("*") else [command])}
            for name, hooks in faults.items()}


class Base(Proxied):
    config = {"proxy": {"upstream_timeout": "2s", "login_timeout": "10s"}}

    def setUp(self):
        self.witness = self.proxied()
        self.witness.select(examine=True)
        self.expected = self.witness.fetch("1:*", "(UID ENVELOPE BODY.PEEK[])")
        self.before = self.memory()

    def memory(self):
        return 0 if sanitized() else self.gateway.process.memory_peak()

    def tearDown(self):
        super().tearDown()
        self.untouched()
        self.witness.logout()
        if not sanitized():
            self.assertLess(self.memory() - self.before, BOUND)

    def untouched(self):
        """The session that was open all the time goes on, and so does a new one."""
        self.assertTrue(self.witness.fetch("1:*", "(UID ENVELOPE BODY.PEEK[])") == self.expected)
        with self.proxied() as client:
            client.select(examine=True)
            self.assertTrue(client.fetch("1", "(UID ENVELOPE BODY.PEEK[])")[1] == self.expected[1])

    @classmethod
    def fill(cls):
        with cls.direct() as client:
            for number in range(5):
                client.append("INBOX", MESSAGE.replace(b"hello", b"hello %d" % number))


class Upstreams(Base):
    users = (READER, *(f"{name.lower()}@faulty.test" for name in (*IMAP_FAULTS, *POP3_FAULTS)), "honest@faulty.test")

    @classmethod
    def make_gateway(cls, space, name, **more):
        faults = {key.lower(): hooks for key, hooks in spread({**IMAP_FAULTS, **POP3_FAULTS}).items()}
        cls.faulty = FaultyUpstream(space, cls.authority, faults).start()
        gateway = super().make_gateway(space, name, **more)
        gateway.config["provider"] = [
            provider(cls.authority, cls.server.imaps, cls.server.pop3s, {"gmail.test"}, timeout="2s"),
            provider(cls.authority, cls.faulty.imaps, cls.faulty.pop3s, {"faulty.test"}, "faulty", timeout="2s")]
        return gateway

    def imap_session(self, login):
        """Goes as far as it gets; what came, and how it ended."""
        heard, ended = [], []

        def hear(response):
            if heard[-1:] != [response.raw]:  # of endless repetition one is enough
                heard.append(response.raw)
        with Imap(self.gateway.imaps, self.tls, timeout=40, counts=False) as client:
            try:
                for command in ("LOGIN " + quote(login).decode() + " x", "SELECT INBOX", "FETCH 1:3 (UID FLAGS ENVELOPE)",
                                "FETCH 1 (UID BODYSTRUCTURE RFC822.SIZE BODY.PEEK[])", "UID FETCH 1:* (BODY.PEEK[]<0.50>)", "NOOP",
                                "SEARCH FROM stranger", "UID SEARCH ALL", "NOOP", "UID FETCH 1:3 (FLAGS)", "LOGOUT"):
                    answer = client.command(command, observe=hear)
                    heard.append(answer.status.raw)
                    ended.append((command.split(" ")[0], answer.name))
                    if answer.name == b"NO" and command.startswith("LOGIN"):
                        break
            except (Closed, ConnectionError) as error:
                ended.append(("closed", str(error)[:80]))
        return heard, ended

    def test_an_honest_one(self):
        heard, ended = self.imap_session("honest@faulty.test")
        self.assertEqual([name for _, name in ended], [b"OK"] * 11)
        self.assertEqual(canaries(b"\r\n".join(heard)), [])

    def test_a_literal_that_breaks_off(self):
        """What was announced and cannot be had is no place for words of the gateway: the client would take them for the message's."""
        for item in (b"BODY.PEEK[]", b"BODY.PEEK[]<0.5000>"):
            with self.subTest(item=item), Imap(self.gateway.imaps, self.tls, counts=False) as client:
                client.login(b"close-in-partial@faulty.test" if b"<" in item else b"close-in-literal@faulty.test", b"x")
                client.select()
                client.send(b"x FETCH 1 (UID " + item + b")\r\n")
                got = client.file.read()
                head, _, octets = got.partition(b"{5000}\r\n")
                self.assertIn(b"* 1 FETCH (", head)
                self.assertTrue(octets.endswith(b"\r\n\r\nHello, reader.\r\n"), got)

    def side_by_side(self, names, session):
        """All faults, eight at a time; meanwhile the honest sessions go on."""
        failures = []

        def run(name):
            began = time.monotonic()
            try:
                heard, ended = session(name.lower() + "@faulty.test")
            except (AssertionError, OSError) as error:
                failures.append((name, repr(error)[:500]))
                return
            found, took = canaries(b"\r\n".join(heard)), time.monotonic() - began
            if found or not ended or took > 40:
                failures.append((name, found, ended, took))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = [pool.submit(run, name) for name in names]
            while not all(one.done() for one in runs):
                self.untouched()
        for one in runs:
            one.result()
        self.assertEqual(failures, [])

    def test_imap(self):
        self.side_by_side(IMAP_FAULTS, self.imap_session)

    def pop_session(self, login):
        heard, ended = [], []
        with Pop(self.gateway.pop3s, self.tls, timeout=40) as client:
            try:
                for command in (f"USER {login}", "PASS x", "STAT", "LIST", "UIDL", "TOP 1 1", "RETR 1", "RETR 2", "NOOP", "QUIT"):
                    reply = client.command(command)
                    heard += [reply.status, reply.text or b""]
                    ended.append((command.split(" ")[0], reply.ok))
                    if command.startswith("PASS") and not reply.ok:
                        break
            except (Closed, ConnectionError) as error:
                ended.append(("closed", str(error)[:80]))
        return heard, ended

    def test_an_honest_pop3(self):
        heard, ended = self.pop_session("honest@faulty.test")
        self.assertEqual([ok for _, ok in ended], [True] * 10)
        self.assertEqual(canaries(b"\r\n".join(heard)), [])

    def test_pop3(self):
        self.side_by_side(POP3_FAULTS, self.pop_session)

    def test_greetings(self):
        """Before a login can be passed on."""
        greetings = {"close": close, "hang": hang, "garbage": says(GARBAGE, then=hang), "bye": says(b"* BYE busy\r\n", then=close),
                     "endless": lambda c: c.pour(b"x" * 65536, 100_000_000), "err": says(b"-ERR [SYS/TEMP] " + CANARY + b"\r\n", then=close),
                     "preauth": says(b"* PREAUTH hello " + CANARY + b"\r\n", then=hang), "smtp": says(b"220 mx ESMTP\r\n", then=hang)}
        self.addCleanup(setattr, self.faulty, "greeting", None)
        for name, greeting in greetings.items():
            with self.subTest(greeting=name):
                self.faulty.greeting = greeting
                with Imap(self.gateway.imaps, self.tls, timeout=20) as client:
                    answer = client.command("LOGIN honest@faulty.test x")
                    self.assertEqual(answer.name, b"NO")
                    self.assertEqual(answer.status.code, b"UNAVAILABLE")
                    self.assertEqual(canaries(answer.status.raw), [])
                with Pop(self.gateway.pop3s, self.tls, timeout=20) as client:
                    client.command("USER honest@faulty.test")
                    reply = client.command("PASS x")
                    self.assertIn(b"-ERR [SYS/TEMP]", reply.status)
                    self.assertEqual(canaries(reply.status), [])

    def test_no_upstream(self):
        """Nobody listens there; somebody listens who speaks no TLS."""
        for what in ("nobody", "no TLS"):
            listener = socket.create_server(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            if what == "nobody":
                listener.close()
            else:
                threading.Thread(target=self.speak_plainly, args=(listener,), daemon=True).start()
            gateway = super().make_gateway(self.space, what.replace(" ", "-"))
            gateway.config["provider"] = [provider(self.authority, port, port, {"gmail.test"}, timeout="2s")]
            gateway.start()
            gateway.apply(self.routes([READER]))
            gateway.settle(PUBLIC)
            with self.subTest(upstream=what), Imap(gateway.imaps, self.tls) as client:
                answer = client.command(f"LOGIN {READER} x")
                self.assertEqual((answer.name, answer.status.code), (b"NO", b"UNAVAILABLE"))
            gateway.stop()
            listener.close()

    @staticmethod
    def speak_plainly(listener):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                sock.sendall(b"* OK plain\r\n")


class Clients(Base):
    """Clients that do what no client should."""

    def raw(self, login=True):
        client = self.proxied() if login else Imap(self.gateway.imaps, self.tls)
        client.sock.settimeout(20)
        return client

    def ends(self, client):
        """Reads to the end of the connection."""
        got = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := client.file.read(65536):
                got += data
                self.assertLess(len(got), 10_000_000)
        client.close()
        return got

    def push(self, client, data, total):
        """Sends until it is all sent or nobody takes it any more; how much went."""
        sent = 0
        try:
            while sent < total:
                client.send(data)
                sent += len(data)
        except (ConnectionError, ssl.SSLError, TimeoutError):
            pass
        return sent

    def test_closes_in_a_literal(self):
        for login in (True, False):
            for text in (b"x APPEND INBOX {1000+}\r\nFrom: ", b"x LOGIN {10+}\r\nrea", b"x FETCH 1 (BODY[", b"x SEARCH FROM {5}\r\n"):
                client = self.raw(login)
                client.send(text)
                client.close()
        with self.direct() as client:
            client.select()
            self.assertEqual(client.exists, 5)

    def test_closes_while_it_is_served(self):
        for _ in range(20):
            client = self.raw()
            client.send(b"x SELECT INBOX\r\n" + b"y FETCH 1:* (BODY.PEEK[] ENVELOPE)\r\n" * 50)
            client.file.readline()
            client.close()

    def test_ten_thousand_commands_at_once(self):
        client = self.raw()
        client.select()
        count = 10_000
        # In one thread: Python's TLS sockets are not for two. What is on the way fits the kernel's buffers.
        client.send(b"".join(b"p%d %s\r\n" % (n, b"NOOP" if n % 10 else b"FETCH 1 (UID)") for n in range(count)))
        for number in range(count):
            status = client.until(lambda r: r.kind == "tagged", [])
            self.assertEqual((status.tag, status.name), (b"p%d" % number, b"OK"))
        client.logout()

    def test_ten_thousand_literals_of_one_command(self):
        client = self.raw()
        began = time.monotonic()
        for _ in range(10):
            client.send(b"x NOOP " + b"{0+}\r\n" * 10_000 + b"\r\n")
            self.assertEqual(client.response().name, b"BAD")
        # It is milliseconds, unless each literal has all that stands before it read once more.
        self.assertLess(time.monotonic() - began, 10)
        client.close()

    def test_ten_thousand_pop3_commands(self):
        with self.proxied_pop() as pop:
            count = 10_000
            pop.send(b"NOOP\r\nSTAT\r\n" * (count // 2))
            for _ in range(count):
                self.assertTrue(pop.reply().ok)
            pop.quit()

    def test_literals_of_a_gigabyte(self):
        giga = 1 << 30
        for text in (b"x APPEND INBOX {%d}\r\n", b"x LOGIN {%d}\r\n", b"x SEARCH FROM {%d}\r\n", b"x SELECT {%d}\r\n",
                     b"x APPEND INBOX {99999999999999999999999%d}\r\n"):
            with self.subTest(synchronizing=text):
                client = self.raw("LOGIN" not in text.decode())
                client.send(text % giga)
                answer = client.response()  # no "+ go on"
                self.assertIn((answer.kind, answer.name), [("tagged", b"NO"), ("tagged", b"BAD"), ("untagged", b"BYE")])
                client.close()
        for text in (b"x APPEND INBOX {%d+}\r\n", b"x LOGIN {%d+}\r\n", b"x SEARCH FROM {%d+}\r\n"):
            with self.subTest(pushing=text):
                client = self.raw("LOGIN" not in text.decode())
                client.send(text % giga)
                sent = self.push(client, b"z" * (1 << 20), giga)
                if sent == giga:  # taken and thrown away
                    client.send(b"\r\n")
                    self.assertIn(client.response().name, (b"NO", b"BAD", b"BYE"))
                client.close()

    def test_endless_lines(self):
        for start in (b"x SEARCH FROM ", b"x", b"x LOGIN a ", b"x FETCH 1 (BODY.PEEK[HEADER.FIELDS (", b"\"", b"x UID FETCH 1,"):
            for login in (True, False):
                with self.subTest(start=start, login=login):
                    client = self.raw(login)
                    client.send(start)
                    self.push(client, b"1," * (1 << 19), 100 << 20)
                    client.close()

    def test_deep_and_long_commands(self):
        client = self.raw()
        client.select()
        for command in ("SEARCH " + "NOT " * 10_000 + "ALL", "SEARCH " + "(" * 20_000 + "ALL" + ")" * 20_000,
                        "SEARCH " + "OR ALL " * 8_000 + "ALL", "FETCH 1 " + "(" * 30_000, "FETCH " + ",".join(["1:*"] * 15_000) + " (FLAGS)",
                        "FETCH 1 (" + "BODY.PEEK[] " * 5_000 + "UID)", "FETCH 1:* (BODY.PEEK[" + "1." * 20_000 + "1])",
                        "FETCH 1 (BODY.PEEK[HEADER.FIELDS (" + "X " * 20_000 + ")])", "STORE 1 FLAGS (" + "a " * 30_000 + ")",
                        "SORT (" + "DATE " * 10_000 + ") UTF-8 ALL", "LIST \"\" \"" + "*%" * 10_000 + "\""):
            with self.subTest(command=command[:20]):
                try:
                    client.command(command)
                except Closed:
                    client = self.raw()
                    client.select()
        client.close()

    def test_garbage(self):
        chance = random.Random(9)
        for n in range(30):
            client = self.raw(n % 2 == 0)
            data = chance.randbytes(chance.randint(1, 5000)).replace(b"{", b"(")
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                client.send(data + b"\r\n")
                client.send(b"\r\n\r\n\0\r\nx\r\nx \r\n * x\r\n+ OK\r\n" * 20)
            client.sock.settimeout(5)
            with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError, Closed, ProtocolError):
                while True:
                    client.response()
            client.close()
            # What is no TLS at all.
            with socket.create_connection(("localhost", self.gateway.imaps)) as sock:
                sock.sendall(data)

    def test_never_reads(self):
        """Asks for 600 MB and takes none of it: the gateway stops reading, and holds little."""
        with self.direct() as client:
            client.ok("CREATE big")
            client.append("big", MESSAGE + b"line of text\r\n" * 230_000)
        clients = []
        for _ in range(4):
            client = self.raw()
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            client.send(b"x SELECT big\r\n" + b"y FETCH * (BODY.PEEK[])\r\n" * 50)
            clients.append(client)
        for _ in range(3):
            self.untouched()
        for client in clients:
            client.close()

    def test_slow_ones(self):
        """One octet at a time; the answers are the same."""
        client = self.raw()
        for octet in b'a SELECT "INBOX"\r\n':
            client.send(bytes([octet]))
        client.selected = True
        client.until(lambda r: r.kind == "tagged", [])
        for octet in b"b FETCH 1 (UID ENVELOPE BODY.PEEK[])\r\n":
            client.send(bytes([octet]))
        got = []
        client.until(lambda r: r.kind == "tagged", got)
        told = {}
        for r in got:
            told.update(r.data if r.name == b"FETCH" else {})
        self.assertEqual(told, self.expected[1])
        client.logout()

    def test_pop3_clients(self):
        for text in (b"RETR " + b"9" * 100_000 + b"\r\n", b"\0\0\0\r\n", b"TOP 1 99999999999999999999\r\n", b"RETR -1\r\n", b"\r\n" * 50,
                     b"USER " + b"a" * 5000 + b"\r\n", b"AUTH PLAIN " + b"A" * 90_000 + b"\r\n"):
            for login in (True, False):
                client = self.proxied_pop() if login else Pop(self.gateway.pop3s, self.tls)
                with contextlib.suppress(ConnectionError, ssl.SSLError, Closed):
                    client.send(text + b"QUIT\r\n")
                    while True:
                        client.line()
                client.close()
        client = self.proxied_pop()
        self.push(client, b"z" * (1 << 20), 50 << 20)
        client.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
