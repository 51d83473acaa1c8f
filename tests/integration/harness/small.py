"""The small stage: kagemusha between a test's own clients and a sink that takes everything. Starts in a moment."""

from . import mail, smtp_client
from .case import Case
from .certificates import Authority
from .gateway import Gateway, member, routes
from .mail import address, front_fields
from .sink import Sink
from .waiting import wait_for

PUBLIC = "pta@school.example"
PHANTOM_DOMAIN = "p.school.example"
OFFICER = "officer@gmail.test"
TEACHER = "teacher@docomo.test"
COACH = "coach@yahoo.test"
STRANGER = "yamada@stranger.test"
PASSWORD = "correct horse"

_hashes = {}


class Small(Case):
    """`members`, `settings` and `config` may be overridden by a class."""

    members = (OFFICER, TEACHER)
    settings = {}
    config = {}
    workers = 1

    @classmethod
    def prepare(cls, space):
        cls.authority = Authority(space)
        cls.tls = cls.authority.client_context()
        cls.certificate = cls.authority.issue("mx.school.example", "localhost", "127.0.0.1")
        cls.sink = Sink(space).start()
        cls.gateway = Gateway(space, next_hop_port=cls.sink.port, certificate=cls.certificate, workers=cls.workers,
                              redis=cls.make_redis(space), **cls.config)
        cls.configure()
        cls.gateway.start()
        cls.gateway.apply(cls.routes())
        cls.gateway.settle(PUBLIC)

    @classmethod
    def make_redis(cls, space):
        """None: the embedded one."""
        return None

    @classmethod
    def configure(cls):
        """Last changes to the gateway's configuration."""

    @classmethod
    def routes(cls, members=None):
        if PASSWORD not in _hashes:
            _hashes[PASSWORD] = cls.gateway.hash_password(PASSWORD)
        return routes({PUBLIC: [member(m, password_hash=_hashes[PASSWORD]) for m in members or cls.members]},
                      **{"display_name": "PTA committee", **cls.settings})

    def setUp(self):
        self.sink.heal()
        self.sink.clear()

    def tearDown(self):
        self.assertTrue(self.gateway.process.running(), "kagemusha died:\n" + self.gateway.process.text()[-3000:])

    # The ways across

    def inbound(self, message, to=PUBLIC, sender=STRANGER, **options):
        return smtp_client.send(self.gateway.inbound, sender, to, message, **options)

    def until_delivered(self, message, **options):
        """Tries again as a sender with a queue does: after each 4xx, until 250."""
        def delivered():
            reply = self.inbound(message, **options)
            if reply.code != 250:
                self.assertReply(reply, 4)
            return reply.code == 250
        wait_for(delivered, 20, "delivery after retries")

    def plain_reply(self, mailbox, phantoms, message):
        return self.inbound(front_fields(mailbox) + message, phantoms, mailbox)

    def submit(self, mailbox, to, message, **options):
        return smtp_client.submit(self.gateway.submission, self.tls, mailbox, PASSWORD, mailbox, to, message, **options)

    def copies(self, count):
        """Waits for as many messages at the sink, and empties it."""
        found = self.sink.wait_messages(count)
        self.sink.clear()
        return found

    def copy_for(self, mailbox, messages):
        found = [m for m in messages if m.recipients == [mailbox]]
        self.assertEqual(len(found), 1, [m.recipients for m in messages])
        return found[0]

    def phantom_of(self, stranger, mailbox):
        """Has a stranger write, and tells by which address the member then knows them."""
        reply = self.inbound(mail.message(stranger, PUBLIC, "hello"), sender=stranger)
        self.assertReply(reply, 250)
        return address(self.copy_for(mailbox, self.copies(len(self.members))).data)
