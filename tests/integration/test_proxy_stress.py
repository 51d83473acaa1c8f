"""Many clients at once do random legal things, each in a mailbox of its own, through the proxy and directly: nobody sees
a broken answer, every answer is the same, and so is what they leave behind.

KAGEMUSHA_STRESS_SECONDS makes it longer; KAGEMUSHA_STRESS_SEED other.
"""

import concurrent.futures
import hashlib
import os
import random
import re
import time
import unittest

from harness.imap_client import Literal
from harness.messages import own_writing
from harness.proxied import DATE, PUBLIC, Proxied, cyrus, dovecot, state

SECONDS = float(os.environ.get("KAGEMUSHA_STRESS_SECONDS", "3"))
SEED = int(os.environ.get("KAGEMUSHA_STRESS_SEED", "184186"))
CLIENTS = 8
SORTS = ["ARRIVAL", "SUBJECT", "FROM", "REVERSE SIZE", "TO DATE"]
WRITING = [m for m in own_writing("member@gmail.test", PUBLIC, 60) if PUBLIC.encode() in m.data]
FOLDERS = ["INBOX", "a", "b b", "c/d"]
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "$Label1", "Custom"]
ITEMS = ["FLAGS", "UID", "RFC822.SIZE", "INTERNALDATE", "ENVELOPE", "BODYSTRUCTURE", "BODY", "BODY.PEEK[]", "BODY[]",
         "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]", "BODY.PEEK[2]", "BODY.PEEK[1.1]",
         "BODY.PEEK[HEADER.FIELDS (FROM Subject X-None)]", "BODY.PEEK[HEADER.FIELDS.NOT (To)]", "RFC822.HEADER",
         "RFC822.TEXT", "BODY.PEEK[2.HEADER]", "BODY.PEEK[2.TEXT]"]
SEARCHES = ["ALL", "SEEN", "UNSEEN FLAGGED", "NOT DELETED", "OR SEEN FLAGGED", "SMALLER 1000", "LARGER 2000", "FROM hanako",
            "TO pta", "SUBJECT x", "BODY text", "TEXT hanako", "HEADER Message-ID cnry", "HEADER X-None \"\"",
            "SINCE 1-Jan-2025", "SENTBEFORE 1-Feb-2026", "KEYWORD Custom", "1:5 NOT SEEN", "UID 1:10",
            "NOT (FROM hanako SEEN)", "OR (FROM nobody) (SUBJECT y)", "FROM " + PUBLIC]


class Walk:
    """One client's random session: the same steps for the same seed."""

    def __init__(self, open_session, seed, sorts):
        self.open, self.random, self.sorts = open_session, random.Random(seed), sorts
        self.client, self.answers, self.steps = open_session(), [], 0

    def note(self, answer, what):
        """What must be the same directly and through the proxy: status, codes but not text, and all data."""
        data = []
        for number, items in sorted(answer.fetched.items()):
            data.append((number, sorted((k, sorted(f for f in v if f != b"\\Recent") if k == b"FLAGS" else v)
                                        for k, v in items.items() if k != b"MODSEQ")))
        for r in answer.untagged:
            if r.name in (b"SEARCH", b"SORT", b"THREAD", b"STATUS", b"EXISTS", b"EXPUNGE", b"ESEARCH"):
                data.append((r.name, r.number, re.sub(rb"\(TAG \"[^\"]*\"\) ?|(UIDVALIDITY|HIGHESTMODSEQ) \d+", b"", r.text)))
            elif r.name == b"LIST":
                data.append((b"LIST", r.data[2]))
        if what.startswith("LIST"):
            data.sort()
        self.answers.append((what, answer.name, hashlib.sha1(repr(data).encode()).hexdigest(), repr(data)[:1500]))

    def do(self, *pieces):
        self.steps += 1
        what = b" ".join(p if isinstance(p, bytes) else p.encode() for p in pieces if not isinstance(p, Literal)).decode()
        answer = self.client.command(*pieces)
        self.note(answer, what)
        return answer

    def numbers(self):
        count = self.client.exists
        pick = lambda: str(self.random.randint(1, count)) if count else "1"
        return self.random.choice([pick, lambda: "1:*", lambda: f"{pick()}:{pick()}", lambda: f"{pick()},{pick()}", lambda: "*",
                                   lambda: f"{pick()}:*"])()

    def uids(self):
        return self.random.choice(["1:*", f"{self.random.randint(1, 30)}:{self.random.randint(1, 60)}", "*",
                                   f"{self.random.randint(1, 60)},7,9"])

    def folder(self):
        return f'"{self.random.choice(FOLDERS)}"'

    def step(self):
        r = self.random
        if not self.client.selected:
            return r.choices([self.select, self.append, self.status, self.list, self.examine, self.folders],
                             [6, 2, 2, 1, 2, 1])[0]()
        return r.choices(
            [self.fetch, self.uid_fetch, self.partial, self.store, self.search, self.append, self.copy, self.expunge,
             self.pipeline, self.idle, self.status, self.select, self.leave, self.sort, self.noop, self.reconnect,
             self.wrong, self.list, self.move],
            [16, 10, 6, 8, 12, 5, 3, 2, 4, 2, 2, 2, 2, 4, 2, 0.5, 2, 1, 2])[0]()

    def select(self):
        self.do("SELECT", self.folder())

    def examine(self):
        self.do("EXAMINE", self.folder())

    def items(self):
        return "(" + " ".join(self.random.sample(ITEMS, self.random.randint(1, 6))) + ")"

    def fetch(self):
        if self.client.exists:
            self.do("FETCH", self.numbers(), self.items())

    def uid_fetch(self):
        self.do("UID FETCH", self.uids(), self.items())

    def partial(self):
        begin, length = self.random.randint(0, 3000), self.random.randint(1, 3000)
        section = self.random.choice(["", "HEADER", "TEXT", "1"])
        self.do("UID FETCH", self.uids(), f"(UID BODY.PEEK[{section}]<{begin}.{length}>)")

    def store(self):
        flags = " ".join(self.random.sample(FLAGS, self.random.randint(0, 3)))
        how = self.random.choice(["FLAGS", "+FLAGS", "-FLAGS", "FLAGS.SILENT", "+FLAGS.SILENT"])
        if self.random.random() < 0.5 and self.client.exists:
            self.do("STORE", self.numbers(), how, f"({flags})")
        else:
            self.do("UID STORE", self.uids(), how, f"({flags})")

    def search(self):
        query = self.random.choice(SEARCHES)
        self.do(self.random.choice(["SEARCH ", "UID SEARCH ", "SEARCH RETURN (MIN MAX COUNT) ", "UID SEARCH RETURN (ALL) ",
                                    "SEARCH CHARSET UTF-8 "]) + query)

    def sort(self):
        r = self.random
        self.do(r.choice([f"SORT ({r.choice(self.sorts)}) UTF-8 ",
                          "UID THREAD REFERENCES UTF-8 ", "THREAD ORDEREDSUBJECT US-ASCII "]) + r.choice(SEARCHES))

    def append(self):
        message = self.random.choice(WRITING)
        flags = " ".join(f for f in self.random.sample(FLAGS, self.random.randint(0, 2)))
        self.do("APPEND", self.folder(), f"({flags})", DATE, Literal(message.data))

    def copy(self):
        self.do("UID COPY", self.uids(), self.folder())

    def move(self):
        self.do("UID MOVE", self.uids(), '"b b"')

    def expunge(self):
        self.do(self.random.choice(["EXPUNGE", "UID EXPUNGE 1:20"]))

    def noop(self):
        self.do(self.random.choice(["NOOP", "CHECK"]))

    def status(self):
        self.do("STATUS", self.folder(), "(MESSAGES UIDNEXT UNSEEN)")

    def list(self):
        self.do(self.random.choice(['LIST "" "*"', 'LIST "" "%"', 'LSUB "" "*"']))

    def folders(self):
        self.do('CREATE "made here"')
        self.do('RENAME "made here" moved')
        self.do("DELETE moved")

    def leave(self):
        self.do(self.random.choice(["CLOSE", "UNSELECT"]))

    def wrong(self):
        self.do(self.random.choice(["FETCH 1 (NOTHING)", "SEARCH NOSUCHKEY", "FROBNICATE", 'SELECT "no such"']))

    def idle(self):
        tag = self.client.new_tag()
        self.client.send(tag + b" IDLE\r\n")
        got = []
        self.client.until(lambda r: r.kind == "continuation", got)
        self.client.send(b"DONE\r\n")
        status = self.client.until(lambda r: r.kind == "tagged", got)
        assert status.tag == tag and status.name == b"OK", status
        self.steps += 1

    def pipeline(self):
        """Several commands at once; the answers come one after the other."""
        commands = ["NOOP", "UID FETCH 1:* (FLAGS)", "UID SEARCH ALL", "STATUS a (MESSAGES)", "UID FETCH 1:5 (BODY.PEEK[HEADER])"]
        chosen = [self.random.choice(commands) for _ in range(self.random.randint(2, 12))]
        tags = [self.client.new_tag() for _ in chosen]
        self.client.send(b"".join(t + b" " + c.encode() + b"\r\n" for t, c in zip(tags, chosen)))
        ended = []
        while len(ended) < len(tags):
            status = self.client.until(lambda r: r.kind == "tagged", [])
            assert status.name == b"OK", status
            ended.append(status.tag)
        assert sorted(ended) == sorted(tags), (ended, tags)
        self.steps += len(chosen)

    def reconnect(self):
        self.client.logout()
        self.client = self.open()

    def end(self):
        found = state(self.client)
        self.client.logout()
        return found


class Stress(Proxied):
    workers = 2
    sorts = SORTS
    direct_users = [f"walker{n}@direct.test" for n in range(CLIENTS)]
    proxied_users = [f"walker{n}@proxied.test" for n in range(CLIENTS)]
    users = (*direct_users, *proxied_users)

    @classmethod
    def fill(cls):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(cls.fill_one, cls.users))

    @classmethod
    def fill_one(cls, user):
        for folder in FOLDERS:
            cls.put(user, WRITING[:10] if folder == "INBOX" else WRITING[10:14], folder)

    def walk(self, open_session, seed, steps=None, deadline=None):
        """Until `deadline`, or as many rounds as the first walk went."""
        walk = Walk(open_session, seed, self.sorts)
        rounds = 0
        while rounds < steps if steps is not None else time.monotonic() < deadline:
            walk.step()
            rounds += 1
        return rounds, walk.answers, walk.end(), walk.steps

    def test_walks(self):
        seeds = [SEED + n for n in range(CLIENTS)]
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            deadline = time.monotonic() + SECONDS
            through = [pool.submit(self.walk, lambda u=user: self.proxied(u), seed, None, deadline)
                       for user, seed in zip(self.proxied_users, seeds)]
            through = [run.result() for run in through]
            plain = [pool.submit(self.walk, lambda u=user: self.direct(u), seed, rounds)
                     for user, seed, (rounds, *_) in zip(self.direct_users, seeds, through)]
            plain = [run.result() for run in plain]
        steps = sum(run[3] for run in through)
        self.assertGreater(steps, 20 * CLIENTS * min(SECONDS, 5) / 5)
        for seed, one, other in zip(seeds, plain, through):
            self.assertEqual(len(one[1]), len(other[1]), f"seed {seed}")
            for number, (left, right) in enumerate(zip(one[1], other[1])):
                self.assertEqual(left[:3], right[:3], f"seed {seed}, answer {number}\ndirect  {left[3]}\nproxied {right[3]}")
            self.assertEqual({f: [(u, g, len(d)) for u, g, d in m] for f, m in one[2].items()},
                             {f: [(u, g, len(d)) for u, g, d in m] for f, m in other[2].items()}, f"seed {seed}")
            self.assertTrue(one[2] == other[2], f"seed {seed}: the messages differ")


class WithDovecot(Stress):
    make_server = staticmethod(dovecot)


class WithCyrus(Stress):
    make_server = staticmethod(cyrus)
    # A group sorts by its name (RFC 5256, section 3: the mailbox of the first address of the ENVELOPE); by nothing in Cyrus.
    sorts = [key for key in SORTS if "TO" not in key]


del Stress


if __name__ == "__main__":
    unittest.main(verbosity=2)
