"""Messages for tests, and their fields."""

import re

from .traces import find_pattern, find_traces  # noqa: F401  for those who look at messages

FRONT = "mx.school.example"  # the mail system in front


def message(sender, to, subject="Hello", body="Hello.\r\n", message_id=None, extra="", date=True):
    """Octets of a simple message; `extra` is whole header lines."""
    lines = [f"From: {sender}", f"To: {to}"]
    if subject is not None:
        lines.append(f"Subject: {subject}")
    if date:
        lines.append("Date: Thu, 01 Jan 2026 10:51:00 +0900")
    if message_id:
        lines.append(f"Message-ID: <{message_id}>")
    lines += [line for line in extra.replace("\r\n", "\n").split("\n") if line]
    body = body if isinstance(body, bytes) else body.encode()
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def front_fields(mailbox):
    """What the mail system in front writes on top of a message whose author it vouches for."""
    return (f"Authentication-Results: {FRONT}; dmarc=pass header.from={mailbox.split('@')[1]}\r\n"
            f"Received: from phone.test (phone.test [203.0.113.5]) by {FRONT}; "
            "Thu, 01 Jan 2026 10:51:00 +0900\r\n").encode()


def header_of(data):
    return re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]


def fields(data):
    """[(name, value)] in order, as text, still folded."""
    found = []
    for line in header_of(data).replace(b"\r\n", b"\n").split(b"\n"):
        if line[:1] in (b" ", b"\t") and found:
            found[-1][1] += b"\n" + line
        else:
            name, _, value = line.partition(b":")
            found.append([name, value])
    return [(n.decode("ascii", "replace"), v.decode("utf-8", "replace").strip()) for n, v in found]


def field(data, name):
    """The only field of this name, unfolded; None when there is none."""
    found = all_fields(data, name)
    assert len(found) < 2, f"{name} stands there {len(found)} times"
    return found[0] if found else None


def all_fields(data, name):
    return [re.sub(r"\n[ \t]*", " ", v) for n, v in fields(data) if n.lower() == name.lower()]


def address(data, name="From"):
    """The only address of a field, without its display name."""
    value = field(data, name)
    assert value is not None, f"no {name}"
    found = re.search(r"<([^<>]*)>", value)
    return (found.group(1) if found else value).strip()


def ids(data, name):
    """msg-ids of a field without their brackets."""
    return re.findall(r"<([^<>]+)>", field(data, name) or "")


def body_of(data):
    parts = data.split(b"\r\n\r\n", 1)
    return parts[1] if len(parts) > 1 else b""
