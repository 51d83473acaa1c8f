"""A real redis-server in its own folder, on a Unix socket and, when asked, a TCP or TLS port."""

import itertools
import os
import signal
import socket

from .waiting import wait_for
from .workspace import Process


class Redis:
    def __init__(self, space, name="redis", port=0, arguments=()):
        self.folder = space.folder(name)
        self.socket = os.path.join(self.folder, "redis.sock")
        self.port, self.arguments = port, list(arguments)
        self.password = None
        self.process = None
        space.add(self)

    def start(self):
        self.process = Process(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket",
                                self.socket, "--dir", self.folder, "--appendonly", "yes", "--appendfsync", "always",
                                "--save", "", *self.arguments], os.path.join(self.folder, "log"))
        wait_for(self._answers, 20, "redis-server")
        return self

    def _answers(self):
        try:
            return self.call("PING") == "PONG"
        except OSError:
            return False
        except RedisError as error:
            return "NOAUTH" in str(error)

    def call(self, *arguments):
        """One command, one answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(self.socket)
            stream = client.makefile("rwb")
            if self.password:
                stream.write(_encode(("AUTH", self.password)))
                stream.flush()
                _reply(stream)
            stream.write(_encode(arguments))
            stream.flush()
            return _reply(stream)

    def pipeline(self, commands):
        """Many commands at once; fails at the first error."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(self.socket)
            stream = client.makefile("rwb")
            while some := list(itertools.islice(commands, 1000)):
                stream.write(b"".join(map(_encode, some)))
                stream.flush()
                for _ in some:
                    _reply(stream)

    def freeze(self):
        self.process.send(signal.SIGSTOP)

    def thaw(self):
        self.process.send(signal.SIGCONT)

    def kill(self):
        self.process.kill()

    def stop(self):
        if self.process:
            self.process.stop()

    def files(self):
        """Every octet that it keeps on disk."""
        found = b""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        found += file.read()
        return found


class RedisError(Exception):
    pass


def _encode(arguments):
    out = b"*%d\r\n" % len(arguments)
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        out += b"$%d\r\n%s\r\n" % (len(data), data)
    return out


def _reply(stream):
    line = stream.readline()
    if not line:
        raise ConnectionError("redis closed the connection")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest.decode()
    if kind == b"-":
        raise RedisError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        size = int(rest)
        return None if size < 0 else stream.read(size + 2)[:-2]
    return [_reply(stream) for _ in range(int(rest))]
