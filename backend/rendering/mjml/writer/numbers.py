"""Lengths as the reference compiler reads and writes them, which it does by the rules of JavaScript.

What begins with no number counts as nought, also where Jinja stands.
"""

import math
import re
from functools import lru_cache

_INTEGER = re.compile(r"\s*([+-]?\d+)")
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+))")
_UNIT = re.compile(r"[\d.,]*(\D*)$")
_BORDER = re.compile(r"(?:^| )(\d+)")
_SIDES = {
    2: {"top": 0, "bottom": 0, "left": 1, "right": 1},
    3: {"top": 0, "left": 1, "right": 1, "bottom": 2},
    4: {"top": 0, "right": 1, "bottom": 2, "left": 3},
}


@lru_cache(maxsize=1024)
def integer(value: str | None) -> int:
    """Read the whole number that a length begins with: 12 of ``12.5px``."""
    found = _INTEGER.match(value) if value else None
    return int(found[1]) if found else 0


def number(value: str) -> float:
    """Read the number that a length begins with: 12.5 of ``12.5px``."""
    found = _NUMBER.match(value)
    return float(found[1]) if found else 0.0


@lru_cache(maxsize=1024)
def unit(value: str) -> str:
    """Return the unit of a length, ``px`` where it has none."""
    found = _UNIT.search(value)
    return (found[1] if found else "") or "px"


def written(value: float) -> str:
    """Write a number with no more digits than it needs."""
    return repr(value).removesuffix(".0")


@lru_cache(maxsize=1024)
def side(shorthand: str, edge: str) -> int:
    """Return the padding of one side of a shorthand such as ``10px 25px``."""
    parts = shorthand.split()[:4]
    return integer(parts[_SIDES[len(parts)][edge]]) if len(parts) > 1 else integer(shorthand)


@lru_cache(maxsize=1024)
def border(value: str) -> int:
    """Return the width of a border such as ``3px solid red``."""
    found = _BORDER.search(value)
    return int(found[1]) if found else 0


def rounded(value: float) -> int:
    """Round to the nearest whole number, halves upwards."""
    return math.floor(value + 0.5)


def shortened(value: float) -> float:
    """Round to six digits behind the point."""
    return float(f"{value:.6f}")
