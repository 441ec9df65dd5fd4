"""Forms with files (RFC 7578), as bytes."""

import re
from collections.abc import Iterable, Sequence
from secrets import token_hex

from backend.channels.attachments import Attachment

# As browsers write names (HTML, "multipart/form-data encoding algorithm").
_ESCAPES = {'"': "%22", "\r": "%0D", "\n": "%0A"}
_ESCAPED = re.compile('["\r\n]')


def encode(members: dict[str, object], files: Sequence[tuple[str, Attachment]]) -> tuple[bytes, str]:
    """Return a form's body and its content type; a list is a member ``name[]`` for each of its values."""
    boundary = f"carillon-{token_hex(16)}"
    parts = [_part(f'name="{_escaped(name)}"', "", text.encode()) for name, text in _texts(members)]
    for name, file in files:
        disposition = f'name="{_escaped(name)}"; filename="{_escaped(file.name)}"'
        parts.append(_part(disposition, f"Content-Type: {file.type}\r\n", file.content))
    opening = f"--{boundary}\r\n".encode()
    body = b"".join(opening + part for part in parts) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def _texts(members: dict[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in members.items():
        if isinstance(value, list):
            yield from ((f"{name}[]", str(one)) for one in value)
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _part(disposition: str, fields: str, content: bytes) -> bytes:
    header = f"Content-Disposition: form-data; {disposition}\r\n{fields}\r\n"
    return header.encode() + content + b"\r\n"


def _escaped(name: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], name)
