"""The demo's story. scripts/demo runs it; each step shows messages as they are in the real mailboxes, read by IMAP.

Fails loudly when a step is not as told.
"""

import argparse
import email.utils
import os
import signal
import smtplib
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import smtp_client  # noqa: E402
from harness.imap_client import Imap  # noqa: E402
from harness.mail import address, all_fields, body_of, find_traces, header_of, ids, message  # noqa: E402
from harness.workspace import Workspace, on_end_signals  # noqa: E402
from harness.world import COLLEAGUE, OFFICER, PHANTOM_DOMAIN, PUBLIC, TEACHER, World  # noqa: E402

STRANGER = "yamada@stranger.test"
FRIEND = "sato@elsewhere.test"
COLOUR = sys.stdout.isatty()


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


class Story:
    def __init__(self, world):
        self.world, self.number = world, 0

    def step(self, text):
        self.number += 1
        print(f"\n{paint('1;36', f'{self.number}.')} {paint('1', text)}", flush=True)

    def show(self, where, data, *names):
        print(paint("2", f"   ┌ {where}"))
        for name in names or ("From", "To", "Subject"):
            for value in all_fields(data, name):
                print(f"   │ {name}: {value}")
        print(paint("2", "   └"), flush=True)

    def check(self, condition, what):
        if not condition:
            raise AssertionError(what)

    def clean(self, data, *words):
        """Nothing in the header reads as one of these."""
        found = find_traces(header_of(data), words)
        self.check(not found, f"the header shows {found}:\n" + header_of(data).decode("utf-8", "replace"))

    def refused(self, thief, target):
        """The last reply to a message of `thief`, which the mail system in front vouches for."""
        front = (f"Authentication-Results: mx.school.example; dmarc=pass header.from={thief.split('@')[1]}\r\n"
                 "Received: from provider.test by mx.school.example; Thu, 01 Jan 2026 10:51:00 +0900\r\n").encode()
        return smtp_client.send(self.world.gateway.inbound, thief, target, front + message(thief, target, "hello?"))

    def tell(self):
        world = self.world
        self.step(f"A stranger writes to the public address {PUBLIC}.")
        written = message(f"Taro Yamada <{STRANGER}>", PUBLIC, "Where do we meet?", "Where do we meet on Sunday?\r\n",
                          message_id="sunday-1@stranger.test")
        world.stranger_writes(STRANGER, written)
        self.show("what the stranger sent", written, "From", "To", "Message-ID")

        self.step("Both members have it, each from a phantom of its own. Neither sees the stranger's address.")
        at_officer, at_teacher = world.mailbox(OFFICER, 1)[0], world.mailbox(TEACHER, 1)[0]
        for mailbox, data in ((OFFICER, at_officer), (TEACHER, at_teacher)):
            self.show(f"mailbox of {mailbox}", data, "From", "To", "Message-ID")
            self.clean(data, "yamada@", "stranger.test")
        mine, theirs = address(at_officer), address(at_teacher)
        self.check(mine != theirs and mine.endswith("@" + PHANTOM_DOMAIN), "two phantoms expected")

        self.step("The officer answers with a mail program: port 587, STARTTLS, the password checked by their own provider.")
        written = message(f"Hanako <{OFFICER}>", mine, "Re: Where do we meet?", "At the gate.\r\n", message_id="gate@gmail.test",
                          extra=f"In-Reply-To: <{ids(at_officer, 'Message-ID')[0]}>")
        self.show("what the officer sent", written, "From", "To", "In-Reply-To")
        reply = world.member_submits(OFFICER, mine, written)
        print(f"   Kagemusha: {reply.code} {reply.text}", flush=True)
        self.check(reply.code == 250, f"submission said {reply}")
        self.step("The teacher answers from a carrier phone: a plain reply, through no port of ours but 25.")
        written = message(TEACHER, theirs, "Re: Where do we meet?", "I bring tea.\r\n", message_id="tea@docomo.test",
                          extra=f"In-Reply-To: <{ids(at_teacher, 'Message-ID')[0]}>")
        self.show("what the teacher sent", written, "From", "To", "In-Reply-To")
        world.phone_replies(TEACHER, theirs, written)

        self.step("The stranger has two answers from the public address, in the thread of their own message.")
        answers = world.mailbox(STRANGER, 2)
        self.check(sorted(body_of(data).strip() for data in answers) == [b"At the gate.", b"I bring tea."],
                   f"the answers read {[body_of(data) for data in answers]}")
        for data in answers:
            self.show(f"mailbox of {STRANGER}", data, "From", "To", "In-Reply-To")
            print(f"     {body_of(data).decode().strip()}", flush=True)
            self.clean(data, "officer", "teacher", "gmail.test", "docomo.test", mine.split("@")[0],
                       theirs.split("@")[0])
            self.check(address(data) == PUBLIC, "From is not the public address")
            self.check(ids(data, "In-Reply-To") == ["sunday-1@stranger.test"], "not in the stranger's thread")

        nobody = "a" * 16 + "@" + PHANTOM_DOMAIN
        self.step("Who stole the officer's phantom gets what an address that never existed gets:")
        unknown = self.the_same("somebody of the officer's provider, by mail",
                                [self.refused(COLLEAGUE, target) for target in (mine, nobody)])
        self.the_same("the teacher, the other member, logged in on port 587",
                      [world.member_submits(TEACHER, target, message(TEACHER, target, "hello?")) for target in (mine, nobody)])

        self.read_through_the_proxy()
        if self.world.stay:
            return
        self.step("After `kagemusha forget` the officer's phantom is dead, for the officer too.")
        result = world.gateway.forget(PUBLIC, OFFICER)
        self.check(result.returncode == 0, result.stderr)
        dead = self.refused(OFFICER, mine)
        print(f"   the officer's own reply: {dead.code} {dead.text}", flush=True)
        self.check(dead == unknown, "the phantom still lives")

    def the_same(self, who, replies):
        """Prints and returns what a stolen phantom and one that never existed are answered."""
        print(paint("2", f"   {who}:"))
        for what, reply in zip(("stolen phantom", "never existed"), replies):
            print(f"     {what + ':':<15} {reply.code} {reply.text}", flush=True)
        self.check(replies[0] == replies[1] and replies[0].code == 550, "550 expected, and the same")
        return replies[0]

    def read_through_the_proxy(self):
        world = self.world
        self.step("Somebody writes straight to the officer's mailbox. Read directly, and through Kagemusha's IMAP proxy:")
        with smtplib.SMTP("127.0.0.1", world.postfix.port) as client:
            client.sendmail(FRIEND, [OFFICER], message(
                f"Jiro Sato <{FRIEND}>", OFFICER, "Photos of Sunday", "Here they are.\r\n", message_id="photos@elsewhere.test",
                extra=f"Cc: Taro Yamada <{STRANGER}>\nReply-To: {FRIEND}"))
        world.mailbox(OFFICER, 2)
        items = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY.PEEK[])"
        with Imap(world.dovecot.imaps, world.tls, OFFICER, world.passwords[OFFICER]) as direct, Imap(
                world.gateway.imaps, world.tls, OFFICER, world.passwords[OFFICER]) as proxied:
            direct.select()
            direct.ok("STORE 2 +FLAGS (\\Flagged $Sunday)")
            proxied.select()
            left, right = direct.fetch("1:*", items), proxied.fetch("1:*", items)
            self.check(left.keys() == right.keys(), "other messages")
            for number in left:
                self.side_by_side(bytes(left[number][b"BODY[]"]), bytes(right[number][b"BODY[]"]))
                sizes = {m[number][b"RFC822.SIZE"] for m in (left, right)} | {len(m[number][b"BODY[]"]) for m in (left, right)}
                self.check(len(sizes) == 1, f"sizes {sizes}")
                self.compare(left[number], right[number])
                self.clean(bytes(right[number][b"BODY[]"]), "yamada@", "sato@", "stranger.test", "elsewhere.test")
            friend = address(bytes(right[2][b"BODY[]"]))
            for who in (FRIEND, friend):
                found = proxied.ok(f"SEARCH FROM {who}").numbers
                print(f"   SEARCH FROM {who}: {found or 'nothing'}", flush=True)
                self.check(found == ([2] if who == friend else []), "searching shows what reading does not")
        print(paint("2", "   The same sizes to the octet, the same flags, UIDs and dates; the ENVELOPE tells what the header tells."))

    def compare(self, left, right):
        """One message fetched directly and through the proxy: what has to be equal, and an ENVELOPE that fits its header."""
        for item in (b"UID", b"INTERNALDATE"):
            self.check(left[item] == right[item], f"{item.decode()} {left[item]} became {right[item]}")
        flags = [{bytes(flag) for flag in fetched[b"FLAGS"]} - {b"\\Recent"} for fetched in (left, right)]  # \Recent is a session's
        self.check(flags[0] == flags[1], f"flags {flags[0]} became {flags[1]}")
        before, after = left[b"ENVELOPE"], right[b"ENVELOPE"]
        self.check(before[:2] == after[:2], "another date or subject")
        block = bytes(right[b"BODY[]"])
        for place, name in ((2, "From"), (5, "To"), (6, "Cc")):
            told = sorted(b"@".join(mailbox[2:]).decode() for mailbox in after[place] or [])
            held = sorted(a for _, a in email.utils.getaddresses(all_fields(block, name)))
            self.check(told == held, f"ENVELOPE tells {told}, the header's {name} {held}")
            self.check(len(before[place] or []) == len(told), f"{name} lost somebody")
        self.check((after[9] or b"").decode().strip("<>") in ids(block, "Message-ID"), "another Message-ID")

    def side_by_side(self, left, right):
        print(paint("2", f"   ┌ {'directly: ' + str(len(left)) + ' octets':<58}  through the proxy: {len(right)} octets"))
        for name in ("From", "To", "Cc", "Message-ID"):
            values = [next(iter(all_fields(data, name)), "") for data in (left, right)]
            if any(values):
                one, other = (f"{name}: {value}" for value in values)
                print(f"   │ {one[:57] + '…' if len(one) > 58 else one:<58}  {other[:71] + '…' if len(other) > 72 else other}")
        print(paint("2", "   └"), flush=True)


def stay(world):
    """What a person types into a mail client."""
    gateway = world.gateway
    print(f"""
{paint('1', 'All of it is running. In a mail client on this machine:')}
  members  IMAP   host localhost  port {gateway.imaps}  SSL/TLS   through the proxy (POP3: {gateway.pop3s})
           SMTP   host localhost  port {gateway.submission} STARTTLS, or {gateway.submissions} SSL/TLS, normal password
  anybody  IMAP   host localhost  port {world.dovecot.imaps}  SSL/TLS   the provider itself, to compare, or to read as the stranger
           SMTP   host localhost  port {world.postfix.front_port}  no encryption, no login   (the MX of {PUBLIC.split('@')[1]})
  authority for the certificates: {world.authority.certificate}""")
    for who, mailbox in (("member", OFFICER), ("member", TEACHER), ("stranger", STRANGER), ("outsider", COLLEAGUE)):
        print(f"  {who:<9} {mailbox:<24} password: {world.passwords[mailbox]}")
    command = f"{os.environ['KAGEMUSHA']} {{}} --config {gateway.config_path}"
    print(f"""  Only members can log in at the proxy and at the submission ports.
  public address: {PUBLIC}
  who stands behind it:  {command.format('show')}
The last chapter is yours: after this the officer's phantom is dead, for the officer too
  {command.format('forget')} --address {PUBLIC} --mailbox {OFFICER}
Ctrl-C ends it and removes everything.""", flush=True)
    signal.pause()


def end(number):
    """Servers are stopped and files removed on the way out."""
    if number != signal.SIGHUP:  # without its terminal nobody reads it
        print("\nstopping", flush=True)
    sys.exit(0 if number == signal.SIGINT else 128 + number)


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--kagemusha", required=True)
    parser.add_argument("--stay", action="store_true")
    arguments = parser.parse_args()
    os.environ["KAGEMUSHA"] = os.path.abspath(arguments.kagemusha)
    on_end_signals(end)
    began = time.monotonic()
    with Workspace("demo") as space:
        world = World(space)
        world.stay = arguments.stay
        try:
            world.start()
            print(paint("2", f"running on loopback: kagemusha with its own Redis, Postfix, Dovecot "
                             f"({time.monotonic() - began:.1f} s to start)"))
            Story(world).tell()
        except AssertionError as error:
            print(f"\n{paint('1;31', 'NOT AS TOLD')}: {error}", file=sys.stderr)
            return 1
        told = "All as told" if not arguments.stay else "All as told, but for the last chapter (forgetting)"
        print(f"\n{paint('1;32', told)}, in {time.monotonic() - began:.1f} s.", flush=True)
        if arguments.stay:
            stay(world)
    return 0


if __name__ == "__main__":
    sys.exit(main())
