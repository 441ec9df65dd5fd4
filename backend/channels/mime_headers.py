"""Header fields of a mail as bytes: unstructured text, mailboxes and identifiers (RFC 5322, RFC 2047)."""

import re
from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache

from backend.lib.mailboxes import mailbox

_LINE = 78  # octets of a header line, RFC 5322 section 2.1.1
_ENCODED_LINE = 76  # octets of a line that holds an encoded word, RFC 2047 section 2
_WORD_FRAME = len("=?utf-8?b??=")

# No line breaks and no NUL in any header; the rest of the control characters goes into encoded words.
_FORBIDDEN = re.compile(r"[\r\n\0]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_ATOM_PHRASE = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_MSG_ID = re.compile(r"[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}")


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
        if column + len(text) <= _LINE:
            return f"{name}: {text}".encode("ascii")
        folded = _fold(text, column)
        if folded is not None:
            return f"{name}: ".encode("ascii") + folded
    return f"{name}: ".encode("ascii") + encoded_words(text, column)


def _fold(text: str, column: int) -> bytes | None:
    """Break the text before spaces so that no line passes 78 octets; None if a word is too long for that."""
    pieces: list[str] = []
    for word in text.split(" "):
        if pieces and column + 1 + len(word) > _LINE:
            pieces.append("\r\n")
            column = 0
        if column + 1 + len(word) > _LINE:
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
    gap = b"\r\n " if last_line + len(start) + len(address) + 3 > _LINE else b" "
    return b"%s%s%s<%s>" % (start.encode("ascii"), phrase, gap, address.encode()), address


def _phrase(name: str, column: int) -> bytes:
    """Return a display name as atoms, a quoted string or encoded words, whichever can carry it."""
    if len(name) > _LINE - column or "=?" in name or not (name.isascii() and name.isprintable()):
        return encoded_words(name, column)
    if not name or _ATOM_PHRASE.fullmatch(name):
        return name.encode("ascii")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode("ascii")
