"""A new year: other members behind the same public address, and what becomes of the old ones (contract R3.5)."""

import fcntl
import json
import os
import pty
import re
import subprocess
import threading
import unittest

from harness import smtp_client
from harness.case import Case
from harness.gateway import ROOT, Gateway, program
from harness.mail import message
from harness.redis import Redis
from harness.small import OFFICER, PASSWORD, PUBLIC, STRANGER, TEACHER, Small
from harness.waiting import wait_for
from harness.workspace import run

NEXT = "next@gmail.test"  # the committee of the next year
NOT_CONFIRMED = 3


class NewYear(Small):
    settings = {"recipients": "open", "share_replies": True}

    @classmethod
    def make_redis(cls, space):
        cls.redis = Redis(space).start()
        return cls.redis

    def setUp(self):
        super().setUp()
        self.gateway.apply(self.routes())
        self.gateway.settle(PUBLIC)
        self.sink.clear()

    def run_apply(self, members, *arguments):
        return self.gateway.apply(self.routes(members), *arguments, yes=False, check=False)

    def on_terminal(self, answer, members):
        """`apply` with a person at the terminal; what it showed and its exit code."""
        path = self.space.write("gateway/terminal.toml", self.routes(members))
        ours, theirs = pty.openpty()
        process = subprocess.Popen([program(), "apply", "--config", self.gateway.config_path, path], stdin=theirs,
                                   stdout=theirs, stderr=theirs, cwd=self.gateway.folder, start_new_session=True)
        os.close(theirs)
        shown = b""
        try:
            while True:
                shown += os.read(ours, 4096)
                if b"[y/N]" in shown and answer:
                    os.write(ours, answer.encode() + b"\n")
                    answer = None
        except OSError:  # the terminal is gone with its last program
            pass
        os.close(ours)
        return shown.decode(), process.wait(30)

    def test_it_is_told_before_it_is_done(self):
        old = [self.phantom_of(f"s{n}@stranger.test", OFFICER) for n in range(3)]
        before = self.gateway.show("--format", "json").stdout
        dry = self.run_apply([TEACHER, NEXT], "--dry-run")
        self.assertEqual(dry.returncode, 0)
        refused = self.run_apply([TEACHER, NEXT])
        self.assertEqual(refused.returncode, NOT_CONFIRMED)
        for result in (dry, refused):
            self.assertIn(f"- member {OFFICER}  (3 phantoms)", result.stdout)
            self.assertIn(f"+ member {NEXT}\n", result.stdout)
            self.assertIn("To be forgotten for good: 1 member with 3 phantoms.", result.stdout)
            self.assertNotIn("stranger.test", result.stdout + result.stderr)
        self.assertIn("Say --yes", refused.stderr)
        shown, code = self.on_terminal("n", [TEACHER, NEXT])
        self.assertEqual(code, NOT_CONFIRMED)
        self.assertIn("1 member with 3 phantoms will be forgotten for good. Go on? [y/N]", shown)
        self.assertEqual(self.gateway.show("--format", "json").stdout, before)
        self.assertReply(self.submit(OFFICER, old[0], message(OFFICER, old[0])), 250)

        shown, code = self.on_terminal("yes", [TEACHER, NEXT])
        self.assertEqual(code, 0, shown)
        after = json.loads(self.gateway.show("--format", "json").stdout)["addresses"][0]
        kept = json.loads(before)["addresses"][0]
        self.assertEqual([m["mailbox"] for m in after.pop("members")], sorted([NEXT, TEACHER]))
        kept.pop("members")
        self.assertEqual(after, kept)
        # Dead for old and new; whoever stays keeps what they had.
        for mailbox in (OFFICER, NEXT):
            self.assertReply(self.submit(mailbox, old[0], message(mailbox, old[0])), 5)
        self.sink.clear()
        self.until_delivered(message(STRANGER, PUBLIC, message_id="april@stranger.test"))
        self.assertEqual(sorted(m.recipients[0] for m in self.copies(2)), sorted([NEXT, TEACHER]))

    def test_the_phantom_domain_changes(self):
        self.gateway.apply(self.routes())
        phantom = self.phantom_of("s9@stranger.test", TEACHER)
        count = self.gateway.command("phantoms", "--config", self.gateway.config_path, "--address", PUBLIC, "--all",
                                     "--format", "csv").stdout.count("\n") - 1
        other = '[[domain]]\nname = "school.example"\nphantom_domain = "q.school.example"\n' + self.routes()
        dry = self.gateway.apply(other, "--dry-run")
        refused = self.gateway.apply(other, yes=False, check=False)
        self.assertEqual((dry.returncode, refused.returncode), (0, NOT_CONFIRMED))
        for result in (dry, refused):
            self.assertIn(f"No longer to be reached: {count} phantoms in the old phantom domain.", result.stdout)
        self.assertIn(f"{count} phantoms in the old phantom domain would find nobody; nothing was changed. Say --yes",
                      refused.stderr)
        self.assertReply(self.submit(TEACHER, phantom, message(TEACHER, phantom)), 250)
        loaded = len(self.gateway.events("routes.loaded"))
        self.gateway.apply(other)
        self.gateway.wait_event("routes.loaded", loaded + 1)
        self.addCleanup(lambda: self.gateway.apply(self.routes()))
        self.assertReply(self.submit(TEACHER, phantom.replace("@p.", "@q."), message(TEACHER, phantom)), 250)

    def test_who_forgets_unasked_is_refused_too(self):
        self.phantom_of(STRANGER, TEACHER)
        command = ["forget", "--config", self.gateway.config_path, "--address", PUBLIC, "--mailbox", TEACHER]
        result = self.gateway.command(*command)
        self.assertEqual(result.returncode, NOT_CONFIRMED)
        self.assertRegex(result.stderr, rf"{TEACHER} behind {PUBLIC}, with \d+ phantoms?, would be forgotten")


class Scripts(Case):
    """scripts/seed, scripts/new-year and scripts/export-phantoms, as an administrator uses them, without a server."""

    @classmethod
    def prepare(cls, space):
        cls.redis = Redis(space).start()
        cls.gateway = Gateway(space, redis=cls.redis)
        cls.gateway.write_config()

    def script(self, name, *words, program=program()):
        return run([os.path.join(ROOT, "scripts", name), "--config", self.gateway.config_path, "--kagemusha", program,
                    *words], cwd=self.gateway.folder)

    def table(self, name, members, encoding="utf-8-sig"):
        """As a spreadsheet saves it."""
        rows = ["address,display_name,mailbox,name,share_replies,,"] + [
            f"{PUBLIC},{'ＰＴＡ' if n == 0 else ''},\u3000{m},\"佐藤,\u3000{n}\",TRUE,," for n, m in enumerate(members)]
        return self.space.write(f"gateway/{name}", "\r\n".join([*rows, ",,,,,,", ""]).encode(encoding))

    def shown(self):
        return json.loads(self.gateway.show("--format", "json").stdout)["addresses"]

    def test_a_year_by_scripts(self):
        first = self.table("first.csv", [OFFICER, TEACHER], "cp932")
        wrong = self.script("seed", first)
        self.assertEqual(wrong.returncode, 2, wrong.stdout)
        self.assertIn("--encoding shift_jis", wrong.stderr)
        sjis = ("--encoding", "shift_jis")
        dry = self.script("seed", *sjis, "--dry-run", first)
        self.assertEqual(dry.returncode, 0, dry.stderr)
        self.assertIn("+ member " + OFFICER, dry.stdout)
        self.assertEqual(self.shown(), [])
        self.assertEqual(self.script("seed", *sjis, first).returncode, 0)
        before = self.shown()[0]
        self.assertEqual((before["display_name"], before["share_replies"]), ("ＰＴＡ", True))
        self.assertEqual(sorted(m["name"] for m in before["members"]), ["佐藤,\u30000", "佐藤,\u30001"])

        second = self.table("second.csv", [TEACHER, NEXT])
        refused = self.script("seed", second)
        self.assertEqual(refused.returncode, NOT_CONFIRMED)
        self.assertIn(f"scripts/new-year --yes {second}", refused.stderr)
        self.assertEqual(self.script("new-year", second).returncode, NOT_CONFIRMED)
        dry = self.script("new-year", "--dry-run", second)
        self.assertEqual(dry.returncode, 0)
        self.assertIn("To be forgotten for good: 1 member with no phantoms", dry.stdout)
        self.assertEqual(self.shown(), [before])
        done = self.script("new-year", "--yes", second)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("The new year has begun", done.stdout)
        after = self.shown()[0]
        self.assertEqual(sorted(m["mailbox"] for m in after.pop("members")), sorted([TEACHER, NEXT]))
        self.assertEqual(after, {k: v for k, v in before.items() if k != "members"})

        # Names and mailboxes alone: no setting of the address or of who stays is touched.
        third = self.space.write("gateway/third.csv", f"address,mailbox\n{PUBLIC},{OFFICER}\n{PUBLIC},{TEACHER}\n")
        done = self.script("new-year", "--yes", third)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual({k: v for k, v in self.shown()[0].items() if k != "members"}, after)
        self.assertEqual({m["mailbox"]: m["name"] for m in self.shown()[0]["members"]},
                         {OFFICER: "", TEACHER: "佐藤,\u30000"})

    def test_all_problems_at_once_and_nothing_done(self):
        before = self.gateway.show("--format", "json").stdout
        path = self.table("bad.csv", ["ｏｆｆｉｃｅｒ＠gmail.test", TEACHER, "nobody", TEACHER])
        for name in ("seed", "new-year"):
            result = self.script(name, path)
            self.assertEqual(result.returncode, 2)
            problems = result.stderr.strip().split("\n")
            self.assertEqual([re.search(r"row (\d+), (\w+): found .*; allowed: ", p).groups() for p in problems],
                             [("2", "mailbox"), ("4", "mailbox"), ("5", "mailbox")], result.stderr)
        self.assertEqual(self.gateway.show("--format", "json").stdout, before)

    def test_usage(self):
        for name in ("seed", "new-year", "export-phantoms"):
            self.assertIn("--dry-run", self.script(name, "--help").stdout)
            for words in ([], ["--fly"], ["a", "b", "c"]):
                self.assertEqual(self.script(name, *words).returncode, 2, (name, words))
            self.assertEqual(self.script(name, "x.toml", program="/no/such/program").returncode, 1)


class ManyPhantoms(Small):
    """A member with tens of thousands of phantoms goes while mail flows."""

    members = (OFFICER, TEACHER)
    many = 30_000

    @classmethod
    def make_redis(cls, space):
        cls.redis = Redis(space, arguments=["--appendfsync", "no"]).start()
        return cls.redis

    def setUp(self):
        super().setUp()
        self.gateway.apply(self.routes())
        self.gateway.settle(PUBLIC)
        # Only who a phantom belongs to matters to what is tested: all but one are made up.
        self.phantom = self.phantom_of(STRANGER, OFFICER)
        owner = self.redis.call("GETRANGE", "kage:p:" + self.phantom.split("@")[0], 0, 8)
        self.redis.pipeline(("SET", f"kage:p:{n:016d}", owner + b"x" * 40) for n in range(self.many))
        self.sink.clear()

    def phantoms(self):
        return self.redis.call("DBSIZE")

    def calls(self, command):
        found = re.search(rf"cmdstat_{command}:calls=(\d+)", self.redis.call("INFO", "commandstats").decode())
        return int(found.group(1)) if found else 0

    def forget(self, when):
        """`forget` as a process of which each line is told to `when`."""
        process = subprocess.Popen([program(), "forget", "--config", self.gateway.config_path, "--address", PUBLIC,
                                    "--mailbox", OFFICER, "--yes"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, cwd=self.gateway.folder)
        with process:
            text = ""
            for line in process.stdout:
                text += line
                when(line)
        return process.returncode, text

    def test_others_go_on_meanwhile(self):
        second = Gateway(self.space, name="second", next_hop_port=self.sink.port, certificate=self.certificate,
                         redis=self.redis, keys={"master": self.gateway.key_path})
        second.start()
        second.settle(PUBLIC)
        ended = threading.Event()
        sent = []

        def send():
            number = 0
            while not ended.is_set():
                number += 1
                text = message(f"w{number}@stranger.test", PUBLIC, message_id=f"{number}@while.test")
                sent.append(smtp_client.send(second.inbound, f"w{number}@stranger.test", PUBLIC, text).code)
        sender = threading.Thread(target=send)
        dead = []

        def when(line):
            if "phantoms are dead" in line:
                # At once and on another node, though all of it is still stored.
                dead.append((self.phantoms(), smtp_client.submit(
                    second.submission, self.tls, OFFICER, PASSWORD, OFFICER, self.phantom,
                    message(OFFICER, self.phantom)).code))
                sent.clear()
        sender.start()
        self.redis.call("CONFIG", "RESETSTAT")
        try:
            code, text = self.forget(when)
        finally:
            ended.set()
            sender.join()
        self.assertEqual(code, 0, text)
        # Word for word what another code shows: either the login or the phantom is refused, for good.
        self.assertEqual(dead[0][1] // 100, 5)
        self.assertGreater(dead[0][0], 1000)
        deleted = int(re.search(r"Deleted (\d+) dead phantoms", text).group(1))
        self.assertGreater(deleted, self.many)
        self.assertIn("keys looked at for dead phantoms", text)
        # Mail flowed between the steps, and no step was a large one.
        self.assertGreater(sent.count(250), 2)
        self.assertLessEqual(len(sent) - sent.count(250), 1, sent)
        self.assertGreaterEqual(self.calls("scan"), self.many // 1000)
        self.assertEqual(self.calls("keys") + self.calls("flushall"), 0)

    def test_a_crash_in_the_middle(self):
        # Its progress goes into a pipe that nobody reads and that has room for a few lines: there it stops.
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writing, b"x" * (4096 - 200))
        process = subprocess.Popen([program(), "forget", "--config", self.gateway.config_path, "--address", PUBLIC,
                                    "--mailbox", OFFICER, "--yes"], stdout=subprocess.DEVNULL, stderr=writing,
                                   cwd=self.gateway.folder)
        try:
            wait_for(lambda: self.phantoms() < self.many - 5000, 20, "the first steps")
            self.assertIsNone(process.poll())
        finally:
            process.kill()
            process.wait(10)
            os.close(reading)
            os.close(writing)
        left = self.phantoms()
        self.assertGreater(left, 1000)
        self.assertLess(left, self.many)
        # What is left is dead; the next apply takes it, though it has nothing else to do.
        self.assertReply(self.submit(OFFICER, self.phantom, message(OFFICER, self.phantom)), 5)
        result = self.gateway.apply(self.routes([TEACHER]))
        self.assertIn("Nothing to change", result.stdout)
        self.assertRegex(result.stdout, r"Deleted \d{4,} dead phantoms")
        self.assertLess(self.phantoms(), 1000)
        self.assertNotIn("Deleted", self.gateway.apply(self.routes([TEACHER])).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
