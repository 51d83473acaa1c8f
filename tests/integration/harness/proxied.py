"""The proxy's stage: kagemusha between mail clients and a real provider (Dovecot or Cyrus), both behind TLS."""

import os

from .case import Case
from .certificates import Authority
from .clients import Account
from .cyrus import Cyrus
from .dovecot import Dovecot
from .gateway import Gateway, member, routes
from .imap_client import Imap, Literal
from .pop_client import Pop
from .ports import free_port
from .postfix import MAIL_UID

PUBLIC = "pta@school.example"
PHANTOM_DOMAIN = "p.school.example"
READER = "reader@gmail.test"
PASSWORD = "read and write"
DATE = '"01-Jan-2026 10:51:00 +0900"'


def dovecot(space, authority, users, name="dovecot"):
    mail = space.folder(name + "-mail")
    os.chown(mail, MAIL_UID, MAIL_UID)
    return Dovecot(space, authority, mail, users, name=name).start()


def cyrus(space, authority, users):
    return Cyrus(space, authority, users).start()


def provider(authority, imaps, pop3s, domains, name="provider", timeout="15s"):
    """A [[provider]] table."""
    return {"name": name, "domains": sorted(domains), "protocol": "imap", "host": "localhost", "port": imaps,
            "tls": "implicit", "ca_file": authority.certificate, "timeout": timeout, **proxy_endpoints(imaps, pop3s)}


def proxy_endpoints(imaps, pop3s):
    return {"imap_host": "localhost", "imap_port": imaps, "pop3_host": "localhost", "pop3_port": pop3s}


def add_faces(gateway):
    """Gives a gateway the proxy's four faces."""
    gateway.imap, gateway.imaps, gateway.pop3, gateway.pop3s = (free_port() for _ in range(4))
    gateway.config["listen"] += [{"face": face, "address": "127.0.0.1", "port": getattr(gateway, face)}
                                 for face in ("imap", "imaps", "pop3", "pop3s")]


class Proxied(Case):
    """One provider, one gateway in front of it; `users` are members of one public address."""

    users = (READER,)
    make_server = staticmethod(dovecot)
    workers = 1
    config = {}

    @classmethod
    def prepare(cls, space):
        cls.authority = Authority(space)
        cls.tls = cls.authority.client_context()
        cls.passwords = {user: PASSWORD for user in cls.users}
        cls.server = cls.make_server(space, cls.authority, cls.passwords)
        cls.gateway = cls.make_gateway(space, "gateway")
        cls.gateway.start()
        cls.gateway.apply(cls.routes())
        cls.gateway.settle(PUBLIC)
        cls.fill()

    @classmethod
    def make_gateway(cls, space, name, **more):
        certificate = cls.authority.issue("mx.school.example", "localhost", "127.0.0.1", file=name)
        gateway = Gateway(space, next_hop_port=free_port(), name=name, certificate=certificate, workers=cls.workers,
                          **{**cls.config, **more})
        add_faces(gateway)
        gateway.config["provider"] = [provider(cls.authority, cls.server.imaps, cls.server.pop3s,
                                               {user.split("@")[1] for user in cls.users})]
        return gateway

    @classmethod
    def routes(cls, users=None):
        return routes({PUBLIC: [member(user) for user in users or cls.users]})

    @classmethod
    def fill(cls):
        """Puts messages where tests want them."""

    def tearDown(self):
        self.assertTrue(self.gateway.process.running(), "kagemusha died:\n" + self.gateway.process.text()[-3000:])

    # Ways in

    @classmethod
    def direct(cls, user=READER):
        """A session with the provider itself."""
        return Imap(cls.server.imaps, cls.tls, user, PASSWORD)

    @classmethod
    def proxied(cls, user=READER, gateway=None):
        return Imap((gateway or cls.gateway).imaps, cls.tls, user, PASSWORD)

    @classmethod
    def direct_pop(cls, user=READER):
        return Pop(cls.server.pop3s, cls.tls, user, PASSWORD)

    @classmethod
    def proxied_pop(cls, user=READER, gateway=None):
        return Pop((gateway or cls.gateway).pop3s, cls.tls, user, PASSWORD)

    @classmethod
    def account(cls, user, through):
        """For harness/clients.py."""
        place = cls.gateway if through else cls.server
        return Account(user, PASSWORD, cls.authority.certificate, place.imaps, place.pop3s)

    @classmethod
    def put(cls, user, messages, mailbox="INBOX"):
        """Stores messages at the provider; those that it refuses are left out of the result."""
        stored = []
        with cls.direct(user) as client:
            client.command("CREATE", mailbox)
            for message in messages:
                answer = client.command(f'APPEND "{mailbox}" {DATE}', Literal(message.data))
                if answer.ok:
                    stored.append(message)
        return stored


def state(client):
    """All that a mailbox holds, told over this session: {folder: [(uid, flags, octets)]}."""
    found = {}
    for response in client.ok('LIST "" "*"').all(b"LIST"):
        flags, _, name, _ = response.data
        if any(f.lower() in (b"\\noselect", b"\\nonexistent") for f in flags):
            continue
        client.select(name.decode(), examine=True)
        messages = client.fetch("1:*", "(UID FLAGS BODY.PEEK[])") if client.exists else {}
        found[name.decode()] = [(m[b"UID"], sorted(f for f in m[b"FLAGS"] if f != b"\\Recent"), bytes(m[b"BODY[]"] or b""))
                                for _, m in sorted(messages.items())]
    return found


__all__ = ["PUBLIC", "PHANTOM_DOMAIN", "READER", "PASSWORD", "DATE", "Proxied", "Imap", "Pop", "dovecot", "cyrus", "provider",
           "proxy_endpoints", "add_faces", "state"]
