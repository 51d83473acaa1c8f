"""A strict IMAP client: every octet that a server says is parsed by the grammar of RFC 9051 §9, and what breaks it, or
does not fit what was said before (message numbers, counts), fails the test."""

import re
import socket

ATOM_SPECIALS = frozenset(b'(){ %*"\\]') | frozenset(range(0, 32)) | {127}


class ProtocolError(AssertionError):
    """The server said what no IMAP server may say."""


class Closed(ConnectionError):
    """The server closed the connection."""


class Atom(bytes):
    """What was neither quoted nor a literal."""


class Literal(bytes):
    """A string that came as a literal; other strings are plain bytes."""


def quote(text):
    """An argument: quoted where that can be, else a literal for Imap.command()."""
    data = text.encode() if isinstance(text, str) else text
    if len(data) < 1000 and not re.search(rb'[\x00\r\n\x80-\xff]', data):
        return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return Literal(data)


class Cursor:
    """Parses the octets of one response."""

    def __init__(self, data, utf8=False, lenient=False):
        self.data, self.at, self.utf8, self.lenient = data, 0, utf8, lenient

    def fail(self, what):
        raise ProtocolError(f"{what} at {self.at} of {self.data[:2000]!r}")

    def peek(self):
        return self.data[self.at:self.at + 1]

    def end(self):
        return self.at >= len(self.data)

    def expect(self, octets):
        if not self.data.startswith(octets, self.at):
            self.fail(f"{octets!r} expected")
        self.at += len(octets)

    def take(self, octets):
        if self.data.startswith(octets, self.at):
            self.at += len(octets)
            return True
        return False

    def match(self, pattern, what):
        found = re.compile(pattern).match(self.data, self.at)
        if not found:
            self.fail(f"{what} expected")
        self.at = found.end()
        return found.group(0)

    def number(self):
        return int(self.match(rb"\d{1,19}", "number"))

    def atom(self):
        begin = self.at
        while self.at < len(self.data) and self.data[self.at] not in ATOM_SPECIALS and self.data[self.at] < 128:
            self.at += 1
        if begin == self.at:
            self.fail("atom expected")
        return Atom(self.data[begin:self.at])

    def quoted(self):
        self.expect(b'"')
        out = bytearray()
        while True:
            c = self.peek()
            if c in (b"", b"\r", b"\n", b"\0"):
                self.fail("quoted string broken")
            self.at += 1
            if c == b'"':
                break
            if c == b"\\":
                c = self.peek()
                if c not in (b'"', b"\\"):
                    self.fail("only \\\\ and \\\" may be escaped")
                self.at += 1
            out += c
        if not self.utf8 and any(o > 127 for o in out):
            self.fail("8-bit octets in a quoted string")
        return bytes(out)

    def literal(self):
        binary = self.take(b"~")
        size = int(self.match(rb"\{(\d+)\}\r\n", "literal")[1:-3])
        found = self.data[self.at:self.at + size]
        self.at += size
        if not binary and b"\0" in found:
            self.fail("NUL in a literal that is no literal8")
        return Literal(found)

    def nstring(self):
        if self.peek() == b'"':
            return self.quoted()
        if self.peek() in (b"{", b"~"):
            return self.literal()
        if self.match(rb"[Nn][Ii][Ll]", "string or NIL"):
            return None

    def value(self):
        """Any value: None, bytes, Atom (or flag), or a list."""
        # A stack instead of recursion: the depth is the server's to choose.
        stack = [[]]
        while True:
            if self.take(b"("):
                stack.append([])
                if self.take(b")"):
                    done = stack.pop()
                    stack[-1].append(done)
                else:
                    continue
            elif self.peek() in (b'"', b"{", b"~"):
                stack[-1].append(self.nstring())
            else:
                word = Atom(self.match(rb"[^\x00-\x20\x7f-\xff(){\"%]+", "value"))
                stack[-1].append(None if word.upper() == b"NIL" else word)
            while len(stack) > 1 and self.take(b")"):
                done = stack.pop()
                stack[-1].append(done)
            if len(stack) == 1:
                return stack[0][0]
            if self.peek() == b"(":
                continue  # addresses and bodies stand side by side without a space
            self.expect(b" ")

    # FETCH (RFC 9051 §7.5.2)

    def envelope(self):
        value = self.value()
        if not isinstance(value, list) or len(value) != 10:
            self.fail("an ENVELOPE of ten")
        for part in (0, 1, 8, 9):
            self.check_nstring(value[part])
        for group in value[2:8]:
            if group is None:
                continue
            if not isinstance(group, list) or not group:
                self.fail("address list or NIL")
            for address in group:
                if not isinstance(address, list) or len(address) != 4:
                    self.fail("an address of four")
                for part in address:
                    self.check_nstring(part)
        return value

    def check_nstring(self, value):
        if value is not None and (isinstance(value, (list, Atom))):
            self.fail(f"{value!r} is no nstring")

    def structure(self, extended):
        value = self.value()
        self.check_structure(value, extended)
        return value

    def check_structure(self, top, extended):
        work = [top]
        while work:
            value = work.pop()
            if not isinstance(value, list) or not value:
                self.fail("body expected")
            if isinstance(value[0], list):  # multipart
                parts = [v for v in value]
                count = next((i for i, v in enumerate(parts) if not isinstance(v, list)), len(parts))
                if count == len(parts):
                    self.fail("multipart without a subtype")
                work += parts[:count]
                self.check_nstring(parts[count])
                rest = parts[count + 1:]
                if rest and not extended:
                    self.fail("extension data in BODY")
                if rest:
                    self.check_params(rest[0])
                    self.check_extension(rest[1:])
                continue
            if len(value) < 7:
                self.fail("body of one part too short")
            kind, subtype = value[0], value[1]
            for v in (kind, subtype, *value[3:6]):
                self.check_nstring(v)
            self.check_params(value[2])
            self.check_number(value[6])
            rest = value[7:]
            if kind.upper() == b"MESSAGE" and subtype.upper() in (b"RFC822", b"GLOBAL") and rest and isinstance(
                    rest[0], list):
                if len(rest) < 3 or len(rest[0]) != 10:
                    self.fail("message/rfc822 without envelope, body, lines")
                work.append(rest[1])
                self.check_number(rest[2])
                rest = rest[3:]
            elif kind.upper() == b"TEXT":
                if not rest:
                    self.fail("text without lines")
                self.check_number(rest[0])
                rest = rest[1:]
            if rest and not extended:
                self.fail("extension data in BODY")
            if rest:
                self.check_nstring(rest[0])
                self.check_extension(rest[1:])

    def check_extension(self, rest):
        if rest and rest[0] is not None:
            if not isinstance(rest[0], list) or len(rest[0]) != 2:
                self.fail("disposition of two, or NIL")
            self.check_nstring(rest[0][0])
            self.check_params(rest[0][1])

    def check_params(self, value):
        if value is None:
            return
        if not isinstance(value, list) or len(value) % 2:
            self.fail("parameters come in pairs")
        for v in value:
            self.check_nstring(v)

    def check_number(self, value):
        if not isinstance(value, Atom) or not value.isdigit():
            self.fail(f"{value!r} is no number")

    def fetch_items(self):
        """{name: value} of a FETCH response; section names as the server wrote them, in upper case."""
        self.expect(b"(")
        found = {}
        while True:
            name = self.match(rb"[A-Za-z0-9.-]+", "item name").upper()
            if self.peek() == b"[":
                section = self.match(rb"\[[^\]\r\n\"{]*(?:\"[^\"]*\"[^\]\r\n\"]*)*\]", "section")
                name += section.upper() if b"HEADER.FIELDS" in section.upper() else section
                if self.peek() == b"<":
                    name += self.match(rb"<\d+>", "origin")
            self.expect(b" ")
            if name == b"FLAGS":
                value = self.value()
                if not isinstance(value, list) or not all(isinstance(v, Atom) for v in value):
                    self.fail("flag list")
            elif name in (b"UID", b"RFC822.SIZE", b"X-GM-MSGID", b"X-GM-THRID") or name.startswith(b"BINARY.SIZE["):
                value = self.number()
            elif name == b"INTERNALDATE":
                value = self.quoted()
                if not re.fullmatch(rb"[ \d]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}", value):
                    self.fail("date-time")
            elif name == b"ENVELOPE":
                value = self.envelope()
            elif name in (b"BODYSTRUCTURE", b"BODY"):
                value = self.structure(name == b"BODYSTRUCTURE")
            elif name.startswith((b"BODY[", b"BINARY[")) or name in (b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT",
                                                                      b"PREVIEW"):
                value = self.nstring()
            elif name == b"MODSEQ":
                value = self.value()
                if not isinstance(value, list) or len(value) != 1 or not value[0].isdigit():
                    self.fail("(mod-sequence)")
            elif name in (b"EMAILID", b"THREADID", b"SAVEDATE", b"X-GM-LABELS"):
                value = self.value()
            else:
                self.fail(f"unknown FETCH item {name!r}")
            if not self.lenient and name in found and found[name] != value:
                self.fail(f"{name!r} twice, not the same")
            found[name] = value
            if self.take(b")"):
                break
            self.expect(b" ")
        if not self.end():
            self.fail("octets behind the FETCH response")
        return found


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
        """Of SEARCH, SORT, or ESEARCH's ALL."""
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
            if not self.selected_now:
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

    @property
    def selected_now(self):
        return self.selected

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
