"""The files of a mail: parts in base64 with their names (RFC 2183, RFC 2231) and identifiers (RFC 2392)."""

import re
from binascii import b2a_base64
from urllib.parse import quote

from backend.channels.attachments import Attachment

_LINE = 76  # octets of a line in base64, RFC 2045 section 6.8
_MOST_OCTETS = 55  # octets of a parameter's value, so that its line has at most 78
_PLAIN = re.compile(r"[ !#-\[\]-~]*")  # what needs no escape between quotation marks
_PIECES = re.compile(r"(?:%[0-9A-F]{2}|[^%]){1,18}")


def part(file: Attachment, *, related: bool) -> bytes:
    """Return the header and body of a file's part; ``related`` is one that the HTML beside it shows."""
    disposition = "inline" if related else "attachment"
    header = [
        f"Content-Type: {file.type}",
        f"Content-Disposition: {disposition}{_parameter('filename', file.name)}",
        "Content-Transfer-Encoding: base64",
    ]
    if related:
        header.append(f"Content-ID: <{file.name}>")
    return "\r\n".join([*header, "\r\n"]).encode("ascii") + _base64(file.content)


def multipart(kind: bytes, delivery_id: bytes, parts: list[bytes]) -> bytes:
    """Return the header and body of a part that holds others, of which none contains the delivery's id."""
    boundary = b"=_%s_%s" % (kind, delivery_id)
    opening = b'Content-Type: multipart/%s;\r\n boundary="%s"\r\n\r\n--%s\r\n' % (kind, boundary, boundary)
    return b"%s%s\r\n--%s--\r\n" % (opening, (b"\r\n--%s\r\n" % boundary).join(parts), boundary)


def _parameter(name: str, value: str) -> str:
    """Return a parameter on its own lines: quoted if it is short ASCII, else encoded and continued (RFC 2231)."""
    if len(value) <= _MOST_OCTETS and _PLAIN.fullmatch(value):
        return f';\r\n {name}="{value}"'
    pieces = _PIECES.findall(quote(value, safe=""))
    if len(pieces) == 1:
        return f";\r\n {name}*=utf-8''{pieces[0]}"
    first, *others = pieces
    continued = [f";\r\n {name}*{number}*={piece}" for number, piece in enumerate(others, start=1)]
    return "".join([f";\r\n {name}*0*=utf-8''{first}", *continued])


def _base64(content: bytes) -> bytes:
    whole = b2a_base64(content, newline=False)
    return b"\r\n".join([whole[at : at + _LINE] for at in range(0, len(whole), _LINE)])
