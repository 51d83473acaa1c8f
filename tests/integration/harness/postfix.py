"""A real Postfix with its own configuration, queue and log, started as root on free ports.

It has two doors: `port` is the plain next hop, which delivers to Maildirs; `front_port` plays the mail system in
front of the gateway, whose SPF check passes for every sender and is written in Authentication-Results.
"""

import contextlib
import grp
import os
import pwd
import signal

from .ports import accepts, free_port
from .waiting import wait_for
from .workspace import Process, run

MAIL_UID = 5000  # owner of the Maildirs, the same for Dovecot

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
127.0.0.1:{front_port} inet n - n - - smtpd
  -o smtpd_sender_restrictions=check_sender_access,regexp:{etc}/front
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
virtual   unix  -       n       n       -       -       virtual
local     unix  -       n       n       -       -       local
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""

MAIN = """\
compatibility_level = 3.6
myhostname = mx.provider.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {queue}
data_directory = {data}
maillog_file = {log}
maillog_file_prefixes = {base}
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {mail}
virtual_mailbox_maps = texthash:{etc}/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_minimum_uid = 100
virtual_mailbox_limit = 0
relay_domains = {relay}
relay_recipient_maps =
transport_maps = {transport}
message_size_limit = 60000000
smtputf8_enable = yes
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = may
biff = no
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
{extra}
"""


class Postfix:
    def __init__(self, space, mailboxes, relay=None, name="postfix", extra=""):
        """`mailboxes`: addresses that are delivered here. `relay`: {domain: port} that go on to the gateway."""
        self.base = space.folder(name)
        self.mail = space.folder(name, "mail")
        os.chown(self.mail, MAIL_UID, MAIL_UID)
        self.etc = space.folder(name, "etc")
        self.log = os.path.join(self.base, "maillog")
        self.port, self.front_port = free_port(), free_port()
        self.mailboxes, self.relay, self.extra = list(mailboxes), relay or {}, extra
        self.space, self.name = space, name
        self.pid = self.starter = None
        space.add(self)

    def start(self):
        if os.geteuid() != 0:
            raise RuntimeError("Postfix must be started as root")
        queue = self.space.folder(self.name, "queue")
        data = self.space.folder(self.name, "data", mode=0o750)
        os.chown(data, pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postfix").gr_gid)
        domains = sorted({address.split("@")[1] for address in self.mailboxes})
        transport = ", ".join(f"{{{domain} = relay:[127.0.0.1]:{port}}}" for domain, port in self.relay.items())
        transport = f"inline:{{ {transport} }}" if transport else ""
        write = lambda file, text: self.space.write(f"{self.name}/etc/{file}", text)
        write("master.cf", MASTER.format(port=self.port, front_port=self.front_port, etc=self.etc))
        write("main.cf", MAIN.format(queue=queue, data=data, log=self.log, base=self.base, mail=self.mail, etc=self.etc,
                                     uid=MAIL_UID, domains=", ".join(domains), relay=", ".join(self.relay),
                                     transport=transport, extra=self.extra))
        write("mailboxes", "".join("{0} {2}/{1}/\n".format(a, *a.split("@")) for a in self.mailboxes))
        write("front", "/@([A-Za-z0-9.-]+)$/ PREPEND Authentication-Results: mx.school.example; "
                       "spf=pass smtp.mailfrom=$1\n")
        self.starter = Process(["postfix", "-c", self.etc, "start"], os.path.join(self.base, "start"))
        if self.starter.wait(60) != 0:
            raise RuntimeError("postfix start: " + self.starter.text() + self.text())
        self.starter.stop()
        self.read_pid()
        wait_for(lambda: accepts(self.port) and accepts(self.front_port), 20, "Postfix")
        return self

    def read_pid(self):
        with open(os.path.join(self.base, "queue", "pid", "master.pid")) as file:
            self.pid = int(file.read())

    def stop(self):
        if not self.pid and self.starter:
            self.starter.kill()
            with contextlib.suppress(OSError, ValueError):
                self.read_pid()  # a start that a signal interrupted
        if not self.pid:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)  # master ends its process group too
            wait_for(lambda: not os.path.exists(f"/proc/{self.pid}"), 10, "Postfix to end")
        self.pid = None

    def text(self):
        with contextlib.suppress(OSError):
            with open(self.log) as file:
                return file.read()
        return ""

    def flush(self):
        run(["postqueue", "-c", self.etc, "-f"])

    def maildir(self, address):
        """Octets of every message in a mailbox, oldest first."""
        local, domain = address.rsplit("@", 1)
        messages = []
        for sub in ("new", "cur"):
            folder = os.path.join(self.mail, domain, local, sub)
            with contextlib.suppress(FileNotFoundError):
                for name in os.listdir(folder):
                    path = os.path.join(folder, name)
                    with open(path, "rb") as file:
                        messages.append((os.stat(path).st_mtime_ns, file.read()))
        return [data for _, data in sorted(messages)]
