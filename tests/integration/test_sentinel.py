"""Redis behind Sentinel (contract R9.3): the master of the moment is found, and found again when it dies."""

import unittest

from harness import smtp_client
from harness.case import Case
from harness.certificates import Authority
from harness.gateway import Gateway, routes
from harness.mail import address, message
from harness.ports import free_port
from harness.sentinel import Watched
from harness.sink import Sink
from harness.small import OFFICER, PUBLIC, STRANGER, TEACHER
from harness.waiting import wait_for


class Failover(Case):
    """A gateway whose Redis has a master and a replica. Each class may end one master."""

    @classmethod
    def prepare(cls, space):
        cls.sink = Sink(space).start()
        cls.redis = Watched(space)
        cls.gateway = cls.make_gateway(space, cls.redis.config())
        cls.gateway.start()
        cls.gateway.apply(routes({PUBLIC: [OFFICER]}))
        cls.gateway.settle(PUBLIC)

    @classmethod
    def make_gateway(cls, space, redis, name="gateway", **more):
        gateway = Gateway(space, name=name, next_hop_port=cls.sink.port, **more)
        gateway.config["redis"] = redis
        return gateway

    def fail_over(self, end):
        """Mail crosses again when `end` has ended the master, and a correspondent is known as before."""
        before = self.phantom("before")
        master = self.redis.master()
        replica = self.redis.other(master)
        wait_for(lambda: replica.call("DBSIZE") == master.call("DBSIZE"), 20, "the replica to have all")
        end(master)
        self.assertEqual(self.phantom("after"), before)
        self.assertIs(self.redis.master(), replica)
        self.assertGreater(replica.call("DBSIZE"), 0)

        # A change reaches the node by the new master: that one tells of it.
        told = len(self.gateway.events("routes.loaded"))
        self.gateway.apply(routes({PUBLIC: [OFFICER, TEACHER]}))
        self.gateway.wait_event("routes.loaded", told + 1)

    def phantom(self, message_id):
        """The one by which the officer sees the stranger, of a message that is sent until it is taken."""
        self.sink.clear()
        text = message(STRANGER, PUBLIC, message_id=f"{message_id}@stranger.test")
        wait_for(lambda: smtp_client.send(self.gateway.inbound, STRANGER, PUBLIC, text).code == 250, 30,
                 "a message to be taken")
        copies = [m for m in self.sink.messages if m.recipients == [OFFICER]]
        self.assertEqual(len(copies), 1)
        return address(copies[0].data)


class Dies(Failover):
    def test_the_master_dies(self):
        self.fail_over(lambda master: master.kill())

    def test_a_sentinel_is_dead(self):
        first = self.redis.sentinels[0]
        first.kill()
        try:
            second = self.make_gateway(self.space, self.redis.config(), "second",
                                       keys={"master": self.gateway.key_path})
            second.start()
            second.settle(PUBLIC)
            self.assertEqual(second.check().returncode, 0)
            second.stop()
        finally:
            first.start()

    def test_wrong_ways(self):
        """Redis holds routes that would serve, and the key is right: only the way is wrong."""
        right = self.redis.config()
        for name, config, word in [
                ("another name", {**right, "sentinel_master": "nobody"}, "no sentinel knows the master"),
                ("nobody there", {**right, "sentinels": [f"127.0.0.1:{free_port()}"]}, "ECONNREFUSED"),
                ("a redis-server", {**right, "sentinels": [f"127.0.0.1:{self.redis.master().port}"]}, "ERR"),
                ("a password for nothing", {**right, "sentinel_password": "word-that-is-secret"}, "ERR")]:
            with self.subTest(name):
                gateway = self.make_gateway(self.space, config, f"wrong {name}", keys={"master": self.gateway.key_path})
                gateway.start(wait="listening")
                gateway.wait_event("mapping.not_ready")
                self.assertReply(smtp_client.send(gateway.inbound, STRANGER, PUBLIC, message(STRANGER, PUBLIC)), 4)
                checked = gateway.check()
                self.assertEqual(checked.returncode, 1)
                self.assertRegex(checked.stdout, f"FAIL  Redis: .*{word}")
                self.assertNotIn("word-that-is-secret", checked.stdout + checked.stderr + gateway.process.text())
                gateway.stop()


class Hangs(Failover):
    def test_the_master_hangs(self):
        """Its connections are open, and nothing is answered any more."""
        self.fail_over(lambda master: master.freeze())


class Secured(Case):
    def test_sentinels_with_a_password_and_tls(self):
        sink = Sink(self.space).start()
        authority = Authority(self.space)
        other = Authority(self.space, "other")
        redis = Watched(self.space, password="sentinel-word", tls=(*authority.issue("127.0.0.1"), authority.certificate))
        right = {"sentinel_password": "sentinel-word", "tls": True, "ca_file": authority.certificate}
        key = None
        for name, changes, code in (("right", {}, 250), ("another password", {"sentinel_password": "another-word"}, 4),
                                    ("another authority", {"ca_file": other.certificate}, 4)):
            gateway = Gateway(self.space, name=name, next_hop_port=sink.port)
            gateway.config["redis"] = {**redis.config(), **right, **changes}
            if key:
                gateway.config["keys"] = {"master": key}
            gateway.start(wait="ready" if code == 250 else "listening")
            if code == 4:
                gateway.wait_event("mapping.not_ready")
            else:
                key = gateway.key_path
                gateway.apply(routes({PUBLIC: [OFFICER]}))
                gateway.settle(PUBLIC)
            self.assertReply(smtp_client.send(gateway.inbound, STRANGER, PUBLIC, message(STRANGER, PUBLIC)), code)
            gateway.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
