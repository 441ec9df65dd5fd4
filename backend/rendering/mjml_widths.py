"""Finds widths that are no whole pixels, which MRML and the reference compiler round in different ways."""

from collections.abc import Iterator

from lxml import etree

from backend.rendering.mjml.defaults import DEFAULTS
from backend.rendering.mjml.numbers import border, integer, side

# Shares of a hundred that both compilers write with the same digits: halves, quarters, fifths, eighths, tenths.
_SHARES = frozenset({1, 2, 4, 5, 8, 10})


def uneven(plain: etree._Element) -> Iterator[str]:
    """Yield a sentence for each width in a plain tree that is no whole number of pixels, or below nought."""
    body = plain.find("mj-body")
    if body is not None:
        for element in body:
            yield from _within(element, integer(_given(body, "width")))


def _within(element: etree._Element, width: int) -> Iterator[str]:
    """Look through what stands in an element that has this width in pixels."""
    inside = width - _taken(element)
    columns = element.findall("mj-column")
    if inside < 0:
        yield f"<{element.tag}> has no width left"
    for column in columns:
        own = _width(column, inside, len(columns))
        if own is None:
            yield f"a column of {inside}px is no whole number of pixels wide"
        else:
            yield from _within(column, own)
    for child in element.iterchildren("mj-section", "mj-wrapper"):
        yield from _within(child, inside)
    for divider in element.iterchildren("mj-divider"):
        if _part(inside - _taken(divider, borders=False), _given(divider, "width")) is None:
            yield "a divider is no whole number of pixels wide"


def _width(column: etree._Element, inside: int, columns: int) -> int | None:
    if given := column.get("width"):
        return _part(inside, given)
    return inside // columns if columns in _SHARES and inside % columns == 0 else None


def _part(of: int, given: str) -> int | None:
    if not given.endswith("%"):
        return integer(given)
    pixels, rest = divmod(of * integer(given), 100)
    return None if rest else pixels


def _taken(element: etree._Element, *, borders: bool = True) -> int:
    """Add up the padding, and the borders, on the left and on the right."""
    shorthand = _given(element, "padding")
    total = 0
    for edge in ("left", "right"):
        single = element.get(f"padding-{edge}")
        total += integer(single) if single else side(shorthand, edge)
        if borders:
            total += border(element.get(f"border-{edge}") or _given(element, "border"))
    return total


def _given(element: etree._Element, name: str) -> str:
    return element.get(name) or DEFAULTS.get(str(element.tag), {}).get(name, "0")
