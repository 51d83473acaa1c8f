"""Several hundred messages of every shape, the same ones in every run.

Every outside address is a canary of its own, `cnryNNNNx@domNNNNy.test`, in every place where mail holds addresses:
header fields, names, comments, groups, encoded-words, parameters, nested headers, MIME headers, reports. Text that
people read holds none: bodies are not rewritten. PATTERN finds them in what is shown.
"""

import base64
import dataclasses
import quopri
import random
import urllib.parse

from .traces import find_pattern

PATTERN = r"cnry\d{4,}x|dom\d{4,}y"
CHARSETS = {"us-ascii": "ascii", "utf-8": "utf-8", "iso-2022-jp": "iso2022_jp", "shift_jis": "cp932", "euc-jp": "euc_jp",
            "iso-8859-1": "latin-1", "gb2312": "gb2312", "iso-2022-kr": "iso2022_kr", "utf-16": "utf-16",
            "x-unheard-of": "utf-8"}
JAPANESE = ["件名：先生の政治学", "運動会のお知らせ", "表計算ソフト能登", "半角ｶﾅも", "髙橋さんと①番", "お弁当は各自で"]
DATE = "Thu, 01 Jan 2026 10:51:00 +0900"


@dataclasses.dataclass
class Message:
    name: str
    data: bytes
    delivered: bool = True  # it travelled: trace fields are there, and room with them
    bare: bool = False      # some lines end without CR
    big: bool = False


class Maker:
    def __init__(self, mailbox, public, seed=2026):
        self.mailbox, self.public = mailbox, public
        self.random = random.Random(seed)
        self.count = 0
        self.made = []

    # Words

    def pair(self):
        self.count += 1
        return f"cnry{self.count:04d}x", f"dom{self.count:04d}y.test"

    def who(self):
        return "%s@%s" % self.pair()

    def part_id(self):
        """Of a Content-ID: the left side names a part, the right side a host."""
        return f"part{self.random.randrange(1000)}.{self.random.randrange(16**8):08x}@{self.pair()[1]}"

    def host(self):
        return "mx." + self.pair()[1]

    def japanese(self):
        return self.random.choice(JAPANESE)

    def word(self, text, charset="utf-8", how="b"):
        octets = text.encode(CHARSETS.get(charset, charset), "replace")
        if how == "b":
            return f"=?{charset}?B?{base64.b64encode(octets).decode()}?="
        return f"=?{charset}?Q?{''.join(f'={o:02X}' for o in octets)}?="

    # Header pieces

    def trace(self, hops=None):
        """What a message that travelled has on top."""
        hops = self.random.randint(2, 5) if hops is None else hops
        lines = [f"Return-Path: <{self.who()}>", f"Delivered-To: {self.mailbox}"]
        for n in range(hops):
            lines += [f"Received: from {self.host()} ({self.host()} [192.0.2.{n + 1}])",
                      f"\tby {self.host()} (Postfix) with ESMTPS id {self.random.randrange(16**10):010X}",
                      f"\tfor <{self.mailbox}>; {DATE}"]
        lines += [f"Authentication-Results: mx.{self.mailbox.split('@')[1]};",
                  f"\tdkim=pass (2048-bit key) header.i=@{self.pair()[1]} header.s=sel1;",
                  f"\tspf=pass (domain of {self.who()} designates 192.0.2.1 as permitted sender)",
                  f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={self.pair()[1]}; s=sel1;",
                  "\th=from:to:subject:date:message-id; bh=" + base64.b64encode(self.random.randbytes(32)).decode() + ";",
                  "\tb=" + base64.b64encode(self.random.randbytes(40)).decode(),
                  "\t " + base64.b64encode(self.random.randbytes(40)).decode(),
                  "\t " + base64.b64encode(self.random.randbytes(40)).decode()]
        return lines

    def person(self):
        local, domain = self.pair()
        names = ["", "Taro Yamada ", f'"{local}@{domain}" ', self.word(self.japanese()) + " ",
                 self.word("山田先生", "iso-2022-jp") + " ", self.word("表示名", "shift_jis", "q") + " ",
                 '"Yamada, Taro (PTA)" ']
        return f"{self.random.choice(names)}<{local}@{domain}>"

    def basic(self, subject=None, to=None, **more):
        """Ordinary fields of a message from somebody to the public address."""
        fields = {"From": self.person(), "To": to or self.public, "Subject": subject or self.word(self.japanese()),
                  "Date": DATE, "Message-ID": f"<{self.who()}>"}
        fields.update({k.replace("_", "-"): v for k, v in more.items()})
        return [f"{name}: {value}" for name, value in fields.items() if value is not None]

    # Whole messages

    def add(self, name, lines, body=b"Hello.\r\n", delivered=True, **flags):
        """`lines`: header lines, str or octets, possibly folded."""
        head = b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in
                        ([*self.trace(), *lines] if delivered else lines))
        self.raw(name, head + b"\r\n" + body, delivered=delivered, **flags)

    def raw(self, name, data, **flags):
        self.made.append(Message(f"{len(self.made):03d} {name}", data, **flags))

    # MIME

    def encode(self, octets, cte):
        if cte == "base64":
            text = base64.b64encode(octets)
            return b"".join(text[i:i + 76] + b"\r\n" for i in range(0, len(text), 76))
        if cte == "quoted-printable":
            return quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        return octets

    def leaf(self, kind=None):
        """(header lines, body) of a part."""
        r = self.random
        kind = kind or r.choice(["text", "text", "html", "image", "attachment", "bare", "empty", "calendar"])
        extra = []
        if r.random() < 0.3:
            extra.append(f"Content-ID: <{self.part_id()}>")
        if r.random() < 0.2:
            extra.append(f"Content-Description: {r.choice(['plain words', self.word(f'図 {self.who()}'), self.who()])}")
        if r.random() < 0.1:
            extra.append("Content-Language: ja, en")
        if r.random() < 0.1:
            extra.append("Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==")
        if r.random() < 0.1:
            extra.append(f"Content-Location: https://{self.host()}/a/picture.png")
        if kind == "bare":
            return [], b"a part without a header\r\n"
        if kind == "empty":
            return ["Content-Type: text/plain"], b""
        cte = r.choice(["7bit", "8bit", "base64", "quoted-printable"])
        charset = r.choice(["utf-8", "iso-2022-jp", "shift_jis", "euc-jp"])
        lines = [f"Content-Transfer-Encoding: {cte}", *extra]
        text = "".join(self.japanese() + "\r\n" for _ in range(r.randint(0, 6))).encode(CHARSETS[charset], "replace")
        if kind == "text":
            return [f"Content-Type: text/plain; charset={charset}{r.choice(['; format=flowed', ''])}", *lines], self.encode(
                text, cte)
        if kind == "html":
            cid = self.part_id()
            html = f'<p>hello <img src="cid:{cid}"> <img src=3D"cid:x"></p>\r\n'.encode() + text
            return [f'Content-Type: TEXT/HTML; CHARSET="{charset}"', *lines], self.encode(html, cte)
        if kind == "calendar":
            return ["Content-Type: text/calendar; method=REQUEST; charset=utf-8"], b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
        names = {"ascii": 'name="photo.jpg"', "address": f'name="of {self.who()}.jpg"',
                 "word": f'name="{self.word("写真 " + self.who() + ".jpg")}"',
                 "2231": "name*=UTF-8''" + urllib.parse.quote(f"写真 {self.who()}.jpg"),
                 "pieces": f"name*0=\"of {self.who()[:6]}\"; name*1=\"x.jpg\"",
                 "jis": f'name="{self.word("髙い①.jpg".replace("髙", "高").replace("①", "1"), "iso-2022-jp")}"'}
        chosen = r.choice(sorted(names))
        octets = r.randbytes(r.randint(0, 3000))
        return ([f"Content-Type: {'image/jpeg' if kind == 'image' else 'application/octet-stream'}; {names[chosen]}",
                 "Content-Transfer-Encoding: base64",
                 f"Content-Disposition: attachment;\r\n file{names[r.choice(sorted(names))]}; size={len(octets)}", *extra],
                self.encode(octets, "base64"))

    def tree(self, depth):
        """(header lines, body) of an entity whose depth is at most this."""
        r = self.random
        if depth <= 0 or r.random() < 0.25:
            return self.leaf()
        if r.random() < 0.3:
            return ["Content-Type: message/rfc822", *([f"Content-Description: of {self.who()}"] if r.random() < 0.3 else []),
                    ], self.nested(depth - 1)
        return self.multipart([self.tree(depth - 1) for _ in range(r.randint(1, 4))])

    def nested(self, depth):
        lines, body = self.tree(depth)
        trace = self.trace(1) if self.random.random() < 0.7 else []
        more = [f"Cc: {self.person()},\r\n {self.person()}", f"In-Reply-To: <{self.who()}>", "MIME-Version: 1.0"]
        head = "\r\n".join([*trace, *self.basic(to=self.person()), *more, *lines])
        return head.encode() + b"\r\n\r\n" + body

    def multipart(self, parts, subtype=None, boundary=None, close=True, parameters=""):
        r = self.random
        subtype = subtype or r.choice(["mixed", "mixed", "alternative", "related", "parallel", "x-unheard-of"])
        boundary = boundary or r.choice(["=_b%d", "----=_Part_%d.x", "b %d'()+,./:=?", "0%d"]) % r.randrange(10**9)
        edge = f"--{boundary}".encode()
        body = r.choice([b"", b"This is a multi-part message.\r\n", b"\r\n"])
        for lines, content in parts:
            body += edge + b"\r\n" + "".join(line + "\r\n" for line in lines).encode() + b"\r\n" + content
            body += b"" if content.endswith(b"\r\n") and r.random() < 0.3 else b"\r\n"
        if close:
            body += edge + b"--\r\n" + r.choice([b"", b"epilogue\r\n"])
        return [f'Content-Type: multipart/{subtype};{parameters}\r\n\tboundary="{boundary}"'], body

    # The chapters

    def charsets(self):
        for charset, codec in CHARSETS.items():
            text = "".join(f"{line}\r\n" for line in JAPANESE)
            octets = text.encode(codec, "replace")
            for cte in ("8bit", "base64", "quoted-printable"):
                if charset == "utf-16" and cte != "base64":
                    continue  # holds NUL, and line ends of its own
                for how in "bq":
                    self.add(f"{charset} {cte} {how}",
                             [*self.basic(subject=self.word(JAPANESE[0], charset, how),
                                          Cc=f"{self.word('山田', charset, how)} <{self.who()}>"), "MIME-Version: 1.0",
                              f"Content-Type: text/plain; charset={charset}", f"Content-Transfer-Encoding: {cte}"],
                             self.encode(octets, cte))
            head = "\r\n".join([*self.trace(), f"From: 山田 <{self.who()}>", f"To: {self.public}", "Subject: 先生の表",
                                f"Message-ID: <{self.who()}>", f"Date: {DATE}"])
            if charset != "utf-16":
                self.raw(f"8-bit header {charset}", head.encode(codec, "replace") + b"\r\n\r\n" + octets[:100] + b"\r\n")
        # CP50220/50221: NEC and IBM extensions and half-width katakana under the name of ISO-2022-JP.
        vendor = b"\x1b$B-!|b\x1b(I6E\x1b(B"
        self.add("cp50221", [*self.basic(subject=f"=?ISO-2022-JP?B?{base64.b64encode(vendor).decode()}?="),
                             b"Comments: " + vendor, "MIME-Version: 1.0", "Content-Type: text/plain; charset=ISO-2022-JP"],
                 vendor + b"\r\n")

    def forms(self, address_forms, text_forms):
        """Every form in which an address can stand, in address fields and in free text."""
        for form, make in address_forms.items():
            self.add("from: " + form, [f"From: {make(*self.pair())}", f"To: {self.public}", f"Date: {DATE}",
                                       f"Cc: {make(*self.pair())}", f"Reply-To: {make(*self.pair())}", "Subject: forms",
                                       f"Message-ID: <{self.who()}>"])
        for form, make in text_forms.items():
            lines, body = self.multipart([(["Content-Type: text/plain; name=x", f"Content-Description: {make(*self.pair())}",
                                            f"Content-ID: <{self.part_id()}>"], b"x\r\n")], "mixed")
            self.add("text: " + form, [*self.basic(subject=make(*self.pair()), Comments=make(*self.pair()),
                                                   Keywords=make(*self.pair()), X_Unheard_Of=make(*self.pair()),
                                                   List_Id=make(*self.pair()), Thread_Topic=make(*self.pair()),
                                                   In_Reply_To=make(*self.pair()), MIME_Version="1.0"), *lines], body)

        # Servers end a value at '@' and tell what stands before it.
        values = ("Content-Type: application/pdf; name={}.pdf", "Content-Disposition: attachment; filename={}",
                  "Content-Type: text/plain; charset={}", "Content-Disposition: {}", "Content-Language: ja, {}",
                  "Content-Transfer-Encoding: {}")
        lines, body = self.multipart([([value.format(self.who())], b"x\r\n") for value in values], "mixed")
        # Of two parameters with one name some readers take both.
        doubled = ("attachment; filename=\"{}.pdf\"; filename*=UTF-8''x.pdf", "attachment; filename=x; FileName=\"{}\"",
                   "attachment; filename=\"x\"; filename=\"{}\"; filename=\"y\"",
                   "attachment; filename=\"x.pdf\";\r\n filename*0=\"{}\"; filename*1=\"z\"")
        twice, twice_body = self.multipart([([f"Content-Disposition: {value.format(self.who())}"], b"x\r\n")
                                            for value in doubled], "mixed")
        self.add("parameters twice", [*self.basic(), "MIME-Version: 1.0", *twice], twice_body)
        self.add("values without quotes", [*self.basic(), "MIME-Version: 1.0", *lines], body)

    def structures(self, count):
        for n in range(count):
            lines, body = self.tree(1 + n % 6)
            if not any(line.startswith("Content-Type: m") for line in lines):
                lines, body = self.multipart([(lines, body)])
            self.add(f"tree {n}", [*self.basic(), "MIME-Version: 1.0", *lines], body)
        for how in ("not closed", "no parts", "edge of part with space", "empty boundary", "same boundary inside",
                    "cut in a part's header", "digest", "no blank line", "edges only", "prefix"):
            inner = (["Content-Type: text/plain"], b"text\r\n")
            lines, body = self.multipart([inner, inner], "mixed", "edge")
            if how == "not closed":
                lines, body = self.multipart([inner, inner], "mixed", "edge", close=False)
            elif how == "no parts":
                body = b"no edge in here\r\n"
            elif how == "edge of part with space":
                body = body.replace(b"--edge\r\n", b"--edge  \t\r\n")
            elif how == "empty boundary":
                lines = ['Content-Type: multipart/mixed; boundary=""']
            elif how == "same boundary inside":
                lines, body = self.multipart([self.multipart([inner], "mixed", "edge"), inner], "mixed", "edge")
            elif how == "cut in a part's header":
                body = body[:body.rindex(b"Content-Type") + 9]
            elif how == "digest":
                lines, body = self.multipart([([], self.nested(0)), ([], self.nested(1))], "digest")
            elif how == "no blank line":
                body = b"--edge\r\nContent-Type: text/plain\r\n--edge--\r\n"
            elif how == "edges only":
                body = b"--edge\r\n--edge\r\n--edge--\r\n"
            elif how == "prefix":
                lines, body = self.multipart([self.multipart([inner], "mixed", "edge-in"), inner], "mixed", "edge")
            self.add("multipart: " + how, [*self.basic(), "MIME-Version: 1.0", *lines], body)
        for encoding in ("7bit", "8bit", "binary", "base64", "quoted-printable"):
            self.add("message/rfc822 in " + encoding,
                     [*self.basic(), "MIME-Version: 1.0", "Content-Type: message/rfc822",
                      f"Content-Transfer-Encoding: {encoding}"],
                     self.nested(2) if encoding in ("7bit", "8bit", "binary") else self.encode(b"From: x\r\n\r\nx\r\n", encoding))
        deep = (["Content-Type: text/plain"], b"the ground\r\n")
        for n in range(25):
            deep = self.multipart([deep], "mixed", f"d{n}") if n % 2 else (
                ["Content-Type: message/rfc822"], "\r\n".join([*self.basic(to=self.who()), *deep[0], "", ""]).encode() + deep[1])
        self.add("deep", [*self.basic(), "MIME-Version: 1.0", *deep[0]], deep[1])

    def reports(self):
        for n in range(6):
            status = (f"Reporting-MTA: dns; {self.host()}\r\nX-Postfix-Sender: rfc822; {self.who()}\r\nArrival-Date: {DATE}\r\n"
                      f"\r\nFinal-Recipient: rfc822; {self.who()}\r\nOriginal-Recipient: rfc822;{self.who()}\r\n"
                      f"Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; {self.host()}\r\n"
                      f"Diagnostic-Code: smtp; 550 5.1.1 <{self.who()}>: User unknown\r\n").encode()
            returned = (["Content-Type: message/rfc822"], self.nested(1)) if n % 2 else (
                ["Content-Type: text/rfc822-headers"], "\r\n".join(self.basic(to=self.person())).encode() + b"\r\n")
            lines, body = self.multipart([(["Content-Type: text/plain"], b"I am sorry to have to inform you.\r\n"),
                                          (["Content-Type: message/delivery-status"], status), returned], "report",
                                         parameters=" report-type=delivery-status;")
            self.add(f"delivery report {n}", [*self.basic(subject="Undelivered Mail Returned to Sender"), "MIME-Version: 1.0",
                                              "Auto-Submitted: auto-replied", *lines], body)
        for n in range(4):
            note = (f"Reporting-UA: {self.host()}; Mail 1.0\r\nOriginal-Recipient: rfc822;{self.who()}\r\n"
                    f"Final-Recipient: rfc822;{self.who()}\r\nOriginal-Message-ID: <{self.who()}>\r\n"
                    "Disposition: manual-action/MDN-sent-manually; displayed\r\n").encode()
            lines, body = self.multipart([(["Content-Type: text/plain"], b"It was displayed.\r\n"),
                                          (["Content-Type: message/disposition-notification"], note)], "report",
                                         parameters=" report-type=disposition-notification;")
            self.add(f"disposition {n}", [*self.basic(), "MIME-Version: 1.0", *lines], body)

    def fields(self):
        for name in ("From", "To", "Subject", "Date", "Message-ID"):
            self.add("no " + name, self.basic(**{name: None}))
            lines = self.basic()
            again = next(line for line in self.basic() if line.startswith(name + ":"))
            self.add("two " + name, [*lines, again])
            self.add("three " + name, [again, *lines, f"{name.upper()}: {self.person()}"])
            self.add("empty " + name, self.basic(**{name: ""}))
        for name in ("Content-Type: text/html", "MIME-Version: 1.0", "Content-Transfer-Encoding: base64"):
            self.add("two " + name, [*self.basic(), "Content-Type: text/plain", name, name])
        many = ",\r\n ".join(self.person() for _ in range(300))
        self.add("300 recipients", [*self.basic(to=many), f"References: {' '.join(f'<{self.who()}>' for _ in range(200))}"])
        self.add("long lines", [*self.basic(to=", ".join(self.person() for _ in range(100)), X_Long="x" * 3000)])
        self.add("100 kB field", [*self.basic(X_Long="\r\n ".join("y" * 900 for _ in range(110)))])
        self.add("many fields", [*self.basic(), *(f"X-Field-{n}: {self.who()}" for n in range(400))])
        self.add("docomo", [f"From: <cnry0007x..y.@{self.pair()[1]}>", f"To: {self.public}", "Subject: mobile"])
        self.add("a group", [f"From: {self.person()}", f"To: Members: {self.person()}, {self.public}, {self.who()};",
                             f"Cc: undisclosed-recipients:;, {self.word('保護者会')}: {self.who()};"])
        self.add("resent", [*self.basic(), f"Resent-From: {self.person()}", f"Resent-To: {self.who()}",
                            f"Resent-Message-ID: <{self.who()}>"])
        self.add("list", [*self.basic(Sender=self.who(), Reply_To=self.who(), List_Id=f"PTA <pta.{self.pair()[1]}>",
                                      List_Unsubscribe=f"<mailto:{self.who()}>, <https://{self.host()}/?u={self.who()}>",
                                      List_Post=f"<mailto:{self.who()}>", Precedence="list")])

    def malformed(self):
        trace = "\r\n".join(self.trace()).encode() + b"\r\n"
        def basic(**m):
            return "\r\n".join(self.basic(**m)).encode() + b"\r\n"
        self.raw("no header at all", b"this is only text\r\nof two lines\r\n", delivered=False)
        self.raw("an empty line first", b"\r\nFrom: this is text\r\n", delivered=False)
        self.raw("header without empty line", trace + basic())
        self.raw("header without empty line, no end", trace + basic()[:-2])
        self.raw("header only", trace + basic() + b"\r\n")
        self.raw("body of 0 octets, MIME", trace + basic(MIME_Version="1.0", Content_Type="text/plain") + b"\r\n")
        self.raw("body without line end", trace + basic() + b"\r\nx")
        self.raw("blank lines only", trace + basic() + b"\r\n\r\n\r\n\r\n")
        self.raw("text in the header", trace + basic() + f"this line is no field of {self.who()}\r\n".encode()
                 + b"X-After: it\r\n\r\nbody\r\n")
        self.raw("continuation first", f" folded {self.who()}\r\n".encode() + trace + basic() + b"\r\nbody\r\n")
        self.raw("space line in the header", trace + basic() + f" \r\nX-After: {self.who()}\r\n\r\nbody\r\n".encode())
        self.raw("space before the colon", trace + f"From : {self.who()}\r\nTo\t: {self.who()}\r\nSubject : x\r\n\r\nb\r\n".encode())
        self.raw("mbox From line", f"From {self.who()} Thu Jan  1 10:51:00 2026\r\n".encode() + trace + basic() + b"\r\nbody\r\n")
        self.raw("control characters", trace + f"From: a\x01\x02 <{self.who()}>\r\nSubject: \x07\x1b\x7f\r\n\r\n\x01\x08\r\n".encode())
        self.raw("odd names", trace + basic() + f"X-{self.pair()[0]}: y\r\n!#$%&'*+-: z\r\n\r\nbody\r\n".encode())
        self.raw("broken type", trace + basic(MIME_Version="1.0") +
                 f"Content-Type: text/plain; charset=\"utf-8; name={self.who()}\r\n\r\nbody\r\n".encode())
        self.raw("type without a slash", trace + basic() + b"Content-Type: text\r\n\r\nbody\r\n")
        self.raw("dots", trace + basic() + b"\r\n.\r\n..\r\n.x\r\n\r\n.\r\n")
        self.raw("LF only", (trace + basic() + b"\r\nbody\r\nof lines\r\n").replace(b"\r\n", b"\n"), bare=True)
        self.raw("LF in the header", (trace + basic()).replace(b"\r\n", b"\n", 9) + b"\r\nbody\r\n", bare=True)
        self.raw("LF in the body", trace + basic() + b"\r\nbody\nof\nlines\r\n", bare=True)
        self.raw("empty line of LF", trace + basic() + b"\nbody\r\n", bare=True)

    def own(self):
        """Drafts and copies of sent mail: never travelled."""
        for n in range(10):
            to = [self.person(), self.who(), f"Friends: {self.who()};"][n % 3]
            lines, body = self.tree(n % 3)
            self.add(f"own {n}", [f"From: Hanako <{self.mailbox if n % 2 else self.public}>", f"To: {to}",
                                  f"Subject: {self.word('下書き')}", f"Date: {DATE}", f"Message-ID: <{self.who()}>",
                                  "MIME-Version: 1.0", *lines], body, delivered=False)

    def sizes(self):
        self.add("30 MB in base64", [*self.basic(), "MIME-Version: 1.0", "Content-Type: application/octet-stream",
                                     "Content-Transfer-Encoding: base64"],
                 self.encode(self.random.randbytes(22_000_000), "base64"), big=True)
        inner = (["Content-Type: message/rfc822"], self.nested(0) + b"one very long line " + b"z" * 2_000_000 + b"\r\n")
        lines, body = self.multipart([inner, (["Content-Type: text/plain"], b"short lines\r\n" * 100_000)])
        self.add("3 MB with a message inside", [*self.basic(), "MIME-Version: 1.0", *lines], body, big=True)


def corpus(mailbox, public, address_forms, text_forms, trees=110, big=True):
    """At least 300 messages, without the big ones."""
    maker = Maker(mailbox, public)
    maker.charsets()
    maker.forms(address_forms, text_forms)
    maker.structures(trees)
    maker.reports()
    maker.fields()
    maker.malformed()
    if big:
        maker.sizes()
    return maker.made


def own_writing(mailbox, public, count=40):
    """Messages of the member's own writing, which need no rewriting, of many shapes."""
    maker = Maker(mailbox, public, seed=7)
    while len(maker.made) < count:
        maker.own()
    return maker.made[:count]


def canaries(data):
    """The canaries that somebody could read in these octets."""
    return find_pattern(data, PATTERN)
