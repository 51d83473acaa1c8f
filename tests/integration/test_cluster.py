"""Redis Cluster (contract R9.3): everything works as with one Redis, while slots move and when a master dies."""

import os
import shutil
import threading
import unittest
from collections import Counter

import test_proxy_forget  # as a module: its classes are not to run again here
from harness import smtp_client
from harness.case import Case
from harness.certificates import Authority
from harness.cluster import Cluster
from harness.gateway import Gateway, routes
from harness.mail import address, message
from harness.ports import free_port
from harness.proxied import Proxied
from harness.redis import RedisError
from harness.sink import Sink
from harness.small import COACH, OFFICER, PUBLIC, STRANGER, TEACHER, Small
from harness.waiting import wait_for

GENERATION = "{kage}:gen"


def strangers(count, host="stranger.test"):
    return [f"s{number}@{host}" for number in range(count)]


def key_of(phantom):
    return "kage:p:" + phantom.split("@")[0]


class InCluster(Small):
    workers = 2

    @classmethod
    def make_redis(cls, space):
        cls.cluster = Cluster(space)

    @classmethod
    def configure(cls):
        cls.gateway.config["redis"] = cls.cluster.config()

    @classmethod
    def another(cls, name, **redis):
        """A second node, not started."""
        gateway = Gateway(cls.space, name=name, next_hop_port=cls.sink.port, keys={"master": cls.gateway.key_path})
        gateway.config["redis"] = cls.cluster.config(**redis)
        return gateway

    def setUp(self):
        super().setUp()
        self.gateway.apply(self.routes())
        wait_for(lambda: self.knows(*self.members), 20, "the routes to be known")

    def knows(self, *members):
        """Whether a stranger's message goes to these, each once."""
        self.sink.clear()
        text = message("probe@probe.test", PUBLIC)
        taken = self.inbound(text, sender="probe@probe.test").code == 250
        found = sorted(m.recipients[0] for m in self.sink.messages)
        self.sink.clear()
        return taken and found == sorted(members)


class Everyday(InCluster):
    def test_mail_crosses_both_ways(self):
        for stranger in strangers(12):
            phantom = self.phantom_of(stranger, OFFICER)
            self.assertEqual(self.phantom_of(stranger, OFFICER), phantom)
            self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 250)
            self.assertEqual(self.copies(1)[0].recipients, [stranger])
            self.assertReply(self.plain_reply(OFFICER, phantom, message(OFFICER, phantom)), 250)
            self.assertEqual(self.copies(1)[0].recipients, [stranger])
            self.assertReply(self.plain_reply(TEACHER, phantom, message(TEACHER, phantom)), 550)
        for master in self.cluster.masters:
            self.assertGreater(master.count("kage:p:*"), 0)
        held = [master.count("{kage}:*") for master in self.cluster.masters]
        self.assertEqual(sorted(held), [0, 0, 3])

    def test_a_retry_is_exact(self):
        text = message(STRANGER, PUBLIC, message_id="retry@stranger.test")
        for _ in range(3):
            self.until_delivered(text)  # the lock is let go a moment after the answer
        self.assertEqual(len(self.copies(2)), 2)
        self.assertGreater(self.cluster.count("kage:l:*"), 0)

    def test_commands(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        shown = self.gateway.show()
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn(OFFICER, shown.stdout)
        checked = self.gateway.check()
        self.assertEqual(checked.stdout.count("Redis master 127.0.0.1:"), 3, checked.stdout + checked.stderr)
        self.assertNotIn("FAIL  Redis", checked.stdout)
        listed = self.gateway.command("phantoms", "--config", self.gateway.config_path, "--all", "--address", PUBLIC)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertIn(phantom, listed.stdout)
        dry = self.gateway.apply(self.routes([OFFICER]), "--dry-run")
        self.assertRegex(dry.stdout, r"[1-9][0-9]* phantom")

    def test_forgetting_deletes_at_every_master(self):
        for stranger in strangers(20, "others.test"):
            phantom = self.phantom_of(stranger, TEACHER)
        before = [master.count("kage:p:*") for master in self.cluster.masters]
        rewritten = [master.calls("bgrewriteaof") for master in self.cluster.masters]
        forgotten = self.gateway.forget(PUBLIC, TEACHER)
        self.assertEqual(forgotten.returncode, 0, forgotten.stdout + forgotten.stderr)
        for number, master in enumerate(self.cluster.masters):
            self.assertLess(master.count("kage:p:*"), before[number])
            self.assertEqual(master.calls("bgrewriteaof"), rewritten[number] + 1)
        self.assertIn(b"Deleted %d dead" % (sum(before) - self.cluster.count("kage:p:*")), forgotten.stdout.encode())
        wait_for(lambda: self.plain_reply(TEACHER, phantom, message(TEACHER, phantom)).code == 550, 5, "the end of it")

    def test_wrong_ways(self):
        alone = self.cluster.masters[0]
        for name, config, word in [
                ("nobody there", {"cluster": [f"127.0.0.1:{free_port()}"]}, "ECONNREFUSED"),
                ("a password for nothing", {"password": "word-that-is-secret"}, "ERR")]:
            with self.subTest(name):
                gateway = self.another(f"wrong {name}", **config)
                gateway.start(wait="listening")
                gateway.wait_event("mapping.not_ready")
                self.assertReply(smtp_client.send(gateway.inbound, STRANGER, PUBLIC, message(STRANGER, PUBLIC)), 4)
                checked = gateway.check()
                self.assertEqual(checked.returncode, 1)
                self.assertIn(word, checked.stdout + checked.stderr)
                self.assertNotIn("word-that-is-secret", checked.stdout + checked.stderr + gateway.process.text())
                gateway.stop()
        one = self.another("a seed is away", cluster=[f"127.0.0.1:{free_port()}", alone.address])
        one.start()
        self.assertReply(smtp_client.send(one.inbound, STRANGER, PUBLIC, message(STRANGER, PUBLIC)), 250)
        one.stop()


class Moving(InCluster):
    def masters(self, key):
        source = self.cluster.owner(key)
        return source, next(master for master in self.cluster.masters if master is not source)

    def test_a_phantom_moves(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        slot = self.cluster.slot(key_of(phantom))
        source, target = self.masters(key_of(phantom))

        def answered():
            self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom)), 250)
            self.assertEqual(self.copies(1)[0].recipients, [STRANGER])
        asked, moved = source.redirections("ASK"), source.redirections("MOVED")
        self.cluster.begin_move(slot, source, target)
        answered()
        self.cluster.move_key(key_of(phantom), source, target)
        answered()
        self.assertGreater(source.redirections("ASK"), asked)
        self.cluster.end_move(slot, source, target)
        answered()
        self.assertGreater(source.redirections("MOVED"), moved)

    def test_the_routes_move(self):
        slot = self.cluster.slot(GENERATION)
        source, target = self.masters(GENERATION)
        second = self.another("second")
        second.start()
        asked = source.redirections("ASK")
        self.cluster.begin_move(slot, source, target)
        for key in (GENERATION, "{kage}:routes"):
            self.cluster.move_key(key, source, target)
            self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
        self.assertGreater(source.redirections("ASK"), asked)
        # All of it or nothing: half of it is here and half there.
        refused = self.gateway.apply(self.routes([OFFICER, TEACHER, COACH]), check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("TRYAGAIN", refused.stdout + refused.stderr)
        self.assertTrue(self.knows(*self.members))
        self.cluster.end_move(slot, source, target)
        self.assertTrue(self.knows(*self.members))

        def told():
            return any(b"sub=1" in line and b"B" in line.split(b"flags=")[1].split(b" ")[0]
                       for line in target.call("CLIENT", "LIST").splitlines())
        wait_for(told, 10, "the new master to tell of changes")
        self.gateway.apply(self.routes([OFFICER, TEACHER, COACH]))
        wait_for(lambda: self.knows(OFFICER, TEACHER, COACH), 1, "the change to be known")
        second.stop()

    def test_a_ledger_moves(self):
        """Wherever the ledger of a message is, a retry finds it (contract R3.7)."""
        def ledgers():
            return {key for master in self.cluster.masters for key in master.call("KEYS", "kage:l:*")}
        known = ledgers()
        text = message(STRANGER, PUBLIC, message_id="ledger@stranger.test")
        self.assertReply(self.inbound(text), 250)
        self.copies(len(self.members))
        # The answer does not wait for its last entry.
        ledger, = wait_for(lambda: ledgers() - known, 10, "the ledger")
        slot = self.cluster.slot(ledger)
        source, target = self.masters(ledger)

        def retried():
            self.until_delivered(text)  # the lock is let go a moment after the answer
            self.assertEqual(self.sink.messages, [])
        self.cluster.begin_move(slot, source, target)
        asked = source.redirections("ASK")
        retried()  # the lock goes there, the ledger is here
        self.assertGreater(source.redirections("ASK"), asked)
        self.cluster.move_key(ledger, source, target)
        retried()
        self.cluster.end_move(slot, source, target)
        retried()
        lock = ledger.decode().replace("kage:l:", "kage:k:")
        wait_for(lambda: self.cluster.count(lock) == 0, 10, "the lock to be let go")

    def test_forgetting_while_keys_move(self):
        """It takes effect at once; that dead phantoms may be left is said, and the next apply deletes them."""
        for stranger in strangers(10, "leaving.test"):
            phantom = self.phantom_of(stranger, TEACHER)
        slot = self.cluster.slot(key_of(phantom))
        source, target = self.masters(key_of(phantom))
        self.cluster.begin_move(slot, source, target)
        self.cluster.move_key(key_of(phantom), source, target)
        forgotten = self.gateway.forget(PUBLIC, TEACHER)
        self.assertEqual(forgotten.returncode, 1)
        self.assertIn("keys moved", forgotten.stdout + forgotten.stderr)
        self.assertReply(self.plain_reply(TEACHER, phantom, message(TEACHER, phantom)), 550)
        self.cluster.end_move(slot, source, target)
        self.gateway.apply(self.routes([OFFICER]))
        living = self.gateway.command("phantoms", "--config", self.gateway.config_path, "--all", "--format", "csv",
                                      "--address", PUBLIC).stdout.count(OFFICER)
        self.assertEqual(self.cluster.count("kage:p:*"), living)

    @staticmethod
    def come_by(name, sent, failures):
        """Waits until a name was sent for again, begun after now."""
        done = sent.count(name) + 2
        wait_for(lambda: failures or sent.count(name) >= done, 60, "mail to flow")

    def test_slots_move_while_mail_flows(self):
        """Messages and their answers are taken in the end, and nobody gets one twice."""
        names = strangers(16, "flow.test")
        phantoms = {name: self.phantom_of(name, OFFICER) for name in names}
        ended = threading.Event()
        sent, failures = [], []

        def send():
            number = 0
            while not ended.is_set() or number % len(names):
                name = names[number % len(names)]
                phantom = phantoms[name]
                text = message(name, PUBLIC, message_id=f"{number}@flow.test")
                answer = message(OFFICER, phantom, message_id=f"{number}@gmail.test")
                try:
                    self.until_delivered(text, sender=name)
                    wait_for(lambda: self.plain_reply(OFFICER, phantom, answer).code == 250, 20, "an answer to be taken")
                except AssertionError as error:
                    failures.append(error)
                    return
                sent.append(name)
                number += 1
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        source, target = self.cluster.masters[0], self.cluster.masters[1]
        asked, moved = source.redirections("ASK"), source.redirections("MOVED")
        for phantom in list(phantoms.values()):
            slot = self.cluster.slot(key_of(phantom))
            if self.cluster.owner(key_of(phantom)) is not source:
                continue
            self.cluster.begin_move(slot, source, target)
            self.cluster.move_key(key_of(phantom), source, target)
            # Whose it is has come by, in each state.
            name = next(name for name in names if phantoms[name] == phantom)
            self.come_by(name, sent, failures)
            self.cluster.end_move(slot, source, target)
            self.come_by(name, sent, failures)
        ended.set()
        sender.join(60)
        self.assertEqual(failures, [])
        self.assertGreater(source.redirections("ASK"), asked)
        self.assertGreater(source.redirections("MOVED"), moved)
        copies = [m for m in self.sink.messages if m.recipients == [OFFICER]]
        self.assertEqual(Counter(address(m.data) for m in copies), Counter(phantoms[name] for name in sent))
        answers = Counter(m.recipients[0] for m in self.sink.messages if m.recipients[0] in names)
        self.assertEqual(answers, Counter(sent))
        self.sink.clear()
        self.assertEqual([self.phantom_of(name, OFFICER) for name in names], list(phantoms.values()))


class Emptied(InCluster):
    workers = 1

    def test_a_master_that_lost_its_data(self):
        """What was remembered is not believed any more (contract R4.4), also when nobody needed that master meanwhile."""
        phantoms = {name: self.phantom_of(name, OFFICER) for name in strangers(12)}
        routes_at = self.cluster.owner(GENERATION)
        lost = next(master for master in self.cluster.masters if master is not routes_at)
        held = {name for name, phantom in phantoms.items() if self.cluster.owner(key_of(phantom)) is lost}
        self.assertGreater(len(held), 0)
        lost.kill()
        shutil.rmtree(os.path.join(lost.folder, "appendonlydir"))
        lost.start()
        wait_for(lambda: all(m.info("cluster_state") == "ok" for m in self.cluster.masters), 30, "the cluster to be well")
        self.assertEqual(lost.count("kage:p:*"), 0)
        for name, phantom in phantoms.items():
            self.sink.clear()
            self.until_delivered(message(name, PUBLIC, message_id=f"again@{name.replace('@', '.')}"), sender=name)
            self.assertEqual(address(self.copy_for(OFFICER, self.sink.messages).data), phantom)
            self.assertReply(self.plain_reply(OFFICER, phantom, message(OFFICER, phantom)), 250)
        self.assertGreaterEqual(lost.count("kage:p:*"), len(held))


class Proxy(test_proxy_forget.Forget):
    """Two nodes and the proxy; what is forgotten on one is dead on the other within a second."""

    @classmethod
    def make_gateway(cls, space, name, **more):
        if not hasattr(cls, "cluster"):
            cls.cluster = Cluster(space)
        gateway = Proxied.make_gateway.__func__(cls, space, name, **more)
        gateway.config["redis"] = cls.cluster.config()
        return gateway


class Failover(Case):
    """Each class ends one master."""

    @classmethod
    def prepare(cls, space):
        cls.sink = Sink(space).start()
        cls.cluster = Cluster(space, replicas=1)
        cls.gateway = Gateway(space, next_hop_port=cls.sink.port)
        cls.gateway.config["redis"] = cls.cluster.config()
        cls.gateway.start()
        cls.gateway.apply(routes({PUBLIC: [OFFICER]}))
        cls.gateway.settle(PUBLIC)

    def send(self, sender, message_id):
        text = message(sender, PUBLIC, message_id=f"{message_id}@{sender.split('@')[1]}")
        return smtp_client.send(self.gateway.inbound, sender, PUBLIC, text)

    def phantom(self, sender, message_id):
        """The one by which the officer sees a sender, of a message that is sent until it is taken, and comes once."""
        self.sink.clear()
        wait_for(lambda: self.send(sender, message_id).code == 250, 40, "a message to be taken")
        self.assertEqual([m.recipients for m in self.sink.messages], [[OFFICER]])
        return address(self.sink.messages[0].data)

    def fail_over(self, end, key):
        names = strangers(12)
        before = [self.phantom(name, "before") for name in names]
        master = self.cluster.owner(key or key_of(before[0]))
        replica = self.cluster.replicas[self.cluster.masters.index(master)]
        wait_for(lambda: replica.call("DBSIZE") == master.call("DBSIZE"), 20, "the replica to have all")
        end(master)
        # Whatever needs it is told to come again, until the replica has taken over.
        codes = set()

        def taken_over():
            codes.update(self.send(name, "meanwhile").code for name in names)
            return self.cluster.owner(key or key_of(before[0]), replica) is replica
        wait_for(taken_over, 40, "the replica to take over")
        self.assertIn(4, {code // 100 for code in codes})
        self.assertLessEqual(codes, {250, 451, 421})
        self.assertEqual([self.phantom(name, "after") for name in names], before)
        for name in names:
            self.sink.clear()
            wait_for(lambda name=name: self.send(name, "after").code == 250, 10, "a retry to be taken")
            self.assertEqual(self.sink.messages, [], "a retry is no second copy")
        # A change reaches the node, by whichever master has the routes now.
        told = len(self.gateway.events("routes.loaded"))
        self.gateway.apply(routes({PUBLIC: [OFFICER, TEACHER]}))
        self.gateway.wait_event("routes.loaded", told + 1)


class RoutesMasterDies(Failover):
    def test_it(self):
        self.fail_over(lambda master: master.kill(), GENERATION)
        # Replicas are waited for at each master that has one, and keep files of their own.
        forgotten = self.gateway.forget(PUBLIC, TEACHER)
        self.assertEqual(forgotten.stderr.count("run BGREWRITEAOF or BGSAVE on each"), 2, forgotten.stderr)
        self.assertNotIn("know what was deleted", forgotten.stderr)


class PhantomsMasterDies(Failover):
    def test_it(self):
        self.fail_over(lambda master: master.kill(), None)


class PhantomsMasterIsReplaced(Failover):
    def test_it(self):
        """By hand, with all connections left open: it is noticed though nobody asks that master for anything."""
        phantoms = {name: self.phantom(name, "before") for name in strangers(12)}
        # Not the one that is asked for the routes all the time.
        name, master = next((name, owner) for name, phantom in phantoms.items()
                            if (owner := self.cluster.owner(key_of(phantom))) is not self.cluster.owner(GENERATION))
        replica = self.cluster.replicas[self.cluster.masters.index(master)]
        told = len(self.gateway.events("redis.masters"))
        wait_for(lambda: replica.call("DBSIZE") == master.call("DBSIZE"), 20, "the replica to have all")
        replica.call("CLUSTER", "FAILOVER", "TAKEOVER")
        self.gateway.wait_event("redis.masters", told + 1)
        self.assertEqual(self.phantom(name, "after"), phantoms[name])


class RoutesMasterHangs(Failover):
    def test_it(self):
        """Its connections are open, and nothing is answered any more."""
        self.fail_over(lambda master: master.freeze(), GENERATION)


class Secured(Case):
    def test_password_and_tls(self):
        sink = Sink(self.space).start()
        authority = Authority(self.space)
        other = Authority(self.space, "other")
        cluster = Cluster(self.space, password="cluster-word",
                          tls=(*authority.issue("127.0.0.1"), authority.certificate))
        right = {"password": "cluster-word", "tls": True, "ca_file": authority.certificate}
        key = None
        for name, changes, code in (("right", {}, 250), ("another password", {"password": "another-word"}, 4),
                                    ("another authority", {"ca_file": other.certificate}, 4)):
            with self.subTest(name):
                gateway = Gateway(self.space, name=name, next_hop_port=sink.port)
                gateway.config["redis"] = cluster.config(**{**right, **changes})
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
                self.assertNotIn("another-word", gateway.process.text())
                gateway.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
