"""Redis Sentinel: real ones that watch a real master and elect another when it dies."""

import os

from .ports import free_port
from .redis import Redis, RedisError
from .waiting import wait_for
from .workspace import Process

NAME = "kagemusha"


class Sentinel(Redis):
    def __init__(self, space, number, master_port, quorum, password=None, tls=""):
        super().__init__(space, name=f"sentinel{number}", port=free_port())
        self.password = password
        # It writes into its configuration what it learns.
        self.path = space.write(f"sentinel{number}/conf", f"""\
{"tls-port" if tls else "port"} {self.port}
bind 127.0.0.1
unixsocket {self.socket}
dir {self.folder}
sentinel monitor {NAME} 127.0.0.1 {master_port} {quorum}
sentinel down-after-milliseconds {NAME} 1000
sentinel failover-timeout {NAME} 5000
{tls}""" + (f"requirepass {password}\nsentinel sentinel-pass {password}\n" if password else ""))

    def start(self):
        self.process = Process(["redis-server", self.path, "--sentinel"], os.path.join(self.folder, "log"))
        wait_for(self._answers, 20, "a sentinel")
        return self


class Watched:
    """A master, a replica and three sentinels that agree. `tls`: certificate, key and authority; everything then
    speaks TLS with everything."""

    def __init__(self, space, password=None, tls=None):
        files = dict(zip(("tls-cert-file", "tls-key-file", "tls-ca-cert-file"), tls or ()))
        lines = "port 0\n" if tls else ""
        if tls:
            lines += "tls-replication yes\ntls-auth-clients no\n" + "".join(f"{k} {v}\n" for k, v in files.items())
        self.servers = [Redis(space, name=f"redis{n}", port=free_port()) for n in range(2)]
        for server in self.servers:
            server.arguments = ["--repl-diskless-sync-delay", "0"]
            if tls:
                words = f"port 0 tls-port {server.port} tls-replication yes tls-auth-clients no".split()
                words += [word for item in files.items() for word in item]
                server.arguments += [f"--{word}" if number % 2 == 0 else word for number, word in enumerate(words)]
        self.servers[0].start()
        self.servers[1].arguments += ["--replicaof", "127.0.0.1", str(self.servers[0].port)]
        self.servers[1].start()
        wait_for(lambda: b"master_link_status:up" in self.servers[1].call("INFO", "replication"), 20, "the replica")
        self.sentinels = [Sentinel(space, n, self.servers[0].port, 2, password, lines).start() for n in range(3)]
        wait_for(lambda: all(self._agrees(sentinel) for sentinel in self.sentinels), 30, "the sentinels to agree")

    @staticmethod
    def _agrees(sentinel):
        try:
            found = sentinel.call("SENTINEL", "CKQUORUM", NAME)
            return "3 usable" in found and len(sentinel.call("SENTINEL", "REPLICAS", NAME)) == 1
        except RedisError:
            return False

    def config(self):
        """The [redis] section."""
        return {"sentinels": [f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels], "sentinel_master": NAME,
                "connect_timeout": "1s", "command_timeout": "1s"}

    def master(self):
        """Which of the servers the sentinels name."""
        running = next(s for s in self.sentinels if s.process.running())
        port = int(running.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])
        return next(server for server in self.servers if server.port == port)

    def other(self, server):
        return self.servers[1 - self.servers.index(server)]
