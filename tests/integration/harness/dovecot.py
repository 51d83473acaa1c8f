"""A real Dovecot: IMAP and POP3 over the Maildirs that Postfix fills, with TLS from the test's authority."""

import base64
import hmac
import imaplib
import json
import os
import ssl
import time

from .ports import accepts, free_port
from .postfix import MAIL_UID
from .waiting import wait_for
from .workspace import Process

CONF = """\
base_dir = {base}/run
state_dir = {base}/run
instance_name = {base}
log_path = {base}/log
protocols = imap pop3
listen = 127.0.0.1, 127.0.0.2
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = yes
auth_mechanisms = plain login {oauth_mechanisms}
mail_location = maildir:{mail}/%d/%n
first_valid_uid = 500
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {base}/users
}}
{oauth}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={mail}/%d/%n
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""

OAUTH = """\
passdb {{
  driver = oauth2
  mechanisms = {mechanisms}
  args = {base}/oauth2
}}"""
# Tokens are JSON web tokens that this server can judge itself (RFC 7519).
OAUTH2 = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={base}/keys/
username_attribute = email
"""
OAUTH_MECHANISMS = "xoauth2 oauthbearer"


def bearer_token(user, secret, lasts=3600):
    """A token for `user` that a Dovecot with that `oauth` secret takes for `lasts` seconds."""
    def encoded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": user, "email": user, "iat": now - 60, "nbf": now - 60, "exp": now + lasts}]
    signed = b".".join(encoded(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + encoded(hmac.digest(secret, signed, "sha256"))).decode()


class Dovecot:
    def __init__(self, space, authority, mail, users, name="dovecot", hostname="imap.provider.test", oauth=None):
        """`users`: {address: password}. `oauth`: the secret of bearer_token(), where the server takes tokens."""
        self.oauth = oauth
        self.space, self.name, self.mail, self.users, self.authority = space, name, mail, users, authority
        self.base = space.folder(name)
        self.hostname = hostname
        self.certificate, self.key = authority.issue(hostname, "localhost", "127.0.0.1", file=name)
        self.imap, self.imaps, self.pop3, self.pop3s = (free_port() for _ in range(4))
        self.process = None
        space.add(self)

    def start(self):
        self.space.folder(self.name, "run")
        self.space.write(f"{self.name}/users", "".join(f"{u}:{{PLAIN}}{p}\n" for u, p in self.users.items()))
        if self.oauth:
            self.space.folder(self.name, "keys", "default", "HS256")
            self.space.write(f"{self.name}/keys/default/HS256/default", base64.b64encode(self.oauth).decode())
            self.space.write(f"{self.name}/oauth2", OAUTH2.format(base=self.base))
        conf = self.space.write(f"{self.name}/dovecot.conf", CONF.format(
            oauth_mechanisms=OAUTH_MECHANISMS if self.oauth else "",
            oauth=OAUTH.format(mechanisms=OAUTH_MECHANISMS, base=self.base) if self.oauth else "", base=self.base,
            certificate=self.certificate, key=self.key, mail=self.mail, uid=MAIL_UID, imap=self.imap, imaps=self.imaps,
            pop3=self.pop3, pop3s=self.pop3s))
        self.process = Process(["dovecot", "-F", "-c", conf], os.path.join(self.base, "out"))
        wait_for(lambda: accepts(self.imaps), 20, "Dovecot")
        return self

    def stop(self):
        if self.process:
            self.process.stop()

    def text(self):
        path = os.path.join(self.base, "log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def login(self, user):
        client = imaplib.IMAP4_SSL("localhost", self.imaps,
                                   ssl_context=ssl.create_default_context(cafile=self.authority.certificate))
        client.login(user, self.users[user])
        client.select("INBOX")
        return client

    def messages(self, user):
        """Octets of all messages of a mailbox, in order, as IMAP tells them."""
        return self.wait_messages(user, 0)

    def wait_messages(self, user, count, seconds=30.0):
        """Waits until the mailbox holds at least `count` messages and returns all of them."""
        client = self.login(user)
        try:
            def numbers():
                client.noop()
                found = client.search(None, "ALL")[1][0].split()
                return found if len(found) >= count else None
            if count:
                found = wait_for(numbers, seconds, f"message {count} of {user}")
            else:
                found = client.search(None, "ALL")[1][0].split()
            if not found:
                return []
            parts = client.fetch(b",".join(found).decode(), "(BODY.PEEK[])")[1]
            return [part[1] for part in parts if isinstance(part, tuple)]
        finally:
            client.logout()
