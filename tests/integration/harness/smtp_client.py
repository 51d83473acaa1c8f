"""An SMTP client that says exactly what a test tells it to, one octet at a time if need be."""

import base64
import re
import socket
import ssl


class Reply:
    """One reply; `code` is None when the server closed the connection instead."""

    def __init__(self, code, lines):
        self.code, self.lines = code, lines

    @property
    def text(self):
        return " ".join(self.lines)

    @property
    def enhanced(self):
        found = re.match(r"([245]\.\d{1,3}\.\d{1,3})\b", self.text)
        return found.group(1) if found else None

    def __eq__(self, other):
        return isinstance(other, Reply) and (self.code, self.lines) == (other.code, other.lines)

    def __repr__(self):
        return f"<{self.code} {self.text}>"


CLOSED = Reply(None, [])


class Client:
    def __init__(self, port, host="127.0.0.1", timeout=60, greet=True, tls=None, server_name="mx.school.example",
                 before=b"", source=None):
        """`tls`: an SSL context for TLS from the first octet. `before`: octets sent ahead of everything (PROXY)."""
        self.socket = socket.create_connection((host, port), timeout=timeout,
                                               source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.extensions = {}
        if before:
            self.socket.sendall(before)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self.greeting = self.reply() if greet else None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.socket.close()

    # Octets

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """Sends as much as the server takes; False when it closed meanwhile."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            return False

    def line(self):
        while b"\n" not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                more = b""
            if not more:
                return None
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def reply(self):
        lines = []
        while True:
            line = self.line()
            if line is None:
                return CLOSED
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), lines)

    def closed(self):
        """Waits for the server to close; true when it does so without another word."""
        return self.line() is None

    # Commands

    def command(self, text):
        self.send((text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return self.reply()

    def pipeline(self, *commands):
        """Sends all at once, then reads one reply for each."""
        self.send(b"".join((c if isinstance(c, bytes) else c.encode()) + b"\r\n" for c in commands))
        return [self.reply() for _ in commands]

    def ehlo(self, name="client.test"):
        reply = self.command("EHLO " + name)
        self.extensions = {}
        for line in reply.lines[1:]:
            words = line.split(" ", 1)
            self.extensions[words[0].upper()] = words[1] if len(words) > 1 else ""
        return reply

    def starttls(self, context, server_name="mx.school.example"):
        reply = self.command("STARTTLS")
        if reply.code == 220:
            self.socket = context.wrap_socket(self.socket, server_hostname=server_name)
            self.buffer = b""
        return reply

    def auth_plain(self, user, password):
        return self.command("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())

    def mail(self, sender, parameters=""):
        return self.command(f"MAIL FROM:<{sender}>" + (" " + parameters if parameters else ""))

    def rcpt(self, recipient, parameters=""):
        return self.command(f"RCPT TO:<{recipient}>" + (" " + parameters if parameters else ""))

    def data(self, message):
        """DATA with the message, dot-stuffed; the last reply."""
        reply = self.command("DATA")
        if reply.code != 354:
            return reply
        self.try_send(stuff(message))
        return self.reply()

    def bdat(self, *chunks):
        """The same with CHUNKING; the last reply."""
        reply = None
        for index, chunk in enumerate(chunks):
            last = " LAST" if index == len(chunks) - 1 else ""
            self.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            reply = self.reply()
            if reply.code != 250:
                return reply
        return reply

    def quit(self):
        reply = self.command("QUIT")
        self.close()
        return reply


def stuff(message):
    """Dot-stuffed with the end of data (RFC 5321 §4.5.2)."""
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def send(port, sender, recipients, message, parameters="", **options):
    """One whole transaction. The reply is that of the step that ended it; `recipients` is a string or a list."""
    if isinstance(recipients, str):
        recipients = [recipients]
    with Client(port, **options) as client:
        client.ehlo()
        reply = client.mail(sender, parameters)
        if reply.code != 250:
            return reply
        for recipient in recipients:
            reply = client.rcpt(recipient)
            if reply.code != 250:
                return reply
        reply = client.data(message)
        client.try_send(b"QUIT\r\n")
        return reply


def submit(port, context, user, password, sender, recipients, message, implicit=False, parameters="",
           server_name="mx.school.example"):
    """One whole transaction of a member's mail program, its recipients pipelined. The reply is that of the step that
    ended it."""
    if isinstance(recipients, str):
        recipients = [recipients]
    with Client(port, tls=context if implicit else None, server_name=server_name) as client:
        client.ehlo()
        if not implicit:
            reply = client.starttls(context, server_name)
            if reply.code != 220:
                return reply
            client.ehlo()
        reply = client.auth_plain(user, password)
        if reply.code != 235:
            return reply
        envelope = [f"MAIL FROM:<{sender}>" + (" " + parameters if parameters else "")]
        for reply in client.pipeline(*envelope, *(f"RCPT TO:<{recipient}>" for recipient in recipients)):
            if reply.code != 250:
                return reply
        reply = client.data(message)
        client.try_send(b"QUIT\r\n")
        return reply
