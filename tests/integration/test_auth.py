"""Who may submit: a hash of the gateway's own, or the member's provider over verified TLS (contract R8.5)."""

import base64
import ssl
import unittest

from harness.certificates import Authority
from harness.dovecot import Dovecot
from harness.gateway import member, routes
from harness.mail import address, message
from harness.sink import Sink
from harness.small import OFFICER, PASSWORD, PUBLIC, TEACHER, Small
from harness.smtp_client import Client

ASKED = "asked@provider.test"  # the provider is asked, and its certificate is right
WRONG_CA = "wrongca@wrongca.test"  # the provider's certificate is not to be trusted
WRONG_NAME = "wrongname@wrongname.test"
DOWN = "down@down.test"
RELAY = "relay@relay.test"  # the provider is asked by submission
CLUB = "club@club.example"  # of another domain
OWN = "treasurer"  # a login of its own for a mailbox at the provider, which the routes do not name
ORPHAN = "orphan@nowhere.test"  # a member whose domain no provider has
NOBODY = "nobody@provider.test"  # has a mailbox at the provider, but is no member


def b64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


class Logins(Small):
    @classmethod
    def configure(cls):
        space = cls.space
        space.folder("mail")
        cls.dovecot = Dovecot(space, cls.authority, space.join("mail"), {
            ASKED: PASSWORD, OWN: PASSWORD, NOBODY: PASSWORD, WRONG_CA: PASSWORD, WRONG_NAME: PASSWORD}).start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cls.authority.issue("localhost", file="relay"))
        cls.relay = Sink(space, context=context, login=(RELAY, PASSWORD)).start()
        imap = {"protocol": "imap", "host": "localhost", "port": cls.dovecot.imaps, "tls": "implicit",
                "timeout": "5s"}
        right = cls.authority.certificate
        cls.gateway.config["provider"] = [
            {"name": "right", "domains": ["provider.test"], "ca_file": right, **imap},
            {"name": "starttls", "domains": ["starttls.test"], "ca_file": right,
             **{**imap, "port": cls.dovecot.imap, "tls": "starttls"}},
            {"name": "wrongca", "domains": ["wrongca.test"], "ca_file": Authority(space, "other").certificate, **imap},
            {"name": "wrongname", "domains": ["wrongname.test"], "ca_file": right, **{**imap, "host": "127.0.0.2"}},
            {"name": "down", "domains": ["down.test"], "ca_file": right, **{**imap, "port": 9}},
            {"name": "relay", "domains": ["relay.test"], "ca_file": right, "protocol": "submission",
             "host": "localhost", "port": cls.relay.port, "tls": "starttls"}]

    @classmethod
    def routes(cls):
        hashed = cls.gateway.hash_password(PASSWORD)
        return routes({PUBLIC: [member(OFFICER, password_hash=hashed), member(TEACHER, login="sensei", password_hash=hashed),
                                ASKED, member("two@provider.test", login=ASKED, provider="starttls"), WRONG_CA,
                                WRONG_NAME, DOWN, RELAY, ORPHAN, member("own@provider.test", login=OWN)]})

    def login(self, line=None, *more, user=None, password=PASSWORD):
        """The last reply of an AUTH exchange on a fresh connection."""
        with Client(self.gateway.submission) as client:
            client.ehlo()
            client.starttls(self.tls)
            client.ehlo()
            if user is not None:
                return client.auth_plain(user, password)
            reply = client.command(line)
            for answer in more:
                self.assertReply(reply, 334)
                reply = client.command(answer)
            return reply

    def test_a_hash_of_our_own(self):
        self.assertReply(self.login(user=OFFICER), 235, "2.7.0")
        self.assertReply(self.login(user=OFFICER.upper()), 235)
        self.assertReply(self.login(user="sensei"), 235)
        for user, password in ((OFFICER, "wrong"), (OFFICER, PASSWORD + " "), ("nobody", PASSWORD), (TEACHER, PASSWORD)):
            self.assertReply(self.login(user=user, password=password), 535, "5.7.8", (user, password))
        self.assertReply(self.login(user=OFFICER, password=""), 501)  # RFC 4616 §2: at least one octet

    def test_refusals_do_not_tell_who_exists(self):
        self.assertEqual(self.login(user=OFFICER, password="wrong"), self.login(user="nobody@nowhere.test"))
        self.assertEqual(self.login(user=ASKED, password="wrong"), self.login(user="nobody@nowhere.test"))
        self.assertEqual(self.login(user=ORPHAN), self.login(user="nobody@nowhere.test"))
        self.assertIn(" login.no_provider ", self.gateway.log())

    def test_every_form_of_the_exchange(self):
        plain = f"\0{OFFICER}\0{PASSWORD}"
        self.assertReply(self.login("AUTH PLAIN " + b64(plain)), 235)
        self.assertReply(self.login("auth plain", b64(plain)), 235)
        self.assertReply(self.login("AUTH PLAIN " + b64(f"{OFFICER}\0{OFFICER}\0{PASSWORD}")), 235)
        self.assertReply(self.login("AUTH LOGIN", b64(OFFICER), b64(PASSWORD)), 235)
        self.assertReply(self.login("AUTH LOGIN " + b64(OFFICER), b64(PASSWORD)), 235)
        self.assertReply(self.login("AUTH LOGIN", b64(OFFICER), b64("wrong")), 535)

    def test_exchanges_that_are_none(self):
        self.assertReply(self.login("AUTH PLAIN", "*"), 501)
        self.assertReply(self.login("AUTH LOGIN", "*"), 501)
        self.assertReply(self.login("AUTH PLAIN !!!"), 501)
        self.assertReply(self.login("AUTH PLAIN " + b64("no separators")), 501)
        self.assertReply(self.login("AUTH PLAIN ="), 5)
        self.assertReply(self.login("AUTH CRAM-MD5"), 504)
        self.assertReply(self.login("AUTH PLAIN " + b64(f"other@other.test\0{OFFICER}\0{PASSWORD}")), 5)
        with Client(self.gateway.submission) as client:
            client.ehlo()
            client.starttls(self.tls)
            client.ehlo()
            self.assertReply(client.auth_plain(OFFICER, PASSWORD), 235)
            self.assertReply(client.auth_plain(OFFICER, PASSWORD), 503)

    def test_an_initial_response_that_has_no_end(self):
        with Client(self.gateway.submission) as client:
            client.ehlo()
            client.starttls(self.tls)
            client.ehlo()
            client.try_send(b"AUTH PLAIN " + b"A" * 1_000_000 + b"\r\n")
            self.assertIn(client.reply().code, (500, 501, 421, None))

    def test_the_provider_is_asked(self):
        self.assertReply(self.login(user=ASKED), 235)
        self.assertReply(self.login(user=ASKED, password="wrong"), 535)
        self.assertReply(self.login(user=OWN), 235)
        self.assertReply(self.login(user=RELAY), 235)
        self.assertReply(self.login(user=RELAY, password="wrong"), 535)
        text = self.dovecot.text()
        self.assertIn(f"user=<{ASKED}>", text)
        self.assertIn("TLS", text)

    def test_only_registered_logins_reach_the_provider(self):
        self.assertReply(self.login(user=NOBODY), 535)
        self.assertNotIn(NOBODY, self.dovecot.text())

    def test_a_provider_that_cannot_be_trusted_or_reached(self):
        for user in (WRONG_CA, WRONG_NAME, DOWN):
            with self.subTest(user=user):
                self.assertReply(self.login(user=user), 454, "4.7.0")
                self.assertNotIn(f"user=<{user}>", self.dovecot.text())

    def test_odd_passwords_reach_the_provider_as_they_are(self):
        # A password must not be able to say IMAP commands.
        for password in ('a"b\\c', "x\r\nA1 LOGOUT\r\n", "{5}\r\nhello", "日本語", "x" * 1000):
            with self.subTest(password=password[:12]):
                self.assertIn(self.login(user=ASKED, password=password).code, (535, 501))
                self.assertReply(self.login(user=ASKED), 235)

    def test_who_guesses_has_to_wait(self):
        user = "guessed@nowhere.test"
        for _ in range(5):
            self.assertReply(self.login(user=user, password="wrong"), 535)
        self.assertReply(self.login(user=user), 454, "4.7.0")
        self.assertReply(self.login(user=OFFICER), 235)

    def test_oauth_with_a_provider_that_does_not_know_it(self):
        # Dovecot offers PLAIN and LOGIN only here: the token is refused, never taken for a password.
        xoauth2 = b64(f"user={ASKED}\x01auth=Bearer token\x01\x01")
        bearer = b64(f"n,a={ASKED},\x01host=localhost\x01port=587\x01auth=Bearer token\x01\x01")
        for line in (f"AUTH XOAUTH2 {xoauth2}", f"AUTH OAUTHBEARER {bearer}"):
            with self.subTest(line=line[:16]), Client(self.gateway.submission) as client:
                client.ehlo()
                client.starttls(self.tls)
                client.ehlo()
                reply = client.command(line)
                if reply.code == 334:  # RFC 7628 §3.2.3: the error as a challenge, then a dummy response
                    reply = client.command("AQ==" if "BEARER" in line else "")
                self.assertIn(reply.code, (535, 454))

    def test_oauth_that_is_none(self):
        for line in ("AUTH XOAUTH2 " + b64("nonsense"), "AUTH OAUTHBEARER " + b64("n,,"), "AUTH XOAUTH2 ====",
                     "AUTH OAUTHBEARER " + b64("p=x,a=y,\x01auth=Bearer z\x01\x01")):
            with self.subTest(line=line):
                reply = self.login(line)
                self.assertIn(reply.code, (334, 501, 535))

    def test_a_token_where_only_a_hash_is_known(self):
        reply = self.login("AUTH XOAUTH2 " + b64(f"user={OFFICER}\x01auth=Bearer token\x01\x01"))
        self.assertIn(reply.code, (334, 535))

    def test_mail_needs_a_login(self):
        with Client(self.gateway.submission) as client:
            client.ehlo()
            client.starttls(self.tls)
            client.ehlo()
            self.assertReply(client.mail(OFFICER), 530, "5.7.0")
            self.assertReply(client.auth_plain(OFFICER, "wrong"), 535)
            self.assertReply(client.mail(OFFICER), 530)
            self.assertReply(client.auth_plain(OFFICER, PASSWORD), 235)
            self.assertReply(client.mail(OFFICER), 250)
            self.assertReply(client.auth_plain(OFFICER, PASSWORD), 503)

    def test_auth_is_not_offered_to_strangers(self):
        with Client(self.gateway.inbound) as client:
            self.assertNotIn("AUTH", client.ehlo().text)
            self.assertReply(client.auth_plain(OFFICER, PASSWORD), 5)

    def test_secrets_are_not_logged(self):
        self.login(user=OFFICER)
        self.login(user=ASKED)
        log = self.gateway.log()
        for secret in (PASSWORD, b64(f"\0{OFFICER}\0{PASSWORD}"), b64(PASSWORD)):
            self.assertNotIn(secret, log)


class WhichMemberWrites(Small):
    """One login behind two public addresses: the header From decides which of them writes to outsiders."""

    @classmethod
    def routes(cls):
        hashed = cls.gateway.hash_password(PASSWORD)
        return routes({PUBLIC: [member(OFFICER, password_hash=hashed)],
                       CLUB: [member(OFFICER, password_hash=hashed)]})

    def test_by_from(self):
        for sender, public in ((PUBLIC, PUBLIC), (CLUB, CLUB), (OFFICER, CLUB)):  # by the alphabet
            with self.subTest(sender=sender):
                reply = self.submit(OFFICER, "new@outside.test", message(sender, "new@outside.test"))
                self.assertReply(reply, 250)
                copy = self.copies(1)[0]
                self.assertEqual(address(copy.data), public)
                # Both are in that public address's own domains, so that they align (contract R4.7, R5.4).
                self.assertTrue(copy.sender.endswith("@p." + public.split("@")[1]), copy.sender)
                self.assertNotIn(b"gmail.test", copy.header)


if __name__ == "__main__":
    unittest.main(verbosity=2)
