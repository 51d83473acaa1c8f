"""Bearer tokens (XOAUTH2, OAUTHBEARER) are passed on to a provider that takes them: IMAP, POP3 and submission
(contract R8.5)."""

import base64
import os
import unittest

from harness.dovecot import Dovecot, bearer_token
from harness.imap_client import Imap
from harness.pop_client import Pop
from harness.postfix import MAIL_UID
from harness.proxied import PASSWORD, PHANTOM_DOMAIN, READER, Proxied
from harness.smtp_client import Client

SECRET = b"what the provider signs its tokens with"
STRANGER = "stranger@gmail.test"  # has a mailbox at the provider, but is no member
MESSAGE = b"Received: from mx.outside.test by mx.gmail.test; Thu, 1 Jan 2026 10:51:05 +0900 (JST)\r\n" \
          b"From: Writer <writer@outside.test>\r\nTo: pta@school.example\r\nSubject: hello\r\n\r\nbody\r\n"


def judging(space, authority, users):
    mail = space.folder("mail")
    os.chown(mail, MAIL_UID, MAIL_UID)
    return Dovecot(space, authority, mail, users, oauth=SECRET).start()


def exchanges(user, token):
    """{mechanism: its initial response}."""
    return {"XOAUTH2": encoded(f"user={user}\x01auth=Bearer {token}\x01\x01"),
            "OAUTHBEARER": encoded(f"n,a={user},\x01host=localhost\x01port=993\x01auth=Bearer {token}\x01\x01")}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


class Tokens(Proxied):
    users = (READER, STRANGER)
    make_server = staticmethod(judging)
    config = {"proxy": {"login_timeout": "60s"}}

    @classmethod
    def routes(cls, users=None):
        return super().routes([READER])

    @classmethod
    def fill(cls):
        with cls.direct() as client:
            assert client.append("INBOX", MESSAGE).ok

    def shown(self, text):
        self.assertNotIn(b"outside.test", text)
        self.assertIn(PHANTOM_DOMAIN.encode(), text)

    def test_imap(self):
        for mechanism, response in exchanges(READER, bearer_token(READER, SECRET)).items():
            for at_once in (True, False):
                with self.subTest(mechanism, at_once=at_once), Imap(self.gateway.imaps, self.tls) as client:
                    if at_once:
                        client.send(f"a AUTHENTICATE {mechanism} {response}\r\n".encode())
                    else:
                        client.send(f"a AUTHENTICATE {mechanism}\r\n".encode())
                        self.assertEqual(client.line(), b"+ \r\n")
                        client.send(f"{response}\r\n".encode())
                    self.assertTrue(client.line().startswith(b"a OK [CAPABILITY IMAP4rev1 "))
                    client.select()
                    self.shown(bytes(client.fetch("1", "BODY.PEEK[HEADER]")[1][b"BODY[HEADER]"]))

    def test_pop3(self):
        for mechanism, response in exchanges(READER, bearer_token(READER, SECRET)).items():
            with self.subTest(mechanism), Pop(self.gateway.pop3s, self.tls) as client:
                self.assertTrue(client.command(f"AUTH {mechanism} {response}").ok)
                self.shown(client.command("RETR 1").text)

    def test_submission(self):
        for mechanism, response in exchanges(READER, bearer_token(READER, SECRET)).items():
            with self.subTest(mechanism), Client(self.gateway.submission) as client:
                client.ehlo()
                client.starttls(self.tls)
                client.ehlo()
                self.assertReply(client.command(f"AUTH {mechanism} {response}"), 235)
                self.assertReply(client.mail(READER), 250)

    def test_tokens_that_are_good_for_nothing(self):
        """The refusal is a challenge, as RFC 7628 §3.2.3 wants it, whatever was wrong. Five failures would be too many."""
        old, forged = bearer_token(READER, SECRET, lasts=-30), bearer_token(READER, b"another")
        for what, user, token, mechanism in (("too old", READER, old, "XOAUTH2"), ("forged", READER, forged, "OAUTHBEARER"),
                                             ("of no member", STRANGER, bearer_token(STRANGER, SECRET), "XOAUTH2")):
            with self.subTest(what), Imap(self.gateway.imaps, self.tls) as client:
                client.send(f"a AUTHENTICATE {mechanism} {exchanges(user, token)[mechanism]}\r\n".encode())
                self.assertTrue(client.line().startswith(b"+ "))
                client.send(b"AQ==\r\n" if mechanism == "OAUTHBEARER" else b"\r\n")
                self.assertEqual(client.line(), b"a NO [AUTHENTICATIONFAILED] Wrong login or password\r\n")
        another = exchanges(READER, bearer_token(STRANGER, SECRET))
        with Client(self.gateway.submission) as client:
            client.ehlo()
            client.starttls(self.tls)
            client.ehlo()
            self.assertReply(client.command(f"AUTH OAUTHBEARER {another['OAUTHBEARER']}"), 334)
            self.assertReply(client.command("AQ=="), 535)
        self.assertNotIn("Login: user=<" + STRANGER, self.server.text())

    def test_tokens_are_not_logged(self):
        token = bearer_token(READER, SECRET)
        with Imap(self.gateway.imaps, self.tls) as client:
            client.send(f"a AUTHENTICATE XOAUTH2 {exchanges(READER, token)['XOAUTH2']}\r\n".encode())
            client.line()
        log = self.gateway.log()
        for secret in (token, exchanges(READER, token)["XOAUTH2"]):
            self.assertNotIn(secret, log)


if __name__ == "__main__":
    unittest.main()
