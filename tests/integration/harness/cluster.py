"""Redis Cluster: real servers, three masters, and a replica for each when a test asks for them."""

import os

from .ports import free_port
from .redis import Redis, RedisError
from .waiting import wait_for

SLOTS = 16384
MASTERS = 3


class Member(Redis):
    """One server of a cluster."""

    def __init__(self, space, name, password, tls):
        super().__init__(space, name=name, port=free_port())
        self.bus = free_port()
        words = ["cluster-enabled", "yes", "cluster-config-file", os.path.join(self.folder, "nodes.conf"),
                 "cluster-port", str(self.bus), "cluster-node-timeout", "1500", "cluster-replica-validity-factor", "0",
                 "repl-diskless-sync-delay", "0"]
        if tls:
            certificate, key, authority = tls
            words += ["port", "0", "tls-port", str(self.port), "tls-cluster", "yes", "tls-replication", "yes",
                      "tls-auth-clients", "no", "tls-cert-file", certificate, "tls-key-file", key,
                      "tls-ca-cert-file", authority]
        if password:
            words += ["requirepass", password, "masterauth", password]
            self.password = password
        self.arguments = [f"--{word}" if number % 2 == 0 else word for number, word in enumerate(words)]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def id(self):
        return self.call("CLUSTER", "MYID")

    def info(self, key):
        lines = self.call("CLUSTER", "INFO").decode().split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)[key]

    def count(self, pattern):
        return len(self.call("KEYS", pattern))

    def calls(self, command):
        """How often a command was carried out."""
        for line in self.call("INFO", "commandstats").decode().split("\r\n"):
            if line.startswith(f"cmdstat_{command}:"):
                return int(line.split("calls=")[1].split(",")[0])
        return 0

    def redirections(self, kind):
        """How often it answered MOVED or ASK."""
        for line in self.call("INFO", "errorstats").decode().split("\r\n"):
            if line.startswith(f"errorstat_{kind}:"):
                return int(line.split("count=")[1])
        return 0


class Cluster:
    """`tls`: certificate, key and authority; everything then speaks TLS with everything."""

    def __init__(self, space, replicas=0, password=None, tls=None):
        self.masters = [Member(space, f"m{n}", password, tls).start() for n in range(MASTERS)]
        self.replicas = [Member(space, f"r{n}", password, tls).start() for n in range(MASTERS * replicas)]
        self.servers = self.masters + self.replicas
        step = SLOTS // MASTERS + 1
        for number, master in enumerate(self.masters):
            master.call("CLUSTER", "ADDSLOTSRANGE", str(number * step), str(min(SLOTS, (number + 1) * step) - 1))
            master.call("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for other in self.servers[1:]:
            self.masters[0].call("CLUSTER", "MEET", "127.0.0.1", str(other.port), str(other.bus))
        wait_for(lambda: all(int(s.info("cluster_known_nodes")) == len(self.servers) for s in self.servers), 30,
                 "the cluster to know its servers")
        for number, replica in enumerate(self.replicas):
            wait_for(lambda replica=replica, master=self.masters[number % MASTERS]: self._replicate(replica, master), 20,
                     "a master to be replicated")
        wait_for(lambda: all(s.info("cluster_state") == "ok" for s in self.servers), 30, "the cluster to be well")
        for replica in self.replicas:
            wait_for(lambda replica=replica: b"master_link_status:up" in replica.call("INFO", "replication"), 30,
                     "a replica")

    @staticmethod
    def _replicate(replica, master):
        try:
            return replica.call("CLUSTER", "REPLICATE", master.id()) == "OK"
        except RedisError:
            return False  # it does not know that server yet

    def config(self, **more):
        """The [redis] section."""
        return {"cluster": [server.address for server in self.servers[:MASTERS]], "connect_timeout": "1s",
                "command_timeout": "1s", **more}

    def slot(self, key):
        return int(self.servers[0].call("CLUSTER", "KEYSLOT", key))

    def owner(self, key, seen_by=None):
        """The master of a key, as a server sees it that runs."""
        slot = self.slot(key) if not seen_by else int(seen_by.call("CLUSTER", "KEYSLOT", key))
        for first, last, master, *_ in (seen_by or self.servers[0]).call("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                port = int(master[1])
                return next(server for server in self.servers if server.port == port)
        raise AssertionError(f"nobody has slot {slot}")

    def count(self, pattern):
        return sum(master.count(pattern) for master in self.masters)

    def begin_move(self, slot, source, target):
        target.call("CLUSTER", "SETSLOT", str(slot), "IMPORTING", source.id())
        source.call("CLUSTER", "SETSLOT", str(slot), "MIGRATING", target.id())

    def move_key(self, key, source, target):
        return source.call("MIGRATE", "127.0.0.1", str(target.port), key, "0", "5000")

    def end_move(self, slot, source, target):
        for key in source.call("CLUSTER", "GETKEYSINSLOT", str(slot), "1000"):
            self.move_key(key, source, target)
        for server in (target, source):
            server.call("CLUSTER", "SETSLOT", str(slot), "NODE", target.id())
