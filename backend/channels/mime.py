"""A message as an Internet mail (RFC 5322, RFC 2045), written as bytes.

The standard library's ``EmailMessage`` takes more than a millisecond for each mail: delivering would take more than
three times as much of the processor (``python -m tests.benchmarks.devices own_mime``). What is written here is always
7-bit clean, so it passes every server, with 8BITMIME or without.
"""

import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from backend.channels.base import Message
from backend.channels.mime_files import multipart
from backend.channels.mime_files import part as file_part
from backend.lib.mailboxes import addr_spec, mailbox

_FORM = re.compile(r"[0-9A-Za-z-]{1,60}", re.ASCII)
_HEADER_LINE = 78  # octets of a header line, RFC 5322 section 2.1.1
_ENCODED_LINE = 76  # octets of a line that holds an encoded word, RFC 2047 section 2
_WORD_FRAME = len("=?utf-8?b??=")
# No line breaks and no NUL in any header; the rest of the control characters goes into encoded words.
_FORBIDDEN = re.compile(r"[\r\n\0]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_ATOM_PHRASE = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_MSG_ID = re.compile(r"[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}")
_LINE = 998  # octets of a line without its CRLF, RFC 5322 section 2.1.1
_BASE64_LINE = 57  # octets that make a line of 76
_QUOTED_LINE = 76  # octets of a line in quoted-printable, RFC 2045 section 6.7
_SEVEN_BIT = bytes(range(32, 127)) + b"\t\r\n"
# Pieces of a line, to be followed by a soft line break; none ends within an escape, as in "=3" of "=3D".
_PIECES = re.compile(rb"(?s).{1,75}(?<!=)(?<!=.)")


# Our identifier of a delivery where it travels with a message: as we give it, and as it comes back.


def checked(delivery_id: str) -> str:
    """Return the identifier; raise ``ValueError`` if it could be anything but a UUID or the like."""
    if not _FORM.fullmatch(delivery_id):
        raise ValueError("the delivery id is not a UUID")
    return delivery_id


def returned(given: str | None) -> str | None:
    """Return what came back if it can be an identifier of ours."""
    return given if given and _FORM.fullmatch(given) else None


# Header fields of a mail as bytes: unstructured text, mailboxes and identifiers (RFC 5322, RFC 2047).


def encode_text(text: str) -> bytes:
    """Return UTF-8; lone surrogates, which are no characters, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def unstructured(name: str, text: str) -> bytes:
    """Return ``Name: text``, folded and without the last line end.

    Raises ``ValueError`` if the text contains CR, LF or NUL.
    """
    if _FORBIDDEN.search(text):
        raise ValueError(f"the {name.lower()} contains a line break or NUL")
    column = len(name) + 2
    if _PLAIN.fullmatch(text) and "=?" not in text:
        if column + len(text) <= _HEADER_LINE:
            return f"{name}: {text}".encode("ascii")
        folded = _fold(text, column)
        if folded is not None:
            return f"{name}: ".encode("ascii") + folded
    return f"{name}: ".encode("ascii") + encoded_words(text, column)


def _fold(text: str, column: int) -> bytes | None:
    """Break the text before spaces so that no line passes 78 octets; None if a word is too long for that."""
    pieces: list[str] = []
    for word in text.split(" "):
        if pieces and column + 1 + len(word) > _HEADER_LINE:
            pieces.append("\r\n")
            column = 0
        if column + 1 + len(word) > _HEADER_LINE:
            return None
        pieces.append(f" {word}" if pieces else word)
        column += len(word) + 1
    return "".join(pieces).encode("ascii")


def encoded_words(text: str, column: int) -> bytes:
    """Return the text as base64 encoded words, one a line, the first beginning at ``column``.

    No character is split between two words, as RFC 2047 section 5 demands.
    """
    data = encode_text(text)
    words = []
    start = 0
    while start < len(data):
        space_left = (_ENCODED_LINE - _WORD_FRAME - max(column, 1)) // 4 * 3
        end = min(start + space_left, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(b"=?utf-8?b?%s?=" % b2a_base64(data[start:end], newline=False))
        start, column = end, 1
    return b"\r\n ".join(words)


def message_identifier(message_id: str) -> bytes:
    """Return the Message-ID field. Raises ``ValueError`` if it is no msg-id (without angle brackets)."""
    if not _MSG_ID.fullmatch(message_id):
        raise ValueError("the message id is not of the form left@right")
    return f"Message-ID: <{message_id}>".encode("ascii")


def thread_fields(references: Sequence[str]) -> list[bytes]:
    """Return In-Reply-To and References (RFC 5322 section 3.6.4) for the msg-ids of earlier mails, oldest first.

    Raises ``ValueError`` for what is no msg-id (without angle brackets).
    """
    if not references:
        return []
    if not all(map(_MSG_ID.fullmatch, references)):
        raise ValueError("the id of an earlier mail is not of the form left@right")
    listed = "\r\n ".join(f"<{one}>" for one in references)
    return [f"In-Reply-To: <{references[-1]}>".encode("ascii"), f"References: {listed}".encode("ascii")]


@lru_cache(maxsize=256)
def sender_field(sender: str, field: str = "From") -> tuple[bytes, str]:
    """Return the From field (or another of one mailbox) and the bare address of ``a@b`` or ``Name <a@b>``.

    Kept in memory, because many messages come from few senders. Raises ``ValueError``.
    """
    name, address = mailbox(sender)
    start = f"{field}: "
    phrase = _phrase(name, len(start))
    if not phrase:
        return f"{start}{address}".encode(), address
    last_line = len(phrase) - phrase.rfind(b"\n")
    gap = b"\r\n " if last_line + len(start) + len(address) + 3 > _HEADER_LINE else b" "
    return b"%s%s%s<%s>" % (start.encode("ascii"), phrase, gap, address.encode()), address


def _phrase(name: str, column: int) -> bytes:
    """Return a display name as atoms, a quoted string or encoded words, whichever can carry it."""
    if len(name) > _HEADER_LINE - column or "=?" in name or not (name.isascii() and name.isprintable()):
        return encoded_words(name, column)
    if not name or _ATOM_PHRASE.fullmatch(name):
        return name.encode("ascii")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode("ascii")


def build(message: Message, now: datetime) -> bytes:
    """Return the whole mail with CRLF line ends, dated ``now`` (an aware time).

    Text and HTML become ``multipart/alternative``, the text first; text alone becomes ``text/plain``. With files it is
    ``multipart/mixed``, and HTML with the images that it shows as ``cid:NAME`` is ``multipart/related``. Lone
    surrogates become U+FFFD. Raises ``ValueError`` if the subject, an address or an identifier contains CR, LF
    or NUL or is otherwise unfit for a header.
    """
    header = [
        sender_field(message.sender)[0],
        f"To: {addr_spec(message.address)}".encode(),
        unstructured("Subject", message.subject or ""),
        _date_field(now.replace(microsecond=0)),
        message_identifier(message.message_id),
        *thread_fields(message.references),
        b"MIME-Version: 1.0",
        b"Auto-Submitted: auto-generated",
        b"X-Auto-Response-Suppress: OOF, AutoReply",
    ]
    if message.original_to:
        header.append(unstructured("X-Original-To", message.original_to))
    if message.reply_to:
        header.append(sender_field(message.reply_to, "Reply-To")[0])
    if message.attachments:
        return b"\r\n".join([*header, _with_files(message)])
    boundary = _boundary(message.delivery_id)
    text = _part(b"text/plain", message.text, boundary)
    if message.html is None:
        return b"\r\n".join([*header, text])
    html = _part(b"text/html", message.html, boundary)
    header.append(b'Content-Type: multipart/alternative;\r\n boundary="%s"' % boundary)
    return b"%s\r\n\r\n--%s\r\n%s\r\n--%s\r\n%s\r\n--%s--\r\n" % (
        b"\r\n".join(header),
        boundary,
        text,
        boundary,
        html,
        boundary,
    )


def _with_files(message: Message) -> bytes:
    """Return the part that holds all of a mail with files.

    Images that the HTML shows are beside it (RFC 2387), as an alternative to the text; all other files follow.
    """
    mark = checked(message.delivery_id).encode("ascii")
    shown = [file for file in message.attachments if file.inline and message.html is not None]
    body = _part(b"text/plain", message.text, mark)
    if message.html is not None:
        html = _part(b"text/html", message.html, mark)
        if shown:
            html = multipart(b"related", mark, [html, *(file_part(file, related=True) for file in shown)])
        body = multipart(b"alternative", mark, [body, html])
    others = [file_part(file, related=False) for file in message.attachments if file not in shown]
    return multipart(b"mixed", mark, [body, *others]) if others else body


@lru_cache(maxsize=4)
def _date_field(second: datetime) -> bytes:
    """Return the Date field, made once for all mails of a second."""
    return f"Date: {format_datetime(second)}".encode("ascii")


def _boundary(delivery_id: str) -> bytes:
    """Return a boundary that the same delivery always gets.

    It begins with ``=_``, which neither quoted-printable nor base64 can produce (RFC 2045 section 6.7).
    """
    return b"=_" + checked(delivery_id).encode("ascii")


def _part(content_type: bytes, text: str, boundary: bytes) -> bytes:
    """Return the header and body of one part, in the plainest encoding that can carry the text."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    data = encode_text(text).replace(b"\n", b"\r\n")
    plain = not data.translate(None, _SEVEN_BIT)
    if plain and _has_short_lines(data) and boundary not in data:
        return b"Content-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n%s" % (
            content_type,
            data,
        )
    encoding, body = (b"quoted-printable", _folded(data)) if plain else _encoded(data)
    return b"Content-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (
        content_type,
        encoding,
        body,
    )


def _has_short_lines(data: bytes) -> bool:
    # From line end to line end in steps as long as a line may be, which looks at few of the octets.
    start = 0
    while len(data) - start > _LINE:
        end = data.rfind(b"\r\n", start, start + _LINE + 2)
        if end < 0:
            return False
        start = end + 2
    return True


def _folded(data: bytes) -> bytes:
    """Return plain octets, of which only the lines are too long, in quoted-printable.

    ``binascii``, which looks at each octet, takes several times as long.
    """
    lines = data.replace(b"=", b"=3D").split(b"\r\n")
    return b"\r\n".join([_shortened(_kept_to_its_end(line)) for line in lines])


def _kept_to_its_end(line: bytes) -> bytes:
    """Escape white space at the end of a line, where it may be lost on the way."""
    return b"%s=%02X" % (line[:-1], line[-1]) if line.endswith((b" ", b"\t")) else line


def _shortened(line: bytes) -> bytes:
    return line if len(line) <= _QUOTED_LINE else b"=\r\n".join(_PIECES.findall(line))


def _encoded(data: bytes) -> tuple[bytes, bytes]:
    """Return quoted-printable, or base64 where that is clearly shorter (most scripts other than Latin)."""
    quoted = b2a_qp(data, istext=True)
    if len(quoted) * 5 > len(data) * 8:
        lines = (data[at : at + _BASE64_LINE] for at in range(0, len(data), _BASE64_LINE))
        return b"base64", b"\r\n".join(b2a_base64(line, newline=False) for line in lines)
    # binascii ends its soft line breaks as the first line of the data ends, or with a bare LF if there is one.
    return b"quoted-printable", quoted.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
