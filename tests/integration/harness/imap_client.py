"""A strict IMAP client: every octet that a server says is parsed by the grammar (imap_grammar.py), and what breaks it, or
does not fit what was said before (message numbers, counts), fails the test."""

import re
import socket

from .imap_grammar import Cursor, Literal, ProtocolError, quote


class Closed(ConnectionError):
    """The server closed the connection."""


class Response:
    """One response: kind is "tagged", "untagged" or "continuation"."""

    def __init__(self, kind, name=b"", tag=b"", number=None, text=b"", data=None, raw=b""):
        self.kind, self.name, self.tag, self.number, self.text, self.data, self.raw = (kind, name, tag, number, text,
                                                                                     data, raw)

    @property
    def code(self):
        """The response code without brackets, or b""."""
        found = re.match(rb"\[([^\r\n]*?)\](?: |$)", self.text)
        return found.group(1) if found else b""

    def __repr__(self):
        return f"<{self.raw[:300]!r}>"


class Answer:
    """All that one command brought."""

    def __init__(self, status, untagged):
        self.status, self.untagged = status, untagged

    @property
    def name(self):
        return self.status.name

    @property
    def ok(self):
        return self.status.name == b"OK"

    def all(self, name):
        return [r for r in self.untagged if r.name == name]

    def one(self, name):
        found = self.all(name)
        assert len(found) == 1, f"{len(found)} {name} in {self.untagged}"
        return found[0]

    @property
    def fetched(self):
        """{message number: {item: value}}; what came in several responses is put together."""
        found = {}
        for r in self.all(b"FETCH"):
            found.setdefault(r.number, {}).update(r.data)
        return found

    @property
    def numbers(self):
        """Of SEARCH or SORT."""
        found = []
        for r in self.untagged:
            if r.name in (b"SEARCH", b"SORT"):
                found += [int(n) for n in re.sub(rb"\(MODSEQ \d+\)", b"", r.text).split()]
        return found

    def __repr__(self):
        return f"<{self.status} after {self.untagged[:20]}>"


class Imap:
    """One connection. Strict about all that the server says; `exists` follows the open mailbox. `counts`: whether message
    numbers have to fit, and items said twice to be the same."""

    def __init__(self, port, context=None, user=None, password=None, host="localhost", starttls=False, timeout=60,
                 greet=True, counts=True):
        self.counts = counts
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host, self.context = host, context
        if context and not starttls:
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
        self.file = self.sock.makefile("rb")
        self.tags, self.exists, self.selected, self.utf8, self.qresync = 0, 0, False, False, False
        self.capabilities = set()
        self.literal_plus = False
        if not greet:
            return
        self.greeting = self.response()
        if self.greeting.name not in (b"OK", b"PREAUTH"):
            raise ProtocolError(f"greeting {self.greeting}")
        if starttls:
            self.ok("STARTTLS")
            self.file.close()
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
            self.file = self.sock.makefile("rb")
        if user:
            self.login(user, password)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    # Reading

    def line(self):
        line = self.file.readline(64 << 20)
        if not line:
            raise Closed("closed")
        if not line.endswith(b"\r\n"):
            raise ProtocolError(f"line without CRLF: {line[:500]!r}" if line.endswith(b"\n") else f"cut: {line[:500]!r}")
        if b"\r" in line[:-2] or b"\0" in line:
            raise ProtocolError(f"CR or NUL in a line: {line[:500]!r}")
        return line

    def octets(self):
        """The octets of one response, without its line end; literals in place."""
        line = self.line()
        if re.match(rb"(\+|\S+ (OK|NO|BAD|BYE|PREAUTH)\b)", line, re.I):
            return line[:-2]
        pieces = [line]
        while (mark := re.search(rb"\{(\d+)\}\r\n$", pieces[-1])):
            size = int(mark.group(1))
            data = self.file.read(size)
            if len(data) != size:
                raise Closed(f"closed within a literal: {len(data)} of {size} behind {pieces[-1][-200:]!r}")
            pieces += [data, self.line()]
        return b"".join(pieces)[:-2]

    def response(self):
        raw = self.octets()
        cursor = Cursor(raw, self.utf8, not self.counts)
        if cursor.take(b"+"):
            if raw not in (b"+", b"+ ") and not raw.startswith(b"+ "):
                raise ProtocolError(f"continuation {raw!r}")
            return Response("continuation", text=raw[2:], raw=raw)
        if not cursor.take(b"* "):
            tag = cursor.match(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]+", "tag")
            cursor.expect(b" ")
            name = cursor.atom().upper()
            if name not in (b"OK", b"NO", b"BAD"):
                raise ProtocolError(f"tagged {raw!r}")
            return Response("tagged", name, tag, text=self.status_text(cursor), raw=raw)
        number = None
        if cursor.peek().isdigit():
            number = cursor.number()
            cursor.expect(b" ")
        name = cursor.atom().upper()
        if number is not None:
            return self.numbered(number, name, cursor, raw)
        if name in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"):
            text = self.status_text(cursor)
            response = Response("untagged", name, text=text, raw=raw)
            if response.code.upper().startswith(b"CAPABILITY "):
                self.note_capabilities(response.code.split()[1:])
            return response
        return self.data_response(name, cursor, raw)

    def status_text(self, cursor):
        if cursor.end():
            return b""  # Cyrus and others leave the text out where only a code would follow
        cursor.expect(b" ")
        text = cursor.data[cursor.at:]
        if text.startswith(b"["):
            code = re.match(rb"\[[A-Za-z][A-Za-z0-9.-]*(?: [^\x00\r\n\]]*(?:\"[^\"]*\"[^\]]*)?)?\]", text)
            if not code:
                cursor.fail("response code")
        return text

    def numbered(self, number, name, cursor, raw):
        if name == b"EXISTS":
            if not self.selected:
                raise ProtocolError(f"{raw!r} without a mailbox")
            if self.counts and number < self.exists:
                raise ProtocolError(f"{raw!r}: EXISTS falls from {self.exists} without EXPUNGE")
            self.exists = number
        elif name == b"EXPUNGE":
            if self.counts and not 1 <= number <= self.exists:
                raise ProtocolError(f"{raw!r} of {self.exists}")
            self.exists -= 1
        elif name == b"FETCH":
            if self.counts and not 1 <= number <= self.exists:
                raise ProtocolError(f"{raw[:200]!r} of {self.exists}")
            cursor.expect(b" ")
            return Response("untagged", name, number=number, data=cursor.fetch_items(), raw=raw)
        elif name != b"RECENT":
            raise ProtocolError(f"unknown {raw!r}")
        if not cursor.end():
            cursor.fail("end of line expected")
        return Response("untagged", name, number=number, raw=raw)

    def data_response(self, name, cursor, raw):
        text = raw[cursor.at + 1:]
        data = None
        if name == b"CAPABILITY":
            words = text.upper().split(b" ")
            self.note_capabilities(words)
        elif name in (b"LIST", b"LSUB"):
            cursor.expect(b" ")
            flags = cursor.value()
            cursor.expect(b" ")
            delimiter = cursor.nstring()
            cursor.expect(b" ")
            mailbox = cursor.value()
            more = []
            while not cursor.end():
                cursor.expect(b" ")
                more.append(cursor.value())
            if not isinstance(flags, list) or isinstance(mailbox, list) or mailbox is None:
                cursor.fail("LIST")
            data = (flags, delimiter, bytes(mailbox), more)
        elif name == b"STATUS":
            cursor.expect(b" ")
            mailbox = cursor.value()
            cursor.expect(b" ")
            items = cursor.value()
            if not isinstance(items, list) or len(items) % 2:
                cursor.fail("STATUS")
            data = (bytes(mailbox), dict(zip(items[::2], items[1::2])))
        elif name in (b"SEARCH", b"SORT"):
            if not re.fullmatch(rb"( [1-9]\d*)*( \(MODSEQ \d+\))?", raw[cursor.at:]):
                cursor.fail("numbers")
        elif name in (b"FLAGS", b"ENABLED", b"ID", b"NAMESPACE", b"ESEARCH", b"THREAD", b"VANISHED", b"QUOTA",
                      b"QUOTAROOT"):
            data = []
            while not cursor.end():
                if name != b"THREAD" or not data:
                    if not cursor.take(b" ") and not (name == b"THREAD"):
                        cursor.fail("space")
                    if cursor.end():
                        break
                data.append(cursor.value())
            if name == b"ENABLED":
                words = {w.upper() for w in data}
                self.utf8 |= bool({b"UTF8=ACCEPT", b"IMAP4REV2"} & words)
            if name == b"VANISHED":
                earlier = isinstance(data[0], list)
                if not earlier:
                    self.exists -= sum(1 for _ in uid_set(data[-1]))
                    if self.counts and self.exists < 0:
                        raise ProtocolError(f"{raw!r}: more than there are")
        else:
            raise ProtocolError(f"unknown {raw[:200]!r}")
        return Response("untagged", name, text=text, data=data, raw=raw)

    def note_capabilities(self, words):
        self.capabilities = {w.upper().decode() for w in words}
        self.literal_plus = "LITERAL+" in self.capabilities

    # Writing

    def new_tag(self):
        self.tags += 1
        return b"T%d" % self.tags

    def send(self, data):
        self.sock.sendall(data)

    def command(self, *pieces, observe=None):
        """Sends one command: pieces are str or bytes as they stand, or Literal. The Answer when the tagged response
        has come."""
        tag = self.new_tag()
        untagged = []
        out = bytearray(tag)
        text = b" ".join(p.encode() if isinstance(p, str) else b"" if isinstance(p, Literal) else p for p in pieces)
        name = text.split(b" ")[0].upper()
        if name in (b"SELECT", b"EXAMINE"):
            self.selected, self.exists = True, 0
        for piece in pieces:
            out += b" "
            if isinstance(piece, Literal):
                if self.literal_plus:
                    out += b"{%d+}\r\n" % len(piece) + piece
                else:
                    self.send(bytes(out) + b"{%d}\r\n" % len(piece))
                    out = bytearray(piece)
                    response = self.until(lambda r: r.kind == "continuation" or r.kind == "tagged", untagged, observe)
                    if response.kind == "tagged":
                        return Answer(response, untagged)
            else:
                out += piece.encode() if isinstance(piece, str) else piece
        self.send(bytes(out) + b"\r\n")
        status = self.until(lambda r: r.kind == "tagged", untagged, observe)
        if status.tag != tag:
            raise ProtocolError(f"{status} answers {tag!r}")
        if name in (b"SELECT", b"EXAMINE"):
            self.selected = status.name == b"OK"
        if name in (b"CLOSE", b"UNSELECT") and status.name == b"OK":
            self.selected, self.exists = False, 0
        if status.code.upper().startswith(b"CAPABILITY "):
            self.note_capabilities(status.code.split()[1:])
        return Answer(status, untagged)

    def until(self, wanted, untagged, observe=None):
        while True:
            response = self.response()
            if wanted(response):
                return response
            if response.kind != "untagged":
                raise ProtocolError(f"unexpected {response}")
            if observe:
                observe(response)
            else:
                untagged.append(response)

    def ok(self, *pieces, **how):
        answer = self.command(*pieces, **how)
        if not answer.ok:
            raise AssertionError(f"{pieces[0]!r}: {answer.status}")
        return answer

    # What tests do often

    def login(self, user, password):
        self.ok("LOGIN", quote(user), quote(password))
        self.ok("CAPABILITY")

    def select(self, mailbox="INBOX", examine=False):
        return self.ok("EXAMINE" if examine else "SELECT", quote(mailbox))

    def append(self, mailbox, message, flags=""):
        return self.ok("APPEND", quote(mailbox), *([f"({flags})"] if flags else []), Literal(message))

    def fetch(self, numbers, items, uid=False):
        """{number: {item: value}}"""
        return self.ok(("UID FETCH " if uid else "FETCH ") + f"{numbers} {items}").fetched

    def logout(self):
        answer = self.ok("LOGOUT")
        answer.one(b"BYE")
        if self.file.read(1):
            raise ProtocolError("octets behind LOGOUT")
        self.close()


def uid_set(text):
    for piece in text.decode().split(","):
        first, _, last = piece.partition(":")
        yield from range(min(int(first), int(last or first)), max(int(first), int(last or first)) + 1)
