"""DKIM signatures (RFC 6376, RFC 8463): receivers see that a mail comes from its sender's domain, and came unchanged.

``cryptography`` signs: with RSA in half a millisecond, where the libraries for DKIM, which do it in Python, take nine:
a signed mail would cost six to nine times as much (``python -m tests.benchmarks.devices own_dkim``). What is left to do
here is what RFC 6376 calls canonicalisation.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from backend.lib import dkim_keys
from backend.lib.dkim_keys import DkimKey
from backend.lib.mailboxes import mailbox

# Those that tell a reader or a program something (RFC 6376, section 5.4.1; RFC 8058, section 4, for unsubscribing).
_SIGNED = (
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-unsubscribe",
    "list-unsubscribe-post",
)
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)\r\n")
_BLANKS = re.compile(rb"[ \t]+")
_BLANKS_AT_END = re.compile(rb" (?=\r\n|\Z)")
_BASE64_LINE = 72


def signed(content: bytes, sender: str, keys: Sequence[DkimKey], now: datetime) -> bytes:
    """Return a mail with a signature by each key of its sender's domain, or of the nearest domain above that.

    ``content`` has CRLF line ends only, and is not yet dot-stuffed; ``sender`` is what its From field says. A mail of
    any other domain is returned as it is.
    """
    if not keys:
        return content
    domain = mailbox(sender)[1].rpartition("@")[2]
    chosen = dkim_keys.of_domain(keys, dkim_keys.in_ascii(domain))
    if not chosen:
        return content
    head, _, body = content.partition(b"\r\n\r\n")
    names, fields = _fields(head + b"\r\n")
    digest = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode()
    return b"".join([*(_signature(key, names, fields, digest, now) for key in chosen), content])


def _fields(head: bytes) -> tuple[str, bytes]:
    """Return the names of what is signed, and that in its relaxed form (section 3.4.2).

    From is named once more than it is there, so that none can be added (section 8.15).
    """
    found = [(match[1].lower().decode(), match[2]) for match in _FIELD.finditer(head)]
    # Of several of one name the last is the first to be signed (section 5.4.2).
    chosen = [one for name in _SIGNED for one in reversed(found) if one[0] == name]
    names = ":".join([name for name, _ in chosen] + ["from"])
    return names, b"".join(_relaxed(name, value) + b"\r\n" for name, value in chosen)


def _relaxed(name: str, value: bytes) -> bytes:
    return name.encode() + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _relaxed_body(body: bytes) -> bytes:
    """Return a body in its relaxed form (section 3.4.4): white space folded, empty lines at the end left out."""
    if b"  " in body or b"\t" in body or b" \r\n" in body or body.endswith(b" "):
        body = _BLANKS_AT_END.sub(b"", _BLANKS.sub(b" ", body))
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def _signature(key: DkimKey, names: str, fields: bytes, body_digest: str, now: datetime) -> bytes:
    value = (
        f" v=1; a={key.kind}-sha256; c=relaxed/relaxed; d={key.domain}; s={key.selector};\r\n"
        f" t={int(now.timestamp())}; bh={body_digest};\r\n"
        f" h={names};\r\n"
        " b="
    ).encode()
    digest = hashlib.sha256(fields + _relaxed("dkim-signature", value)).digest()
    if isinstance(key.secret, RSAPrivateKey):
        signature = key.secret.sign(digest, PKCS1v15(), Prehashed(SHA256()))
    else:
        signature = key.secret.sign(digest)  # over the digest, not the fields (RFC 8463, section 3)
    text = base64.b64encode(signature)
    lines = [text[at : at + _BASE64_LINE] for at in range(0, len(text), _BASE64_LINE)]
    return b"DKIM-Signature:" + value + b"\r\n  ".join(lines) + b"\r\n"
