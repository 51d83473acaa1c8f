"""One story: over several hundred messages of every shape, every way to ask for a message tells the same, to every
session, on every node, before and after a restart, by IMAP and by POP3 (contract R8.1, R8.2).

The oracle for ENVELOPE, BODYSTRUCTURE and sections is the provider itself: what the proxy shows of a message is stored in
another mailbox, and the provider, asked directly, must say of it what the proxy said.
"""

import concurrent.futures
import hashlib
import os
import random
import re
import unittest

from harness.faulty_upstream import MESSAGE, FaultyUpstream
from harness.imap_grammar import Atom, Literal
from harness.messages import Message, canaries, corpus
from harness.proxied import DATE, PASSWORD, PUBLIC, READER, Pop, Proxied, Imap, provider
from harness.redis import Redis
from test_canaries import ADDRESS_FORMS, TEXT_FORMS

MIRROR = "mirror@mirror.test"  # where what the proxy shows is stored
FIELDS = "BODY.PEEK[HEADER.FIELDS (From To CC Subject Date Message-ID X-None)]"
WHOLE = ("UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] RFC822.HEADER "
         f"{FIELDS} BODY.PEEK[HEADER.FIELDS.NOT (Received To)]")
MESSAGES = corpus(READER, PUBLIC, ADDRESS_FORMS, TEXT_FORMS)


def sections(structure, prefix=""):
    """[(section, octets or None)] of all parts of a BODYSTRUCTURE; None for what has no size there."""
    work, found = [(structure, prefix, True)], []
    while work and len(found) < 40:
        body, at, top = work.pop()
        if isinstance(body[0], list):
            parts = [part for part in body if isinstance(part, list)]
            count = next(i for i, part in enumerate(body) if not isinstance(part, list))
            for number, part in enumerate(parts[:count], 1):
                work.append((part, f"{at}{'.' if at else ''}{number}", False))
            continue
        name = at or "1"
        if top and at:  # the single body of an enclosed message
            name = at + ".1"
        found.append((name, int(body[6])))
        if body[0].upper() == b"MESSAGE" and body[1].upper() in (b"RFC822", b"GLOBAL") and len(body) > 8 and isinstance(
                body[7], list):
            found += [(name + ".HEADER", None), (name + ".TEXT", None)]
            inner = body[8]
            work.append((inner, name, not isinstance(inner[0], list)))
    return found


# Where the provider reads a broken message its own way: names of messages whose items are not compared.
READS_OTHERWISE = {
    "message/rfc822 in base64": "Dovecot looks into it; what is encoded is no message here (RFC 2046 §5.2.1)",
    "message/rfc822 in quoted-printable": "the same",
    "8-bit header iso-2022-jp": "escapes in a phrase make Dovecot give the address up",
    "control characters": "the same",
    "multipart: empty boundary": "no boundary here (RFC 2046 §5.1.1: 1 to 70 characters); Dovecot splits at --",
    "broken type": "what is shown of it is less broken than what the provider has",
}


def alike(value):
    """Without what servers do in ways of their own: white space at ends and in folds, an empty string for NIL, the order of
    parameters, an empty line behind fields that have none."""
    if isinstance(value, list):
        found = [alike(v) for v in value]
        if len(found) % 2 == 0 and all(isinstance(v, bytes) for v in found):
            pairs = sorted(zip(found[::2], found[1::2]))
            return [v for pair in pairs for v in pair]
        return found
    if isinstance(value, bytes):
        return re.sub(rb"[ \t]+", b" ", value).rstrip(b" \r\n") or None
    return value


def single_bodies(structure):
    """Names of the parts that are the single body of a message: what their MIME header is, servers do not agree."""
    found, work = set(), [(structure, "")]
    while work:
        body, at = work.pop()
        if isinstance(body[0], list):
            work += [(part, f"{at}{'.' if at else ''}{n}") for n, part in enumerate(body, 1) if isinstance(part, list)]
        else:
            if not at:
                at = "1"
                found.add(at)
            if body[0].upper() == b"MESSAGE" and len(body) > 8 and isinstance(body[7], list):
                if isinstance(body[8][0], list):
                    work.append((body[8], at))
                else:
                    found.add(at + ".1")
                    work.append((body[8], at + ".1"))
    return found


def digest(value):
    return hashlib.sha1(repr(value).encode()).hexdigest()[:16]


def plain(value):
    """Quoted or literal makes no difference."""
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, Atom):
        return value.upper().decode()
    return bytes(value) if isinstance(value, bytes) else value


class Story:
    """What one session tells of a mailbox: {uid: {item: value}}, sections included."""

    def __init__(self, client, big=True):
        self.messages = {}
        client.select(examine=True)

        def keep(response):
            if response.name == b"FETCH":
                self.messages.setdefault(response.data.get(b"UID"), {}).update(
                    {k: plain(v) for k, v in response.data.items() if k not in (b"FLAGS", b"MODSEQ")})
        client.ok("UID FETCH", "1:*", "(UID RFC822.SIZE)", observe=keep)
        small = [uid for uid, items in self.messages.items() if items[b"RFC822.SIZE"] < 1_000_000]
        for begin in range(0, len(small), 100):
            client.ok("UID FETCH", ",".join(map(str, small[begin:begin + 100])), f"({WHOLE})", observe=keep)
        for uid in set(self.messages) - set(small) if big else ():
            client.ok("UID FETCH", str(uid), f"({WHOLE})", observe=keep)
        self.raw_structures = {}
        for uid in small:
            wanted = [name for name, _ in sections(self.messages[uid][b"BODYSTRUCTURE"])]
            mime = [name for name in wanted if not name.endswith(("HEADER", "TEXT"))]
            asked = [f"BODY.PEEK[{name}]" for name in wanted] + [f"BODY.PEEK[{name}.MIME]" for name in mime]
            client.ok("UID FETCH", str(uid), f"(UID {' '.join(asked)})", observe=keep)

    def digests(self):
        return {uid: {name: digest(value) for name, value in items.items()} for uid, items in self.messages.items()}

    def violations(self):
        """What does not fit together, by uid."""
        found = {}
        for uid, m in self.messages.items():
            wrong = []
            whole = m.get(b"BODY[]")
            if whole is None:
                continue
            if m[b"RFC822.SIZE"] != len(whole):
                wrong.append("RFC822.SIZE")
            if m[b"BODY[HEADER]"] + m[b"BODY[TEXT]"] != whole:
                wrong.append("HEADER + TEXT")
            if m[b"RFC822.HEADER"] != m[b"BODY[HEADER]"]:
                wrong.append("RFC822.HEADER")
            for name, size in sections(m[b"BODYSTRUCTURE"]):
                content = m.get(f"BODY[{name}]".encode())
                if content is None:
                    continue
                if size is not None and size != len(content):
                    wrong.append(f"{name}: {size} octets said, {len(content)} given")
                if content not in whole:
                    wrong.append(f"{name}: not in the whole")
                if f"BODY[{name}.HEADER]".encode() in m and m[f"BODY[{name}.HEADER]".encode()] is not None:
                    if m[f"BODY[{name}.HEADER]".encode()] + m[f"BODY[{name}.TEXT]".encode()] != content:
                        wrong.append(f"{name}: HEADER + TEXT")
            if wrong:
                found[uid] = wrong
        return found


class Consistent(Proxied):
    users = (READER, MIRROR)
    workers = 2

    @classmethod
    def make_gateway(cls, space, name, **more):
        if not hasattr(cls, "redis"):
            cls.redis = Redis(space).start()
        return super().make_gateway(space, name, redis=cls.redis, **more)

    @classmethod
    def fill(cls):
        cls.stored = cls.put(READER, [m for m in MESSAGES if not m.bare])
        cls.by_uid = dict(enumerate(cls.stored, 1))
        with cls.proxied() as client:
            cls.story = Story(client)

    def differing(self, one, other):
        """[message: items] whose digests differ."""
        return [(self.by_uid[uid].name, sorted(n.decode() for n in one[uid] if one[uid][n] != other[uid].get(n)))
                for uid in one if one[uid] != other[uid]]

    def test_there_is_enough(self):
        self.assertGreaterEqual(len(self.stored), 300)
        self.assertEqual(len(self.story.messages), len(self.stored))
        self.assertGreaterEqual(max(m[b"RFC822.SIZE"] for m in self.story.messages.values()), 30_000_000)

    def test_it_is_rewritten_and_fits_together(self):
        with self.direct() as client:
            direct = Story(client)
        plainly, shown = direct.violations(), self.story.violations()
        # Of broken messages the provider itself tells what does not fit together.
        worse = {self.by_uid[uid].name: wrong for uid, wrong in shown.items() if set(wrong) - set(plainly.get(uid, []))
                 and self.by_uid[uid].name.split(" ", 1)[1] not in READS_OTHERWISE}
        self.assertEqual(worse, {})
        self.assertLess(len(plainly), 20)
        for uid, told in self.story.messages.items():
            name, real = self.by_uid[uid].name, direct.messages[uid]
            self.assertEqual(told.keys(), real.keys(), name)
            self.assertEqual(told[b"RFC822.SIZE"], real[b"RFC822.SIZE"], name)
            self.assertEqual(told[b"BODY[]"].count(b"\n"), real[b"BODY[]"].count(b"\n"), name)
        changed = sum(told[b"BODY[]"] != direct.messages[uid][b"BODY[]"] for uid, told in self.story.messages.items())
        self.assertGreater(changed, 250)

    def test_the_provider_says_the_same_of_what_is_shown(self):
        order = [uid for uid, m in sorted(self.story.messages.items()) if m[b"RFC822.SIZE"] < 4_000_000]
        with self.direct(MIRROR) as client:
            client.select()
            for uid in order:
                client.ok(f"APPEND INBOX {DATE}", Literal(self.story.messages[uid][b"BODY[]"]))
        with self.direct(MIRROR) as client:
            mirrored = Story(client)
        wrong, compared = [], 0
        for number, uid in enumerate(order, 1):
            told, mirror = self.story.messages[uid], mirrored.messages[number]
            if mirror[b"BODY[]"] != told[b"BODY[]"]:
                wrong.append((self.by_uid[uid].name, "the provider stored other octets"))
                continue
            if self.by_uid[uid].name.split(" ", 1)[1] in READS_OTHERWISE:
                continue
            skipped = {b"UID"} | {f"BODY[{n}.MIME]".encode() for n in single_bodies(told[b"BODYSTRUCTURE"])}
            for name in sorted((told.keys() | mirror.keys()) - skipped):
                compared += 1
                if alike(told.get(name)) != alike(mirror.get(name)):
                    wrong.append((self.by_uid[uid].name, name.decode(), told.get(name), mirror.get(name)))
        self.assertEqual(len(wrong), 0, "\n".join(str(w)[:1500] for w in wrong[:12]) + f"\n{len(wrong)} in all")
        self.assertGreater(compared, 4000)

    def test_partials_glue_to_the_whole(self):
        chance = random.Random(8)
        with self.proxied() as client:
            client.select(examine=True)
            uids = sorted(self.story.messages)
            for uid in chance.sample([u for u in uids if self.story.messages[u][b"RFC822.SIZE"] < 100_000], 60):
                m = self.story.messages[uid]
                names = ["", "HEADER", "TEXT", *(n for n, _ in sections(m[b"BODYSTRUCTURE"]))]
                section = chance.choice([n for n in names if m.get(f"BODY[{n}]".encode())] or [""])
                whole = m[f"BODY[{section}]".encode()]
                size = chance.choice([1, 7, 64, 1000, 4096]) if len(whole) > 300 else chance.choice([1, 2, 3, 50])
                size = max(size, len(whole) // 120)
                places = list(range(0, len(whole) + size, size))
                if chance.random() < 0.5:
                    chance.shuffle(places)
                pieces = {}
                for begin in range(0, len(places), 40):
                    asked = " ".join(f"BODY.PEEK[{section}]<{p}.{size}>" for p in places[begin:begin + 40])
                    for name, value in client.fetch(uid, f"(UID {asked})", uid=True).popitem()[1].items():
                        if b"<" in name:
                            pieces[int(name.rpartition(b"<")[2][:-1])] = bytes(value or b"")
                glued = b"".join(value for _, value in sorted(pieces.items()))
                self.assertTrue(glued == whole, f"{self.by_uid[uid].name} [{section}] by {size}: {len(glued)} {len(whole)}")

    def test_partials_of_the_big_ones(self):
        with self.proxied() as client:
            client.select(examine=True)
            for uid, m in self.story.messages.items():
                if m[b"RFC822.SIZE"] < 1_000_000:
                    continue
                whole, glued, size = m[b"BODY[]"], bytearray(), 4_000_003
                while len(glued) < len(whole):
                    piece = client.fetch(uid, f"(UID BODY.PEEK[]<{len(glued)}.{size}>)", uid=True).popitem()[1]
                    glued += piece[b"BODY[]<%d>" % len(glued)]
                self.assertTrue(glued == whole, self.by_uid[uid].name)
                places = [0, 1, 1500, len(whole) // 2, len(whole) - 5, len(whole), len(whole) + 9]
                random.Random(3).shuffle(places)
                for place in places:
                    piece = client.fetch(uid, f"(UID BODY.PEEK[]<{place}.777>)", uid=True).popitem()[1]
                    self.assertTrue((piece[b"BODY[]<%d>" % place] or b"") == whole[place:place + 777], place)

    def test_other_sessions_and_orders(self):
        told = self.story.digests()

        def again(_):
            with self.proxied() as client:
                return Story(client, big=False).digests()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for other in pool.map(again, range(3)):
                self.check_same(told, other)
        # One item at a time, the last message first: nothing depends on what was asked before.
        with self.proxied() as client:
            client.select(examine=True)
            for uid in sorted(told, reverse=True)[:120]:
                for item in WHOLE.split(" ", 2)[2].replace(" BODY", "\0BODY").replace(" RFC", "\0RFC").split("\0"):
                    for name, value in client.fetch(uid, f"(UID {item})", uid=True).popitem()[1].items():
                        if name not in (b"UID", b"FLAGS"):
                            self.assertEqual(digest(plain(value)), told[uid][name], (self.by_uid[uid].name, item))

    def test_lists_of_messages(self):
        """As clients read them: each message is told once, and of most of them some fields were read."""
        before = self.gateway.metrics()
        for uid, command in ((True, "UID FETCH"), (False, "FETCH")):
            for items in ("(UID FLAGS RFC822.SIZE ENVELOPE)", f"(UID FLAGS ENVELOPE INTERNALDATE {FIELDS})", f"(UID {FIELDS})"):
                told = []
                with self.proxied() as client:
                    client.select(examine=True)
                    client.ok(command, "1:*", items, observe=lambda r: told.append(r.data) if r.name == b"FETCH" else None)
                self.assertEqual(sorted(data[b"UID"] for data in told), sorted(self.story.messages))
                for data in told:
                    self.assertEqual(len(data), items.count(" ") + 1 - items.count(FIELDS) * FIELDS.count(" "))
                    for name in data.keys() & self.story.messages[data[b"UID"]].keys():
                        self.assertEqual(plain(data[name]), self.story.messages[data[b"UID"]][name], (self.by_uid[data[b"UID"]].name, name))
        after = self.gateway.metrics()
        again, shown = (after[name] - before.get(name, 0) for name in ("kagemusha_headers_asked_again_total", "kagemusha_headers_shown_total"))
        self.assertGreater(again, 50)
        self.assertGreater(shown, 6 * len(self.story.messages) * 0.9)
        self.assertLess(again, 6 * len(self.story.messages) * 0.5)

    def check_same(self, told, other):
        small = {uid: {n: d for n, d in items.items() if n in other[uid]} for uid, items in told.items()}
        self.assertEqual(self.differing(small, other), [])
        self.assertEqual(small.keys(), other.keys())

    def test_another_node_and_a_restart(self):
        told = self.story.digests()
        second = self.make_gateway(self.space, "second", keys={"master": self.gateway.key_path})
        second.start()
        try:
            with self.proxied(gateway=second) as client:
                self.check_same(told, Story(client, big=False).digests())
        finally:
            second.stop()
        self.gateway.restart()
        with self.proxied() as client:
            self.check_same(told, Story(client, big=False).digests())

    def test_pop3(self):
        order = sorted(self.story.messages)
        with self.proxied_pop() as pop, self.direct_pop() as direct:
            sizes = [int(line.split()[1]) for line in pop.ok("LIST").lines]
            self.assertEqual(pop.ok("LIST").text, direct.ok("LIST").text)
            self.assertEqual(pop.ok("UIDL").text, direct.ok("UIDL").text)
            self.assertEqual(pop.ok("STAT").status, direct.ok("STAT").status)
            self.assertEqual(sizes, [self.story.messages[uid][b"RFC822.SIZE"] for uid in order])
            for number, uid in enumerate(order, 1):
                name, whole = self.by_uid[uid].name, self.story.messages[uid][b"BODY[]"]
                text = pop.ok(f"RETR {number}").text
                # POP3 ends every message with a line end.
                self.assertTrue(text in (whole, whole + b"\r\n"), name)
                self.assertEqual(text == whole, whole.endswith(b"\r\n"), name)
                if len(whole) > 4_000_000:
                    continue
                for lines in (0, 1, 7):
                    top = pop.ok(f"TOP {number} {lines}").text
                    self.assertTrue(whole.startswith(top) or (whole + b"\r\n").startswith(top) or top.startswith(whole),
                                    f"{name} TOP {lines}\n{top[-300:]!r}")
                    self.assertEqual(top.count(b"\n"), direct.ok(f"TOP {number} {lines}").text.count(b"\n"), f"{name} TOP {lines}")

    def test_delivered_mail_has_room(self):
        """Messages as they are delivered need no fallback; in a mailbox that has nothing else."""
        before = self.fallbacks()
        ordinary = [m for m in MESSAGES if m.delivered and any(word in m.name for word in (
            " base64 ", " 8bit ", " quoted-printable ", " list", " resent", " a group", " cp50221"))]
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples")
        for name in sorted(set(os.listdir(folder)) - {"nested.eml"}):  # what stands inside it never travelled: no room
            with open(os.path.join(folder, name), "rb") as file:
                ordinary.append(Message(name, re.sub(rb"\r?\n", b"\r\n", file.read())))
        self.assertGreater(len(ordinary), 70)
        self.put(READER, ordinary, "ordinary")
        with self.proxied() as client:
            client.select("ordinary")
            shown = client.fetch("1:*", "(BODY.PEEK[])")
        self.assertEqual(len(shown), len(ordinary))
        self.assertEqual(self.fallbacks(), before)

    def fallbacks(self):
        return {name: value for name, value in self.gateway.metrics().items() if "size_fallback" in name}


class BareLineFeeds(Proxied):
    """Messages with lines that end without CR, from an upstream that gives them as they are."""

    messages = [m for m in MESSAGES if m.bare]

    @classmethod
    def prepare(cls, space):
        cls.make_server = lambda space, authority, users: FaultyUpstream(
            space, authority, {}, [m.data for m in cls.messages] + [MESSAGE]).start()
        super().prepare(space)

    def test_one_story(self):
        with Imap(self.gateway.imaps, self.tls, READER, PASSWORD) as client:
            client.select()
            told = client.fetch("1:*", "(UID RFC822.SIZE ENVELOPE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])")
            self.assertEqual(len(told), len(self.messages) + 1)
            for number, message in enumerate(self.messages, 1):
                m, whole = told[number], bytes(told[number][b"BODY[]"])
                self.assertEqual(len(whole), len(message.data), message.name)
                self.assertEqual(m[b"RFC822.SIZE"], len(whole))
                self.assertEqual(m[b"BODY[HEADER]"] + m[b"BODY[TEXT]"], whole, message.name)
                self.assertEqual(whole.count(b"\n"), message.data.count(b"\n"), message.name)
                self.assertEqual(canaries(whole) + canaries(repr(m[b"ENVELOPE"]).encode()), [], message.name)
                glued = b"".join(bytes(client.fetch(number, f"(BODY.PEEK[]<{p}.97>)")[number][b"BODY[]<%d>" % p] or b"")
                                 for p in range(0, len(whole), 97))
                self.assertTrue(glued == whole, message.name)

    def test_pop3(self):
        with Imap(self.gateway.imaps, self.tls, READER, PASSWORD) as client:
            client.select()
            told = client.fetch("1:*", "(BODY.PEEK[])")
        with Pop(self.gateway.pop3s, self.tls, READER, PASSWORD) as pop:
            for number, message in enumerate(self.messages, 1):
                text = pop.ok(f"RETR {number}").text
                self.assertEqual(canaries(text), [], message.name)
                whole = bytes(told[number][b"BODY[]"])
                self.assertTrue(text == whole + (b"" if whole.endswith(b"\r\n") else b"\r\n"), message.name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
