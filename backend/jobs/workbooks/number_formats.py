"""Numbers of a workbook as people see them in their cells: ``+447700900123``, ``00042``, ``12.50``, ``7%``.

The formats are those of ECMA-376, part 1, section 18.8.31: up to four sections for what is positive, negative, zero
and text. What cannot be read so, such as a fraction, is written out as a plain number.
"""

import math
import re
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

import msgspec

# Excel keeps 15 digits of a number and shows no more.
_DIGITS = 15
_LARGE = 1e20
_TOKEN = re.compile(r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]|(?P<other>.)', re.DOTALL)
_PLACEHOLDERS = "0#?"
_LITERAL = set("$+-():!^&'~{}<>= €£¥")


class _Section(msgspec.Struct, frozen=True):
    """One section: its parts in order, a digit's place or a text; where the decimals begin; how it counts."""

    before: list[str]
    whole: list[str]
    decimals: list[str]
    after: list[str]
    grouped: bool
    percent: int


def plain(value: int | float) -> str:
    """Write a number out, as a cell without a format shows it, and never with an exponent."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    number = Decimal(f"{value:.{_DIGITS}g}")
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value: int | float, form: str) -> str:
    """Write a number as a cell of this format shows it."""
    sections = _sections(form) if abs(value) < _LARGE else []
    if not sections:
        return plain(value)
    index = 1 if value < 0 and len(sections) > 1 else 2 if value == 0 and len(sections) > 2 else 0
    section = sections[index]
    if section is None:
        return plain(value)
    sign = "-" if value < 0 and index == 0 else ""
    return sign + _written(abs(Decimal(plain(value))), section)


@lru_cache(maxsize=256)
def _sections(form: str) -> list[_Section | None]:
    """Read a format; None stands for a section that is not understood."""
    if form in {"General", "@", ""}:
        return []
    return [_section(text) for text in re.findall(r'((?:"[^"]*"|\\.|\[[^\]]*\]|[^;"\\\[])+)(?:;|$)', form)]


def _section(text: str) -> _Section | None:
    parts: dict[str, list[str]] = {"before": [], "whole": [], "decimals": [], "after": []}
    where, grouped, percent = "before", False, 0
    for found in _TOKEN.finditer(text):
        if found["other"] == "/" or (found["bracket"] or "").startswith(("<", ">", "=")):
            return None  # a fraction, or a condition
        literal, other = _literal(found), found["other"] or ""
        if literal is not None:
            percent += other == "%"
            where = "after" if where == "decimals" and not _more_digits(text, found.end()) else where
            where = "after" if where == "whole" and not _more_digits(text, found.end()) else where
            parts[where].append(f"={literal}")
        elif other in _PLACEHOLDERS and other and where != "after":
            where = "whole" if where == "before" else where
            parts[where].append(other)
        elif other == "." and where in {"before", "whole"}:
            where = "decimals"
        elif other == "," and where == "whole" and _more_digits(text, found.end()):
            grouped = True
        elif other:
            return None
    if not any(not part.startswith("=") for part in parts["whole"] + parts["decimals"]):
        return None
    return _Section(**parts, grouped=grouped, percent=percent)


def _literal(found: re.Match[str]) -> str | None:
    """Return the text that a token stands for; empty for what is not shown, such as a colour; None for no text."""
    if found["quoted"] is not None:
        return found["quoted"]
    if found["escaped"] is not None:
        return found["escaped"]
    if found["bracket"] is not None:  # a colour, a condition, or a currency as [$€-407]
        return found["bracket"][1:].partition("-")[0] if found["bracket"].startswith("$") else ""
    other = found["other"]
    if other is None:
        return ""
    return other if other in _LITERAL or other == "%" else None


def _more_digits(text: str, begin: int) -> bool:
    return any(found["other"] is not None and found["other"] in _PLACEHOLDERS for found in _TOKEN.finditer(text, begin))


def _written(value: Decimal, section: _Section) -> str:
    scaled = value * (100**section.percent)
    places = sum(not part.startswith("=") for part in section.decimals)
    rounded = scaled.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    digits, _, rest = f"{rounded:f}".partition(".")
    before, after = _text(section.before), _text(section.after)
    decimals = _decimals(rest, section.decimals)
    return f"{before}{_whole(digits, section)}{decimals}{after}"


def _text(parts: list[str]) -> str:
    return "".join(part[1:] for part in parts)


def _decimals(digits: str, parts: list[str]) -> str:
    """Write the digits behind the point; those of ``#`` at the end are left out where they are zeros."""
    needed = max((index + 1 for index, part in enumerate(parts) if part == "0"), default=0)
    kept = digits.rstrip("0")
    shown_digits = digits[: max(needed, len(kept))]
    return f".{shown_digits}" if shown_digits else ""


def _whole(digits: str, section: _Section) -> str:
    """Put the digits into their places from the right; more digits than places stand before the first."""
    if not section.whole:
        return "" if digits == "0" else digits
    wanted = sum(part == "0" for part in section.whole)
    digits = ("" if digits == "0" else digits).rjust(wanted, "0")
    if section.grouped:
        return f"{int(digits or '0'):,}" if digits else ""
    places = [index for index, part in enumerate(section.whole) if not part.startswith("=")]
    left = list(digits)
    written: list[str] = []
    for index in reversed(range(len(section.whole))):
        part = section.whole[index]
        if part.startswith("="):
            written.append(part[1:] if left or index < places[0] else "")
        elif index == places[0]:
            written.append("".join(left))
            left = []
        elif left:
            written.append(left.pop())
    return "".join(reversed(written))
