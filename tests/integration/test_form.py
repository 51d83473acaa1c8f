"""Web forms: what visitors and programs post, what arrives, and what is refused with nothing sent."""

import email
import email.policy
import json
import unittest

from harness.forms import (BOUNDARY, as_json, connect, multipart, part, request, talk, urlencoded)
from harness.mail import address, field, find_traces, header_of, ids, message
from harness.ports import free_port
from harness.small import COACH, OFFICER, PUBLIC, TEACHER, Small

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
