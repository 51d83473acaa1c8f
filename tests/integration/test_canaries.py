"""No canary crosses: an address of its own in every place that a header has, both ways (contract R3.1, R3.2).

The bodies must arrive octet for octet (their addresses are a later chapter).
"""

import base64
import os
import re
import unittest

from harness.mail import find_pattern, find_traces, message
from harness.small import OFFICER, PHANTOM_DOMAIN, PUBLIC, STRANGER, TEACHER, Small, front_fields
from harness.smtp_client import Client, stuff

# docs/header-fields.md, all classes, in both directions; families by one or two of their members.
ADDRESS_FIELDS = ("Sender Reply-To Cc Bcc Mail-Followup-To Mail-Reply-To Resent-From Resent-To Resent-Cc Resent-Sender "
                  "Resent-Reply-To Resent-Bcc Disposition-Notification-To").split()
ID_FIELDS = "In-Reply-To References Resent-Message-ID Supersedes Content-ID".split()
TEXT_FIELDS = ("Subject Thread-Topic Comments Keywords Content-Description List-Unsubscribe List-Unsubscribe-Post "
               "List-Post List-Help List-Owner List-Subscribe List-Archive List-Id").split()
PASS_FIELDS = ("Content-Language Importance Priority X-Priority Sensitivity Auto-Submitted Precedence "
               "X-Auto-Response-Suppress").split()
DROP_FIELDS = (
    "Return-Path Received X-Received Received-SPF Delivered-To X-Delivered-To X-Original-To Envelope-To X-Envelope-To "
    "Envelope-From X-Envelope-From Apparently-To X-Apparently-To X-Resolved-To X-Rcpt-To X-Forwarded-To X-Forwarded-For "
    "X-Loop X-BeenThere Errors-To DKIM-Signature DomainKey-Signature X-Google-DKIM-Signature ARC-Seal "
    "ARC-Authentication-Results Authentication-Results X-Authentication-Results Authentication-Results-Original "
    "BIMI-Selector X-Originating-IP X-Originating-Email X-Sender X-X-Sender X-Authenticated-Sender "
    "X-Authentication-Warning X-AntiAbuse X-Get-Message-Sender-Via X-PHP-Script X-Google-Original-From X-Gm-Message-State "
    "X-MS-Exchange-Organization X-MS-Has-Attach X-OriginatorOrg X-Forefront-Antispam-Report X-Microsoft-Antispam "
    "X-EOPAttributedMessage Thread-Index X-Yahoo-Newman-Id X-YMail-OSG X-Rocket-MIMEInfo X-ME-Sender X-Pm-Origin "
    "X-Apple-Mail-Remote X-Mozilla-Keys X-Identity-Key Fcc Autocrypt Autocrypt-Gossip OpenPGP Face X-Face Organization "
    "User-Agent X-Mailer Return-Receipt-To X-Confirm-Reading-To Feedback-ID CFBL-Address X-Report-Abuse X-SG-EID "
    "X-Mailgun-Sid X-SES-Outgoing X-Spam-Status X-Spam-Report X-Rspamd-Server X-Unheard-Of X-Beyond").split()


CANARY = r"cnry\d{4,}x|dom\d{4,}y"


class Canaries:
    """Addresses that occur once; CANARY finds them whole, by their local part or by their domain."""

    def __init__(self):
        self.count = 0

    def new(self):
        self.count += 1
        return f"cnry{self.count:04d}x", f"dom{self.count:04d}y.test"


def word(text, charset="utf-8", how="b"):
    octets = text.encode({"iso-2022-jp": "iso2022_jp", "shift_jis": "cp932"}.get(charset, charset))
    if how == "b":
        return f"=?{charset}?B?{base64.b64encode(octets).decode()}?="
    return f"=?{charset}?Q?{''.join(f'={o:02X}' for o in octets)}?="


# How an address can stand in an address field. Each takes (local, domain).
ADDRESS_FORMS = {
    "bare": "{0}@{1}".format,
    "angles": "<{0}@{1}>".format,
    "named": "Some Name <{0}@{1}>".format,
    "name is an address": lambda l, d: f"\"{l}@{d}\" <other@{d}>",
    "unquoted name is an address": lambda l, d: f"{l}@{d} <other@{d}>",
    "comment before": lambda l, d: f"({l}@{d}) x@{d}",
    "comment after": lambda l, d: f"x@{d} ({l}@{d})",
    "comment inside": lambda l, d: f"x@(it is {l}@{d}) {d}",
    "nested comment": lambda l, d: f"x@{d} (a (b {l}@{d} (c)) d)",
    "comment with quoted pair": lambda l, d: f"x@{d} (\\({l}\\@{d}\\))",
    "group": lambda l, d: f"Friends: {l}@{d}, Second <{l}2@{d}>;",
    "group name": lambda l, d: f"\"{l}@{d}\": a@{d};",
    "quoted local part": lambda l, d: f"\"{l} with space\"@{d}",
    "quoted pair": lambda l, d: f"\"{l[0]}\\{l[1:]}\"@{d}",
    "spaces": lambda l, d: f"{l} @ {d}",
    "folded": lambda l, d: f"Name\r\n <{l}\r\n\t@{d}>",
    "route": lambda l, d: f"<@{d},@hop.{d}:{l}@{d}>",
    "docomo": lambda l, d: f"{l}..x.@{d}",
    "literal": lambda l, d: f"{l}@[IPv6:2001:db8::1]",
    "utf-8": lambda l, d: f"山田 <{l}山田@{d}>",
    "idn": lambda l, d: f"{l}@日本.{d}",
    "percent hack": lambda l, d: f"{l}%{d}@relay.{d}",
    "source route": lambda l, d: f"{d}!{l}@relay.{d}",
    "upper case": lambda l, d: f"{l.upper()}@{d.upper()}",
    "encoded name": lambda l, d: f"{word(f'山田 {l}@{d}')} <a@{d}>",
    "encoded name, Q": lambda l, d: f"{word(f'{l}@{d}', how='q')} <a@{d}>",
    "encoded name, ISO-2022-JP": lambda l, d: f"{word(f'山田先生 {l}@{d} 政', 'iso-2022-jp')} <a@{d}>",
    "encoded name, Shift_JIS": lambda l, d: f"{word(f'表計算 {l}@{d}', 'shift_jis')} <a@{d}>",
    "encoded name, EUC-JP": lambda l, d: f"{word(f'山田 {l}@{d}', 'euc-jp')} <a@{d}>",
    "encoded name, UTF-7": lambda l, d: f"=?utf-7?Q?{l}+AEA-{d}?= <a@{d}>",
    "encoded name in two words": lambda l, d: f"{word(l + '@')}\r\n {word(d)} <a@{d}>",
    "encoded name, quoted": lambda l, d: f"\"{word(f'{l}@{d}')}\" <a@{d}>",
    "encoded comment": lambda l, d: f"a@{d} ({word(f'{l}@{d}')})",
    "encoded with language": lambda l, d: f"=?utf-8*ja?B?{base64.b64encode(f'{l}@{d}'.encode()).decode()}?= <a@{d}>",
    "full-width at": lambda l, d: f"\"{l}＠{d}\" <a@{d}>",
    "encoded full-width": lambda l, d: f"{word(f'{l}＠{d}')} <a@{d}>",
    "broken": lambda l, d: f"<{l}@{d}",
    "broken more": lambda l, d: f"\"{l}@{d}",
    "broken encoded-word": lambda l, d: f"=?utf-8?B?{base64.b64encode(f'{l}@{d}'.encode()).decode()} <a@{d}>",
    "unknown charset": lambda l, d: f"=?x-unknown?B?{base64.b64encode(f'{l}@{d}'.encode()).decode()}?= <a@{d}>",
    "mailto": lambda l, d: f"<mailto:{l}@{d}>",
    "semicolons": lambda l, d: f"{l}@{d}; b@{d}",
}

# In free text and everywhere else.
TEXT_FORMS = {
    "bare": "write to {0}@{1} please".format,
    "alone": "{0}@{1}".format,
    "angles": "see <{0}@{1}>, or".format,
    "mailto": "<mailto:{0}@{1}?subject=x>, <https://lists.example/u?e={0}@{1}>".format,
    "mailto with percent": "<mailto:{0}%40{1}>, <https://lists.example/?u={0}%40{1}>".format,
    "quoted": "\"{0} \"@{1}".format,
    "comment": "({0}@{1})".format,
    "encoded": lambda l, d: word(f"件名 {l}@{d} まで"),
    "encoded, Q": lambda l, d: word(f"{l}@{d}", how="q"),
    "encoded, ISO-2022-JP": lambda l, d: word(f"生先政 {l}@{d} 先", "iso-2022-jp"),
    "encoded, Shift_JIS": lambda l, d: word(f"表 {l}@{d}", "shift_jis"),
    "encoded, EUC-JP": lambda l, d: word(f"件名 {l}@{d}", "euc-jp"),
    "encoded in two words": lambda l, d: f"{word(l)}\r\n {word('@' + d)}",
    "half encoded": lambda l, d: f"{l}@{word(d)}",
    "folded": "text that goes on\r\n until {0}@{1}\r\n\tis named".format,
    "utf-8": "宛先は{0}@{1}です".format,
    "full-width at": "宛先{0}＠{1}".format,
    "upper case": lambda l, d: f"{l.upper()}@{d.upper()}",
    "dots": "mail: {0}@{1}.".format,
}


def fold(name, value):
    return f"{name}: {value}\r\n"


def build(sender, to, lines, body):
    text = f"From: {sender}\r\nTo: {to}\r\nDate: Thu, 01 Jan 2026 10:51:00 +0900\r\n" + "".join(lines)
    return text.encode() + b"\r\n" + body


BODY = b"Body\r\n.\r\n..\r\n \r\nend\r\n"


class Detector(unittest.TestCase):
    """The detector itself: in what has not been rewritten it finds every canary."""

    def test_every_form_is_seen(self):
        for forms in (ADDRESS_FORMS, TEXT_FORMS):
            for form, make in forms.items():
                with self.subTest(form=form):
                    canaries = Canaries()
                    text = build("a@b.test", PUBLIC, [fold("Reply-To", make(*canaries.new()))], b"")
                    self.assertTrue(find_pattern(text, CANARY), text)

    def test_every_decoding_is_known(self):
        local, domain = "cnry0001x", "dom0001y.test"
        plain = f"write to {local}@{domain}, please".encode()
        encoded = base64.b64encode(b"first line\r\n" * 9 + plain)
        for how, octets in {
                "base64 of several lines": b"\r\n".join(encoded[i:i + 76] for i in range(0, len(encoded), 76)),
                "base64 in a folded field": b"X: " + b"\r\n ".join(encoded[i:i + 60] for i in range(0, len(encoded), 60)),
                "base64 that is cut": base64.b64encode(plain)[:-7],
                "quoted-printable": "".join(f"={octet:02X}" for octet in plain).encode(),
                "a soft line break": b"write to cnry00=\r\n01x",
                "percent signs": b"<mailto:%63%6Ery0001%78@x.test>",
                "neighbouring words": b"Subject: =?utf-8?q?cnry0?=\r\n =?utf-8?b?MDAxeA==?=",
                "a word of another charset": b"Subject: " + word("先生 " + local, "iso-2022-jp").encode(),
                "quoted pairs": b'From: "c\\n\\r\\y0001x"@x.test',
                "a fold within": b"X: cnry00\r\n 01x",
                "pieces": b"Content-Type: image/png; name*0=cnry00;\r\n name*1=01x",
                "RFC 2231 in an inner part": b"Subject: x\r\n\r\n--b\r\nContent-Disposition: attachment; "
                                             b"filename*=utf-8''%e5%85%88cnry%30001x\r\n\r\n"}.items():
            with self.subTest(how):
                self.assertTrue(find_pattern(octets, CANARY), octets)
        self.assertEqual(find_pattern(b"cnryx dom1y " + base64.b64encode(b"nothing of the kind in here"), CANARY), [])


class CanariesTest(Small):
    def setUp(self):
        super().setUp()
        self.canaries = Canaries()

    def address_lines(self, form):
        return [fold(name, ADDRESS_FORMS[form](*self.canaries.new())) for name in ADDRESS_FIELDS]

    def text_lines(self, form):
        make = TEXT_FORMS[form]
        lines = [fold(name, make(*self.canaries.new())) for name in TEXT_FIELDS + PASS_FIELDS + DROP_FIELDS]
        lines += [fold(name, "<%s@%s>" % self.canaries.new()) for name in ["Message-ID", *ID_FIELDS]]
        lines += [fold(name + "-Bis", make(*self.canaries.new())) for name in ADDRESS_FIELDS]
        lines.append("X-%s-%s: x\r\n" % self.canaries.new())
        return lines

    def check_copies(self, envelopes, text, what, more=()):
        body = text.split(b"\r\n\r\n", 1)[1]
        leaks = []
        for envelope in envelopes:
            leaks += find_pattern(envelope.header, CANARY) + find_traces(envelope.header, more)
            said = (envelope.sender + " " + envelope.parameters).lower()
            # Our own envelope senders are at the phantom domain.
            leaks += re.findall(CANARY, said) + [n for n in more if n in said and n != PHANTOM_DOMAIN]
            self.assertEqual(envelope.body, body, "the body changed")
        if leaks:
            lines = [line for line in envelopes[0].header.decode("utf-8", "replace").split("\r\n")]
            self.fail(f"{what}: {sorted(set(leaks))[:12]} crossed\n" + "\n".join(lines)[:6000])

    def cross_inward(self, lines, what, sender=STRANGER):
        text = build(sender, PUBLIC, lines, BODY)
        reply = self.inbound(text, sender="cnryenvelope@stranger.test", parameters="SMTPUTF8 BODY=8BITMIME")
        self.assertReply(reply, 250, msg=what)
        self.check_copies(self.copies(2), text, "inward " + what, ["stranger.test", "cnryenvelope", "yamada"])

    def cross_outward(self, make_lines, what):
        for way in ("submission", "plain reply"):
            text = build(f"Officer <{OFFICER}>", self.phantom, make_lines(), BODY)
            if way == "submission":
                reply = self.submit(OFFICER, self.phantom, text, parameters="SMTPUTF8 BODY=8BITMIME")
            else:
                reply = self.inbound(front_fields(OFFICER) + text, self.phantom, OFFICER,
                                     parameters="SMTPUTF8 BODY=8BITMIME")
            self.assertReply(reply, 250, msg=f"{way} {what}")
            copies = self.copies(1)
            self.assertEqual(copies[0].recipients, [STRANGER])
            self.check_copies(copies, text, f"outward {way} {what}", ["officer", "gmail.test", PHANTOM_DOMAIN, "teacher",
                                                                      "docomo.test", self.phantom.split("@")[0]])

    def both_ways(self, make_lines, what):
        self.phantom = getattr(self, "phantom", None) or self.phantom_of(STRANGER, OFFICER)
        with self.subTest("inward", form=what):
            self.cross_inward(make_lines(), what)
        self.sink.clear()
        with self.subTest("outward", form=what):
            self.cross_outward(make_lines, what)
        self.sink.clear()

    def test_address_fields(self):
        for form in ADDRESS_FORMS:
            self.both_ways(lambda: self.address_lines(form), "address field: " + form)

    def test_from_and_to(self):
        for form, make in ADDRESS_FORMS.items():
            with self.subTest(form=form):
                sender, to = make(*self.canaries.new()), make(*self.canaries.new())
                text = build(sender, f"{PUBLIC}, {to}", ["Subject: from and to\r\n"], BODY)
                reply = self.inbound(text, sender="cnryenvelope@stranger.test", parameters="SMTPUTF8 BODY=8BITMIME")
                self.assertReply(reply, 250)
                self.check_copies(self.copies(2), text, "From and To: " + form, ["cnryenvelope"])

    def test_text_and_all_other_fields(self):
        for form in TEXT_FORMS:
            self.both_ways(lambda: self.text_lines(form), "text: " + form)

    def test_parameters(self):
        def lines():
            new = self.canaries.new
            return [
                "MIME-Version: 1.0 (%s@%s)\r\n" % new(),
                "Content-Type: multipart/mixed (%s@%s); boundary=\"%s@%s\"; name=\"%s@%s\";\r\n x-unknown=\"%s@%s\"\r\n"
                % (*new(), "bound", "ary", *new(), *new()),
                "Content-Disposition: attachment; filename=\"%s@%s\";\r\n filename*=utf-8''%s%%40%s;\r\n"
                " other*0=\"%s@\"; other*1=\"%s\"\r\n" % (*new(), *new(), *new()),
                "Content-Transfer-Encoding: 8bit (%s@%s)\r\n" % new(),
                "Content-Description: =?utf-8?Q?%s=40%s?=\r\n" % new(),
            ]
        self.both_ways(lines, "parameters")

        def split():
            new = self.canaries.new
            one, two = new(), new()
            return [
                f"Content-Type: text/plain; name*0*=utf-8''{one[0]}%40; name*1={one[1]}\r\n",
                f"Content-Disposition: inline; filename=\"{word(f'{two[0]}@{two[1]}')}\"\r\n"]
        self.both_ways(split, "split parameters")

    def test_comments_in_the_date(self):
        self.both_ways(lambda: ["Resent-Date: Thu, 01 Jan 2026 10:51:00 +0900 (%s@%s)\r\n" % self.canaries.new(),
                                "Date: Thu, 01 Jan 2026 10:51:00 +0900 (%s@%s)\r\n" % self.canaries.new()], "Date")

    def test_fields_that_stand_twice(self):
        def lines():
            return [fold(name, "%s@%s" % self.canaries.new())
                    for name in ("From", "To", "Reply-To", "Sender", "Subject", "Subject", "Cc", "Cc", "Message-ID")]
        text = build(STRANGER, PUBLIC, lines(), BODY)
        self.assertReply(self.inbound(text), 250)
        self.check_copies(self.copies(2), text, "twice")

    def test_malformed_header_lines(self):
        def lines():
            new = self.canaries.new
            return ["Subject : %s@%s\r\n" % new(), "No colon here %s@%s\r\n" % new(), " stray continuation %s@%s\r\n" % new(),
                    "Sub ject: %s@%s\r\n" % new(), ": %s@%s\r\n" % new(), "Sübject: %s@%s\r\n" % new()]
        text = build(STRANGER, PUBLIC, lines(), BODY)
        self.assertReply(self.inbound(text, parameters="SMTPUTF8"), 250)
        for copy in self.copies(2):
            self.assertEqual(find_pattern(copy.header, CANARY), [])

    def test_no_member_learns_of_another(self):
        for form, make in ADDRESS_FORMS.items():
            with self.subTest(form=form):
                other = make(*OFFICER.split("@"))
                text = build(STRANGER, f"{PUBLIC}, {other}", [fold("Cc", other), fold("Subject", "x " + OFFICER)], BODY)
                self.assertReply(self.inbound(text, parameters="SMTPUTF8 BODY=8BITMIME"), 250)
                copy = self.copy_for(TEACHER, self.copies(2))
                self.assertEqual(find_traces(copy.header, ["officer", "gmail.test"]), [], copy.header)

    def test_envelope_parameters(self):
        # DSN parameters carry addresses and ids of the sender's system (RFC 3461).
        with_dsn = "RET=HDRS ENVID=cnry0000x+40dom0000y.test BODY=8BITMIME"
        text = message(STRANGER, PUBLIC)
        with self.subTest("inward"):
            with Client(self.gateway.inbound) as client:
                client.ehlo()
                self.assertReply(client.mail(STRANGER, with_dsn), 250)
                self.assertReply(client.rcpt(PUBLIC, "NOTIFY=FAILURE ORCPT=rfc822;cnry0000x@dom0000y.test"), 250)
                self.assertReply(client.data(text), 250)
            self.copies(2)
            said = "\n".join(command for _, command in self.sink.commands)
            for needle in ("cnry0000x", "dom0000y", "stranger.test"):
                self.assertNotIn(needle, said)


class Bodies(Small):
    """Octet for octet, both ways, by DATA and by BDAT."""

    bodies = {
        "empty": b"",
        "one line": b"x\r\n",
        "dots": b".\r\n..\r\n...\r\n.x\r\n. \r\nx.\r\n\r\n.\r\n",
        "empty lines": b"\r\n\r\n\r\n",
        "no empty line needed": b" looks: like\r\n\ta: header\r\n",
        "998": b"x" * 998 + b"\r\n",
        "long lines": b"x" * 5000 + b"\r\n" + b"." * 3000 + b"\r\n",
        "8-bit": bytes(range(128, 256)) * 20 + b"\r\n",
        "utf-8": "こんにちは。\r\n".encode() * 100,
        "iso-2022-jp": "先生、政治。\r\n".encode("iso2022_jp") * 100,
        "controls": bytes(b for b in range(1, 128) if b not in (10, 13)) + b"\r\n",
        "dot at every cut": b"".join(b"a" * n + b"\r\n.b\r\n" for n in range(300)),
        "1 MB": b"".join(b"%07d .%s\r\n" % (n, b"y" * 60) for n in range(15_000)),
        "5 MB": b"".join(b"%07d .%s\r\n" % (n, b"z" * 60) for n in range(75_000)),
    }

    def test_data(self):
        phantom = self.phantom_of(STRANGER, OFFICER)
        for name, body in self.bodies.items():
            with self.subTest(body=name):
                text = message(STRANGER, PUBLIC, body=body)
                self.assertReply(self.inbound(text, parameters="BODY=8BITMIME"), 250)
                for copy in self.copies(2):
                    self.assertTrue(copy.body == body, "inward")
                text = message(OFFICER, phantom, body=body)
                self.assertReply(self.submit(OFFICER, phantom, text, parameters="BODY=8BITMIME"), 250)
                self.assertTrue(self.copies(1)[0].body == body, "outward")

    def test_bdat(self):
        for name, body in self.bodies.items():
            with self.subTest(body=name), Client(self.gateway.inbound) as client:
                text = message(STRANGER, PUBLIC, body=body)
                self.assertIn("CHUNKING", client.ehlo().text)
                client.pipeline(f"MAIL FROM:<{STRANGER}> BODY=8BITMIME", f"RCPT TO:<{PUBLIC}>")
                cuts = [0, 1, len(text) // 3, len(text) // 2, len(text)]
                chunks = [text[a:b] for a, b in zip(cuts, cuts[1:])]
                self.assertReply(client.bdat(*chunks, b""), 250)
                for copy in self.copies(2):
                    self.assertTrue(copy.body == body, "inward")

    def test_octet_by_octet(self):
        body = b".\r\n..\r\nx\r\n"
        with Client(self.gateway.inbound) as client:
            client.ehlo()
            client.pipeline(f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{PUBLIC}>", "DATA")
            for octet in stuff(message(STRANGER, PUBLIC, body=body)):
                client.send(bytes([octet]))
            self.assertReply(client.reply(), 250)
        for copy in self.copies(2):
            self.assertEqual(copy.body, body)


class Samples(Small):
    """Messages as they are in the wild, with a canary in every place where one held an address."""

    owner = "hanako.owner-cnryreal@docomo-mail.test"
    members = (owner, TEACHER)
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples")

    def test_every_sample_crosses(self):
        for name in sorted(os.listdir(self.folder)):
            with self.subTest(sample=name), open(os.path.join(self.folder, name), "rb") as file:
                text = re.sub(rb"\r?\n", b"\r\n", file.read())
                text += b"" if text.endswith(b"\r\n") else b"\r\n"
                reply = self.inbound(text, parameters="SMTPUTF8 BODY=8BITMIME")
                self.assertReply(reply, 250)
                for copy in self.copies(2):
                    found = find_pattern(copy.header, "cnry[0-9a-f]{8}")
                    self.assertEqual(found, [], copy.header.decode("utf-8", "replace"))
                    self.assertEqual(copy.body, text.split(b"\r\n\r\n", 1)[1])
                    if copy.recipients == [TEACHER]:
                        self.assertEqual(find_traces(copy.header, ["cnryreal", "docomo-mail"]), [])
                    self.assertLessEqual(max(map(len, copy.header.split(b"\r\n"))), 998)


if __name__ == "__main__":
    unittest.main(verbosity=2)
