"""Posting web forms: raw HTTP as browsers and others write it, over TLS or not."""

import json
import re
import socket
import urllib.parse

BOUNDARY = "----WebKitFormBoundaryk3Xw0ZC1cOyzI7Bn"


def part(name, value, file_name=None, type=None, boundary=BOUNDARY):
    octets = lambda text: text if isinstance(text, bytes) else text.encode()
    head = b'--' + octets(boundary) + b'\r\nContent-Disposition: form-data; name="' + octets(name) + b'"'
    if file_name is not None:
        head += b'; filename="' + octets(file_name) + b'"'
    if type:
        head += b"\r\nContent-Type: " + octets(type)
    return head + b"\r\n\r\n" + octets(value) + b"\r\n"


def multipart(fields, files=(), boundary=BOUNDARY):
    """(Content-Type, content); `files`: (field, file name, type, octets)."""
    content = b"".join(part(k, v, boundary=boundary) for k, v in fields)
    content += b"".join(part(f, v, n, t, boundary=boundary) for f, n, t, v in files)
    return f"multipart/form-data; boundary={boundary}", content + f"--{boundary}--\r\n".encode()


def urlencoded(fields, charset="utf-8"):
    return ("application/x-www-form-urlencoded",
            urllib.parse.urlencode(fields, encoding=charset, errors="xmlcharrefreplace").encode())


def as_json(fields):
    return "application/json", json.dumps(dict(fields)).encode()


class Answer:
    def __init__(self, octets):
        head, _, self.content = octets.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head, _, self.content = self.content.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0] else None
        self.fields = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]

    def field(self, name):
        found = [v for n, v in self.fields if n == name.lower()]
        assert len(found) < 2, found
        return found[0] if found else None

    @property
    def text(self):
        return self.content.decode()

    @property
    def code(self):
        """The outcome, whichever way it is told."""
        if self.field("content-type") == "application/json":
            return json.loads(self.content)["code"]
        found = re.search(r'data-code="(\w+)"', self.text)
        return found and found.group(1)

    def __repr__(self):
        return f"{self.status} {self.fields} {self.content[:300]!r}"


def connect(port, tls=None):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    return tls.wrap_socket(connection, server_hostname="localhost") if tls else connection


def talk(port, octets, tls=None, close=False):
    """Sends octets (or each of a list) and reads to the connection's end."""
    with connect(port, tls) as connection:
        for piece in [octets] if isinstance(octets, bytes) else octets:
            connection.sendall(piece)
        if close:
            connection.shutdown(socket.SHUT_WR)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return Answer(found)


def request(method, path, fields=None, content=b"", framed=True):
    """One request's octets; the connection closes after it."""
    lines = [f"{method} {path} HTTP/1.1"]
    given = {"Host": "forms.test", "Connection": "close", **(fields or {})}
    if framed and (content or method == "POST"):
        given.setdefault("Content-Length", str(len(content)))
    lines += [f"{k}: {v}" for k, v in given.items() if v is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content
