"""Web forms: what visitors and programs post, what arrives, and what is refused with nothing sent."""

import concurrent.futures
import email
import email.policy
import html.parser
import json
import re
import select
import signal
import unittest

from harness.forms import (BOUNDARY, as_json, connect, multipart, part, request, talk, urlencoded)
from harness.mail import address, find_traces, header_of, ids, message
from harness.ports import free_port
from harness.redis import Redis
from harness.small import OFFICER, PUBLIC, TEACHER, Small
from harness.waiting import wait_for

SITE = "https://www.school.example"
VISITOR = "yamada@stranger.test"
PATH = f"/form/{PUBLIC}"


class Form(Small):
    """One gateway with a form over HTTPS; `options` is its [form]."""

    settings = {"form": True}
    options = {}

    @classmethod
    def configure(cls):
        cls.port, cls.plain = free_port(), free_port()
        cls.gateway.config["listen"] += [{"face": "forms", "address": "127.0.0.1", "port": cls.port},
                                         {"face": "form", "address": "127.0.0.1", "port": cls.plain}]
        cls.gateway.merge({"form": {"origins": [SITE], "min_time": "0s", "rate_network": 100000, "rate_address": 100000,
                                    **cls.options}})

    def token(self):
        answer = talk(self.plain, request("GET", PATH + "/token", {"Origin": SITE}))
        self.assertEqual(answer.status, 200, answer)
        return json.loads(answer.content)["token"]

    def fields(self, **more):
        given = {"name": "Taro Yamada", "email": VISITOR, "subject": "Lunch", "message": "When is lunch?", **more}
        if "_token" not in given:
            given["_token"] = self.token()
        return [(k, v) for k, v in given.items() if v is not None]

    def post(self, encoded, fields=None, path=PATH, tls=False):
        kind, content = encoded
        octets = request("POST", path, {"Origin": SITE, "Content-Type": kind, **(fields or {})}, content)
        return talk(self.port if tls else self.plain, octets, self.tls if tls else None)

    def sent(self, answer, count=2):
        self.assertEqual((answer.status, answer.code), (200, "sent"), answer)
        return self.copies(count)

    def nothing_sent(self, answer, status, code):
        self.assertEqual((answer.status, answer.code), (status, code), answer)
        self.assertEqual(self.sink.messages, [], "nothing may have been sent")

    def read(self, copy):
        return email.message_from_bytes(copy.data, policy=email.policy.default)


class Sending(Form):
    def test_a_post_is_mail_from_a_phantom(self):
        copies = self.sent(self.post(multipart(self.fields()), tls=True))
        seen = self.read(self.copy_for(OFFICER, copies))
        self.assertEqual(seen["From"].addresses[0].display_name, "Taro Yamada")
        self.assertTrue(address(copies[0].data).endswith("@p.school.example"))
        self.assertEqual((seen["Subject"], address(copies[0].data, "To")), ("Lunch", PUBLIC))
        self.assertEqual(seen.get_content().strip(), "When is lunch?")
        self.assertEqual(seen["Auto-Submitted"], "no")
        for copy in copies:
            self.assertEqual(find_traces(header_of(copy.data), [VISITOR, "stranger.test"]), [])
        self.assertNotIn("stranger.test", self.gateway.log())


    def test_what_browsers_and_programs_send(self):
        japanese = {"name": "山田　太郎", "subject": "給食について", "message": "①㈱髙﨑です。\r\n「表示」ソ能"}
        plain = {"name": "Taro \"T\" <a@b.test>, (x)", "subject": "50% & more = +", "message": "a\r\n.\r\n..b\r\n" + "x" * 3000}
        for kind, fields, encode in (
                ("multipart", japanese, multipart), ("urlencoded", japanese, urlencoded), ("json", japanese, as_json),
                ("multipart", plain, multipart), ("urlencoded", plain, urlencoded), ("json", plain, as_json)):
            with self.subTest(kind=kind, subject=fields["subject"]):
                copies = self.sent(self.post(encode(self.fields(**fields))))
                self.check_texts(copies, fields)

    def check_texts(self, copies, fields):
        seen = self.read(self.copy_for(OFFICER, copies))
        # An address in a name does not cross (contract R5.2).
        if "@" not in fields["name"]:
            self.assertEqual(seen["From"].addresses[0].display_name, fields["name"])
        self.assertEqual(seen["Subject"], fields["subject"])
        self.assertEqual(seen.get_content().splitlines(), fields["message"].splitlines())
        for line in header_of(copies[0].data).splitlines():
            self.assertLessEqual(len(line), 998)

    def test_pages_in_other_charsets(self):
        fields = {"name": "山田太郎", "subject": "表示ソ", "message": "能「予定」①"}
        for charset, codec in (("Shift_JIS", "cp932"), ("EUC-JP", "euc_jis_2004"), ("ISO-2022-JP", "iso2022_jp_3")):
            with self.subTest(charset=charset):
                given = self.fields(_charset_=charset, **{k: v.replace("①", "") if charset != "Shift_JIS" else v
                                                          for k, v in fields.items()})
                expected = dict(given)
                copies = self.sent(self.post(urlencoded(given, codec)))
                self.check_texts(copies, expected)
                octets = [(k, v.encode(codec)) for k, v in given[:-1]] + [("_token", self.token())]
                quoted = "表.txt".encode(codec).replace(b'"', b"%22")
                copies = self.sent(self.post(multipart(octets, [("attachment", quoted, "text/plain", b"x")])))
                seen = self.read(copies[0])
                self.assertEqual([a.get_filename() for a in seen.iter_attachments()], ["表.txt"])
        # What the charset lacks comes as a reference.
        copies = self.sent(self.post(urlencoded(self.fields(_charset_="Shift_JIS", message="🍙 &#64; &#999999999;"), "cp932")))
        self.assertEqual(self.read(copies[0]).get_content().strip(), "🍙 &#64; &#999999999;")

    def test_an_address_as_an_input_method_writes_it(self):
        for written in ("ｙａｍａｄａ＠ｓｔｒａｎｇｅｒ．ｔｅｓｔ", "\u3000yamada@stranger.test\u00a0", "\u2003ｙamada@stranger.test "):
            copies = self.sent(self.post(multipart(self.fields(email=written))))
            phantom = address(self.copy_for(OFFICER, copies).data)
            self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom, "At noon")), 250)
            self.assertEqual(self.copies(1)[0].recipients, [VISITOR], written)

    def test_attachments(self):
        files = [("attachment", "名簿 \"1\".xlsx".replace('"', "%22"), "application/vnd.ms-excel", bytes(range(256)) * 300),
                 ("attachment", "C:\\Users\\taro\\a.eml", "message/rfc822", b"From: a@b.test\r\n\r\nx"),
                 ("attachment", "../../etc/passwd", "text/html\";x=\"y", b""),
                 ("attachment", "", "application/octet-stream", b"")]
        copies = self.sent(self.post(multipart(self.fields(), files), tls=True))
        found = list(self.read(copies[0]).iter_attachments())
        self.assertEqual([(f.get_filename(), f.get_content_type(), f.get_payload(decode=True)) for f in found],
                         [('名簿 "1".xlsx', "application/vnd.ms-excel", files[0][3]),
                          ("a.eml", "application/octet-stream", files[1][3]),
                          ("passwd", "application/octet-stream", b"")])

    def test_an_equal_post_is_a_retry_and_another_is_not(self):
        fields = self.fields()
        self.sink.fail("rcpt", reply="451 4.2.0 later", match=TEACHER)
        answer = self.post(multipart(fields))
        self.assertEqual((answer.status, answer.code), (503, "try_again"))
        self.assertEqual(answer.field("retry-after"), "60")
        self.sink.heal()
        copies = self.sent(self.post(urlencoded(fields)))
        self.assertEqual(sorted(c.recipients[0] for c in copies), [OFFICER, TEACHER])
        self.assertEqual(self.post(multipart(fields)).code, "sent")
        copies = self.sent(self.post(multipart([(k, v + "!" if k == "message" else v) for k, v in fields])))
        self.assertEqual(len(copies), 2)

    def test_the_answer_goes_by_mail_and_the_thread_holds(self):
        copies = self.sent(self.post(multipart(self.fields(subject="Coffee"))))
        copy = self.copy_for(OFFICER, copies)
        phantom, first_id = address(copy.data), ids(copy.data, "Message-ID")[0]
        self.assertReply(self.submit(OFFICER, phantom, message(OFFICER, phantom, subject="Re: Coffee",
                                                               extra=f"In-Reply-To: <{first_id}>")), 250)
        (answer,) = self.copies(1)
        self.assertEqual((answer.recipients, address(answer.data)), ([VISITOR], PUBLIC))
        self.assertTrue(ids(answer.data, "In-Reply-To")[0].endswith("@school.example"))
        # The same person by mail is the same phantom (contract R3.4).
        self.assertEqual(self.phantom_of(VISITOR, OFFICER), phantom)

    def test_manners_of_answering(self):
        content = multipart(self.fields())
        page = self.post(content, {"Accept": "text/html", "Accept-Language": "ja,en;q=0.5"})
        self.assertIn("送信しました", page.text)
        self.assertEqual(page.field("content-type"), "text/html; charset=utf-8")
        self.assertIn("default-src 'none'", page.field("content-security-policy"))
        self.assertIn("delivered", self.post(content, {"Accept-Language": "en-GB,ja;q=0.8"}).text)
        told = self.post(content, {"Accept": "application/json", "Accept-Language": "ja"})
        self.assertEqual(json.loads(told.content)["ok"], True)
        self.assertEqual(told.field("access-control-allow-origin"), SITE)
        gone = self.post(multipart(self.fields(_redirect=SITE + "/thanks?a=b#c")))
        self.assertEqual((gone.status, gone.field("location")), (303, SITE + "/thanks?a=b#c"))

    def test_preflights_pages_and_nothing_else(self):
        asked = talk(self.plain, request("OPTIONS", PATH, {"Origin": SITE, "Access-Control-Request-Method": "POST",
                                                           "Access-Control-Request-Headers": "content-type"}))
        self.assertEqual((asked.status, asked.field("access-control-allow-origin"),
                          asked.field("access-control-allow-headers")), (204, SITE, "Content-Type"))
        other = talk(self.plain, request("OPTIONS", PATH, {"Origin": "https://evil.test"}))
        self.assertEqual((other.status, other.field("access-control-allow-origin")), (204, None))
        page = talk(self.port, request("GET", PATH.replace("@", "%40"), {"Accept-Language": "ja"}), self.tls)
        self.assertIn("PTA committee", page.text)
        own = {"Origin": "https://forms.test", "Referer": None}
        self.sent(self.post(multipart(self.fields()), own))
        for path in ("/metrics", "/healthz", "/", "/form/", "/form/nobody@school.example", "/form/pta@school.example/x",
                     "/form/%00", "/form/%zz", "/form/" + "a" * 5000 + "@school.example"):
            self.assertEqual(talk(self.plain, request("GET", path)).status, 404, path)
        self.assertEqual(talk(self.plain, request("DELETE", PATH)).field("allow"), "GET, HEAD, POST, OPTIONS")


class Hostile(Form):
    """A clear error, nothing sent, nothing lost."""

    def check(self, encoded, status, code, fields=None, path=PATH):
        with self.subTest(code=code, content=encoded[1][:200], fields=fields):
            self.nothing_sent(self.post(encoded, fields, path), status, code)

    def test_fields(self):
        for change, code in (
                ({"name": "a\r\nBcc: victim@victim.test"}, "control_character"),
                ({"subject": "a\nBcc: victim@victim.test"}, "control_character"),
                ({"subject": "a\rb"}, "control_character"), ({"subject": "a\0b"}, "control_character"),
                ({"subject": "a\u2028b"}, "control_character"), ({"name": "a\x1bb"}, "control_character"),
                ({"message": "a\0b"}, "control_character"),
                ({"email": "a@b.test\r\nBcc: victim@victim.test"}, "control_character"),
                ({"email": "a@b.test, c@d.test"}, "bad_email"), ({"email": "<a@b.test>"}, "bad_email"),
                ({"email": "a@b.test> <c@d.test"}, "bad_email"), ({"email": "a@[192.0.2.1]"}, "bad_email"),
                ({"email": "a@localhost"}, "bad_email"), ({"email": "nobody"}, "bad_email"),
                ({"email": "other@school.example"}, "bad_email"), ({"email": "x@P.School.example"}, "bad_email"),
                ({"email": "a" * 65 + "@b.test"}, "bad_email"), ({"email": ""}, "no_email"), ({"email": None}, "no_email"),
                ({"email": "\u200byamada@stranger.test"}, "bad_email"), ({"email": "yamada\u00ad@stranger.test"}, "bad_email"),
                ({"email": "yamada@stranger.test\ufeff"}, "bad_email"), ({"email": "ya\u3000mada@stranger.test"}, "bad_email"),
                ({"email": "\u3000"}, "no_email"), ({"message": "\u3000\r\n\u00a0\u2003"}, "no_message"),
                ({"message": " \r\n\t"}, "no_message"), ({"message": None}, "no_message"),
                ({"name": "x" * 201}, "too_long"), ({"subject": "あ" * 167}, "too_long"),
                ({"website": "https://spam.test"}, "robot"), ({"phone": "1"}, "unknown_field"), ({"To": "1"}, "unknown_field"),
                ({"_redirect": "https://evil.test/"}, "bad_redirect"), ({"_redirect": SITE + ".evil.test/"}, "bad_redirect"),
                ({"_redirect": "//evil.test"}, "bad_redirect"), ({"_redirect": SITE + "@evil.test/"}, "bad_redirect"),
                ({"_redirect": "javascript:alert(1)"}, "bad_redirect"), ({"_redirect": SITE + "\\@evil.test"}, "bad_redirect"),
                ({"_charset_": "utf-7"}, "charset"), ({"_charset_": "EUC-JP", "name": "\udcff\udcff"}, "charset")):
            for encode in (multipart, urlencoded) + (() if "_charset_" in change else (as_json,)):
                fields = self.fields(**change)
                if encode is not as_json:
                    fields = [(k, v.encode("utf-8", "surrogateescape")) for k, v in fields]
                self.check(encode(fields), 400, code)

    def test_tokens(self):
        token = self.token()
        for bad in ("", "x", token[:-1] + ("A" if token[-1] != "A" else "B"), token + "AAAA", "A" * 43, token[:10]):
            self.check(urlencoded(self.fields(_token=bad)), 400, "stale")
        self.check(urlencoded(self.fields(_token=None)), 400, "stale")

    def test_origins(self):
        content = multipart(self.fields())
        for fields in ({"Origin": "https://evil.test"}, {"Origin": "null"}, {"Origin": SITE + ".evil.test"}, {"Origin": None},
                       {"Origin": SITE.replace("https", "http")}, {"Origin": None, "Referer": "https://evil.test/" + SITE}):
            self.check(content, 403, "origin", fields)
        self.sent(self.post(content, {"Origin": None, "Referer": SITE + "/contact.html"}))

    def test_multipart(self):
        good = self.fields()
        kind, whole = multipart(good)
        close = f"--{BOUNDARY}--\r\n".encode()
        without_close = whole[:-len(close)]
        named = lambda head, value=b"x": f"--{BOUNDARY}\r\n".encode() + head + b"\r\n\r\n" + value + b"\r\n"
        for tail, status, code in (
                (b"", 400, "malformed"), (close[:-4], 400, "malformed"), (close + b"--", 400, "malformed"),
                (close + part("message", "again") + close, 400, "malformed"),
                (part("message", "again") + close, 400, "twice"),
                (named(b"Content-Type: text/plain") + close, 400, "malformed"),
                (named(b'Content-Disposition: attachment; name="x"') + close, 400, "malformed"),
                (named(b'Content-Disposition: form-data; name="a"; name="b"') + close, 400, "malformed"),
                (named(b'Content-Disposition: form-data; name=message') + close, 400, "malformed"),
                (named(b'Content-Disposition: form-data; name="attachment"; filename*=utf-8\'\'a') + close, 400, "malformed"),
                (named(b'Content-Disposition: form-data; name="attachment"\r\n ; filename="a"') + close, 400, "malformed"),
                (named(b'Content-Disposition: form-data; name="x"\nBcc: a@b.test') + close, 400, "malformed"),
                (named(b'Content-Disposition: form-data; name="attachment"; filename="a"\r\nContent-Transfer-Encoding: base64')
                 + close, 400, "malformed"),
                (named(b'Content-Disposition: form-data; name="attachment"') + close, 400, "wrong_field"),
                (named(b'Content-Disposition: form-data; name="subject2"; filename="a"') + close, 400, "unknown_field"),
                (named(b"X: " + b"y" * 5000 + b'\r\nContent-Disposition: form-data; name="x"') + close, 413, "too_large"),
                (named(b'Content-Disposition: form-data; name="' + b"y" * 200 + b'"') + close, 413, "too_large"),
                (part("website", "") * 50 + close, 413, "too_large"),
                (part("attachment", "x", "a") * 6 + close, 413, "too_many_files"),
                (part("attachment", b"x" * (11 << 20), "a") + close, 413, "too_large")):
            self.check((kind, without_close + tail), status, code)
        self.check((kind, b"preamble\r\n" + whole), 400, "malformed")
        self.check((kind, whole.replace(b"\r\n", b"\n")), 400, "malformed")
        for bad in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 71,
                    "multipart/mixed; boundary=x", "text/plain", "application/xml", "x"):
            self.check((bad, whole), 415, "type")
        self.check((kind, whole), 415, "type", {"Content-Encoding": "gzip"})
        # Every cut of a good one is refused.
        for size in range(0, len(whole) - 4, 37):
            self.check((kind, whole[:size]), 400, "malformed")

    def test_urlencoded_and_json(self):
        good = urlencoded(self.fields())
        for content, status, code in ((b"", 400, "no_message"), (b"&&&=&", 400, "unknown_field"), (b"email=%4", 400, "malformed"),
                                      (b"email=%zz", 400, "malformed"), (b"email=a b", 400, "malformed"),
                                      (good[1] + b"&email=other@b.test", 400, "twice"), (good[1] + b"&EMAIL=x", 400, "unknown_field"),
                                      (b"name=%ff%fe", 400, "charset"), (b"email[]=a", 400, "unknown_field"),
                                      (b"message=" + b"a" * 300000, 413, "too_large"), (b"a=&" * 100, 413, "too_large")):
            self.check((good[0], content), status, code)
        text = json.dumps(dict(self.fields()))
        for content, code in (("", "malformed"), ("[]", "malformed"), ("null", "malformed"), ("{", "malformed"),
                              (text + "x", "malformed"), (text[:-1] + ",}", "malformed"), (text[:-1] + ', "email": "b@b.test"}', "twice"),
                              (text[:-1] + ', "x": 1}', "malformed"), (text[:-1] + ', "attachment": ["x"]}', "malformed"),
                              ('{"message": {"a": "b"}}', "malformed"), ("[" * 100000, "malformed"), ('{"message": "\\ud800"}', "malformed"),
                              ('{"message": "\\u00"}', "malformed"), ('{"message": "a\nb"}', "malformed"), ('{"__proto__": "x"}', "unknown_field"),
                              ('{"message": "\\u0000"}', "control_character")):
            self.check(("application/json", content.encode()), 400, code)
        self.check(("application/json", b'{"message": "\xff"}'), 400, "malformed")

    def test_http(self):
        kind, content = multipart(self.fields())
        head = {"Origin": SITE, "Content-Type": kind}
        length = str(len(content))
        for fields, status in (({"Content-Length": length, "Transfer-Encoding": "chunked"}, 400),
                               ({"Transfer-Encoding": "gzip, chunked"}, 400), ({"Transfer-Encoding": "identity"}, 400),
                               ({"Content-Length": "-1"}, 400), ({"Content-Length": "1e3"}, 400),
                               ({"Content-Length": length, "Expect": "200-maybe"}, 400)):
            answer = talk(self.plain, request("POST", PATH, {**head, **fields}, b"", framed=False))
            self.assertEqual(answer.status, status, fields)
        trailer = request("POST", PATH, {**head, "Transfer-Encoding": "chunked"}, framed=False) + (
            f"{len(content):x}\r\n".encode() + content + b"\r\n0\r\nX: y\r\n\r\n")
        self.assertEqual(talk(self.plain, trailer).status, 400)
        cut = request("POST", PATH, {**head, "Content-Length": length}, content[:-30])
        self.assertIsNone(talk(self.plain, cut, close=True).status)
        self.assertEqual(self.sink.messages, [])
        # Right ones, in pieces of any size.
        chunked = b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in (content[i:i + 50] for i in range(0, len(content), 50)))
        self.sent(talk(self.plain, request("POST", PATH, {**head, "Transfer-Encoding": "chunked"}, framed=False) + chunked + b"0\r\n\r\n"))
        whole = request("POST", PATH, head, multipart(self.fields())[1])
        self.sent(talk(self.port, [whole[i:i + 61] for i in range(0, len(whole), 61)], self.tls))

    def test_expect_and_pipelining(self):
        kind, content = multipart(self.fields())
        head = request("POST", PATH, {"Origin": SITE, "Content-Type": kind, "Content-Length": str(len(content)),
                                      "Expect": "100-continue", "Connection": "keep-alive"}, framed=False)
        with connect(self.plain) as connection:
            connection.sendall(head)
            self.assertEqual(connection.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.sendall(content + request("GET", PATH + "/token"))
            found = b""
            while piece := connection.recv(65536):
                found += piece
        self.assertEqual(found.count(b"HTTP/1.1 200 OK"), 2)
        self.copies(2)

    def test_an_upload_that_is_refused_is_read_so_that_the_answer_is_seen(self):
        kind = multipart([])[0]
        before = self.gateway.metrics()
        octets = request("POST", PATH, {"Origin": SITE, "Content-Type": kind}, b"x" * (20 << 20))
        self.nothing_sent(talk(self.port, octets, self.tls), 413, "too_large")
        after = self.gateway.metrics()
        name = 'kagemusha_form_posts_total{outcome="invalid"}'
        self.assertEqual(after[name] - before[name], 1)

    def test_the_status_port_takes_no_form(self):
        self.assertEqual(talk(self.gateway.http, request("POST", PATH, {"Origin": SITE}, b"x")).status, 413)


class Limits(Form):
    options = {"rate_network": 3, "rate_address": 2, "rate_window": "24h", "proxies": ["127.0.0.1/32"], "content_timeout": "1s",
               "max_size": "64kB", "max_memory": "1MB"}

    def post_from(self, ip, **fields):
        return self.post(urlencoded(self.fields(**fields)), {"X-Forwarded-For": ip})

    def test_rates(self):
        self.sent(self.post_from("198.51.100.1, 192.0.2.1"))
        self.sent(self.post_from("evil, 192.0.2.2"))
        # A refused form does not count against the address, whoever else writes.
        self.nothing_sent(self.post_from("203.0.113.1", email="x"), 400, "bad_email")
        answer = self.post_from("203.0.113.2")
        self.nothing_sent(answer, 429, "throttled")
        self.assertGreater(int(answer.field("retry-after")), 3600)
        self.assertEqual(self.post_from("192.0.2.3").code, "throttled")
        self.assertEqual(self.post_from("192.0.2.4", email="x").code, "throttled")
        self.assertEqual(self.post_from("192.0.3.4", email="x").code, "bad_email")
        # What a home is given is one network, whichever part of it a post comes from.
        for number in range(3):
            self.assertEqual(self.post_from(f"2001:db8:1:{number:x}::1", email="x").code, "bad_email")
        self.assertEqual(self.post_from("2001:db8:1:ff::1", email="x").code, "throttled")
        self.assertEqual(self.post_from("2001:db8:1:100::1", email="x").code, "bad_email")

    def test_who_is_too_slow_is_told(self):
        kind, content = multipart([])
        with connect(self.plain) as connection:
            connection.sendall(request("POST", PATH, {"Origin": SITE, "Content-Type": kind, "Content-Length": "500",
                                                      "X-Forwarded-For": "2001:db8::1"}, framed=False) + content[:20])
            self.assertIn(b"HTTP/1.1 408", connection.recv(65536))

    def test_memory_is_bounded(self):
        kind = multipart([])[0]
        octets = part("attachment", b"x" * 60000, "a")
        held = []
        try:
            for number in range(20):
                connection = connect(self.plain)
                connection.sendall(request("POST", PATH, {"Origin": SITE, "Content-Type": kind, "Content-Length": "65000",
                                                          "X-Forwarded-For": f"2001:db8:0:{number:x}00::1"}, framed=False) + octets)
                held.append(connection)
            # 16 of them fit; the first that is answered is one too many, long before any is too slow.
            ready, _, _ = select.select(held, [], [], 20)
            self.assertIn(b"HTTP/1.1 503", ready[0].recv(65536))
        finally:
            for connection in held:
                connection.close()


class Strict(Form):
    options = {"min_time": "10m", "origins": ["*"]}

    def test_too_fast(self):
        self.nothing_sent(self.post(multipart(self.fields())), 400, "too_fast")

    def test_every_page_but_no_redirect(self):
        self.nothing_sent(self.post(multipart(self.fields()), {"Origin": None}), 400, "too_fast")
        asked = talk(self.plain, request("OPTIONS", PATH, {"Origin": "https://any.test"}))
        self.assertEqual(asked.field("access-control-allow-origin"), "*")


class Policies(Form):
    """The same policies as for mail; an address without a form has none."""

    settings = {"form": True, "anonymize": "prefix"}
    options = {"require_token": False, "origins": ["*"]}

    def shown(self, subject):
        seen = self.read(self.sent(self.post(as_json([("name", "Taro"), ("email", VISITOR), ("subject", subject),
                                                      ("message", "x")])))[0])
        return seen["From"].addresses[0].display_name, seen["Subject"]

    def test_184(self):
        self.assertEqual(self.shown("Lunch"), (f"Taro ({VISITOR})", "Lunch"))
        self.assertEqual(self.shown("１８４ Lunch"), ("Taro", "Lunch"))

    def test_a_redirect_needs_a_list(self):
        answer = self.post(urlencoded([("email", VISITOR), ("message", "x"), ("_redirect", SITE)]))
        self.nothing_sent(answer, 400, "bad_redirect")

    def test_the_form_goes_with_its_setting(self):
        self.gateway.apply(self.routes().replace("form = true", "form = false"))
        wait_for(lambda: talk(self.plain, request("GET", PATH)).status == 404, 20, "the form to be gone")
        self.nothing_sent(self.post(urlencoded([("email", VISITOR), ("message", "x")])), 404, "not_found")


class Codes(Form):
    """Who writes proves the mail address first; nothing is kept meanwhile."""

    settings = {"form": True, "form_code": True}
    options = {"rate_email": 3}

    def asked(self, fields, visitor=VISITOR, **manner):
        """(answer, code) of a post without a code."""
        answer = self.post(multipart(fields), manner)
        self.assertEqual((answer.status, answer.code), (428, "code"), answer)
        (mail,) = self.sink.wait_messages(1)
        self.assertEqual((mail.sender, mail.recipients), ("", [visitor]))
        seen = self.read(mail)
        self.sink.clear()
        (code,) = re.findall(r"\d{4}-\d{4}", seen.get_content())
        self.assertIn(code, seen["Subject"])
        return answer, code, seen

    def test_the_message_goes_when_the_code_comes_back(self):
        fields = self.fields(email="one@stranger.test", name="Cheap & good", subject="Buy now", message="at shop.test")
        _, code, mail = self.asked(fields, "one@stranger.test")
        self.assertEqual((address(bytes(mail)), mail["Auto-Submitted"]), (PUBLIC, "auto-generated"))
        for written in ("Cheap", "Buy", "shop.test", OFFICER, TEACHER):
            self.assertNotIn(written, mail.as_string() + mail.get_content(), "the address may be somebody else's")
        wide = "".join(chr(ord(c) + 0xFEE0) for c in code)
        for given in (code, code.replace("-", ""), wide, f" {code[:4]} {code[5:]} "):
            copies = self.sent(self.post(urlencoded([*fields, ("_code", given)])), 2 if given == code else 0)
            self.assertEqual(len(copies), 2 if given == code else 0, "equal content is one message")
        self.assertNotIn("stranger.test", self.gateway.log())
        self.assertGreaterEqual(self.gateway.metrics()['kagemusha_form_posts_total{outcome="code"}'], 1)

    def test_a_code_is_good_for_one_address_and_one_form(self):
        fields = self.fields(email="two@stranger.test")
        _, code, _ = self.asked(fields, "two@stranger.test")
        for given in ("00000000", code[:-1], code + "0", "x"):
            self.nothing_sent(self.post(multipart([*fields, ("_code", given)])), 400, "wrong_code")
        other = [(k, "three@stranger.test" if k == "email" else v) for k, v in fields]
        self.nothing_sent(self.post(multipart([*other, ("_code", code)])), 400, "wrong_code")
        later = self.fields(email="two@stranger.test", _code=code)
        self.nothing_sent(self.post(multipart(later)), 400, "wrong_code")

    def test_a_token_is_needed(self):
        self.nothing_sent(self.post(multipart(self.fields(_token=None))), 400, "stale")

    def test_the_page_has_what_was_written(self):
        fields = self.fields(email="four@stranger.test", name='"><script>alert(1)</script>', subject="a & b",
                             message="\n\n<b>&amp;</textarea>")
        files = [("attachment", "a.txt", "text/plain", b"x")]
        answer = self.post(multipart(fields, files), {"Accept-Language": "ja"})
        self.assertEqual((answer.status, answer.code), (428, "code"))
        self.assertIn("もう一度選択", answer.text)
        self.assertNotIn("<script", answer.text)
        page = Fields(answer.text)
        self.assertEqual(page.found["_code"], "")
        self.assertEqual(page.found["message"].strip(), "<b>&amp;</textarea>")
        for name in ("name", "email", "subject", "_token"):
            self.assertEqual(page.found[name], dict(fields)[name])
        (mail,) = self.sink.wait_messages(1)
        self.sink.clear()
        (code,) = re.findall(r"\d{4}-\d{4}", self.read(mail).get_content())
        self.assertIn("確認コード", self.read(mail)["Subject"])
        again = [(k, v) for k, v in {**page.found, "_code": code}.items() if k != "attachment"]
        self.assertEqual(self.read(self.sent(self.post(multipart(again, files)))[0])["Subject"], "a & b")

    def test_a_browser_may_go_on_to_the_redirect(self):
        def may_go_to(redirect):
            answer = self.post(multipart(self.fields(email="seven@stranger.test", _redirect=redirect)))
            self.assertEqual((answer.status, answer.code), (428, "code"))
            (action,) = [d.strip() for d in answer.field("content-security-policy").split(";") if "form-action" in d]
            return action
        self.assertEqual(may_go_to(f"{SITE}/thanks?a=b;c"), f"form-action 'self' {SITE}")
        self.assertEqual(may_go_to(None), "form-action 'self'")
        wrong = self.fields(email="seven@stranger.test", _redirect="https://elsewhere.test/")
        self.assertEqual(self.post(multipart(wrong)).code, "bad_redirect")
        self.assertIn("form-action 'self';", self.post(multipart(wrong)).field("content-security-policy"))

    def test_programs_are_told(self):
        fields = self.fields(email="five@stranger.test")
        answer = self.post(as_json(fields))
        self.assertEqual((answer.status, json.loads(answer.content)["ok"], answer.code), (428, False, "code"))
        self.sink.wait_messages(1)

    def test_nobody_is_flooded(self):
        for _ in range(3):
            self.asked(self.fields(email="six@stranger.test"), "six@stranger.test")
        self.nothing_sent(self.post(multipart(self.fields(email="SIX@Stranger.test"))), 429, "throttled")

    def test_nobody_learns_whether_an_address_exists(self):
        told = {self.post(multipart(self.fields(email="there@stranger.test", _token=(token := self.token())))).text}
        self.sink.wait_messages(1)
        self.sink.clear()
        replies = ("550 5.1.1 no such user", "552 5.2.2 full", "450 4.1.1 unverified", "452 4.2.2 full")
        for number, reply in enumerate(replies):
            gone = f"gone{number}@stranger.test"
            self.sink.fail("rcpt", reply=reply, match=gone)
            answer = self.post(multipart(self.fields(email=gone, _token=token)))
            self.assertEqual((answer.status, answer.code), (428, "code"), reply)
            told.add(answer.text.replace(gone, "there@stranger.test"))
        self.assertEqual(len(told), 1)
        self.assertEqual(self.sink.messages, [])

    def test_when_no_code_can_be_sent_at_all(self):
        self.sink.fail("rcpt", reply="451 4.2.0 later", match="later@stranger.test")
        self.nothing_sent(self.post(multipart(self.fields(email="later@stranger.test"))), 503, "try_again")


class Fields(html.parser.HTMLParser):
    """`found`: {name: value} of a page's inputs and textareas."""

    def __init__(self, text):
        super().__init__()
        self.found, self.area = {}, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in ("input", "textarea"):
            self.found[given["name"]] = given.get("value", "")
        self.area = given["name"] if tag == "textarea" else self.area

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.area = None

    def handle_data(self, data):
        if self.area:
            self.found[self.area] += data


class Failing(Form):
    """Nothing is queued and nothing is said to be sent that is not (contract R3.7, R3.8)."""

    workers = 2

    @classmethod
    def make_redis(cls, space):
        cls.redis = Redis(space).start()
        return cls.redis

    def test_without_redis_a_visitor_is_asked_to_try_again(self):
        fields = self.fields()
        self.redis.kill()
        answer = self.post(multipart(fields))
        self.nothing_sent(answer, 503, "try_again")
        self.assertIsNotNone(answer.field("retry-after"))
        self.redis.start()
        wait_for(lambda: self.post(multipart(fields)).code == "sent", 20, "the form to work again")
        self.copies(2)

    def test_a_stop_waits_for_a_post_and_tells_the_truth(self):
        fields = self.fields()
        self.sink.fail("dot", action="hang")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answer = pool.submit(self.post, multipart(fields))
            self.sink.wait(lambda s: s.hanging > 0, 20, "a post on its way")
            self.gateway.process.popen.send_signal(signal.SIGTERM)
            self.gateway.wait_event("stopping")
            self.sink.heal()
            self.assertEqual(answer.result(20).code, "try_again")
        self.assertEqual(self.gateway.process.popen.wait(20), 0)
        self.gateway.start()
        self.sent(self.post(multipart(fields)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
