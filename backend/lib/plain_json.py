"""JSON without anything unusual in it, which is read and written again by compiled code.

For speed alone: without it a notification that comes with a hundred others takes a tenth more of the processor to be
accepted (``python -m tests.benchmarks.devices plain_json``). Any other text is left to ``strict_json``.
"""

import re
from typing import Any, NoReturn

import msgspec

from backend.lib import strict_json

# Characters beyond the basic plane; integers of which some are beyond what every reader keeps.
_ASTRAL = re.compile(rb"[\xf0-\xff]")
_LONG = re.compile(rb"[0-9][0-9]{15}(?<![^\s:,\[-][0-9]{16})")
# A look for sixteen digits in a row that costs a hundredth of the expression, which is asked where there are any.
_ZEROS = bytes(ord("0") if chr(octet).isdecimal() and octet < 128 else octet for octet in range(256))
_SIXTEEN = b"0" * 16


class _NotPlain(Exception):
    """A number with a fraction or an exponent."""


def read(raw: bytes) -> tuple[Any, bool]:
    """Parse one JSON text, and tell whether it is plain: quickly, where it is.

    A plain text holds nothing that ``strict_json.faults`` looks for, and nothing whose canonical form (RFC 8785)
    differs from compact JSON with sorted names.

    Raises:
        Problem: as ``strict_json.parse`` does.
    """
    if _may_be_plain(raw):
        try:
            value = _plain_decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, _NotPlain):
            return strict_json.parse(raw), False
        # Of two equal names in one object the first would be lost, and its quotation marks with it.
        if msgspec.json.encode(value).count(b'"') == raw.count(b'"'):
            return value, True
    return strict_json.parse(raw), False


def _may_be_plain(raw: bytes) -> bool:
    return (
        b"\\u" not in raw
        and raw.count(b"{") + raw.count(b"[") <= strict_json.MAX_DEPTH
        and (_SIXTEEN not in raw.translate(_ZEROS) or _LONG.search(raw) is None)
        and (raw.isascii() or _ASTRAL.search(raw) is None)
    )


def _refuse_fraction(_text: str) -> NoReturn:
    raise _NotPlain


_plain_decoder = msgspec.json.Decoder(float_hook=_refuse_fraction)
