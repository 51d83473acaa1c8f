"""Broadcast: parents register by one mail, the school writes to all of them, and gets one report of what was refused."""

import csv
import email
import email.policy
import io
import json
import os
import re
import ssl
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from harness import smtp_client
from harness.crash import broadcast_with_crash
from harness.gateway import ROOT, program
from harness.mail import address, field, find_pattern, header_of, ids, message
from harness.redis import Redis
from harness.small import OFFICER, PUBLIC, TEACHER, Small
from harness.waiting import wait_for
from harness.workspace import run

PARENTS = [f"parent{n:03}@home{n % 7}.test" for n in range(500)]
BROKEN = PARENTS[17], PARENTS[240], PARENTS[499]
REFUSAL = "550 5.1.1 <{}> is gone from mailhost.secret.test"


class Crowd(Small):
    """Small, with parents who wrote to the public address once."""

    members = (OFFICER,)
    parents = PARENTS[:12]
    settings = {"collect": True}

    @classmethod
    def make_redis(cls, space):
        # Not flushed for each message: nothing here is about losing power.
        cls.redis = Redis(space, arguments=("--appendfsync", "everysec")).start()
        return cls.redis

    @classmethod
    def prepare(cls, space):
        super().prepare(space)
        cls.phantoms = cls.register(cls.parents)

    @classmethod
    def register(cls, parents):
        """Each parent sends one mail: {parent: the officer's phantom for them}."""
        cls.sink.clear()

        def some(numbers):
            with smtp_client.Client(cls.gateway.inbound) as client:
                client.ehlo()
                for number in numbers:
                    parent = parents[number]
                    text = message(f"Parent {number} <{parent}>", PUBLIC, f"register {number}", message_id=f"r{number}@home.test")
                    replies = client.pipeline(f"MAIL FROM:<{parent}>", f"RCPT TO:<{PUBLIC}>")
                    assert [r.code for r in replies] == [250, 250], replies
                    reply = client.data(text)
                    assert reply.code == 250, reply
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(some, [range(n, len(parents), 8) for n in range(8)]))
        found = {}
        for envelope in cls.sink.wait_messages(len(parents) * len(cls.members)):
            if envelope.recipients == [OFFICER]:
                found[parents[int(field(envelope.data, "Subject").split()[-1])]] = address(envelope.data)
        return {parent: found[parent] for parent in parents}

    def broadcast(self, to, name, header_to=None, **more):
        """The officer writes to phantoms."""
        text = message(f"Sato <{OFFICER}>", header_to or ", ".join(to), "To all parents", message_id=f"{name}@gmail.test", **more)
        return self.submit(OFFICER, to, text)

    def refuse(self, parents, reply=REFUSAL):
        for parent in parents:
            self.sink.fail("rcpt", match=parent, reply=reply.format(parent))

    def count(self):
        """How many copies each recipient has, the officer's reports aside."""
        found = {}
        for envelope in self.sink.messages:
            self.assertEqual(len(envelope.recipients), 1, "one recipient a transaction, whatever the next hop's limit")
            found[envelope.recipient] = found.get(envelope.recipient, 0) + 1
        found.pop(OFFICER, None)
        return found

    def reports(self):
        return [m for m in self.sink.messages if m.recipients == [OFFICER]]

    def report(self):
        """(message, text for people, {address: status}) of the only report."""
        envelope, = self.reports()
        self.assertEqual(envelope.sender, "", "nobody is told of a report that fails")
        parsed = email.message_from_bytes(envelope.data, policy=email.policy.default)
        self.assertEqual(parsed.get_content_type(), "multipart/report")
        self.assertEqual(parsed["Auto-Submitted"], "auto-replied")
        text, status = parsed.iter_parts()
        self.assertEqual(status.get_content_type(), "message/delivery-status")
        blocks = [part for part in status.get_payload() if part["Final-Recipient"]]
        self.assertTrue(all(part["Action"] == "failed" for part in blocks))
        words = text.get_content()
        readable = envelope.data.decode() + words
        for secret in ("@home", "secret", "is gone", "parent0"):
            self.assertNotIn(secret, readable)
        return parsed, words, {part["Final-Recipient"].split(";")[1].strip(): part["Status"] for part in blocks}


class Broadcast(Crowd):
    """A school and 500 parents, three of whose addresses are broken."""

    parents = PARENTS

    def test_1_the_school_lists_who_registered(self):
        table = self.gateway.command("phantoms", "--config", self.gateway.config_path, "--address", PUBLIC, "--format", "csv")
        self.assertEqual(table.returncode, 0, table.stderr)
        rows = list(csv.DictReader(io.StringIO(table.stdout)))
        self.assertEqual({row["phantom"]: row["name"] for row in rows},
                         {phantom: f"Parent {n}" for n, phantom in enumerate(self.phantoms.values())})
        self.assertEqual(len(rows), len(PARENTS), "each once")
        self.assertEqual({row["member"] for row in rows}, {OFFICER})
        self.assertTrue(all(re.fullmatch(r"20\d\d-\d\d-\d\d", row["first"]) and row["first"] == row["last"] for row in rows))
        self.assertNotIn("@home", table.stdout)

    def test_1_the_same_by_the_script(self):
        def export(*words):
            return run([os.path.join(ROOT, "scripts", "export-phantoms"), "--config", self.gateway.config_path, "--kagemusha",
                        program(), *words], cwd=self.gateway.folder)
        path = os.path.join(self.gateway.folder, "phantoms.csv")
        self.assertEqual(export("--dry-run", PUBLIC, path).stdout, "500 phantoms\n")
        self.assertFalse(os.path.exists(path))
        self.assertEqual(export("--bom", PUBLIC, path).returncode, 0)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
        self.assertEqual({row["phantom"] for row in csv.DictReader(io.StringIO(text))}, set(self.phantoms.values()))
        self.assertEqual(export("--mailbox", OFFICER, "--dry-run", PUBLIC).stdout, "500 phantoms\n")
        for mailbox in (PARENTS[0], ""):
            self.assertNotEqual(export("--mailbox", mailbox, PUBLIC).returncode, 0, "no member")
        again = export(PUBLIC, path)
        self.assertEqual((again.returncode, "is there already" in again.stderr), (1, True))
        self.assertEqual(export(PUBLIC).stdout, text.replace("\r\n", "\n"), "as the file")
        wrong = export("nobody@school.example", os.path.join(self.gateway.folder, "other.csv"))
        self.assertNotEqual(wrong.returncode, 0)
        self.assertEqual([name for name in os.listdir(self.gateway.folder) if "other" in name or "tmp." in name], [])

    def test_2_three_are_broken(self):
        self.refuse(BROKEN)
        to = list(self.phantoms.values())
        self.assertReply(self.broadcast(to, "all"), 250)
        self.assertEqual(self.count(), {p: 1 for p in PARENTS if p not in BROKEN})
        for copy in self.sink.messages:
            if copy.recipients != [OFFICER]:
                self.assertEqual(re.findall(rb"[\w.]+@(?:home\d|p\.school\.example)[\w.]*", copy.data), [copy.recipient.encode()])
        parsed, words, shown = self.report()
        self.assertEqual(shown, {self.phantoms[p]: "5.1.1" for p in BROKEN})
        self.assertEqual((address(bytes(parsed), "From"), parsed["In-Reply-To"]), (PUBLIC, "<all@gmail.test>"))
        for phantom in shown:
            self.assertIn(f"{phantom}  (recipient {to.index(phantom) + 1})", words)
        self.assertIn("There is no such mailbox.", words)
        self.assertIn("To all parents", words)
        ended = self.gateway.events("message")[-1]
        self.assertEqual((ended["copies"], ended["delivered"], ended["refused"], ended["reported"]), ("500", "497", "3", "1"))
        self.assertNotIn("@home", self.gateway.log())
        answered = self.sink.to(PARENTS[3])[0]
        self.sink.clear()
        answer = message(PARENTS[3], PUBLIC, "Re: To all parents", message_id="answer@home.test",
                         extra=f"In-Reply-To: <{ids(answered.data, 'Message-ID')[0]}>")
        self.assertReply(self.inbound(answer, sender=PARENTS[3]), 250)
        answer = self.copy_for(OFFICER, self.copies(1))
        self.assertEqual(address(answer.data), self.phantoms[PARENTS[3]], "the phantom that is in the address book")
        self.assertEqual(ids(answer.data, "In-Reply-To"), ["all@gmail.test"], "in its thread")

    def test_3_progress_is_seen(self):
        self.sink.fail("dot", match=PARENTS[250], action="hang")
        result = []
        sender = threading.Thread(target=lambda: result.append(self.broadcast(list(self.phantoms.values()), "watched")))
        sender.start()
        try:
            wait_for(lambda: any(int(event["delivered"]) >= 100 for event in self.gateway.events("message.progress")), 30,
                     "a word on how far it is")
            self.assertEqual({event["copies"] for event in self.gateway.events("message.progress")}, {"500"})
        finally:
            self.sink.wait(lambda s: s.hanging == 1)
            self.sink.heal()
            sender.join()
        self.assertReply(result[0], 451, msg="one copy's fate is not known")

    def test_4_open_behaves_like_ordinary_mail(self):
        self.gateway.apply(self.routes_with(recipients="open"))
        wait_for(lambda: "recipients: open" in self.gateway.show().stdout, 10, "the policy")
        visible, hidden = PARENTS[:250], PARENTS[250:]
        shown = ", ".join(self.phantoms[p] for p in visible)

        def sent():
            # Until the serving process knows the policy too.
            self.sink.clear()
            sent.tries += 1
            self.assertReply(self.broadcast(list(self.phantoms.values()), f"open{sent.tries}", header_to=shown), 250)
            return len(field(self.sink.messages[0].data, "To").split(",")) > 1
        sent.tries = 0
        wait_for(sent, 30, "an open broadcast")
        self.assertEqual(self.count(), dict.fromkeys(PARENTS, 1))
        for copy in self.sink.messages:
            header = header_of(copy.data)
            self.assertEqual(sorted(re.findall(rb"parent\d+@home\d\.test", header)), sorted(p.encode() for p in visible))
            self.assertEqual(address(copy.data), PUBLIC, "who answers to all reaches the school and those shown")
        self.assertEqual(find_pattern(header_of(self.sink.to(hidden[0])[0].data), r"parent2[5-9]\d|@p\.school"), [])

    @classmethod
    def routes_with(cls, **settings):
        before, cls.settings = cls.settings, {**cls.settings, **settings}
        try:
            return cls.routes()
        finally:
            cls.settings = before


class Refused(Crowd):
    """What the sender hears, and what a retry does."""

    members = (OFFICER, TEACHER)

    def asked_for(self, parent):
        return sum(parent in text for _, text in self.sink.commands if text.startswith("RCPT"))

    def test_one_report_after_all_retries(self):
        to = [self.phantoms[p] for p in self.parents]
        gone, late = self.parents[:2], self.parents[5]
        self.refuse(gone)
        self.sink.fail("rcpt", match=late, reply="451 4.2.1 later")
        self.assertReply(self.broadcast(to, "retried"), 451, "4.2.1")
        self.assertEqual(self.reports(), [], "not before it is known who else is refused")
        self.sink.faults.pop()
        self.sink.commands.clear()
        self.assertReply(self.broadcast(to, "retried"), 250)
        self.assertEqual(self.report()[2], {self.phantoms[p]: "5.1.1" for p in gone})
        self.assertEqual([self.asked_for(p) for p in gone], [0, 0], "refused for good is not tried again")
        self.assertReply(self.broadcast(to, "retried"), 250)
        self.assertEqual(len(self.reports()), 1)
        self.assertEqual(self.count(), {p: 1 for p in self.parents if p not in gone})

    def test_the_report_is_needed_for_the_250(self):
        to = [self.phantoms[p] for p in self.parents]
        self.refuse(self.parents[:1], "552 5.2.2 <{}> full")
        self.sink.fail("rcpt", match=OFFICER, reply="451 4.3.0 not now")
        self.assertReply(self.broadcast(to, "unreported"), 451, "4.3.0")
        self.sink.faults.pop()
        self.assertReply(self.broadcast(to, "unreported"), 250)
        self.assertEqual(self.report()[2], {self.phantoms[self.parents[0]]: "5.2.2"})
        self.assertIn("The mailbox is full.", self.report()[1])
        self.assertEqual(self.count(), dict.fromkeys(self.parents[1:], 1))
        self.sink.clear()
        self.sink.fail("rcpt", match=OFFICER, reply="550 5.1.1 no")
        self.assertReply(self.broadcast(to, "unreportable"), 554, "5.2.2", "the client is the last who can tell")

    def test_nobody_and_one(self):
        to = [self.phantoms[p] for p in self.parents[:2]]
        self.refuse(self.parents[:2])
        for _ in range(2):
            self.sink.commands.clear()
            self.assertReply(self.broadcast(to, "nobody"), 554, "5.1.1")
            self.assertEqual([self.asked_for(p) for p in self.parents[:2]], [1, 1], "what nobody has may be tried again")
        self.assertReply(self.broadcast(to[:1], "one"), 554, "5.1.1")
        self.assertEqual(self.sink.messages, [])

    def test_who_is_no_phantom_is_reported_as_one(self):
        # A real address, and a public address behind which one mailbox is gone.
        self.refuse(["nobody@home1.test", TEACHER])
        to = [self.phantoms[self.parents[0]], "nobody@home1.test", PUBLIC]
        self.assertReply(self.broadcast(to, "mixed"), 250)
        envelope, = [m for m in self.reports() if m.sender == ""]
        parsed = email.message_from_bytes(envelope.data, policy=email.policy.default)
        shown = re.findall(r"Final-Recipient: rfc822; (\S+)", envelope.data.decode())
        self.assertEqual(len(shown), 2)
        self.assertIn(PUBLIC, shown)
        phantom, = [s for s in shown if s != PUBLIC]
        self.assertNotIn(TEACHER, envelope.data.decode() + next(parsed.iter_parts()).get_content())
        listed = self.gateway.command("phantoms", "--config", self.gateway.config_path, "--address", PUBLIC, "--mailbox", OFFICER,
                                      "--all", "--format", "json")
        self.assertIn(phantom, [row["phantom"] for row in json.loads(listed.stdout)], "it works")

    def test_a_plain_reply_to_several(self):
        self.refuse(self.parents[3:4])
        to = [self.phantoms[p] for p in self.parents[2:5]]
        text = message(OFFICER, ", ".join(to), "from the phone", message_id="phone@gmail.test")
        self.assertReply(self.plain_reply(OFFICER, to, text), 250)
        self.assertEqual(self.report()[2], {self.phantoms[self.parents[3]]: "5.1.1"})

    def listed(self, *more):
        """{phantom: (name, member)}"""
        answer = self.gateway.command("phantoms", "--config", self.gateway.config_path, "--address", PUBLIC, "--format", "csv",
                                      *more)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return {row["phantom"]: (row["name"], row["member"]) for row in csv.DictReader(io.StringIO(answer.stdout))}

    def test_names_that_are_hidden_now_are_not_listed(self):
        before = self.listed()
        self.assertTrue(all(name for name, _ in before.values()))
        self.gateway.apply(self.routes().replace("collect = true", 'collect = true\nname = "hide"'))
        self.addCleanup(lambda: self.gateway.apply(self.routes()))
        self.assertEqual(self.listed(), {phantom: ("", mailbox) for phantom, (_, mailbox) in before.items()})
        self.assertEqual({name for name, _ in self.listed("--all").values()}, {""})
        for kind in ("json", "table"):
            shown = self.gateway.command("phantoms", "--config", self.gateway.config_path, "--address", PUBLIC, "--format", kind)
            self.assertNotIn("Parent", shown.stdout)

    def test_machines_do_not_register_and_who_did_stays(self):
        before = self.listed()
        self.assertReply(self.inbound(message("Mailer <mailer-daemon@gone.test>", PUBLIC, "Undelivered"), sender=""), 250)
        for sender, extra in (("away@home1.test", "Auto-Submitted: auto-replied"), ("news@shop.test", "List-Id: <n.shop.test>")):
            self.assertReply(self.inbound(message(sender, PUBLIC, "hello", extra=extra), sender=sender), 250)
        self.assertEqual(self.listed(), before)
        loaded = len(self.gateway.events("routes.loaded"))
        self.gateway.apply(self.routes().replace("collect = true", "collect = false"))
        try:
            self.gateway.wait_event("routes.loaded", loaded + 1)
            parent = self.parents[1]
            self.assertReply(self.inbound(message(f"Somebody <{parent}>", PUBLIC, "hello"), sender=parent), 250)
            self.assertReply(self.inbound(message("late@home1.test", PUBLIC, "hello"), sender="late@home1.test"), 250)
        finally:
            self.gateway.apply(self.routes())
        self.assertEqual(self.listed(), before, "who wrote meanwhile keeps what was kept")
        self.sink.clear()

    def test_without_collect_there_is_no_list(self):
        self.gateway.apply(self.routes().replace("collect = true", "collect = false"))
        try:
            answer = self.gateway.command("phantoms", "--config", self.gateway.config_path, "--address", PUBLIC)
            self.assertEqual((answer.returncode, answer.stdout), (1, ""))
            self.assertIn("collect = true", answer.stderr)
        finally:
            self.gateway.apply(self.routes())


class Rated(Crowd):
    """`messages_per_second` of one domain's next hop, which two workers share, and little time."""

    workers = 2
    rate = 20
    parents = [f"slow{n:02}@slow.test" for n in range(60)] + ["fast@home1.test"]

    @classmethod
    def configure(cls):
        hop = {"host": "127.0.0.1", "port": cls.sink.port, "tls": "none"}
        cls.gateway.config["next_hop"] = [
            {"name": "default", "domains": ["*"], **hop},
            {"name": "slow", "domains": ["slow.test"], "messages_per_second": cls.rate, "max_connections": 4, **hop}]
        cls.gateway.config["limits"] = {"transaction_timeout": "2s"}

    def test_the_rate_is_kept_and_a_retry_goes_on(self):
        to = [self.phantoms[p] for p in self.parents]
        began = time.monotonic()
        attempts = 0

        def delivered():
            nonlocal attempts
            attempts += 1
            reply = self.broadcast(to, "rated")
            self.assertIn((reply.code, reply.enhanced), [(250, "2.0.0"), (451, "4.4.5"), (451, "4.4.7"), (451, "4.3.2")])
            return reply.code == 250
        wait_for(delivered, 30, "the end of the broadcast")
        self.assertGreater(attempts, 1, "60 copies take 3 s, and an attempt has less than 2 s")
        self.assertEqual(self.count(), dict.fromkeys(self.parents, 1))
        times = sorted(m.began for m in self.sink.messages if m.recipient != "fast@home1.test")
        for number, at in enumerate(times):
            # Two at once after a pause: a tenth of a second's.
            self.assertGreaterEqual(at - began, (number - 2) / self.rate, f"copy {number}")
        self.assertLess(self.sink.to("fast@home1.test")[0].began, times[-1], "other domains do not wait")

    def test_a_single_message_shares_the_rate(self):
        slow = [self.phantoms[p] for p in self.parents[:60]]

        def until_all_have_it():
            while self.broadcast(slow, "crowd").code != 250:
                pass
        crowd = threading.Thread(target=until_all_have_it)
        crowd.start()
        self.sink.wait(lambda s: len(s.messages) >= 2)
        self.assertReply(self.broadcast(slow[59:], "single"), 250)
        self.assertTrue(crowd.is_alive(), "it had its turn before the broadcast was through")
        crowd.join()


class Crash(Crowd):
    """kill -9 in the middle: nobody misses the message, and nobody has it twice but for one copy a connection."""

    parents = PARENTS[:60]
    points = 1, 20, 45

    def attempt(self, name):
        try:
            return self.broadcast(list(self.phantoms.values()), name)
        except (OSError, ssl.SSLError):
            return None

    def test_the_process_dies_in_the_middle(self):
        for point in self.points:
            with self.subTest(point=point):
                counts, connections = broadcast_with_crash(self.gateway, self.redis, self.sink,
                                                           lambda: self.attempt(f"crash{point}"), self.parents, point)
                self.assertGreaterEqual(min(counts.values()), 1)
                self.assertLessEqual(max(counts.values()), 2)
                self.assertLessEqual(sum(counts.values()) - len(self.parents), connections)


if __name__ == "__main__":
    unittest.main(verbosity=2)
