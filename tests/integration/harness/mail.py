"""Messages for tests, and what can be read in one: header fields raw and decoded in every way that a reader might."""

import base64
import email
import email.header
import email.policy
import quopri
import re
import urllib.parse


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


_ENCODED_WORD = re.compile(rb"=\?([A-Za-z0-9_*-]+)\?([bBqQ])\?([^?]*)\?=")
_CODECS = {"iso-2022-jp": "iso2022_jp_ext", "cp50220": "iso2022_jp_ext", "shift_jis": "cp932", "euc-jp": "eucjp"}


def readings(header):
    """Every text that somebody could read in a header block: as it is, unfolded, with encoded-words decoded (each
    alone and neighbours joined), percent signs, quoted pairs, comments' backslashes and base64 undone."""
    raw = header.replace(b"\r\n", b"\n")
    unfolded = re.sub(rb"\n[ \t]+", b" ", raw)
    joined = re.sub(rb"\?=\s+=\?", b"?==?", unfolded)
    texts = [raw.decode("utf-8", "replace"), re.sub(rb"\n[ \t]+", b"", raw).decode("utf-8", "replace"),
             unfolded.decode("utf-8", "replace")]
    pieces = []

    def decode(match):
        charset, how, data = match.group(1).decode().split("*")[0].lower(), match.group(2).lower(), match.group(3)
        try:
            octets = base64.b64decode(data + b"===") if how == b"b" else quopri.decodestring(data, header=True)
        except ValueError:
            octets = data
        out = b""
        for codec in (_CODECS.get(charset, charset), "utf-8", "latin-1"):
            try:
                out = octets.decode(codec, "replace").encode()
                break
            except LookupError:
                continue
        pieces.append(octets.decode("latin-1"))
        return out

    decoded = _ENCODED_WORD.sub(decode, joined).decode("utf-8", "replace")
    texts += [decoded, "".join(pieces)]
    texts += [urllib.parse.unquote(t) for t in list(texts)]
    texts += [t.replace("\\", "") for t in (texts[2], decoded)]
    texts += [re.sub(r"\s+|\"", "", t) for t in (texts[2], decoded)]
    # RFC 2231 continuations and anything else that the standard library understands.
    try:
        parsed = email.message_from_bytes(raw + b"\n\n", policy=email.policy.compat32)
        for name in ("Content-Type", "Content-Disposition"):
            for key, value in parsed.get_params(header=name.lower(), failobj=[]) or []:
                texts.append(email.utils.collapse_rfc2231_value(value) if value else key)
    except (ValueError, LookupError, TypeError):
        pass
    for token in re.findall(rb"[A-Za-z0-9+/]{16,}={0,2}", unfolded):
        try:
            texts.append(base64.b64decode(token + b"===").decode("latin-1"))
        except ValueError:
            pass
    return texts


def find_traces(header, needles):
    """Those of `needles` that somebody can read in a header block."""
    texts = [text.lower() for text in readings(header)]
    return sorted({needle for needle in needles if any(needle.lower() in text for text in texts)})


def find_pattern(header, pattern):
    """What of a regular expression (in lower case) somebody can read in a header block."""
    return sorted({found for text in readings(header) for found in re.findall(pattern, text.lower())})
