"""Text messages as networks carry them: their alphabet (3GPP TS 23.038) and the parts they are cut into."""

import re
import unicodedata
from string import ascii_letters, digits
from typing import Literal

import msgspec

_BASIC = frozenset(ascii_letters + digits + "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà")
_EXTENDED = frozenset("^{}\\[~]|€\f")  # an escape and a septet each
_GSM = _BASIC | _EXTENDED
_SINGLE = {"GSM-7": 160, "UCS-2": 70}
_JOINED = {"GSM-7": 153, "UCS-2": 67}  # six octets of each part say how the parts belong together

_LOOKALIKES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | {"\u2026": "..."}
    | dict.fromkeys("\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f", " ")
    | dict.fromkeys("\u180e\u200b\u2060\ufeff\u00ad", "")
)
# Between letters of some scripts and in emoji these two have a meaning.
_JOINERS = str.maketrans(dict.fromkeys("\u200c\u200d", ""))
_LINE_END = re.compile(r"\r\n?|[\u2028\u2029\v]")
_UNSEEN = re.compile("[\x00-\x09\x0b\x0d-\x1f\x7f\ud800-\udfff]")

Encoding = Literal["GSM-7", "UCS-2"]


class Segments(msgspec.Struct, frozen=True):
    """How a text travels: its ``encoding``, the ``parts`` that are paid for, and its size.

    ``characters`` counts Unicode code points. ``units`` are septets (GSM-7) or UTF-16 code units (UCS-2);
    ``units_left`` is the room that is left in the last part.
    """

    encoding: Encoding
    parts: int
    characters: int
    units: int
    units_left: int


def normalise(text: str) -> str:
    """Return the text as it is sent: typographic quotes, dashes and spaces as plain ones, so that it stays short."""
    plain = _LINE_END.sub("\n", unicodedata.normalize("NFC", text)).translate(_LOOKALIKES)
    plain = _UNSEEN.sub("", plain).strip(" \n")
    joined = plain.translate(_JOINERS)
    return joined if _encoding(joined) == "GSM-7" else plain


def segments(text: str) -> Segments:
    """Count the parts of a text, which is first made what ``normalise`` makes of it; an empty text has none."""
    sent = normalise(text)
    encoding = _encoding(sent)
    widths = [_width(character, encoding) for character in sent]
    units = sum(widths)
    if units <= _SINGLE[encoding]:
        return Segments(encoding, 1 if sent else 0, len(sent), units, _SINGLE[encoding] - units)
    space_left = _JOINED[encoding]
    parts, filled = 1, 0
    for width in widths:
        # A pair that does not fit goes into the next part whole.
        if filled + width > space_left:
            parts, filled = parts + 1, 0
        filled += width
    return Segments(encoding, parts, len(sent), units, space_left - filled)


def _encoding(text: str) -> Encoding:
    return "GSM-7" if _GSM.issuperset(text) else "UCS-2"


def _width(character: str, encoding: Encoding) -> int:
    if encoding == "GSM-7":
        return 2 if character in _EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1
