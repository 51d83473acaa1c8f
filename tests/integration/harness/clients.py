"""Real mail clients, run to their end against one account; each function returns what the client got, in a form that
can be compared: {name: octets}."""

import dataclasses
import hashlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

from .workspace import run


@dataclasses.dataclass
class Account:
    user: str
    password: str
    ca: str
    imaps: int = 0
    pop3s: int = 0
    host: str = "localhost"

    def at(self, imaps, pop3s):
        return dataclasses.replace(self, imaps=imaps, pop3s=pop3s)


def _run(argv, folder, stdin="", allowed=(0,), seconds=120, **env):
    environment = dict(os.environ, HOME=folder, LC_ALL="C.UTF-8", XDG_CONFIG_HOME=folder, XDG_DATA_HOME=folder, **env)
    result = subprocess.run(argv, input=stdin.encode(), capture_output=True, env=environment, timeout=seconds, cwd=folder)
    if result.returncode not in allowed:
        raise AssertionError(f"{argv[0]} ended with {result.returncode}:\n{result.stdout[-3000:].decode('utf-8', 'replace')}\n"
                             f"{result.stderr[-3000:].decode('utf-8', 'replace')}")
    return result


def _write(path, text, mode=0o600):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def maildir(path, without=None):
    """{folder/flags/digest: octets} of all messages below a folder that holds Maildirs; what matches `without` is
    left out of them."""
    found = {}
    for folder, _, names in os.walk(path):
        if os.path.basename(folder) not in ("cur", "new"):
            continue
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            if without:
                data = re.sub(without, b"", data)
            flags = name.partition(":2,")[2]
            key = f"{os.path.relpath(os.path.dirname(folder), path)}/{''.join(sorted(flags))}/{hashlib.sha1(data).hexdigest()}"
            while key in found:
                key += "+"
            found[key] = data
    return found


def mbsync(account, folder):
    """Both ways: what stands in `folder`/mail goes up, what the server has comes down."""
    os.makedirs(f"{folder}/mail", exist_ok=True)
    conf = _write(f"{folder}/mbsyncrc", f"""\
IMAPAccount a
Host {account.host}
Port {account.imaps}
User {account.user}
Pass "{account.password}"
SSLType IMAPS
CertificateFile {account.ca}

IMAPStore far
Account a

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Remove Near
SyncState *
CopyArrivalDate yes
""")
    _run(["mbsync", "-c", conf, "-a"], folder)
    # It marks what it stores with a random word of its own.
    return maildir(f"{folder}/mail", rb"(?m)^X-TUID: .{12}\r?\n")


def offlineimap(account, folder):
    os.makedirs(f"{folder}/mail", exist_ok=True)
    conf = _write(f"{folder}/offlineimaprc", f"""\
[general]
accounts = a
metadata = {folder}/state
ui = basic
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {folder}/mail
[Repository far]
type = IMAP
remotehost = {account.host}
remoteport = {account.imaps}
remoteuser = {account.user}
remotepass = {account.password}
ssl = yes
sslcacertfile = {account.ca}
auth_mechanisms = PLAIN, LOGIN
""")
    _run(["offlineimap", "-c", conf, "-o"], folder)
    return maildir(f"{folder}/mail")


def fetchmail(account, folder, protocol):
    out = f"{folder}/out"
    os.makedirs(folder, exist_ok=True)
    port = account.pop3s if protocol == "POP3" else account.imaps
    script = _write(f"{folder}/mda", f"#!/bin/sh\ncat >>{out}\necho '--- end of message ---' >>{out}\n", 0o755)
    conf = _write(f"{folder}/fetchmailrc", f"""\
set no bouncemail
poll {account.host} service {port} protocol {protocol} timeout 60
  user "{account.user}" password "{account.password}" is root here
  ssl sslcertck sslcertfile {account.ca}
  keep fetchall no rewrite mda "{script}"
""")
    _run(["fetchmail", "-f", conf, "--invisible", "--nodetach", "--nosyslog", "--pidfile", f"{folder}/pid"], folder,
         FETCHMAILHOME=folder)
    with open(out, "rb") as file:
        return {"all": file.read()}


def getmail(account, folder, protocol):
    for sub in ("mail/cur", "mail/new", "mail/tmp", "state"):
        os.makedirs(f"{folder}/{sub}", exist_ok=True)
        shutil.chown(f"{folder}/{sub}", "nobody")
    shutil.chown(f"{folder}/mail", "nobody")
    kind, port = ("SimplePOP3SSLRetriever", account.pop3s) if protocol == "POP3" else ("SimpleIMAPSSLRetriever",
                                                                                     account.imaps)
    _write(f"{folder}/state/rc", f"""\
[retriever]
type = {kind}
server = {account.host}
port = {port}
username = {account.user}
password = {account.password}
ca_certs = {account.ca}
{'mailboxes = ("INBOX",)' if protocol == "IMAP" else ''}
[destination]
type = Maildir
path = {folder}/mail/
user = nobody
[options]
read_all = true
delete = false
delivered_to = false
received = false
""")
    _run(["getmail", "--getmaildir", f"{folder}/state", "--rcfile", "rc", "--quiet"], folder)
    return maildir(folder)


def mpop(account, folder, pipelining="auto"):
    for sub in ("mail/cur", "mail/new", "mail/tmp"):
        os.makedirs(f"{folder}/{sub}", exist_ok=True)
    conf = _write(f"{folder}/mpoprc", f"""\
account default
host {account.host}
port {account.pop3s}
user {account.user}
password {account.password}
tls on
tls_starttls off
tls_trust_file {account.ca}
pipelining {pipelining}
delivery maildir {folder}/mail
uidls_file {folder}/uidls
received_header off
keep on
""")
    _run(["mpop", "--file", conf, "--quiet"], folder)
    return maildir(folder)


def mutt(account, folder):
    """Opens the INBOX, reads every header, tags all and copies them to a Maildir; then looks for a subject."""
    os.makedirs(f"{folder}/Mail", exist_ok=True)  # it asks for one
    conf = _write(f"{folder}/muttrc", f"""\
set imap_user="{account.user}"
set imap_pass="{account.password}"
set ssl_ca_certificates_file={account.ca}
set certificate_file={account.ca}
set ssl_starttls=no
set mbox_type=Maildir
set confirmcreate=no confirmappend=no
set header_cache={folder}/cache
set move=no quit=yes mark_old=no wait_key=no imap_check_subscribed=no imap_idle=no
set sort=mailbox-order
unset imap_passive
folder-hook . 'push "<tag-pattern>~A<enter><tag-prefix><copy-message>{folder}/mail<enter><exit>"'
""")
    argv = ["mutt", "-n", "-F", conf, "-R", "-f", f"imaps://{account.host}:{account.imaps}/INBOX"]
    _in_terminal(argv, folder)
    return maildir(folder)


def _in_terminal(argv, folder, seconds=120):
    """Runs a program that wants a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(HOME=folder, TERM="vt100", LC_ALL="C.UTF-8", LINES="40", COLUMNS="120")
        os.chdir(folder)
        os.execvp(argv[0], argv)
    seen, deadline = b"", time.monotonic() + seconds
    try:
        while True:
            ready = select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]
            if not ready:
                os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"{argv[0]} does not end:\n{_screen(seen)}")
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
    finally:
        os.close(terminal)
        status = os.waitpid(pid, 0)[1]
    if status != 0:
        raise AssertionError(f"{argv[0]} ended with {status}:\n{_screen(seen)}")
    return seen


def _screen(seen):
    return re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]", b" ", seen)[-3000:].decode("utf-8", "replace")


def curl(account, folder, path="", protocol="imaps", request=None, upload=None, more=()):
    """One transfer; its output."""
    os.makedirs(folder, exist_ok=True)
    port = account.imaps if protocol == "imaps" else account.pop3s
    argv = ["curl", "--silent", "--show-error", "--cacert", account.ca, "--user", f"{account.user}:{account.password}",
            f"{protocol}://{account.host}:{port}/{path}", *more]
    if request:
        argv += ["--request", request]
    if upload:
        argv += ["--upload-file", upload]
    return _run(argv, folder).stdout


def version(program):
    """What tests say about the client that they ran."""
    return run([program, "--version"]).stdout.splitlines()[0]
