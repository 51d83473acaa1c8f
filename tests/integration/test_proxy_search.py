"""Searching through the proxy (contract R8.3): what the member sees is found, in any tree of keys; and no question about
a letter of a hidden address gets a true answer, whatever key or order is asked for."""

import base64
import random
import re
import unittest

from harness.gateway import routes
from harness.imap_client import Literal, quote
from harness.proxied import PHANTOM_DOMAIN, PUBLIC, READER, Proxied, cyrus

PEOPLE = [("Hana Sato", "hana.sato@secret-firm.example"), ("Bob", "bob+list@other.example"),
          ("\u65e5\u672c\u592a\u90ce", "taro.nippon@kaisha.example"), ("Zoe", "aaron@secret-firm.example"),
          ("Q", "q7w8x9@b32.example"), ("", "nameless@third.example")]
TWINS = ["k1x2y3z4@hidden.example", "abcdefgh@letters.example", "0123456789@digits.example", "zzz@zz.example"]


def word(text, charset="iso-2022-jp"):
    return text if text.isascii() else f"=?{charset}?B?{base64.b64encode(text.encode(charset)).decode()}?="


def message(name, address, subject, body, more="", to=PUBLIC, date=1):
    trace = (f"Return-Path: <{address}>\nReceived: from mx.{address.split('@')[1]} (mx.{address.split('@')[1]} [192.0.2.7])\n"
             f" by mx.google.example with ESMTPS id 4711; Thu, {date} Jan 2026 10:00:00 +0900\n"
             f"Authentication-Results: mx.google.example; spf=pass smtp.mailfrom={address}\n"
             "X-Mailer: SomeClient 7 with a name that is long enough to leave room\n")
    sender = f'"{word(name)}" <{address}>' if name.isascii() and name else f"{word(name)} <{address}>".strip()
    text = (f"{trace}From: {sender}\nTo: {to}\nSubject: {word(subject)}\nDate: Thu, {date:02} Jan 2026 10:00:00 +0900\n"
            f"Message-ID: <{abs(hash((address, subject)))}@{address.split('@')[1]}>\n{more}")
    if not more.startswith("MIME"):
        text += "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    return (text + "\n" + body).encode().replace(b"\n", b"\r\n")


# As a telephone sends a picture between two texts, longer than what is read of most messages.
PICTURE = f"""\
--b
Content-Type: text/plain

See the picture.
--b
Content-Type: image/jpeg; name=picture.jpg
Content-Transfer-Encoding: base64

{base64.encodebytes(bytes(700_000)).decode()}
--b
Content-Type: message/rfc822

Received: from inner-host.example by mx.inner.example with a line that leaves room enough
From: "Lee Later" <lee@later-firm.example>
Subject: the later subject

Picnic at the lake
--b--
"""
NESTED = """\
--b
Content-Type: text/plain; charset=utf-8

See the enclosed letter about kumquats.
--b
Content-Type: message/rfc822

Received: from inner-host.example by mx.inner.example with a line that leaves room enough
From: "Ida Inner" <ida@nested-firm.example>
To: somebody@nested-firm.example
Subject: the inner subject

Words of the inner letter: persimmon.
--b--
"""


# One correspondent each, written so that no server reads "local@domain" in all of its fields and texts.
NAMED = "sato@named.example"
APART = ["annabel1 @ apart.example", "annabel2(at home)@apart.example", "annabel3@\n apart.example", "annabel4@apart.example."]


class Searching:
    """The tests; the classes below say which server."""

    @classmethod
    def fill(cls):
        with cls.direct() as client:
            for number, (name, address) in enumerate(PEOPLE, 1):
                client.append("INBOX", message(name, address, f"Lunch {number} \u663c\u98df", f"rice no. {number}\n", date=number))
            client.append("INBOX", message("Bob", "bob+list@other.example", "Ask carol@third.example today", "ok\n"))
            client.append("INBOX", message("Eve", "eve@mixed.example", "Fwd: letter", NESTED,
                                           "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"))
            client.ok("CREATE Apart")
            for number, address in enumerate(APART, 1):
                client.append("Apart", message("Ann", address, "apart", "apart\n", date=number))
            client.ok("CREATE Named")
            client.append("Named", message(f"Hanako Sato ({NAMED})", NAMED, "lunch", "lunch\n"))
            client.ok("CREATE Long")
            client.append("Long", message("Bob", "bob@other.example", "picture", PICTURE,
                                          "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"))
            client.ok("CREATE Twins")
            for number, address in enumerate(TWINS, 1):
                client.append("Twins", message("Uma Twin", address, "same", "same\n", date=number))

    def setUp(self):
        self.client = self.proxied()
        self.addCleanup(self.client.close)
        self.client.select()

    def uids(self, *keys):
        found = self.client.ok("UID SEARCH", *keys).one(b"SEARCH").text
        return {int(n) for n in found.split()}

    def visible(self, uid, field="From"):
        data = self.client.fetch(uid, f"(BODY.PEEK[HEADER.FIELDS ({field})])", uid=True)
        (items,) = data.values()
        (text,) = [v for k, v in items.items() if k.startswith(b"BODY[")]
        return bytes(text).decode().split(":", 1)[-1].replace("\r\n", "").strip()

    def phantom(self, uid):
        return re.search(r"([^<(\s]+@" + re.escape(PHANTOM_DOMAIN) + ")", self.visible(uid)).group(1)

    # What is visible is found

    def test_names_subjects_and_trees(self):
        everything = self.uids("ALL")
        self.assertEqual(len(everything), len(PEOPLE) + 2)
        self.assertEqual(self.uids("FROM hana"), {1})
        self.assertEqual(self.uids('FROM "Hana Sato"'), {1})
        self.assertEqual(self.uids("CHARSET UTF-8 FROM", Literal("\u592a\u90ce".encode())), {3})
        self.assertEqual(self.uids("CHARSET UTF-8 SUBJECT", Literal("\u663c\u98df".encode())), {1, 2, 3, 4, 5, 6})
        self.assertEqual(self.uids("CHARSET ISO-2022-JP SUBJECT", Literal("\u663c\u98df".encode("iso-2022-jp"))),
                         {1, 2, 3, 4, 5, 6})
        self.assertEqual(self.uids("SUBJECT", quote("Lunch 2")), {2})
        self.assertEqual(self.uids("SUBJECT today"), {7})
        self.assertEqual(self.uids("NOT FROM hana"), everything - {1})
        self.assertEqual(self.uids("OR FROM hana (SUBJECT today NOT FROM zoe)"), {1, 7})
        self.assertEqual(self.uids("OR (FROM bob SUBJECT lunch) NOT TO", quote(PUBLIC)), {2})
        self.assertEqual(self.uids('BODY "rice no. 4"'), {4})
        self.assertEqual(self.uids('TEXT "rice no. 4"'), {4})
        self.assertEqual(self.uids("TEXT zoe"), {4})
        self.assertEqual(self.uids('FROM bob HEADER Subject "" SINCE 1-Jan-2020'), {2, 7})
        self.assertEqual(self.uids("FROM nobody"), set())
        # Two criteria that nothing matches, one of them under a NOT.
        self.assertEqual(self.uids("OR NOT (FROM nobody 1:3) FROM noone"), everything)
        self.assertEqual(self.uids("NOT (FROM nobody 1:3) OR FROM noone ALL"), everything)
        self.assertEqual(self.uids('1:3 OR FROM hana SUBJECT "lunch 3"'), {1, 3})

    def test_names_around_an_address(self):
        """Many clients write the address into the name as well."""
        self.client.ok("SELECT Named")
        self.assertEqual(self.visible(1), f'"Hanako Sato ({self.phantom(1)})" <{self.phantom(1)}>')
        for keys, found in (('FROM "Hanako Sato"', {1}), ("TEXT hanako", {1}), (f"FROM {self.phantom(1)}", {1}),
                            ("FROM sato@", set()), (f"FROM {NAMED}", set()), ("FROM named.example", set())):
            with self.subTest(keys):
                self.assertEqual(self.uids(keys), found)

    def test_text_behind_a_picture(self):
        self.client.ok("SELECT Long")
        for keys, found in (("BODY picnic", {1}), ("TEXT picnic", {1}), ("BODY later-firm", set()),
                            ("TEXT lee@later-firm.example", set()), ("BODY nowhere", set())):
            with self.subTest(keys):
                self.assertEqual(self.uids(keys), found)

    def test_numbers_instead_of_uids(self):
        self.assertEqual(self.client.ok("SEARCH FROM zoe").one(b"SEARCH").text.split(), [b"4"])
        self.assertEqual(self.client.ok("SEARCH 2:* FROM hana").one(b"SEARCH").text.split(), [])

    def test_phantoms_find_the_correspondent(self):
        for uid in range(1, len(PEOPLE) + 1):
            same = {2, 7} if uid in (2, 7) else {uid}
            phantom = self.phantom(uid)
            local = phantom.split("@")[0]
            for text in (phantom, phantom.upper(), local, phantom + ">" * self.visible(uid).endswith(">"), local[:7], local[5:] + "@" + PHANTOM_DOMAIN):
                with self.subTest(uid=uid, text=text):
                    self.assertEqual(self.uids("FROM", quote(text)), same)
            self.assertEqual(self.uids("HEADER From", quote(phantom)), same)
            self.assertEqual(self.uids("NOT FROM", quote(phantom)) & same, set())
            self.assertEqual(self.uids("TO", quote(phantom)), set())
            self.assertLessEqual(same, self.uids("TEXT", quote(phantom)))
        subject = self.visible(7, "Subject")
        phantom = re.search(r"\S+@" + re.escape(PHANTOM_DOMAIN), subject).group(0)
        self.assertEqual(self.uids("SUBJECT", quote(phantom)), {7})
        self.assertEqual(self.uids("TEXT", quote(phantom)), {7})

    def test_phantoms_find_addresses_that_stand_apart(self):
        self.client.select("Apart")
        for uid in range(1, len(APART) + 1):
            phantom = self.phantom(uid)
            for key in ("FROM", "HEADER From", "TEXT"):
                with self.subTest(address=APART[uid - 1], key=key):
                    self.assertEqual(self.uids(key, quote(phantom)), {uid})

    def test_ids_find_the_message(self):
        for uid in (1, 4, 8):
            shown = self.visible(uid, "Message-ID")
            self.assertTrue(shown.endswith(f"@{PHANTOM_DOMAIN}>"), shown)
            self.assertEqual(self.uids("HEADER Message-ID", quote(shown)), {uid})
            self.assertEqual(self.uids("HEADER Message-ID", quote(shown[1:-1])), {uid})

    def test_nested_messages(self):
        self.assertEqual(self.uids("BODY kumquats"), {8})
        self.assertEqual(self.uids("BODY persimmon"), {8})
        self.assertEqual(self.uids("TEXT", quote("the inner subject")), {8})
        self.assertEqual(self.uids("TEXT", quote("Ida Inner")), {8})
        for hidden in ("ida@", "nested-firm", "somebody@", "inner-host"):
            with self.subTest(hidden):
                self.assertEqual(self.uids("BODY", quote(hidden)), set())
                self.assertEqual(self.uids("TEXT", quote(hidden)), set())

    def test_esearch(self):
        if "ESEARCH" not in self.client.capabilities:
            self.skipTest("the server has no ESEARCH")
        answer = self.client.ok("UID SEARCH RETURN (MIN MAX COUNT ALL) OR FROM bob FROM zoe").one(b"ESEARCH")
        tag = answer.data[0]
        self.assertEqual([bytes(v) for v in tag], [b"TAG", b"T%d" % self.client.tags])
        values = [bytes(v).upper() if isinstance(v, bytes) else v for v in answer.data[1:]]
        self.assertEqual(values[0], b"UID")
        pairs = dict(zip(values[1::2], values[2::2]))
        self.assertEqual((pairs[b"MIN"], pairs[b"MAX"], pairs[b"COUNT"], pairs[b"ALL"]), (b"2", b"7", b"3", b"2,4,7"))

    def test_saved_results(self):
        if "SEARCHRES" not in self.client.capabilities:
            self.skipTest("the server has no SEARCHRES")
        self.client.ok("SEARCH RETURN (SAVE) FROM bob")
        self.assertEqual(set(self.client.fetch("$", "(UID)")), {2, 7})
        # Looking at candidates leaves the saved result alone.
        self.assertEqual(self.uids("$ SUBJECT today"), {7})
        self.assertEqual(self.uids("UID $ NOT SUBJECT today"), {2})
        # A refused one saves nothing (RFC 5182 section 2.1); a bad one changes nothing.
        self.assertEqual(self.client.command("SEARCH RETURN (SAVE) FROM").status.name, b"BAD")
        self.assertEqual(self.uids("$"), {2, 7})
        self.assertEqual(self.client.command("SEARCH RETURN (SAVE) CHARSET X-NO FROM hana").status.name, b"NO")
        self.assertEqual(self.uids("$"), set())

    def test_modseq(self):
        if "CONDSTORE" not in self.client.capabilities:
            self.skipTest("the server has no CONDSTORE")
        self.assertRegex(self.client.ok("UID SEARCH MODSEQ 1 FROM hana").one(b"SEARCH").text, rb"^1 \(MODSEQ \d+\)$")

    # What is hidden is not

    def test_hidden_text_finds_nothing(self):
        for name, address in PEOPLE:
            local, domain = address.split("@")
            for text in (address, local, domain, "@" + domain, f"mx.{domain}"):
                if text.lower() in name.lower():
                    continue
                for key in ("FROM", "TO", "CC", "BCC", "SUBJECT", "TEXT", "BODY", "HEADER From", "HEADER Reply-To",
                            "HEADER Sender", "HEADER Return-Path", "HEADER Received", "HEADER Authentication-Results",
                            "HEADER Message-ID", "HEADER References", "HEADER In-Reply-To", "HEADER Delivered-To"):
                    with self.subTest(key=key, text=text):
                        self.assertEqual(self.uids(key, quote(text)) - {2 if text == "bob+list" else 0}, set())
        for field in ("Return-Path", "Received", "Authentication-Results", "X-Mailer"):
            self.assertEqual(self.uids("HEADER", field, '""'), set())

    def test_letter_by_letter(self):
        """What an attacker does: extends what is known by every letter. The twins differ in nothing but their hidden
        address, so that an answer that tells them apart has to follow from what is visible."""
        self.client.select("Twins")
        shown = {uid: self.visible(uid).lower() for uid in self.uids("ALL")}
        self.assertEqual(len(shown), len(TWINS))
        whole = {uid: bytes(m[b"BODY[]"]).decode().lower().replace("\r\n ", " ")
                 for uid, m in self.client.fetch("1:*", "(BODY.PEEK[])").items()}
        texts = set("abcdefghijklmnopqrstuvwxyz0123456789@.-_+")
        for address in TWINS:
            texts |= {address[i:i + n] for n in (2, 3, 5) for i in range(len(address) - n + 1)}
            texts |= {address[:n] for n in range(1, len(address) + 1)} | {"<" + address[:2], address[-3:] + ">"}
        texts |= {"".join(random.Random(n).choices("abcdefghjkmnpqrstvwxyz0123456789", k=2)) for n in range(40)}
        for text in sorted(texts):
            for key in ("FROM", "HEADER From"):
                # It is found exactly where it is seen.
                self.assertEqual(self.uids(key, quote(text)), {uid for uid, value in shown.items() if text in value}, f"{key} {text}")
            self.assertLessEqual(self.uids("TEXT", quote(text)), {uid for uid, value in whole.items() if text in value}, f"TEXT {text}")
            for key in ("SUBJECT", "BODY", "TO", "CC", "BCC", "HEADER Received", "HEADER Return-Path", "HEADER Message-ID"):
                self.assertIn(self.uids(key, quote(text)), (set(), set(shown)), f"{key} {text}")

    def test_sort(self):
        if "SORT" not in self.client.capabilities:
            self.skipTest("the server has no SORT")
        # Messages of the attacker's making, to compare with: none may tell where the hidden ones stand.
        with self.direct() as writer:
            writer.ok("CREATE Sorted")
            for name, address in PEOPLE + [("", f"{c}{c}@m.example") for c in "bgmrw"]:
                writer.append("Sorted", message(name, address, f"mail of {address}", "x\n"))
        self.client.select("Sorted")
        uids = sorted(self.uids("ALL"))

        def ordered(criteria):
            return [int(n) for n in self.client.ok(f"UID SORT ({criteria}) UTF-8 ALL").one(b"SORT").text.split()]
        local = {uid: self.phantom(uid).split("@")[0].upper() for uid in uids}
        subject = {uid: self.visible(uid, "Subject").upper() for uid in uids}
        self.assertEqual(ordered("FROM"), sorted(uids, key=lambda u: local[u]))
        self.assertEqual(ordered("REVERSE FROM"), sorted(uids, key=lambda u: local[u], reverse=True))
        self.assertEqual(ordered("SUBJECT"), sorted(uids, key=lambda u: subject[u]))
        self.assertEqual(ordered("TO FROM"), sorted(uids, key=lambda u: local[u]))
        self.assertEqual(ordered("SIZE FROM"), ordered("SIZE"))
        with self.direct() as direct:
            direct.select("Sorted")
            for criteria in ("ARRIVAL", "REVERSE ARRIVAL", "REVERSE SIZE", "DATE"):
                self.assertEqual(self.client.ok(f"UID SORT ({criteria}) UTF-8 ALL").one(b"SORT").text,
                                 direct.ok(f"UID SORT ({criteria}) UTF-8 ALL").one(b"SORT").text)
        found = self.client.ok('UID SORT (REVERSE DATE) UTF-8 SUBJECT "mail of" FROM hana').one(b"SORT").text
        self.assertEqual(found, b"1")

    def test_thread(self):
        if "THREAD=REFERENCES" not in self.client.capabilities:
            self.skipTest("the server has no THREAD")
        text = self.client.ok("UID THREAD REFERENCES UTF-8 OR FROM hana FROM zoe").one(b"THREAD").text
        self.assertEqual({int(n) for n in re.findall(rb"\d+", text)}, {1, 4})
        self.assertEqual(self.client.ok("UID THREAD REFERENCES UTF-8 FROM secret-firm").one(b"THREAD").text, b"")
        # A subject that holds an address stands alone, or a copy with the right guess would be put beside it.
        text = self.client.ok("UID THREAD REFERENCES UTF-8 ALL").one(b"THREAD").text
        self.assertIn(b"(7)", text)
        self.assertEqual({int(n) for n in re.findall(rb"\d+", text)}, self.uids("ALL"))

    # Nothing unknown passes

    def test_unknown_keys_are_refused(self):
        for rest in ("FUZZY FROM x", "X-GM-RAW from:x", "FILTER x", "INTHREAD REFERENCES FROM x", "NOPE", "FROM", "(FROM x",
                     "RETURN (PARTIAL 1:2) ALL", "RETURN (CONTEXT) ALL", "CHARSET", "HEADER x"):
            with self.subTest(rest):
                self.assertEqual(self.client.command("SEARCH", rest).status.name, b"BAD")
        self.assertEqual(self.client.command("SEARCH CHARSET X-NO FROM x").status.name, b"NO")
        self.assertEqual(self.uids("FROM hana"), {1})

    def test_as_the_provider_answers(self):
        """Criteria that concern nothing hidden are answered as the provider does."""
        with self.direct() as direct:
            direct.select()
            for keys in ("ALL", "1:3", "UID 2:5", "UNSEEN", "NOT DELETED", "SMALLER 900", "SINCE 3-Jan-2026", "SENTON 4-Jan-2026",
                         "OR 1 (2:3 UNFLAGGED)", "SUBJECT lunch", "SUBJECT \"lunch 2\"", "FROM hana", "TEXT rice", "BODY rice",
                         "NOT BODY rice", "TO pta", "HEADER Subject lunch", "OR SUBJECT today FROM zoe", "KEYWORD nothing",
                         "NOT (OR FROM hana FROM bob) SUBJECT lunch"):
                with self.subTest(keys):
                    self.assertEqual(self.client.ok("UID SEARCH", keys).one(b"SEARCH").raw,
                                     direct.ok("UID SEARCH", keys).one(b"SEARCH").raw)


class SearchOnDovecot(Searching, Proxied):
    pass


class SearchOnCyrus(Searching, Proxied):
    make_server = staticmethod(cyrus)


class ShownAuthors(Proxied):
    """Under `prefix` (contract R7.1, R7.2)."""

    @classmethod
    def routes(cls):
        return routes({PUBLIC: cls.users}, anonymize="prefix")

    @classmethod
    def fill(cls):
        with cls.direct() as client:
            for name, subject in (("Hana Sato", "184 Zebra"), ("\u65e5\u672c\u592a\u90ce", "Banana"), ("Hana Sato", "Apple"),
                                  ("Taro Abe", "\uff11\uff184 Cherry"), ("", "Damson")):
                client.append("INBOX", message(name, "shown.or.not@firm.example", subject, "x\n"))

    def test_authors_are_found_where_they_are_shown(self):
        with self.proxied() as client:
            client.select()

            def uids(*keys):
                return {int(n) for n in client.ok("UID SEARCH", *keys).one(b"SEARCH").text.split()}
            for text, found in (("Hana Sato", {1, 3}), ("\u592a\u90ce", {2}), ("shown.or.not@firm.example", {2, 3, 5}),
                                ("firm.example", {2, 3, 5}), ("Taro Abe", {4})):
                for key in ("FROM", "HEADER From", "TEXT"):
                    with self.subTest(key=key, text=text):
                        self.assertEqual(uids("CHARSET UTF-8", key, Literal(text.encode())), found)

    def test_subjects_are_in_the_order_that_is_seen(self):
        with self.proxied() as client:
            client.select()
            order = [int(n) for n in client.ok("SORT (SUBJECT) UTF-8 ALL").one(b"SORT").text.split()]
            self.assertEqual(order, [3, 2, 4, 5, 1])


if __name__ == "__main__":
    unittest.main()
