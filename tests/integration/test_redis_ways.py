"""Every way to reach a Redis of one's own (contract R9.3): Unix socket, TCP, password, ACL user, TLS; and wrong ones."""

import unittest

from harness import smtp_client
from harness.case import Case
from harness.certificates import Authority
from harness.gateway import Gateway, routes
from harness.mail import message
from harness.ports import free_port
from harness.redis import Redis
from harness.sink import Sink
from harness.small import OFFICER, PUBLIC, STRANGER


class Ways(Case):
    @classmethod
    def prepare(cls, space):
        cls.sink = Sink(space).start()
        cls.authority = Authority(space)
        cls.other = Authority(space, "other")
        certificate, key = cls.authority.issue("localhost")
        cls.plain_port, cls.tls_port = free_port(), free_port()
        cls.redis = Redis(space, port=cls.plain_port, arguments=[
            "--requirepass", "default password", "--tls-port", str(cls.tls_port), "--tls-cert-file", certificate,
            "--tls-key-file", key, "--tls-ca-cert-file", cls.authority.certificate, "--tls-auth-clients", "no"])
        cls.redis.password = "default password"
        cls.redis.start()
        cls.redis.call("ACL", "SETUSER", "kagemusha", "on", ">user password", "~*kage*", "+@all")
        cls.count = 0

    def gateway(self, key=None, **redis):
        """With `key`, the path of a master key, Redis keeps what it has."""
        type(self).count += 1
        if not key:
            self.redis.call("FLUSHALL")
        gateway = Gateway(self.space, name=f"gateway{self.count}", next_hop_port=self.sink.port,
                          **({"keys": {"master": key}} if key else {}))
        gateway.config["redis"] = {"connect_timeout": "1s", "command_timeout": "1s", **redis}
        return gateway

    def ways(self):
        tcp = {"host": "127.0.0.1", "port": self.plain_port}
        tls = {"host": "localhost", "port": self.tls_port, "tls": True, "ca_file": self.authority.certificate}
        password = self.space.write("password", "default password\n", mode=0o600)
        return {
            "unix socket": {"unix": self.redis.socket, "password": "default password"},
            "tcp": {**tcp, "password": "default password"},
            "password file": {**tcp, "password_file": password},
            "acl user": {**tcp, "username": "kagemusha", "password": "user password"},
            "tls": {**tls, "password": "default password"},
            "another database": {**tcp, "password": "default password", "database": 3},
        }

    def test_right_ways(self):
        for name, way in self.ways().items():
            with self.subTest(name):
                gateway = self.gateway(**way)
                gateway.start()
                gateway.apply(routes({PUBLIC: [OFFICER]}))
                gateway.settle(PUBLIC)
                self.sink.clear()
                self.assertReply(smtp_client.send(gateway.inbound, STRANGER, PUBLIC, message(STRANGER, PUBLIC)), 250)
                self.assertEqual(len(self.sink.messages), 1)
                gateway.stop()

    def test_wrong_ways(self):
        """Redis holds routes that would serve, and the key is right: only the way is wrong."""
        ways = self.ways()
        right = self.gateway(**ways["tcp"])
        right.apply(routes({PUBLIC: [OFFICER]}))
        for name, way in {
                "wrong password": {**ways["tcp"], "password": "no"},
                "no password": {k: v for k, v in ways["tcp"].items() if k != "password"},
                "wrong user": {**ways["acl user"], "username": "nobody"},
                "wrong authority": {**ways["tls"], "ca_file": self.other.certificate},
                "wrong name": {**ways["tls"], "host": "127.0.0.1"},
                "plain to a tls port": {**ways["tcp"], "port": self.tls_port},
                "nobody there": {**ways["tcp"], "port": free_port()}}.items():
            with self.subTest(name):
                gateway = self.gateway(right.key_path, **way)
                gateway.start(wait="listening")
                gateway.wait_event("mapping.not_ready")
                self.sink.clear()
                self.assertReply(smtp_client.send(gateway.inbound, STRANGER, PUBLIC, message(STRANGER, PUBLIC)), 4)
                self.assertEqual(self.sink.messages, [])
                self.assertNotIn("default password", gateway.process.text())
                checked = gateway.check()
                self.assertEqual(checked.returncode, 1)
                self.assertRegex(checked.stdout, "FAIL  (Redis|key and Redis belong together): ")
                gateway.stop()

    def test_check_reads_the_settings(self):
        """What was promised to members must survive a restart (contract R4.4)."""
        gateway = self.gateway(**self.ways()["acl user"])
        gateway.apply(routes({PUBLIC: [OFFICER]}))

        def settings():
            found = [line for line in gateway.check().stdout.splitlines() if "Redis settings: " in line]
            self.assertEqual(len(found), 1)
            return found[0]

        self.assertEqual(settings(), "ok    Redis settings: appendonly yes, appendfsync always, maxmemory-policy noeviction")
        for name, bad, good, told in (
                ("appendfsync", "everysec", "always", "ok    .*everysec.* may be lost"),
                ("appendonly", "no", "yes", "FAIL  .*appendonly is no: .*set `appendonly yes`"),
                ("maxmemory-policy", "allkeys-lru", "noeviction", "FAIL  .*maxmemory-policy is allkeys-lru: ")):
            with self.subTest(name):
                self.redis.call("CONFIG", "SET", name, bad)
                self.addCleanup(self.redis.call, "CONFIG", "SET", name, good)
                self.assertRegex(settings(), told)
                self.redis.call("CONFIG", "SET", name, good)
        self.redis.call("ACL", "SETUSER", "kagemusha", "-config")
        self.addCleanup(self.redis.call, "ACL", "SETUSER", "kagemusha", "+config")
        self.assertRegex(settings(), "ok    .*cannot be read .*appendonly yes, maxmemory-policy noeviction")


if __name__ == "__main__":
    unittest.main(verbosity=2)
