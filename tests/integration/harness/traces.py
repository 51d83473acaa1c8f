"""What somebody could read in octets that reached them: the oracle of every test that says "nothing crossed".

All decodings are here and nowhere else, so that no test sees less than another: folds undone in two ways, encoded-words
(each alone, neighbours joined), percent signs, quoted pairs, white space and quotes left out, parameters of RFC 2231,
base64 over several lines, quoted-printable. Works on header blocks, whole messages and answers of protocols alike.
"""

import base64
import email
import email.policy
import email.utils
import quopri
import re
import urllib.parse

_ENCODED_WORD = re.compile(rb"=\?([A-Za-z0-9_*-]+)\?([bBqQ])\?([^?]*)\?=")
_CODECS = {"iso-2022-jp": "iso2022_jp_ext", "cp50220": "iso2022_jp_ext", "shift_jis": "cp932", "euc-jp": "eucjp"}
_PARAMETERS = re.compile(rb"^content-(?:type|disposition)[ \t]*:.*$", re.IGNORECASE | re.MULTILINE)
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4}\n?){4,}[A-Za-z0-9+/=]*")


def _decode_base64(text):
    """As far as it goes: what is cut off in the middle of a group shows the groups before."""
    text = re.sub(rb"[^A-Za-z0-9+/]", b"", text)
    if len(text) % 4 == 1:
        text = text[:-1]
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def _words(unfolded):
    """The text with its encoded-words as UTF-8, and the octets of all of them one after another."""
    pieces = []

    def decode(match):
        charset, how, data = match.group(1).decode().split("*")[0].lower(), match.group(2).lower(), match.group(3)
        octets = _decode_base64(data) if how == b"b" else quopri.decodestring(data, header=True)
        pieces.append(octets)
        try:
            return octets.decode(_CODECS.get(charset, charset), "replace").encode("utf-8", "replace")
        except LookupError:
            return octets

    joined = re.sub(rb"\?=\s+=\?", b"?==?", unfolded)
    return _ENCODED_WORD.sub(decode, joined), b"".join(pieces)


def _parameters(unfolded):
    """Values of Content-Type and Content-Disposition, also in pieces and percent-encoded (RFC 2231)."""
    for line in _PARAMETERS.findall(unfolded):
        name = line.partition(b":")[0].strip().decode()
        try:
            parsed = email.message_from_bytes(line + b"\n\n", policy=email.policy.compat32)
            for key, value in parsed.get_params(header=name, failobj=[]) or []:
                yield (email.utils.collapse_rfc2231_value(value) if value else key).encode("utf-8", "replace")
        except (ValueError, LookupError, TypeError):
            pass  # what the standard library cannot read


def readings(data):
    """Every text that somebody could read in these octets, as octets."""
    raw = data.replace(b"\r\n", b"\n")
    unfolded, glued = re.sub(rb"\n[ \t]+", b" ", raw), re.sub(rb"\n[ \t]+", b"", raw)
    decoded, words = _words(unfolded)
    texts = [raw, unfolded, glued, decoded, words, quopri.decodestring(raw)]
    texts += [urllib.parse.unquote_to_bytes(text) for text in texts if b"%" in text]
    texts += [re.sub(left_out, b"", text) for text in (unfolded, decoded) for left_out in (rb"\\", rb"[\s\"\\]+")]
    texts += _parameters(unfolded)
    texts += [_decode_base64(run) for text in {raw, unfolded, glued} for run in _BASE64.findall(text)]
    return list(dict.fromkeys(texts))


def find_pattern(data, pattern):
    """What of a regular expression (in lower case) somebody can read."""
    wanted = re.compile(pattern.encode())
    return sorted({found.decode() for text in readings(data) for found in wanted.findall(text.lower())})


def find_traces(data, needles):
    """Those of `needles` that somebody can read."""
    texts = [text.lower() for text in readings(data)]
    return sorted({needle for needle in needles if any(needle.lower().encode() in text for text in texts)})
