"""A real Cyrus: a second IMAP and POP3 server that does everything its own way, with TLS from the test's authority.

Debian's Cyrus packages exclude Dovecot's; scripts/setup installs what they share and unpacks the servers themselves
into UNPACKED. Cyrus logs to syslog only.
"""

import os
import pwd
import shutil

from .ports import accepts, free_port
from .waiting import wait_for
from .workspace import Process, run

UNPACKED = "/usr/local/lib/kagemusha-test"
MASTER = "/usr/lib/cyrus/bin/master"
IMAPD = f"{UNPACKED}/cyrus-imapd/usr/lib/cyrus/bin/imapd"
IDLED = f"{UNPACKED}/cyrus-imapd/usr/lib/cyrus/bin/idled"
POP3D = f"{UNPACKED}/cyrus-pop3d/usr/lib/cyrus/bin/pop3d"

# A delayed DELETE renames to a name with the second in it: the second one of a second is refused.
IMAPD_CONF = """\
configdirectory: {base}/conf
partition-default: {base}/spool
defaultpartition: default
idlesocket: {base}/run/idle
syslog_prefix: kagemusha-test
virtdomains: userid
defaultdomain: provider.test
unixhierarchysep: yes
altnamespace: yes
autocreate_quota: 100000000
autocreate_inbox_folders: Sent | Drafts | Trash
xlist-sent: Sent
xlist-drafts: Drafts
xlist-trash: Trash
allowplaintext: no
reject8bit: no
munge8bit: no
popminpoll: 0
poptimeout: 10
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {base}/sasldb
sasl_mech_list: PLAIN
tls_server_cert: {certificate}
tls_server_key: {key}
conversations: no
delete_mode: immediate
expunge_mode: immediate
maxmessagesize: 200000000
"""

CYRUS_CONF = """\
START {{
}}
DAEMON {{
  idled cmd="{idled} -C {base}/imapd.conf"
}}
SERVICES {{
  imap cmd="{imapd} -C {base}/imapd.conf -U 100" listen="127.0.0.1:{imap}" prefork=0
  imaps cmd="{imapd} -C {base}/imapd.conf -s -U 100" listen="127.0.0.1:{imaps}" prefork=0
  pop3s cmd="{pop3d} -C {base}/imapd.conf -s -U 100" listen="127.0.0.1:{pop3s}" prefork=0
}}
EVENTS {{
}}
"""


class Cyrus:
    def __init__(self, space, authority, users, name="cyrus", hostname="cyrus.provider.test"):
        """`users`: {address: password}."""
        self.space, self.name, self.users, self.authority = space, name, users, authority
        self.base, self.hostname = space.folder(name), hostname
        self.certificate, self.key = authority.issue(hostname, "localhost", "127.0.0.1", file=name)
        self.imap, self.imaps, self.pop3s = free_port(), free_port(), free_port()
        self.process = None
        space.add(self)

    def start(self):
        for folder in ("conf", "conf/db", "conf/socket", "conf/proc", "spool", "run"):
            self.space.folder(self.name, folder)
        key = shutil.copy(self.key, os.path.join(self.base, "tls.key"))
        values = {"base": self.base, "certificate": self.certificate, "key": key, "imap": self.imap, "imaps": self.imaps,
                  "pop3s": self.pop3s, "imapd": IMAPD, "pop3d": POP3D, "idled": IDLED}
        conf = self.space.write(f"{self.name}/imapd.conf", IMAPD_CONF.format(**values))
        services = self.space.write(f"{self.name}/cyrus.conf", CYRUS_CONF.format(**values))
        for address, password in self.users.items():
            user, domain = address.split("@")
            result = run(["saslpasswd2", "-p", "-c", "-f", f"{self.base}/sasldb", "-u", domain, user], stdin=password)
            if result.returncode != 0:
                raise RuntimeError(f"saslpasswd2: {result.stderr}")
        owner = pwd.getpwnam("cyrus")
        for folder, folders, files in os.walk(self.base):
            for entry in [".", *folders, *files]:
                os.chown(os.path.join(folder, entry), owner.pw_uid, owner.pw_gid)
        self.process = Process([MASTER, "-D", "-C", conf, "-M", services, "-p", f"{self.base}/run/pid"],
                               os.path.join(self.base, "out"))
        wait_for(lambda: accepts(self.imaps), 20, "Cyrus")
        return self

    def stop(self):
        if self.process:
            self.process.stop()
