"""Colours of a brand: read, and checked so that everybody can read what is written in them (WCAG 2.2, 1.4.3)."""

import re
from collections.abc import Sequence

import msgspec

from backend.lib.problems import Problem
from backend.rendering.model import DARK, WHITE, Colours

# Success criterion 1.4.3: of text in its ordinary size.
CONTRAST = 4.5
NAMES = {
    "primary": "Main colour",
    "on_primary": "Text on the main colour",
    "background": "Background",
    "text": "Text",
    "link": "Links",
}
_HEX = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_STEPS = 100
_BLACK = "#000000"


class Pair(msgspec.Struct, frozen=True):
    """Text in one colour on another; ``field`` names the colour to change, and ``ratio`` is their contrast."""

    field: str
    front: str
    back: str
    said: str
    ratio: float
    sentence: str | None = None

    @property
    def passes(self) -> bool:
        """Tell whether it can be read."""
        return self.sentence is None


def read(field: str, written: str) -> str:
    """Read a colour such as ``#0b5f73`` or ``#abc``, and return it as ``#rrggbb``.

    Raises:
        Problem: ``invalid_value``.
    """
    found = _HEX.fullmatch(written.strip())
    if found is None:
        raise Problem("invalid_value", f"{NAMES[field]}: write a colour with six digits, such as #0b5f73.")
    digits = found[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(one * 2 for one in digits))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21, as WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def with_dark(colours: Colours) -> Colours:
    """Add what is shown in the dark: the links' colour, as light as it has to be."""
    return msgspec.structs.replace(colours, link_dark=_nearest(colours.link, (DARK,)) or WHITE)


def pairs(colours: Colours) -> list[Pair]:
    """Check every pair of colours in which text is written."""
    inks = (colours.text, colours.link)
    # One on which both can be read, once each can be read on white.
    lighter = _nearest(colours.background, [_nearest(ink, (WHITE,)) or _BLACK for ink in inks]) or WHITE
    over = _nearest(colours.on_primary, [colours.primary])
    found = [_checked(_pair("on_primary", "", colours.on_primary, colours.primary), over)]
    for field, ink in zip(("text", "link"), inks, strict=True):
        wanted = _nearest(ink, [WHITE, colours.background])
        found.append(_checked(_pair(field, " on white", ink, WHITE), wanted or _nearest(ink, [WHITE])))
        found.append(_checked(_pair(field, " on the background", ink, colours.background), wanted, lighter))
    return found


def _pair(field: str, where: str, front: str, back: str) -> Pair:
    return Pair(field, front, back, f"{NAMES[field]}{where}", contrast(front, back))


def _checked(pair: Pair, wanted: str | None, instead: str = "") -> Pair:
    """Say what is wrong; ``wanted`` would pass in place of the text, or, where nothing would, ``instead`` behind it."""
    if pair.ratio >= CONTRAST:
        return pair
    opening = f"{pair.said} ({pair.front} on {pair.back}) has a contrast of {_shown(pair.ratio)}"
    opening += f", and {CONTRAST}:1 is needed to read it."
    if wanted is not None:
        return msgspec.structs.replace(pair, sentence=f"{opening} {wanted} would pass.")
    sentence = f"{opening} With the background {instead} it would pass."
    return msgspec.structs.replace(pair, field="background", sentence=sentence)


def _shown(ratio: float) -> str:
    return f"{int(ratio * 10) / 10}:1"  # never rounded up to what would pass


def _nearest(colour: str, backs: Sequence[str]) -> str | None:
    """Return the colour that is nearest to this one and can be read on all of these; None if there is none."""
    for step in range(_STEPS + 1):
        for end in (_BLACK, WHITE):
            mixed = _mixed(colour, end, step / _STEPS)
            if all(contrast(mixed, back) >= CONTRAST for back in backs):
                return mixed
    return None


def _mixed(one: str, other: str, part: float) -> str:
    parts = (round(a + (b - a) * part) for a, b in zip(_octets(one), _octets(other), strict=True))
    return "#" + "".join(f"{value:02x}" for value in parts)


def _octets(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(value / 255) for value in _octets(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
