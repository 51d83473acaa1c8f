"""A next hop that records what it gets and fails where a test tells it to: what a real MTA cannot be made to do.

A fault names the stage at which it acts, and how: with a reply (which refuses), by closing, or by hanging until
release(). Stages: connect, ehlo, starttls, auth, mail, rcpt, data, body (after some octets), dot.
"""

import base64
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

from .ports import free_port
from .waiting import TimedOut


@dataclass
class Envelope:
    sender: str
    parameters: str
    recipients: list = field(default_factory=list)
    data: bytes = b""  # dots unstuffed
    tls: bool = False
    helo: str = ""
    login: str = ""
    connection: int = 0
    began: float = 0.0  # when MAIL came, by time.monotonic()

    @property
    def recipient(self):
        return self.recipients[0]

    @property
    def header(self):
        return self.data.split(b"\r\n\r\n", 1)[0] + b"\r\n"

    @property
    def body(self):
        return self.data.split(b"\r\n\r\n", 1)[1]


@dataclass
class Fault:
    stage: str
    reply: str = ""  # e.g. "451 4.3.0 no"
    action: str = ""  # "close", "hang", "keep_close" (dot only: keeps the message, closes without an answer)
    times: int = -1  # how often it acts; -1: always
    match: str = ""  # only when the command's text holds this (rcpt, mail)
    after: int = 0  # body only: octets


class Sink:
    def __init__(self, space, port=None, context=None, implicit=False, extensions=("PIPELINING", "8BITMIME", "SMTPUTF8",
                 "ENHANCEDSTATUSCODES", "SIZE 0"), login=None):
        """`context`: server side SSL context; with it STARTTLS is offered, or used at once when `implicit`."""
        self.port = port or free_port()
        self.context, self.implicit, self.extensions, self.login = context, implicit, list(extensions), login
        self.changed = threading.Condition()
        self.messages = []
        self.commands = []  # (connection, text) of everything that was said
        self.faults = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.hanging = 0
        self._release = threading.Event()
        self._sockets = set()
        self._listener = None
        space.add(self)

    def start(self):
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def stop(self):
        """Closes the port and every connection."""
        self.release()
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.close_all()

    def close_all(self):
        """Closes every connection, and returns when their threads are through with them."""
        with self.changed:
            for connection in list(self._sockets):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.wait(lambda s: s.open == 0, 10, "connections to end")

    def fail(self, stage, **how):
        with self.changed:
            self.faults.append(Fault(stage, **how))

    def heal(self):
        with self.changed:
            self.faults.clear()
        self.release()

    def release(self):
        """Lets go of what hangs: those connections are closed."""
        self._release.set()
        self._release = threading.Event()

    def clear(self):
        with self.changed:
            self.messages.clear()
            self.commands.clear()

    def wait(self, predicate, seconds=30.0, what="the sink"):
        """Waits until predicate(sink) is true; woken by every command, message, connection and fault."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not predicate(self):
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    if predicate(self):
                        break
                    raise TimedOut(f"waited {seconds:g} s in vain for {what}; {len(self.messages)} messages")

    def wait_messages(self, count, seconds=30.0):
        self.wait(lambda s: len(s.messages) >= count, seconds, f"{count} messages")
        return list(self.messages)

    def to(self, recipient):
        """Messages whose recipient is this one."""
        with self.changed:
            return [m for m in self.messages if recipient in m.recipients]

    # The server

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as MTAs do
            except OSError:
                return
            with self.changed:
                self.connections += 1
                self.open += 1
                self.most_open = max(self.most_open, self.open)
                self._sockets.add(connection)
                number = self.connections
                self.changed.notify_all()
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        session = _Session(self, connection, number)
        try:
            session.run()
        except (OSError, ssl.SSLError, ValueError, _Close):
            pass
        finally:
            with self.changed:
                self.open -= 1
                self._sockets -= {connection, session.socket}
                self.changed.notify_all()
            if session.stream:
                try:
                    session.stream.close()
                except OSError:
                    pass
            session.socket.close()
            connection.close()

    def take(self, stage, text="", octets=0):
        """The fault that acts now, if any."""
        with self.changed:
            for fault in self.faults:
                if fault.stage == stage and fault.match in text and octets >= fault.after and fault.times != 0:
                    fault.times -= 1
                    self.changed.notify_all()
                    return fault
        return None

    def hang(self):
        release = self._release
        with self.changed:
            self.hanging += 1
            self.changed.notify_all()
        release.wait(120)
        with self.changed:
            self.hanging -= 1
            self.changed.notify_all()
        raise _Close


class _Close(Exception):
    pass


class _Session:
    def __init__(self, sink, connection, number):
        self.sink, self.socket, self.number = sink, connection, number
        self.stream = None
        self.tls = False
        self.helo = self.user = ""

    def run(self):
        if self.sink.implicit:
            self._secure()
        else:
            self.stream = self.socket.makefile("rwb")
        if not self._stage("connect"):
            raise _Close
        self._say("220 sink.test ESMTP")
        envelope = None
        while True:
            line = self.stream.readline(100_000)
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            verb = text.split(" ", 1)[0].upper()
            with self.sink.changed:
                self.sink.commands.append((self.number, text))
                self.sink.changed.notify_all()
            if verb in ("EHLO", "HELO"):
                self.helo = text[5:]
                if self._stage("ehlo"):
                    self._ehlo()
            elif verb == "STARTTLS":
                if self._stage("starttls"):
                    self._say("220 2.0.0 go on")
                    self._secure()
            elif verb == "AUTH":
                if self._stage("auth", text):
                    self._auth(text)
            elif verb == "MAIL":
                if self._stage("mail", text):
                    path, _, parameters = text[text.index("<") + 1:].partition(">")
                    envelope = Envelope(path, parameters.strip(), tls=self.tls, helo=self.helo, login=self.user,
                                        connection=self.number, began=time.monotonic())
                    self._say("250 2.1.0 ok")
            elif verb == "RCPT":
                if envelope is None:
                    self._say("503 5.5.1 MAIL first")
                elif self._stage("rcpt", text):
                    envelope.recipients.append(_path(text))
                    self._say("250 2.1.5 ok")
            elif verb == "DATA":
                if envelope is None or not envelope.recipients:
                    self._say("503 5.5.1 RCPT first")
                elif self._stage("data"):
                    self._say("354 go on")
                    self._data(envelope)
                    envelope = None
            elif verb == "RSET":
                envelope = None
                self._say("250 2.0.0 ok")
            elif verb == "NOOP":
                self._say("250 2.0.0 ok")
            elif verb == "QUIT":
                self._say("221 2.0.0 bye")
                return
            else:
                self._say("500 5.5.2 what?")

    def _secure(self):
        self.socket = self.sink.context.wrap_socket(self.socket, server_side=True)
        with self.sink.changed:
            self.sink._sockets.add(self.socket)
        self.stream = self.socket.makefile("rwb")
        self.tls = True

    def _ehlo(self):
        lines = ["sink.test", *self.sink.extensions]
        if self.sink.context and not self.tls:
            lines.append("STARTTLS")
        if self.sink.login and (self.tls or not self.sink.context):
            lines.append("AUTH PLAIN")
        for line in lines[:-1]:
            self._say("250-" + line)
        self._say("250 " + lines[-1])

    def _auth(self, text):
        words = text.split()
        if len(words) < 3:
            self._say("334 ")
            words.append(self.stream.readline().decode().strip())
        _, user, password = base64.b64decode(words[2]).decode().split("\0")
        if (user, password) == self.sink.login:
            self.user = user
            self._say("235 2.7.0 ok")
        else:
            self._say("535 5.7.8 no")

    def _data(self, envelope):
        parts, octets = [], 0
        body_fault = any(f.stage == "body" for f in self.sink.faults)
        while True:
            line = self.stream.readline()
            if not line:
                return
            if line == b".\r\n":
                break
            octets += len(line)
            parts.append(line[1:] if line.startswith(b".") else line)
            if body_fault:
                fault = self.sink.take("body", envelope.recipients[0], octets)
                if fault:
                    self._act(fault)
        envelope.data = b"".join(parts)
        fault = self.sink.take("dot", " ".join(envelope.recipients))
        if fault and fault.action == "keep_close":
            self._keep(envelope)
            raise _Close
        if not fault or self._act(fault):
            self._keep(envelope)
            self._say("250 2.0.0 kept")

    def _keep(self, envelope):
        with self.sink.changed:
            self.sink.messages.append(envelope)
            self.sink.changed.notify_all()

    def _stage(self, stage, text=""):
        """True: go on as usual."""
        fault = self.sink.take(stage, text)
        return self._act(fault) if fault else True

    def _act(self, fault):
        if fault.action == "close":
            raise _Close
        if fault.action == "hang":
            self.sink.hang()
        self._say(fault.reply)
        if fault.reply.startswith("421"):
            raise _Close
        return False

    def _say(self, line):
        self.stream.write(line.encode() + b"\r\n")
        self.stream.flush()


def _path(text):
    """What stands between the brackets of RCPT; a quoted local part may hold one itself."""
    inner = text[text.index("<") + 1:]
    if inner.startswith('"'):
        end = 1
        while inner[end] != '"':
            end += 2 if inner[end] == "\\" else 1
        return inner[:inner.index(">", end)]
    return inner[:inner.index(">")]
