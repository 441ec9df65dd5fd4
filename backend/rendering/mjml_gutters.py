"""The gutter of a section, which MRML passes over: the space between its columns, beside or above each other."""

import re
from typing import NamedTuple

from backend.rendering.mjml_differences import Element, Marked, given, side

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(px|%)")
_BODY = 600.0
_BREAKPOINT = "480px"


class _Length(NamedTuple):
    number: float
    unit: str

    def within(self, container: float, unit: str) -> float:
        """Return the length in ``px`` or ``%`` of a container, whose width is in pixels."""
        if self.unit == unit:
            return self.number
        return self.number / container * 100 if unit == "%" else self.number * container / 100

    def __str__(self) -> str:
        return f"{self.number:.6f}".rstrip("0").rstrip(".") + self.unit


def gutters(root: Element, marked: Marked) -> None:
    """Make columns narrower by their share of the gutter and pad them with it, as the reference compiler does."""
    for section in root.iterfind("mj-body//mj-section"):
        gutter = _length(given(section, "gutter"))
        columns = list(section.iterchildren("mj-column"))
        if gutter is None or not columns or section.find("mj-group") is not None:
            continue
        container = _container(section)
        right_to_left = given(section, "direction") == "rtl"
        for index, column in enumerate(columns):
            _correct(column, _Place(index, len(columns), gutter, container, right_to_left), marked)


class _Place(NamedTuple):
    """Where a column stands in its section."""

    number: int
    columns: int
    gutter: _Length
    container: float
    right_to_left: bool

    def beside(self, unit: str) -> str:
        """Return the padding that keeps columns apart which stand beside each other."""
        gutter = self.gutter.within(self.container, unit)
        before, after = (gutter // 2, gutter - gutter // 2) if unit == "px" else (gutter / 2, gutter / 2)
        before, after = (0.0 if self.number == 0 else before), (0.0 if self.number == self.columns - 1 else after)
        return _padding(0, before, 0, after, unit) if self.right_to_left else _padding(0, after, 0, before, unit)

    def above(self) -> str:
        """Return the padding that keeps columns apart which stand above each other."""
        half = self.gutter.within(self.container, "%") / 2
        return _padding(0 if self.number == 0 else half, 0, 0 if self.number == self.columns - 1 else half, 0, "%")


def _correct(column: Element, place: _Place, marked: Marked) -> None:
    width = _length(given(column, "width")) or _Length(100 / place.columns, "%")
    reduction = place.gutter.within(place.container, width.unit) * (place.columns - 1) / place.columns
    reduced = max(0.0, width.number - reduction)
    if width.unit == "px":
        reduced = int(reduced) + (place.number < round(place.columns * (reduced - int(reduced))))
    column.set("width", str(_Length(reduced, width.unit)))
    rule = marked.rule(f"padding:{place.beside(width.unit)} !important;", _breakpoint(column))
    above, outlook = place.above(), place.beside("px")

    def padded(html: str) -> str:
        html = html.replace('class="', f'class="{rule} ', 1)
        return re.sub(r'(style="[^"]*)"', lambda style: f'{style[1]}padding:{above};"', html, count=1)

    def outlook_cell(tag: str) -> str:
        whole = width.within(place.container, "px")
        return re.sub(r"width:[\d.]+px;", f"width:{int(whole)}px;padding:{outlook};", tag)

    marked.add(column, padded, outlook_cell)


def _padding(top: float, right: float, bottom: float, left: float, unit: str) -> str:
    return " ".join(str(_Length(number, unit)) for number in (top, right, bottom, left))


def _length(value: str | None) -> _Length | None:
    found = _LENGTH.fullmatch((value or "").strip())
    return _Length(float(found[1]), found[2]) if found else None


def _container(section: Element) -> float:
    """Return the inner width of a section in pixels, as far as it is known before the fields are."""
    body = section.getroottree().find("mj-body")
    width = _length(given(body, "width")) if body is not None else None
    inside = width.number if width is not None and width.unit == "px" else _BODY
    for box in (section, *section.iterancestors("mj-wrapper")):
        inside -= sum(side(box, kind, edge) for kind in ("padding", "border") for edge in ("left", "right"))
    return max(inside, 1.0)


def _breakpoint(element: Element) -> str:
    found = element.getroottree().find("mj-head/mj-breakpoint")
    return (found.get("width") if found is not None else None) or _BREAKPOINT
