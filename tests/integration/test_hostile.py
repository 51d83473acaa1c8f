"""Hostile peers: bounded memory, clear codes, and the others are served meanwhile."""

import resource
import socket
import threading
import unittest

from harness.gateway import sanitized
from harness.mail import message
from harness.small import OFFICER, PASSWORD, PUBLIC, STRANGER, Small
from harness.smtp_client import Client

MEGABYTE = 1 << 20
# What the process may take at most while it is being abused; at rest it takes a few megabytes.
MEMORY_BOUND = 96 * MEGABYTE


class Hostile(Small):
    def setUp(self):
        super().setUp()
        # From here on the peak counts anew.
        with open(f"/proc/{self.gateway.process.pid}/clear_refs", "w") as file:
            file.write("5")

    def tearDown(self):
        super().tearDown()
        self.served("afterwards")
        if not sanitized():
            self.assertLess(self.gateway.process.memory_peak(), MEMORY_BOUND)

    def served(self, when):
        """An honest stranger's message passes."""
        before = len(self.sink.messages)
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, "honest")), 250, msg=when)
        self.assertEqual(len(self.sink.messages), before + len(self.members))

    def begin(self, client):
        client.ehlo()
        for reply in client.pipeline(f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{PUBLIC}>"):
            self.assertReply(reply, 250)
        self.assertReply(client.command("DATA"), 354)

    def test_ends_of_data_that_are_none(self):
        smuggled = f"MAIL FROM:<evil@evil.test>\r\nRCPT TO:<{PUBLIC}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n".encode()
        for end in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\n", b"\r\r\n.\r\r\n",
                    b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\r.\n"):
            with self.subTest(end=end), Client(self.gateway.inbound) as client:
                self.sink.clear()
                self.begin(client)
                client.send(message(STRANGER, PUBLIC, "carrier") + b"one" + end + smuggled)
                # If `end` counted, the transaction would be over twice; it may be over only once, at the real end.
                reply = client.reply()
                # NUL is an octet like another: such a line is text.
                text = b"\0" in end
                self.assertReply(reply, *((250,) if text else (550, "5.6.11")))
                self.assertReply(client.command("NOOP"), 250, msg="a second answer was waiting")
                self.assertEqual(len(self.sink.messages), len(self.members) if text else 0)
                for copy in self.sink.messages:
                    self.assertIn(b"carrier", copy.header)
                    arrived = b"one" + end.replace(b"\r\n.", b"\r\n") + smuggled[:-3]  # RFC 5321 §4.5.2: its dot is a stuffed one
                    self.assertTrue(copy.body.endswith(arrived), copy.body)

    def test_bare_line_ends_in_the_header(self):
        for text in (b"Subject: a\nBcc: x\r\n\r\nbody\r\n", b"Subject: a\rX: y\r\n\r\nbody\r\n", b"Subject: a\n\nbody\r\n"):
            with self.subTest(text=text):
                self.sink.clear()
                self.assertReply(self.inbound(text), 550, "5.6.11")
                self.assertEqual(self.sink.messages, [])

    def test_commands_ahead_of_the_handshake(self):
        with Client(self.gateway.submission) as client:
            client.ehlo()
            client.send(b"STARTTLS\r\nNOOP injected\r\nMAIL FROM:<evil@evil.test>\r\n")
            self.assertReply(client.reply(), 501, "5.5.4")
            self.assertTrue(client.closed())

    def test_authentication_needs_tls(self):
        with Client(self.gateway.submission) as client:
            self.assertNotIn("AUTH", client.ehlo().text)
            self.assertReply(client.auth_plain(OFFICER, PASSWORD), 5)
            self.assertReply(client.mail(STRANGER), 530)

    def test_a_command_line_without_end(self):
        with Client(self.gateway.inbound) as client:
            client.ehlo()
            for _ in range(320):
                if not client.try_send(b"x" * 65536):
                    break
            client.try_send(b"\r\n")
            self.assertReply(client.reply(), 500, "5.5.2")

    def test_a_body_line_without_end(self):
        with Client(self.gateway.inbound) as client:
            self.begin(client)
            client.send(message(STRANGER, PUBLIC, "long line"))
            for _ in range(320):
                client.send(b"x" * 65536)
            client.send(b"\r\n.\r\n")
            self.assertReply(client.reply(), 250)
        self.assertTrue(all(len(copy.body) > 320 * 65536 for copy in self.sink.wait_messages(len(self.members))))

    def test_commands_that_are_none(self):
        for line in (b"", b"\0\0\0", b"\xff\xfe\xfd", b"MAIL", b"MAIL FROM", b"MAIL FROM:", b"MAIL FROM:<", b"MAIL FROM:<a@b",
                     b"MAIL FROM:<a@b> SIZE=x", b"MAIL FROM:<a@b> SIZE=99999999999999999999999", b"RCPT TO:<>",
                     b"EHLO", b"MAIL FROM:<" + b"a" * 400 + b"@b>", b"MAIL FROM:<a@b>" + b" X=y" * 100, b"BDAT",
                     b"BDAT -1", b"BDAT 99999999999999999999", b"DATA now", b"STARTTLS now", b"AUTH", b"VRFY a", b"EXPN a",
                     b"HELP", b"TURN", b"DEBUG", b"GET / HTTP/1.1"):
            with self.subTest(line=line), Client(self.gateway.inbound) as client:
                client.ehlo()
                reply = client.command(line)
                self.assertIn(reply.code // 100, (2, 5) if line[:4] in (b"HELP", b"VRFY") else (5,), reply)

    def test_too_many_errors(self):
        with Client(self.gateway.inbound) as client:
            client.ehlo()
            codes = set()
            for _ in range(200):
                if not client.try_send(b"NONSENSE\r\n"):
                    break
                reply = client.reply()
                codes.add(reply.code)
                if reply.code in (421, None):
                    break
            self.assertIn(421, codes)

    def test_a_hundred_thousand_header_fields(self):
        with Client(self.gateway.inbound) as client:
            self.begin(client)
            client.send(message(STRANGER, PUBLIC).split(b"\r\n\r\n")[0] + b"\r\n" + b"X-F: y\r\n" * 100_000
                        + b"\r\nbody\r\n.\r\n")
            self.assertReply(client.reply(), 552, "5.3.4")
        self.assertEqual(self.sink.messages, [])

    def test_one_header_field_of_50_megabytes(self):
        for continued in (False, True):
            with self.subTest(continued=continued), Client(self.gateway.inbound) as client:
                self.begin(client)
                client.send(b"From: " + STRANGER.encode() + b"\r\nSubject: ")
                piece = (b"y" * 70 + b"\r\n ") * 900 if continued else b"x" * 65536
                for _ in range(50 * MEGABYTE // len(piece)):
                    client.send(piece)
                client.send(b"\r\n\r\nbody\r\n.\r\n")
                self.assertReply(client.reply(), 552, "5.3.4")
        self.assertEqual(self.sink.messages, [])

    def test_a_message_above_the_limit(self):
        with Client(self.gateway.inbound) as client:
            client.ehlo()
            self.assertReply(client.mail(STRANGER, "SIZE=99999999"), 552, "5.3.4")
        with Client(self.gateway.inbound) as client:
            self.begin(client)
            client.send(message(STRANGER, PUBLIC))
            for _ in range(51 * 16 + 1):
                client.send((b"x" * 62 + b"\r\n") * 1024)
            client.send(b".\r\n")
            self.assertReply(client.reply(), 552, "5.3.4")
        self.assertEqual(self.sink.messages, [])

    def test_ten_thousand_recipients(self):
        with Client(self.gateway.inbound) as client:
            client.ehlo()
            client.mail(STRANGER)
            codes = {}
            for _ in range(100):
                lines = b"".join(b"RCPT TO:<%s>\r\n" % PUBLIC.encode() for _ in range(100))
                if not client.try_send(lines):
                    break
                for _ in range(100):
                    reply = client.reply()
                    codes[reply.code] = codes.get(reply.code, 0) + 1
                    if reply.code is None:
                        break
            self.assertIn(250, codes)
            self.assertIn(452, codes, "no 452 4.5.3 for what is above the limit")
            self.assertLessEqual(set(codes), {250, 452, 421, None})
            self.assertReply(client.data(message(STRANGER, PUBLIC)), 250)
        # R6.3: once for each public address, however often it was named.
        self.assertEqual(len(self.sink.messages), len(self.members))

    def test_ten_thousand_unknown_recipients(self):
        with Client(self.gateway.inbound) as client:
            client.ehlo()
            client.mail(STRANGER)
            codes = set()
            for number in range(10_000):
                if not client.try_send(b"RCPT TO:<nobody%d@school.example>\r\n" % number):
                    break
                codes.add(client.reply().code)
                if codes & {421, None}:
                    break
            self.assertIn(550, codes)
            self.assertIn(421, codes)

    def test_deep_nesting(self):
        deep = 20_000
        for name, text in {"comments": "(" * deep + ")" * deep, "open comments": "(" * deep, "angles": "<" * deep,
                           "groups": "g:" * deep, "quotes": '"\\' * deep, "brackets": "a@[" * deep,
                           "encoded": "=?utf-8?q?" * deep, "routes": "@a," * deep}.items():
            for where in ("From", "To", "Subject", "Message-ID", "Content-Type"):
                with self.subTest(name=name, where=where):
                    lines = {"From": STRANGER, "To": PUBLIC, where: text}
                    data = "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\nbody\r\n"
                    self.assertIn(self.inbound(data).code, (250, 552))
        with Client(self.gateway.inbound) as client:
            client.ehlo()
            self.assertReply(client.command("MAIL FROM:<" + "(" * 400 + "@b>"), 5)

    def test_two_thousand_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
        idle = []
        try:
            for _ in range(2000):
                idle.append(socket.create_connection(("127.0.0.1", self.gateway.inbound), timeout=30))
            for connection in idle:
                self.assertEqual(connection.recv(4), b"220 ")
            self.served("with 2,000 idle connections")
        finally:
            for connection in idle:
                connection.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_many_large_headers_at_once(self):
        # Twenty senders with as much header as is allowed, none of them finishing.
        clients = [Client(self.gateway.inbound) for _ in range(20)]
        try:
            for client in clients:
                self.begin(client)
                client.send(b"From: a@b.test\r\n" + b"X-Long: " + b"z" * 60 + b"\r\n")
                client.send((b"X-Long: " + b"z" * 500 + b"\r\n") * 400)
            self.served("with twenty large headers held")
        finally:
            for client in clients:
                client.close()

    def test_a_reader_that_never_reads(self):
        with socket.create_connection(("127.0.0.1", self.gateway.inbound)) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(3)
            try:
                for _ in range(200):
                    deaf.sendall(b"NOOP\r\n" * 10_000)
            except (TimeoutError, ConnectionError):
                pass
            self.served("with a peer that does not read")


class Slow(Small):
    """Time-outs, made short enough to be waited for."""

    config = {"limits": {"command_timeout": "2s", "data_timeout": "3s", "min_data_rate": 1000}}

    def test_a_slow_client_is_hung_up_on(self):
        def trickle(client, data, results):
            for octet in data:
                if not client.try_send(bytes([octet])):
                    break
                client.socket.settimeout(1)  # one octet a second, or the server's last word
                try:
                    line = client.line()
                    results.append(line)
                    return
                except TimeoutError:
                    continue
        command, body = Client(self.gateway.inbound), Client(self.gateway.inbound)
        body.ehlo()
        body.pipeline(f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{PUBLIC}>")
        body.command("DATA")
        body.send(message(STRANGER, PUBLIC))
        results = [[], []]
        threads = [threading.Thread(target=trickle, args=(command, b"EHLO " + b"x" * 60, results[0])),
                   threading.Thread(target=trickle, args=(body, b"y" * 60, results[1]))]
        for thread in threads:
            thread.start()
        self.assertReply(self.inbound(message(STRANGER, PUBLIC, "meanwhile")), 250)
        self.copies(2)
        for thread in threads:
            thread.join()
        for result in results:
            self.assertTrue(result and result[0] is not None and result[0].startswith("421"), result)
        self.assertEqual(self.sink.messages, [])
        command.close()
        body.close()

    def test_a_silent_client_is_hung_up_on(self):
        with Client(self.gateway.inbound) as client:
            self.assertReply(client.reply(), 421)
            self.assertTrue(client.closed())

    def test_silence_in_the_tls_handshake(self):
        with socket.create_connection(("127.0.0.1", self.gateway.submissions), timeout=20) as client:
            self.assertEqual(client.recv(1), b"")


if __name__ == "__main__":
    unittest.main(verbosity=2)
