"""The grammar of IMAP responses (RFC 9051 §9), strict: what breaks it fails the test."""

import re

ATOM_SPECIALS = frozenset(b'(){ %*"\\]') | frozenset(range(0, 32)) | {127}


class ProtocolError(AssertionError):
    """The server said what no IMAP server may say."""


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
