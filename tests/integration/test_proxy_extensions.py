"""Each extension that is offered, at servers that have it: what the proxy answers is what the provider answers.

Two mailboxes with the same mail, which needs no rewriting; the same commands, directly in one and through the proxy in
the other.
"""

import re
import unittest

from harness.imap_client import Literal
from harness.messages import own_writing
from harness.proxied import DATE, PUBLIC, Proxied, cyrus, dovecot

WRITING = [m for m in own_writing("member@gmail.test", PUBLIC, 40) if PUBLIC.encode() in m.data][:8]
NOTE = Literal(WRITING[0].data)

# What is offered where the provider has it: the commands that use it. A tuple is one command with literals; IDLE and
# QRESYNC have functions of their own.
EXTENSIONS = {
    "NAMESPACE": ["NAMESPACE"],
    "UIDPLUS": ["UID COPY 1:2 kept", "UID STORE 2:3 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 2", ("APPEND kept", DATE, NOTE),
                "UID STORE 3 -FLAGS.SILENT (\\Deleted)"],
    "MOVE": ["UID MOVE 4 kept", "MOVE 1 kept"],
    "SPECIAL-USE": ['LIST "" "*" RETURN (SPECIAL-USE)', 'LIST (SPECIAL-USE) "" "*"'],
    "CREATE-SPECIAL-USE": ["CREATE attic (USE (\\Archive))", 'LIST (SPECIAL-USE) "" "attic"', "DELETE attic"],
    "LIST-EXTENDED": ["SUBSCRIBE kept", 'LIST (SUBSCRIBED) "" ("k*" "%") RETURN (CHILDREN)', 'LIST "" "k*" RETURN (SUBSCRIBED)',
                      "UNSUBSCRIBE kept"],
    "LIST-STATUS": ['LIST "" "k*" RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))'],
    "CHILDREN": ["CREATE kept/inner", 'LIST "" "k*"', "DELETE kept/inner"],
    "CONDSTORE": ["STORE 1 (UNCHANGEDSINCE 1) +FLAGS (Custom)", "STORE 2 +FLAGS (Custom)", "FETCH 1:* (UID FLAGS) (CHANGEDSINCE 1)",
                  "SEARCH MODSEQ 1"],
    "ESEARCH": ["SEARCH RETURN (MIN MAX COUNT ALL) ALL", "UID SEARCH RETURN (COUNT) SUBJECT x", "SEARCH RETURN () 2:3"],
    "SEARCHRES": ["SEARCH RETURN (SAVE) 2:4", "FETCH $ (UID FLAGS)", "UID SEARCH UID $"],
    "SORT": ["SORT (REVERSE SIZE SUBJECT) UTF-8 ALL", "UID SORT (ARRIVAL CC) US-ASCII 1:4"],
    "SORT=DISPLAY": ["SORT (DISPLAYFROM SIZE) UTF-8 ALL", "SORT (REVERSE DISPLAYFROM ARRIVAL) UTF-8 2:4"],
    "THREAD=REFERENCES": ["UID THREAD REFERENCES UTF-8 ALL"],
    "THREAD=ORDEREDSUBJECT": ["THREAD ORDEREDSUBJECT UTF-8 ALL"],
    "THREAD=REFS": ["THREAD REFS UTF-8 ALL"],
    "QUOTA": ["GETQUOTAROOT INBOX"],
    "UNSELECT": ["UNSELECT", "SELECT INBOX"],
    "WITHIN": ["SEARCH OLDER 60", "SEARCH YOUNGER 60", "UID SEARCH NOT OLDER 60 SUBJECT x"],
    "MULTIAPPEND": [("APPEND kept", DATE, NOTE, "(\\Seen)", DATE, Literal(WRITING[1].data)), "STATUS kept (MESSAGES UNSEEN)"],
    "BINARY": ["FETCH 1:* (BINARY.SIZE[1])", "FETCH 1:* (BINARY.PEEK[1])", "UID FETCH 1:* (BINARY.PEEK[1]<3.40>)",
               "FETCH 1 (BINARY[9])"],
    "OBJECTID": ["STATUS kept (MAILBOXID)", "FETCH 1:2 (EMAILID THREADID)"],
    "STATUS=SIZE": ["STATUS INBOX (SIZE MESSAGES)"],
    "SAVEDATE": ["FETCH 1:2 (SAVEDATE)", "SEARCH SAVEDBEFORE 1-Jan-2020", "SEARCH SAVEDATESUPPORTED"],
}
# The proxy's own, whatever the provider has (test_proxy_session); IDLE and QRESYNC are below.
OWN = {"IMAP4REV1", "LITERAL+", "SASL-IR", "ID", "ENABLE", "COMPRESS=DEFLATE"}
SPECIAL = {"IDLE", "QRESYNC"}
# What a server gives another mailbox in another way: ids, and the moment.
OTHERS = re.compile(rb"(UIDVALIDITY|HIGHESTMODSEQ|COPYUID|APPENDUID|MODSEQ) \(?\d+\)?|MAILBOXID \([^)]*\)|\(TAG \"[^\"]*\"\)")


def masked(octets):
    return OTHERS.sub(lambda m: m.group(0).split(b" ")[0], octets)


def told(answer):
    """What has to be the same: everything but ids of another mailbox, how a string is written, and words for people."""
    said = []
    for r in answer.untagged:
        if r.name == b"FETCH":
            said.append((r.number, sorted((k, None if k in (b"MODSEQ", b"EMAILID", b"THREADID", b"SAVEDATE") else v)
                                          for k, v in r.data.items())))
        elif r.name not in (b"OK", b"FLAGS"):  # of a new keyword Cyrus tells with this command or a later one
            said.append(masked(r.raw))
    return sorted(said, key=repr), answer.name, masked(answer.status.code)


class Extensions(Proxied):
    users = ("plain@direct.test", "plain@proxied.test")
    lacks = set()

    @classmethod
    def fill(cls):
        for user in cls.users:
            cls.put(user, WRITING)
            cls.put(user, WRITING[:1], "kept")

    def sessions(self):
        for client in (self.direct(self.users[0]), self.proxied(self.users[1])):
            self.addCleanup(client.close)
            client.select()
            yield client

    def same(self, commands):
        for command in commands:
            pieces = (command,) if isinstance(command, str) else command
            left, right = (told(client.command(*pieces)) for client in self.pair)
            self.assertEqual(left, right, pieces[0])
            self.assertNotEqual(left[1], b"BAD", f"{pieces[0]}: this server does not know it")

    def test_every_extension(self):
        self.pair = list(self.sessions())
        offered = self.pair[1].capabilities
        self.assertEqual(offered - OWN - SPECIAL, EXTENSIONS.keys() - self.lacks, "each has commands here")
        self.assertLessEqual(SPECIAL, offered)
        for name in EXTENSIONS.keys() - self.lacks:
            with self.subTest(name):
                self.same(EXTENSIONS[name])

    def test_idle(self):
        self.pair = list(self.sessions())
        for client, user in zip(self.pair, self.users):
            tag = client.new_tag()
            client.send(tag + b" IDLE\r\n")
            client.until(lambda r: r.kind == "continuation", [])
            exists = client.exists
            with self.direct(user) as other:
                other.append("INBOX", WRITING[2].data)
            news = client.until(lambda r: r.name == b"EXISTS", [])
            self.assertEqual(news.number, exists + 1)
            client.send(b"DONE\r\n")
            self.assertEqual(client.until(lambda r: r.kind == "tagged", []).name, b"OK")

    def test_quick_resync(self):
        found = []
        for client, user in zip(self.sessions(), self.users):
            client.ok("CREATE sync")
            for number in range(4):
                client.append("sync", WRITING[number].data)
            client.ok("ENABLE QRESYNC")
            opened = client.select("sync").untagged
            validity, modseq = (next(int(m.group(1)) for r in opened if (m := re.search(rb"%s (\d+)" % name, r.raw)))
                                for name in (b"UIDVALIDITY", b"HIGHESTMODSEQ"))
            client.ok("UNSELECT")
            with self.direct(user) as other:
                other.select("sync")
                other.ok("STORE 1 +FLAGS (\\Flagged)")
                other.ok("STORE 2 +FLAGS (\\Deleted)")
                other.ok("EXPUNGE")
            answer = client.ok(f"SELECT sync (QRESYNC ({validity} {modseq} 1:4))")
            found.append([masked(r.raw) for r in answer.untagged if r.name in (b"VANISHED", b"FETCH", b"EXISTS")])
        self.assertEqual(found[0], found[1])
        self.assertTrue(any(b"VANISHED (EARLIER) 2" in line for line in found[1]), found[1])


class AtDovecot(Extensions):
    make_server = staticmethod(dovecot)
    lacks = {"SPECIAL-USE", "CREATE-SPECIAL-USE", "OBJECTID", "QUOTA"}


class AtCyrus(Extensions):
    make_server = staticmethod(cyrus)
    lacks = {"SEARCHRES"}


assert not AtDovecot.lacks & AtCyrus.lacks, "each extension has a server here that knows it"
del Extensions


if __name__ == "__main__":
    unittest.main(verbosity=2)
