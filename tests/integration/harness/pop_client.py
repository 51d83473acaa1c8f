"""A strict POP3 client (RFC 1939): every line has its CRLF, every reply its +OK or -ERR, every text its dot."""

import socket

from .imap_client import Closed
from .imap_grammar import ProtocolError

MULTI = {"CAPA", "RETR", "TOP"}


class Reply:
    """`text`: octets of a multi-line answer, dots undone; None for one line."""

    def __init__(self, status, text=None):
        self.status, self.text = status, text

    @property
    def ok(self):
        return self.status.startswith(b"+OK")

    @property
    def lines(self):
        return self.text.split(b"\r\n")[:-1] if self.text else []

    def __repr__(self):
        return f"<{self.status!r}{'' if self.text is None else f' and {len(self.text)} octets'}>"


class Pop:
    def __init__(self, port, context=None, user=None, password=None, host="localhost", stls=False, timeout=60, greet=True):
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context and not stls:
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
        self.file = self.sock.makefile("rb")
        if not greet:
            return
        self.greeting = self.one()
        if stls:
            self.ok("STLS")
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
            self.file = self.sock.makefile("rb")
        if user:
            self.ok(f"USER {user}")
            self.ok(f"PASS {password}")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def line(self):
        line = self.file.readline(200 << 20)
        if not line:
            raise Closed("closed")
        if not line.endswith(b"\r\n"):
            # Octets of a message may hold a bare LF; the line goes on behind it.
            if not line.endswith(b"\n"):
                raise Closed(f"cut: {line[:200]!r}")
        return line

    def one(self):
        line = self.line()
        if not line.endswith(b"\r\n") or not line.startswith((b"+OK", b"-ERR", b"+ ")):
            raise ProtocolError(f"no reply: {line[:500]!r}")
        return Reply(line[:-2])

    def reply(self, multi=False):
        reply = self.one()
        if multi and reply.ok:
            out, begin = bytearray(), True
            while True:
                line = self.line()
                if begin and line == b".\r\n":
                    break
                if begin and line.startswith(b"."):
                    if not line.startswith(b".."):
                        raise ProtocolError(f"a dot that is not doubled: {line[:100]!r}")
                    line = line[1:]
                out += line
                begin = line.endswith(b"\r\n")
            reply.text = bytes(out)
        return reply

    def command(self, text):
        self.send(text.encode() + b"\r\n")
        return self.reply(self.multi(text))

    @staticmethod
    def multi(text):
        words = text.split()
        return bool(words) and (words[0].upper() in MULTI or (words[0].upper() in ("LIST", "UIDL") and len(words) == 1))

    def ok(self, text):
        reply = self.command(text)
        if not reply.ok:
            raise AssertionError(f"{text.split()[0]}: {reply}")
        return reply

    def pipeline(self, *texts):
        self.send(b"".join(t.encode() + b"\r\n" for t in texts))
        return [self.reply(self.multi(t)) for t in texts]

    def quit(self):
        self.ok("QUIT")
        if self.file.read(1):
            raise ProtocolError("octets behind QUIT")
        self.close()
