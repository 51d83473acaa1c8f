"""What the stories are told with: people with mailboxes, who write, answer in the ways that real people have, and read.

    parents, applicants, customers ─▶ Postfix (front) ─▶ kagemusha ─▶ Postfix (next hop) ─▶ Maildir ─▶ Dovecot ─▶ readers

A person finds a message by the words in it, and finds it exactly once.
"""

import base64
import itertools
import os
import re

from . import smtp_client
from .case import Case
from .imap_client import Imap
from .mail import address, body_of, field, find_traces, front_fields, header_of, ids, message
from .waiting import wait_for
from .world import World

_numbers = itertools.count(1)


def jis(text):
    """An encoded-word as phones write it."""
    return "=?ISO-2022-JP?B?" + base64.b64encode(text.encode("iso2022_jp")).decode() + "?="


def utf8(text):
    return "=?UTF-8?B?" + base64.b64encode(text.encode()).decode() + "?="


class Person:
    """Somebody with a real mailbox at a real provider."""

    def __init__(self, stage, mailbox, name, folds=False, reads="provider"):
        """`folds`: the provider shows messages of one Message-ID once, those in Sent included, as Gmail does. `reads`:
        "provider", or "gateway" for the IMAP proxy."""
        self.stage, self.mailbox, self.name, self.folds, self.reads = stage, mailbox, name, folds, reads
        self.local, self.domain = mailbox.split("@")
        self.sent = []

    def __repr__(self):
        return self.name

    # Writing

    def new_id(self):
        return f"{self.local}-{next(_numbers)}@{self.domain}"

    def writes(self, to, subject, text, extra=""):
        """A message by way of the own provider and the MX of the addressee; what was written."""
        data = message(f"{self.name} <{self.mailbox}>", to, subject, text + "\r\n", message_id=self.new_id(), extra=extra)
        self.stage.through_front(self.mailbox, to, data)
        self.sent.append(data)
        return data

    def answers(self, received, text, before=""):
        """The same, as an answer to what was received; `before` is typed in front of the subject."""
        return self.writes(address(received), before + answer_subject(received), text, extra=answer_ids(received))

    def answers_by_web_mail(self, received, text):
        """As Gmail writes it: its own fields, its own id, and the copy in Sent that nobody asked for."""
        to, own = reply_address(received), f"CAJ{next(_numbers)}+x=_Q@mail.{self.domain}"
        quoted = f"On Thu, 1 Jan 2026 at 10:51, {to} wrote:\r\n> ...\r\n"
        body = (f"--000000000000b\r\nContent-Type: text/plain; charset=\"UTF-8\"\r\n\r\n{text}\r\n\r\n{quoted}\r\n"
                "--000000000000b--\r\n")
        data = (f"DKIM-Signature: v=1; a=rsa-sha256; d={self.domain}; s=2025; h=from:to; b=AAAA\r\n"
                f"X-Google-DKIM-Signature: v=1; d=1e100.net; b=BBBB\r\nX-Gm-Message-State: AOJu0Y{self.local}\r\n"
                f"X-Received: by 2002:a05:6402 with SMTP id {self.local}; Thu, 01 Jan 2026 10:51:00 +0900\r\n"
                "MIME-Version: 1.0\r\n").encode() + message(
                    f"{self.name} <{self.mailbox}>", to, answer_subject(received), body, message_id=own,
                    extra=answer_ids(received) + '\nContent-Type: multipart/alternative; boundary="000000000000b"')
        self.stage.through_front(self.mailbox, to, data)
        self.sent.append(data)
        return data

    def answers_by_program(self, received, text, to=None):
        """A mail program: submission on 587, the password checked by the provider."""
        to = to or reply_address(received)
        data = message(f"{self.name} <{self.mailbox}>", to, answer_subject(received), text + "\r\n",
                       message_id=f"{next(_numbers)}.9000@[192.168.1.20]",
                       extra=answer_ids(received) + "\nUser-Agent: Mozilla Thunderbird")
        self.stage.accepted(self.submits(to, data))
        self.sent.append(data)
        return data

    def answers_by_phone(self, received, text):
        """A carrier's phone: a plain reply in ISO-2022-JP, without an id of its own."""
        to = reply_address(received)
        data = message(self.mailbox, to, jis("Re：ありがとう"), text.encode("iso2022_jp") + b"\r\n",
                       extra=answer_ids(received) + "\nContent-Type: text/plain; charset=ISO-2022-JP")
        self.stage.through_front(self.mailbox, to, data)
        return data

    def submits(self, recipients, data, sender=None):
        """The last reply of the submission port to whatever the person tries."""
        return self.stage.member_submits(self.mailbox, recipients, data)

    # Reading

    def inbox(self):
        """All messages, once everything on its way has arrived."""
        self.stage.quiet()
        if self.reads == "gateway":
            return self.inbox_through_gateway()
        messages = self.stage.dovecot.messages(self.mailbox)
        return self.folded(messages) if self.folds else messages

    def inbox_through_gateway(self):
        with Imap(self.stage.gateway.imaps, self.stage.tls, self.mailbox, self.stage.passwords[self.mailbox]) as client:
            client.select()
            if not client.exists:
                return []
            return [bytes(m[b"BODY[]"]) for _, m in sorted(client.fetch("1:*", "(BODY.PEEK[])").items())]

    def folded(self, messages):
        seen = {i for data in self.sent for i in ids(data, "Message-ID")}
        shown = []
        for data in messages:
            own = set(ids(data, "Message-ID"))
            if not own & seen:
                shown.append(data)
            seen |= own
        return shown

    def finds(self, text):
        """The message with these words; it is there exactly once."""
        found = [data for data in self.inbox() if text.encode() in data or text.encode("iso2022_jp") in data]
        if len(found) != 1:
            raise AssertionError(f"{self.name} has {len(found)} messages with {text!r}\n" + self.stage.gateway.log()[-3000:])
        return found[0]

    def ids_of(self, text):
        """The ids under which the person has a message with these words, in the inbox and in Sent."""
        return [i for data in [*self.sent, *self.inbox()] if text.encode() in data for i in ids(data, "Message-ID")]

    def has_nothing_with(self, text):
        if any(text.encode() in data for data in self.inbox()):
            raise AssertionError(f"{self.name} has {text!r}")

    def traces(self):
        """What would show this person to somebody: the mailbox, and each side of it."""
        return {self.mailbox, self.local, self.domain}


def reply_address(received):
    return address(received, "Reply-To" if field(received, "Reply-To") else "From")


def answer_subject(received):
    subject = field(received, "Subject") or ""
    return subject if subject.lower().startswith("re:") else "Re: " + subject


def answer_ids(received):
    own = ids(received, "Message-ID")
    thread = ids(received, "References") or ids(received, "In-Reply-To")
    return (f"In-Reply-To: <{own[0]}>\nReferences: " + " ".join(f"<{i}>" for i in [*thread, *own])) if own else ""


class Stage(World):
    """A World whose people are known."""

    def __init__(self, space, public, route_text, inside, outside, **config):
        """`inside`, `outside`: {mailbox: name, or (name, what Person takes)}."""
        super().__init__(space, public, route_text, members=tuple(inside), strangers=tuple(outside), **config)
        self.people = {}
        for mailbox, who in {**inside, **outside}.items():
            name, how = who if isinstance(who, tuple) else (who, {})
            self.people[mailbox] = Person(self, mailbox, name, **how)

    def all(self, mailboxes):
        return [self.people[mailbox] for mailbox in mailboxes]

    def vouched(self, mailbox, to, data):
        """What the gateway says to a message whose author the mail system in front vouches for."""
        return smtp_client.send(self.gateway.inbound, mailbox, to, front_fields(mailbox) + data)

    def accepted(self, reply):
        if reply.code != 250:
            raise AssertionError(f"{reply}\n{self.gateway.log()[-3000:]}")

    def quiet(self):
        """Waits until Postfix has nothing more to deliver: what is not in a mailbox now never comes."""
        queue = os.path.join(self.postfix.base, "queue")

        def empty():
            return not any(files for name in ("maildrop", "incoming", "active", "deferred")
                           for _, _, files in os.walk(os.path.join(queue, name)))
        wait_for(empty, 30, "mail on its way to arrive")

    def seen_of(self, reader, others):
        """What of other people can be read in somebody's real mailbox: headers in every decoding, bodies as they are."""
        own = reader.traces()
        needles = {t for other in others if other is not reader for t in other.traces() if t not in own}
        found = set()
        for data in self.dovecot.messages(reader.mailbox):
            found |= set(find_traces(header_of(data), needles))
            found |= {n for n in needles if n.encode() in body_of(data).lower()}
        return sorted(found)

    def at_rest(self):
        """{path: octets} of everything that Kagemusha keeps: Redis' files, its logs, its state."""
        kept = {"log": self.gateway.log().encode()}
        for folder, _, names in os.walk(self.gateway.state):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        kept[os.path.relpath(path, self.gateway.folder)] = file.read()
        return kept

    def kept_of(self, people):
        """What Kagemusha keeps of these people in clear: [(file, words)]."""
        needles = {t.encode() for person in people for t in (*person.traces(), person.name)}
        assert all(len(n) >= 5 for n in needles), "shorter words are found in sealed octets by chance"
        return [(name, sorted(n for n in needles if n.lower() in octets.lower()))
                for name, octets in self.at_rest().items() if any(n.lower() in octets.lower() for n in needles)]


class Story(Case):
    """Tests run in the order of their names: chapters of one story."""

    def assertNobodyIsSeen(self, stage, readers, others, msg=None):
        for reader in readers:
            self.assertEqual(stage.seen_of(reader, others), [], f"in the mailbox of {reader} {msg or ''}")


def phantoms_in(data):
    """Every phantom that stands anywhere in a message."""
    return set(re.findall(rb"\b[0-9a-z]{16}@p\.[a-z.]+[a-z]", data))
