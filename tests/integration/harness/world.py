"""The whole stage: a real Postfix as next hop and as the verifying mail system in front, a real Dovecot as the
members' provider, and kagemusha with its embedded Redis between them.

        stranger ─▶ Postfix (front: SPF, Authentication-Results) ─▶ kagemusha ─▶ Postfix (next hop) ─▶ Maildir ─▶ Dovecot
"""

import smtplib

from . import smtp_client
from .certificates import Authority
from .dovecot import Dovecot
from .gateway import Gateway, member, routes
from .ports import free_port
from .postfix import Postfix

PUBLIC = "pta@school.example"
PHANTOM_DOMAIN = "p.school.example"
OFFICER = "officer@gmail.test"
TEACHER = "teacher@docomo.test"
COLLEAGUE = "colleague@gmail.test"  # has a mailbox at the same provider, but is no member of the public address
STRANGERS = ["yamada@stranger.test", "sato@stranger.test", "suzuki@elsewhere.test"]

ROUTES = routes({PUBLIC: [member(OFFICER, name="Hanako (PTA)"), member(TEACHER)]}, display_name="PTA committee")


class World:
    def __init__(self, space, public=PUBLIC, route_text=ROUTES, members=(OFFICER, TEACHER, COLLEAGUE),
                 strangers=tuple(STRANGERS), workers=2, **config):
        self.space, self.public = space, public
        self.route_text = route_text
        self.domain = public.split("@")[1]
        self.authority = Authority(space)
        self.passwords = {address: "secret of " + address.split("@")[0] for address in [*members, *strangers]}
        certificate = self.authority.issue("mx.school.example", "localhost", "127.0.0.1")
        self.tls = self.authority.client_context()
        self.gateway = Gateway(space, certificate=certificate, workers=workers, **config)
        self.gateway.imaps, self.gateway.pop3s = free_port(), free_port()
        self.gateway.config["listen"] += [{"face": face, "address": "127.0.0.1", "port": getattr(self.gateway, face)}
                                          for face in ("imaps", "pop3s")]
        self.postfix = Postfix(space, self.passwords, relay={self.domain: self.gateway.inbound,
                                                             "p." + self.domain: self.gateway.inbound})
        self.dovecot = Dovecot(space, self.authority, self.postfix.mail, self.passwords)
        self.gateway.config["next_hop"] = [{"name": "postfix", "domains": ["*"], "host": "127.0.0.1",
                                            "port": self.postfix.port, "tls": "none"}]
        self.gateway.config["provider"] = [
            {"name": "provider", "domains": sorted({m.split("@")[1] for m in members}), "protocol": "imap",
             "host": "localhost", "port": self.dovecot.imaps, "tls": "implicit", "pop3_port": self.dovecot.pop3s,
             "ca_file": self.authority.certificate}]

    def start(self):
        self.postfix.start()
        self.dovecot.start()
        self.gateway.start()
        self.gateway.apply(self.route_text)
        self.gateway.settle(self.public)
        return self

    def stranger_writes(self, stranger, message, to=None):
        """By way of the mail system in front, as the MX of the domain."""
        self.through_front(stranger, to or self.public, message)

    def phone_replies(self, mailbox, phantom, message):
        """A member's plain reply: from its provider to the MX of the phantom domain."""
        self.through_front(mailbox, phantom, message)

    def through_front(self, sender, recipient, message):
        with smtplib.SMTP("127.0.0.1", self.postfix.front_port) as client:
            client.sendmail(sender, [recipient], message)

    def member_submits(self, mailbox, recipients, message, implicit=False, password=None):
        """What a mail program does; the last reply."""
        port = self.gateway.submissions if implicit else self.gateway.submission
        return smtp_client.submit(port, self.authority.client_context(), mailbox, password or self.passwords[mailbox],
                                  mailbox, recipients, message, implicit=implicit)

    def mailbox(self, address, count):
        """All messages of a real mailbox, once there are `count`."""
        try:
            return self.dovecot.wait_messages(address, count)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- maillog\n{self.postfix.text()[-3000:]}\n--- gateway\n"
                                 f"{self.gateway.process.text()[-3000:]}") from error

