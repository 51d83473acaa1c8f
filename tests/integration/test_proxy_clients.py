"""Transparent: where mail needs no rewriting, every client gets through the proxy what it gets directly, byte for byte,
and leaves the mailbox in the same state (contract R8.1, R8.6). With Dovecot and with Cyrus as the provider."""

import concurrent.futures
import hashlib
import imaplib
import os
import poplib
import re
import unittest

from harness import clients
from harness.imap_grammar import Cursor
from harness.messages import own_writing
from harness.proxied import DATE, PASSWORD, PUBLIC, READER, Proxied, cyrus, dovecot, state

WRITERS = {kind: (f"{kind}-direct@gmail.test", f"{kind}-proxied@gmail.test") for kind in
           ("mbsync", "offlineimap", "imaplib", "curl")}
MESSAGES = own_writing("member@gmail.test", PUBLIC, 24)
MORE = [m for m in own_writing("member@gmail.test", PUBLIC, 32)[24:] if PUBLIC.encode() in m.data]


class Both:
    users = (READER, *(user for pair in WRITERS.values() for user in pair))

    @classmethod
    def fill(cls):
        # What the member wrote: From is the public address, the same for all of them.
        writing = [m for m in MESSAGES if PUBLIC.encode() in m.data]
        for user in cls.users:
            cls.put(user, writing)
            cls.put(user, writing[:5], "Archive")
            cls.put(user, [], "Empty")
            with cls.direct(user) as client:
                client.select()
                client.ok("STORE 1:3 +FLAGS (\\Seen)")
                client.ok("STORE 2:4 +FLAGS (\\Flagged \\Answered)")
                client.ok("STORE 5 +FLAGS ($Label1)")
        cls.count = len(writing)

    def compare(self, make, at_least=None, together=True):
        """make(account, folder) through the proxy gives what it gives directly. Not `together`: for a client that takes no
        word of what another one does to the mailbox."""
        direct, proxied = self.runs(make, (READER, READER), 2 if together else 1)
        self.assertGreaterEqual(len(direct), at_least or self.count)
        self.assertEqual(direct.keys(), proxied.keys())
        for key, data in direct.items():
            self.assertTrue(data == proxied[key], f"{key}\n{data[:3000]!r}\n{proxied[key][:3000]!r}")

    def at_once(self, session, *users):
        """session(account, folder) directly for the first user and through the proxy for the second, side by side."""
        return self.runs(session, users, 2)

    def runs(self, session, users, side_by_side):
        name = self.id().rsplit(".", 1)[1]
        with concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
            runs = [pool.submit(session, self.account(user, way == "proxied"), self.space.join(name, way))
                    for user, way in zip(users, ("direct", "proxied"))]
            return [run.result() for run in runs]

    # Reading

    def test_mbsync(self):
        self.compare(clients.mbsync)

    def test_offlineimap(self):
        self.compare(clients.offlineimap)

    def test_fetchmail_imap(self):
        self.compare(lambda account, folder: self.fetched(account, folder, "IMAP"))

    def test_fetchmail_pop3(self):
        self.compare(lambda account, folder: self.fetched(account, folder, "POP3"))

    @staticmethod
    def fetched(account, folder, protocol):
        """Message by message, without the time and the process number that fetchmail writes on top of each."""
        text = clients.fetchmail(account, folder, protocol)["all"]
        messages = text.split(b"--- end of message ---\n")
        return {str(n): re.sub(rb"\AReceived: .*?\n(?![ \t])", b"", m, flags=re.S) for n, m in enumerate(messages)}

    def test_getmail_imap(self):
        self.compare(lambda account, folder: self.without_getmail(clients.getmail(account, folder, "IMAP")))

    def test_getmail_pop3(self):
        self.compare(lambda account, folder: self.without_getmail(clients.getmail(account, folder, "POP3")))

    @staticmethod
    def without_getmail(found):
        """Without the field that names getmail's moment of retrieval, when there is one."""
        return {str(n): m for n, m in enumerate(sorted(re.sub(rb"(?m)^X-getmail-.*\n", b"", m) for m in found.values()))}

    def test_mpop(self):
        self.compare(clients.mpop)

    def test_mpop_without_pipelining(self):
        self.compare(lambda account, folder: clients.mpop(account, folder, "off"))

    def test_mutt(self):
        self.compare(clients.mutt)

    def test_curl(self):
        wishes = [("", "imaps", None), ("INBOX", "imaps", "EXAMINE INBOX"), ("INBOX;MAILINDEX=3", "imaps", None),
                  ("INBOX;UID=3", "imaps", None), ("INBOX;UID=3;SECTION=TEXT", "imaps", None),
                  ("INBOX;MAILINDEX=5;SECTION=HEADER", "imaps", None), ("INBOX?ALL", "imaps", None),
                  ("INBOX", "imaps", "FETCH 1:9 (UID FLAGS INTERNALDATE)"), ("INBOX", "imaps", "FETCH 1:9 (ENVELOPE)"),
                  ("INBOX", "imaps", "FETCH 1:9 (BODYSTRUCTURE)"),
                  ("INBOX", "imaps", 'STATUS Archive (MESSAGES UNSEEN)'), ("", "pop3s", None), ("3", "pop3s", None),
                  ("2", "pop3s", "TOP"), ("", "pop3s", "UIDL")]

        def transfers(account, folder):
            found = {}
            for path, protocol, request in wishes:
                if request == "TOP":
                    request, path = f"TOP {path} 3", ""
                found[f"{protocol} {path} {request}"] = self.status_free(
                    clients.curl(account, folder, path, protocol, request))
            return found
        self.compare(transfers, len(wishes), together=False)  # curl fails at a FETCH that it did not ask for

    @staticmethod
    def status_free(output):
        """`* OK [CODE] text` is partly the server's own, \\Marked comes and goes, and folders are listed in any order."""
        lines = re.sub(rb" ?\\(Unm|M)arked", b"", output).splitlines(True)
        if output.startswith((b"* LIST", b"* 1 FETCH")):
            lines.sort()
        return b"".join(line for line in lines if not line.startswith(b"* OK"))

    # Both ways

    def write_both_ways(self, kind, session):
        """session(account, folder) for a pair of equal mailboxes, one directly and one through the proxy."""
        results, states = self.at_once(session, *WRITERS[kind]), []
        for user in WRITERS[kind]:
            with self.direct(user) as client:
                states.append(state(client))
        self.assertEqual(results[0], results[1])
        self.assertEqual(states[0].keys(), states[1].keys())
        for folder, messages in states[0].items():
            self.assertEqual([self.summary(m) for m in messages], [self.summary(m) for m in states[1][folder]], folder)
        return states[0]

    @staticmethod
    def summary(message):
        """Short to read when it fails; without the mark that a synchronizing client writes into what it stores."""
        uid, flags, data = message
        data = re.sub(rb"(?m)^X-(TUID|OfflineIMAP): .*\r\n", b"", data)
        return uid, flags, len(data), hashlib.sha1(data).hexdigest()

    def synced(self, sync):
        """A session of a synchronizing client: down, then changes of every sort up and down again."""
        def session(account, folder):
            found = [sync(account, folder)]
            inbox = next(p for p in (f"{folder}/mail/INBOX", f"{folder}/mail/inbox") if os.path.isdir(p))
            names = sorted((n for d in ("cur", "new") for n in os.listdir(f"{inbox}/{d}")), key=self.uid_in_name)
            paths = [next(p for p in (f"{inbox}/cur/{n}", f"{inbox}/new/{n}") if os.path.exists(p)) for n in names]
            os.remove(paths[0])
            for path, flags in ((paths[1], "FST"), (paths[2], "RS"), (paths[3], "")):
                base = os.path.basename(path).partition(":2,")[0]
                os.rename(path, f"{inbox}/cur/{base}:2,{flags}")
            for n, message in enumerate(MORE[:3]):
                with open(f"{inbox}/cur/17672000{n}.1.host:2,S", "wb") as file:
                    file.write(message.data.replace(b"\r\n", b"\n"))
            for sub in ("cur", "new", "tmp"):
                os.makedirs(f"{folder}/mail/Made here/{sub}")
            found.append(sync(account, folder))
            found.append(sync(account, folder))
            return [sorted(key.rsplit("/", 1)[0] for key in f) for f in found]
        return session

    @staticmethod
    def uid_in_name(name):
        return int(re.search(r"U=(\d+)", name).group(1))

    def test_mbsync_both_ways(self):
        left = self.write_both_ways("mbsync", self.synced(clients.mbsync))
        self.assertIn("Made here", left)
        self.assertGreaterEqual(len(left["INBOX"]), self.count)

    def test_offlineimap_both_ways(self):
        left = self.write_both_ways("offlineimap", self.synced(clients.offlineimap))
        self.assertIn("Made here", left)
        self.assertGreaterEqual(len(left["INBOX"]), self.count)

    def test_curl_both_ways(self):
        def session(account, folder):
            path = self.space.write("curl-upload", MORE[0].data)
            found = [clients.curl(account, folder, "INBOX", upload=path)]
            for request in ("STORE 1 +Flags \\Deleted", "EXPUNGE", "CREATE made", "COPY 1 made"):
                found.append(clients.curl(account, folder, "INBOX", request=request))
            found.append(clients.curl(account, folder, "INBOX", request="FETCH 1:* (UID FLAGS RFC822.SIZE)"))
            return [re.sub(rb"(?m)^\* .*OK.*$", b"", f) for f in found]
        self.write_both_ways("curl", session)

    def test_imaplib(self):
        def session(account, _):
            context = self.authority.client_context()
            client = imaplib.IMAP4_SSL("localhost", account.imaps, ssl_context=context)
            found = []

            def note(what, answer):
                kind, data = answer
                if what.split()[0] in ("append", "copy", "login", "create", "delete", "rename", "logout", "noop", "check",
                                       "close", "uid copy", "enable", "subscribe", "unsubscribe"):
                    data = None  # what a person reads there is each server's own
                if what.startswith("fetch"):
                    data = self.in_order(data)
                found.append((what, kind, data))
            note("login", client.login(account.user, PASSWORD))
            note("list", ("OK", sorted(client.list()[1])))
            note("enable", client.enable("CONDSTORE"))
            note("select", client.select("INBOX"))
            note("flags", client.response("FLAGS"))
            note("search", client.search(None, "ALL"))
            note("search 2", client.search("UTF-8", "OR", "SEEN", "FLAGGED"))
            note("search 3", client.search(None, "FROM", '"hanako"', "SINCE", "1-Jan-2020"))
            note("search 4", client.search(None, "NOT", "BODY", '"text"'))
            note("uid search", client.uid("SEARCH", None, "LARGER", "300"))
            for items in ("(FLAGS UID INTERNALDATE RFC822.SIZE)", "(BODY.PEEK[])", "(ENVELOPE)", "(BODYSTRUCTURE)", "(BODY)",
                          "(BODY.PEEK[HEADER])", "(BODY.PEEK[TEXT])", "(BODY.PEEK[1])", "(BODY.PEEK[1.MIME])",
                          "(BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT)])", "(BODY.PEEK[HEADER.FIELDS.NOT (FROM)])",
                          "(RFC822.HEADER)", "(BODY.PEEK[]<10.100>)", "ALL", "FULL", "FAST", "(BODY.PEEK[2] BODY.PEEK[1.1])"):
                note("fetch " + items, client.fetch("1:*", items))
            note("fetch unread", client.fetch("6:8", "(FLAGS RFC822.TEXT)"))
            note("fetch whole", client.fetch("9", "(RFC822)"))
            note("store", client.store("1:2", "+FLAGS", "(\\Flagged)"))
            note("store silent", client.store("2:3", "FLAGS.SILENT", "(\\Seen $Custom)"))
            note("create", client.create('"New folder"'))
            note("copy", client.copy("1:5", '"New folder"'))
            note("move", client.uid("MOVE", "4:5", '"New folder"'))
            note("append", client.append('"New folder"', "(\\Draft)", DATE, MORE[1].data))
            note("append", client.append("INBOX", None, DATE, MORE[2].data))
            note("append big", client.append("INBOX", None, DATE, MORE[2].data + b"line\r\n" * 100_000))
            note("noop", client.noop())
            note("fetch big", client.fetch(str(self.count), "(RFC822.SIZE BODY.PEEK[])"))
            note("check", client.check())
            note("thread", client.thread("REFERENCES", "UTF-8", "ALL"))
            note("sort", client.sort("(SUBJECT REVERSE DATE)", "UTF-8", "ALL"))
            note("delete one", client.store("7", "+FLAGS.SILENT", "(\\Deleted)"))
            note("expunge", client.expunge())
            note("namespace", client.namespace())
            note("rename", client.rename('"New folder"', "Other"))
            note("subscribe", client.subscribe("Other"))
            note("lsub", client.lsub())
            note("status", client.status("Other", "(MESSAGES UIDNEXT UNSEEN)"))
            note("close", client.close())
            note("examine", client.select("Other", readonly=True))
            note("fetch there", client.fetch("1:*", "(UID FLAGS BODY.PEEK[])"))
            note("unselect", client.unselect())
            note("delete", client.delete("Other"))
            note("logout", client.logout())
            # MODSEQ counts what happened in the mailbox before, which is not the same for the two.
            return [(what, kind, re.sub(r"MODSEQ \(\d+\) ?", "", repr(data))) for what, kind, data in found]
        self.write_both_ways("imaplib", session)

    @staticmethod
    def in_order(data):
        """imaplib's FETCH data as [(number, items)]: messages and items may come in any order."""
        texts = []
        for piece in data:
            octets = b"\r\n".join(piece) if isinstance(piece, tuple) else piece or b""
            if re.match(rb"\d+ \(", octets) or not texts:
                texts.append(b"")
            texts[-1] += octets
        found = []
        for text in filter(None, texts):
            cursor = Cursor(text, utf8=True)
            number = cursor.number()
            cursor.expect(b" ")
            found.append((number, sorted(cursor.fetch_items().items())))
        return sorted(found)

    def test_poplib(self):
        def session(account, _):
            client = poplib.POP3_SSL("localhost", account.pop3s, context=self.authority.client_context())
            found = {}

            def note(what, answer):
                # (status line, lines, octets): what a person reads in the status line is each server's own.
                found[what] = repr(answer[1:] if isinstance(answer, tuple) and isinstance(answer[0], bytes) else answer
                                   if isinstance(answer, tuple) else answer[:3]).encode()
            note("user", client.user(account.user))
            note("pass", client.pass_(PASSWORD))
            note("stat", client.stat())
            note("list", client.list())
            note("uidl", client.uidl())
            note("list 2", client.list(2))
            note("uidl 2", client.uidl(2))
            for number in range(1, self.count + 1):
                note(f"retr {number}", client.retr(number))
                for lines in (0, 1, 5, 1000):
                    note(f"top {number} {lines}", client.top(number, lines))
            note("dele", client.dele(1))
            note("rset", client.rset())
            note("noop", client.noop())
            for wrong in ("retr", "dele", "uidl"):
                try:
                    getattr(client, wrong)(99_999)
                    found["wrong " + wrong] = b"taken"
                except poplib.error_proto:
                    found["wrong " + wrong] = b"refused"
            note("stat again", client.stat())
            note("quit", client.quit())
            return found
        self.compare(session)


class WithDovecot(Both, Proxied):
    make_server = staticmethod(dovecot)


class WithCyrus(Both, Proxied):
    make_server = staticmethod(cyrus)


if __name__ == "__main__":
    unittest.main(verbosity=2)
