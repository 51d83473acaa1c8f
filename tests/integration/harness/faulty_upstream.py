"""An IMAP and POP3 upstream that misbehaves as it is told: the local part of the login names the fault.

Between its faults it is a small honest server whose mailbox is `messages`, kept octet for octet (bare LF too, which
no real server at hand keeps). Every connection has a thread of its own.
"""

import base64
import contextlib
import re
import socket
import ssl
import threading

from .imap_grammar import quote

CAPABILITIES = b"IMAP4rev1 LITERAL+ SASL-IR ENABLE UIDPLUS MOVE ESEARCH UNSELECT IDLE NAMESPACE CHILDREN SPECIAL-USE AUTH=PLAIN"
MESSAGE = (b"Return-Path: <cnry9001x@dom9001y.test>\r\nReceived: from mx.dom9002y.test by mx.provider.test; Thu, 01 Jan 2026 "
           b"10:51:00 +0900\r\nReceived: from here.dom9003y.test by mx.provider.test; Thu, 01 Jan 2026 10:51:00 +0900\r\n"
           b"From: Taro <cnry9004x@dom9004y.test>\r\nTo: pta@school.example\r\nSubject: hello\r\n"
           b"Message-ID: <cnry9005x@dom9005y.test>\r\n\r\nHello, reader.\r\n")


class Gone(Exception):
    """The connection is at its end."""


class Connection:
    """What faults work with: one connection of the gateway."""

    def __init__(self, server, sock):
        self.server, self.sock, self.file = server, sock, sock.makefile("rb")
        self.fault, self.user = None, ""
        self.tag = b""

    def send(self, *pieces):
        try:
            for piece in pieces:
                self.sock.sendall(piece)
        except OSError as error:
            raise Gone() from error

    def line(self):
        try:
            line = self.file.readline()
        except OSError as error:
            raise Gone() from error
        if not line.endswith(b"\n"):
            raise Gone()
        return line.rstrip(b"\r\n")

    def hang(self):
        """Says nothing more until the other side gives up."""
        while True:
            self.line()

    def pour(self, octets, total):
        """As much as is taken, up to `total` octets; then closes."""
        sent = 0
        while sent < total:
            self.send(octets)
            sent += len(octets)
        raise Gone()

    def close(self):
        raise Gone()

    # IMAP

    def imap(self):
        greet = self.server.greeting
        if greet:
            greet(self)
        self.send(b"* OK [CAPABILITY " + CAPABILITIES + b"] ready\r\n")
        while True:
            line = self.line()
            literals = []
            while (mark := re.search(rb"\{(\d+)(\+?)\}$", line)):
                if not mark.group(2):
                    self.send(b"+ go on\r\n")
                literals.append(self.file.read(int(mark.group(1))))
                line = line[:mark.start()] + quote_any(literals[-1]) + self.line()
            self.tag, _, rest = line.partition(b" ")
            name, _, arguments = rest.partition(b" ")
            name = name.upper()
            if name == b"UID":
                name, _, arguments = arguments.partition(b" ")
                name = b"UID " + name.upper()
            hook = self.server.faults.get(self.fault, {}).get(name.decode())
            if hook:
                hook(self)
            self.obey(name, arguments)

    def tagged(self, text=b"OK done"):
        self.send(self.tag + b" " + text + b"\r\n")

    def obey(self, name, arguments):
        messages = self.server.messages
        if name == b"LOGIN":
            self.logged_in(re.match(rb'"?([^" ]+)', arguments).group(1).decode())
        elif name == b"AUTHENTICATE":
            data = arguments.split(b" ")[1] if b" " in arguments else b""
            if not data:
                self.send(b"+ \r\n")
                data = self.line()
            self.logged_in(base64.b64decode(data).split(b"\0")[1].decode())
        elif name == b"CAPABILITY":
            self.send(b"* CAPABILITY " + CAPABILITIES + b"\r\n")
            self.tagged()
        elif name in (b"SELECT", b"EXAMINE"):
            self.send(b"* FLAGS (\\Seen \\Deleted)\r\n* %d EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] ok\r\n"
                      b"* OK [UIDNEXT %d] ok\r\n" % (len(messages), len(messages) + 1))
            self.tagged(b"OK [READ-WRITE] open")
        elif name == b"LIST":
            self.send(b'* LIST () "/" INBOX\r\n')
            self.tagged()
        elif name in (b"FETCH", b"UID FETCH"):
            numbers, _, items = arguments.partition(b" ")
            for number in self.numbers(numbers):
                self.send(b"* %d FETCH (" % number + self.items(number, items, name.startswith(b"UID")) + b")\r\n")
            self.tagged()
        elif name in (b"SEARCH", b"UID SEARCH"):
            self.send(b"* SEARCH" + b"".join(b" %d" % (n + 1) for n in range(len(messages))) + b"\r\n")
            self.tagged()
        elif name == b"LOGOUT":
            self.send(b"* BYE bye\r\n")
            self.tagged()
            raise Gone()
        elif name == b"IDLE":
            self.send(b"+ idling\r\n")
            self.line()
            self.tagged()
        else:
            self.tagged()

    def logged_in(self, user):
        self.user, self.fault = user, user.split("@")[0]
        hook = self.server.faults.get(self.fault, {}).get("login")
        if hook:
            hook(self)
        self.tagged(b"OK [CAPABILITY " + CAPABILITIES + b"] logged in")

    def numbers(self, text):
        count, found = len(self.server.messages), []
        for piece in text.split(b","):
            first, _, last = piece.replace(b"*", b"%d" % count).partition(b":")
            low, high = sorted((int(first), int(last or first)))
            found += range(max(1, low), min(high, count) + 1)
        return found

    def items(self, number, items, uid):
        """The honest answer: FLAGS, UID, RFC822.SIZE, INTERNALDATE, and BODY[] of "", HEADER, TEXT, 1."""
        message = self.server.messages[number - 1]
        end = re.search(rb"\r?\n\r?\n", message)
        head = message[:end.end()] if end else message
        text = message[len(head):]
        out = [b"UID %d" % number] if uid and b"UID" not in items.strip(b"()").split() else []
        for item in re.findall(rb"BODY(?:\.PEEK)?\[[^\]]*\](?:<\d+\.\d+>)?|[A-Z0-9.]+", items.upper()):
            if item.startswith(b"BODY") and b"[" in item:
                section = re.search(rb"\[(.*)\]", item).group(1)
                data = {b"": message, b"HEADER": head, b"TEXT": text, b"1": text,
                        b"1.MIME": b"Content-Type: text/plain\r\n\r\n"}.get(section, b"")
                name = b"BODY[" + section + b"]"
                partial = re.search(rb"<(\d+)\.(\d+)>", item)
                if partial:
                    first, length = map(int, partial.groups())
                    data, name = data[first:first + length], name + b"<%d>" % first
                out.append(name + b" {%d}\r\n" % len(data) + data)
            elif item == b"FLAGS":
                out.append(b"FLAGS ()")
            elif item == b"UID":
                out.append(b"UID %d" % number)
            elif item == b"RFC822.SIZE":
                out.append(b"RFC822.SIZE %d" % len(message))
            elif item == b"INTERNALDATE":
                out.append(b'INTERNALDATE "01-Jan-2026 10:51:00 +0900"')
            elif item == b"BODYSTRUCTURE":
                out.append(b'BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" %d %d NIL NIL NIL NIL)' % (
                    len(text), text.count(b"\n")))
            elif item == b"ENVELOPE":
                out.append(b"ENVELOPE " + envelope(head))
        return b" ".join(out)

    # POP3

    def pop3(self):
        if self.server.greeting:
            self.server.greeting(self)
        self.send(b"+OK ready\r\n")
        user, messages = "", self.server.messages
        while True:
            words = self.line().split(b" ")
            name = words[0].upper()
            hook = self.server.faults.get(self.fault, {}).get("POP3 " + name.decode("latin-1"))
            if hook:
                hook(self)
            number = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
            if name == b"CAPA":
                self.send(b"+OK\r\nUSER\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nSASL PLAIN\r\n.\r\n")
            elif name == b"USER":
                user = words[1].decode()
                self.send(b"+OK\r\n")
            elif name in (b"PASS", b"AUTH"):
                if name == b"AUTH":
                    data = words[2] if len(words) > 2 else (self.send(b"+ \r\n"), self.line())[1]
                    user = base64.b64decode(data).split(b"\0")[1].decode()
                self.fault = user.split("@")[0]
                hook = self.server.faults.get(self.fault, {}).get("login")
                if hook:
                    hook(self)
                self.send(b"+OK logged in\r\n")
            elif name == b"STAT":
                self.send(b"+OK %d %d\r\n" % (len(messages), sum(map(len, messages))))
            elif name in (b"LIST", b"UIDL"):
                def value(n):
                    return b"%d" % len(messages[n - 1]) if name == b"LIST" else b"u%d" % n
                if number:
                    self.send(b"+OK %d " % number + value(number) + b"\r\n")
                else:
                    self.send(b"+OK\r\n" + b"".join(b"%d %s\r\n" % (n, value(n)) for n in range(1, len(messages) + 1)) + b".\r\n")
            elif name in (b"RETR", b"TOP"):
                text = messages[number - 1]
                if name == b"TOP":
                    head, _, body = text.partition(b"\r\n\r\n")
                    text = head + b"\r\n\r\n" + b"".join(line + b"\r\n" for line in body.split(b"\r\n")[:int(words[2])] if line)
                text += b"" if text.endswith(b"\r\n") else b"\r\n"
                self.send(b"+OK\r\n" + re.sub(rb"(?m)^\.", b"..", text) + b".\r\n")
            elif name == b"QUIT":
                self.send(b"+OK bye\r\n")
                raise Gone()
            else:
                self.send(b"+OK\r\n")


def quote_any(data):
    """A literal put where it stood, so that the command can be looked at as one line."""
    return bytes(quote(data[:900].replace(b"\r", b" ").replace(b"\n", b" ")))


def envelope(head):
    """Of the simplest headers: one address a field."""
    def field(name):
        found = re.search(rb"(?im)^" + name + rb": ?(.*?)\r?$", head)
        return found.group(1) if found else None

    def string(text):
        return b"NIL" if text is None else bytes(b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"')

    def addresses(text):
        found = re.match(rb"(?:(.*?) ?<)?([^<>@]+)@([^<>]+)>?", text or b"")
        if not found:
            return b"NIL"
        return b"((%s NIL %s %s))" % (string(found.group(1) or None), string(found.group(2)), string(found.group(3)))
    sender, to = addresses(field(b"From")), addresses(field(b"To"))
    return b"(%s %s %s %s %s %s NIL NIL NIL %s)" % (string(field(b"Date")), string(field(b"Subject")), sender, sender, sender,
                                                   to, string(field(b"Message-ID")))


class FaultyUpstream:
    """`faults`: {local part of the login: {command, "login" or "POP3 command": function(connection)}}; a hook that
    returns lets the honest answer follow. `greeting`, when set, runs before every greeting; without a `context` there is
    no TLS."""

    def __init__(self, space, authority, faults, messages=(MESSAGE,) * 3, hostname="localhost"):
        self.faults, self.messages = faults, list(messages)
        certificate, key = authority.issue(hostname, "127.0.0.1", file="faulty")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.greeting = None
        self.connections = set()
        self.listeners = {"imap": self._listen(), "pop3": self._listen()}
        self.imaps, self.pop3s = (self.listeners[n].getsockname()[1] for n in ("imap", "pop3"))
        space.add(self)

    @staticmethod
    def _listen():
        listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        return listener

    def start(self):
        for protocol, listener in self.listeners.items():
            threading.Thread(target=self._accept, args=(protocol, listener), daemon=True).start()
        return self

    def _accept(self, protocol, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(protocol, sock), daemon=True).start()

    def _serve(self, protocol, sock):
        with contextlib.suppress(Gone, OSError, ValueError, IndexError, AttributeError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.context.wrap_socket(sock, server_side=True) if self.context else sock as wrapped:
                self.connections.add(wrapped)
                getattr(Connection(self, wrapped), protocol)()
        sock.close()

    def stop(self):
        for listener in self.listeners.values():
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for sock in list(self.connections):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
