"""Columns, with the space between them, and groups of columns that stay beside each other."""

import math

from backend.rendering.mjml.writer.accordion import accordion
from backend.rendering.mjml.writer.carousel import carousel
from backend.rendering.mjml.writer.contents import button, divider, image, spacer, table, text
from backend.rendering.mjml.writer.context import PRESENTATION, Context, Writer, raw, rows
from backend.rendering.mjml.writer.elements import BETWEEN, Element, attributes, declarations, outlook
from backend.rendering.mjml.writer.numbers import integer, number, rounded, shortened, unit, written
from backend.rendering.mjml.writer.social import navbar, social

CONTENTS: dict[str, Writer] = {
    "mj-accordion": accordion,
    "mj-button": button,
    "mj-carousel": carousel,
    "mj-divider": divider,
    "mj-image": image,
    "mj-navbar": navbar,
    "mj-raw": raw,
    "mj-social": social,
    "mj-spacer": spacer,
    "mj-table": table,
    "mj-text": text,
    BETWEEN: raw,
}
_PADDINGS = ("padding", "padding-top", "padding-right", "padding-bottom", "padding-left")
_BORDERS = "border border-bottom border-left border-radius border-right border-top"
_COLUMN = declarations("font-size=0px text-align=left direction display=inline-block vertical-align width* padding*")
_BOX = f"background-color {_BORDERS} vertical-align border-collapse*"
_TABLE = declarations(_BOX)
_PADDED = declarations(f"{_BOX} {' '.join(_PADDINGS)}")
_INSIDE = declarations(
    " ".join(f"{name}<inner-{name}" for name in ("background-color", *_BORDERS.split())) + " border-collapse*"
)
_CELL = declarations("vertical-align width* padding*")
_CELL_IN_GROUP = declarations("align vertical-align width*")
_GROUP = declarations(
    "font-size=0 line-height=0 text-align=left display=inline-block width=100% direction vertical-align "
    "background-color"
)


def column(element: Element, context: Context) -> str:
    """Write ``mj-column``."""
    taken = element.spaces("padding", "left", "right") + element.borders() + element.borders("inner-border")
    inner = context._replace(container=f"{written(_share(element, context) - taken)}px")
    names = [_width_class(element, context)]
    values: dict[str, str | None] = {"width": _width_on_phones(element, context)}
    if context.gutter:
        gutter = Gutter(element, context)
        names.append(gutter.name)
        values["padding"] = gutter.desktop if context.in_group else gutter.phone
    names.append("mj-outlook-group-fix")
    if element.true("css-class"):
        names.append(element.attributes["css-class"])
    padded = any(name in element.attributes for name in _PADDINGS)
    inside = _table(element, inner, padded=padded)
    return f'<div class="{" ".join(names)}"{element.style(_COLUMN, values)}>{inside}</div>\n'


def outlook_width(element: Element, context: Context) -> str:
    """Return the width that a column or group has in Outlook."""
    width, of = _width(element)
    pixels = number(context.container) * width / 100 if of == "%" else width
    return f"{rounded(pixels) if element.tag == 'mj-column' else written(pixels)}px"


def outlook_cell(element: Element, context: Context) -> str:
    """Write the style of the cell that stands around a column or group in Outlook."""
    values: dict[str, str | None] = {"width": outlook_width(element, context)}
    if context.gutter and element.tag == "mj-column":
        values["padding"] = Gutter(element, context).outlook
    return element.style(_CELL, values)


def group(element: Element, context: Context) -> str:
    """Write ``mj-group``."""
    width, of = _width(element)
    name = f"mj-column-{'per' if of == '%' else 'px'}-{int(width)}"
    context.page.width_rule(name, width, of)
    name = f"{name} mj-outlook-group-fix {element.get('css-class') or ''}".rstrip()
    ground = element.get("background-color")
    before = f"<table{attributes(bgcolor=None if ground == 'none' else ground)}{PRESENTATION}><tr>"
    container = f"{written(_share(element, context) - element.spaces('padding', 'left', 'right'))}px"
    inner = context._replace(container=container, in_group=True, direction=element.get("direction"))
    pieces = []
    for child in element.children():
        if child.is_raw:
            pieces.append(raw(child, inner))
            continue
        cell = child.style(_CELL_IN_GROUP, {"width": outlook_width(child, inner)})
        pieces.append(f"{outlook(f'<td{cell}>')}{column(child, inner)}{outlook('</td>')}")
    inside = f"{outlook(before)}{''.join(pieces)}{outlook('</tr></table>')}"
    return f'<div class="{name}"{element.style(_GROUP)}>{inside}</div>\n'


class Gutter:
    """The space that a section keeps between its columns, as one column has its part in it."""

    def __init__(self, element: Element, context: Context) -> None:
        self._element, self._context = element, context
        self._width, self._unit = _width(element)

    @property
    def name(self) -> str:
        """The class that pads the column on wide screens."""
        size = self._size(self._unit)
        token = written(float(rounded(size)) if self._unit == "px" else shortened(size)).replace(".", "-")
        way = "-rtl" if self._context.direction == "rtl" else ""
        position = f"{self._element.siblings}-{self._element.index + 1}"
        return f"mj-column-gutter-{position}-{'per' if self._unit == '%' else self._unit}-{token}{way}"

    @property
    def width(self) -> float:
        """The width that is left to the column on wide screens."""
        siblings = self._element.siblings
        reduced = max(0.0, shortened(self._width - self._size(self._unit) * (siblings - 1) / siblings))
        if self._unit != "px":
            return reduced
        whole = math.floor(reduced)
        more = max(0, min(siblings, rounded(siblings * (reduced - whole))))
        return float(whole + (self._element.index < more))

    @property
    def desktop(self) -> str:
        """The padding on wide screens."""
        return self._beside(self._unit)

    @property
    def outlook(self) -> str:
        """The padding in Outlook."""
        return self._beside("px")

    @property
    def phone(self) -> str:
        """The padding where columns stand above each other."""
        half = self._size("%") / 2
        first, last = self._element.index == 0, self._element.is_last
        return _padding(0 if first else half, 0, 0 if last else half, 0, "%")

    def _beside(self, of: str) -> str:
        size: float = rounded(self._size(of)) if of == "px" else self._size(of)
        leading, trailing = (math.ceil(size / 2), math.floor(size / 2)) if of == "px" else (size / 2, size / 2)
        first, last = self._element.index == 0, self._element.is_last
        if self._context.direction == "rtl":
            return _padding(0, 0 if first else trailing, 0, 0 if last else leading, of)
        return _padding(0, 0 if last else leading, 0, 0 if first else trailing, of)

    def _size(self, of: str) -> float:
        gutter = self._context.gutter or "0"
        size, has = number(gutter) if unit(gutter) == "%" else float(integer(gutter)), unit(gutter)
        container = number(self._context.container)
        if of == "%" and has == "px":
            return size / container * 100 if container else 0.0
        return container * size / 100 if of == "px" and has == "%" else size


def _padding(top: float, right: float, bottom: float, left: float, of: str) -> str:
    sizes = [float(rounded(size)) if of == "px" else shortened(size) for size in (top, right, bottom, left)]
    return " ".join(f"{written(size)}{of}" for size in sizes)


def _width(element: Element) -> tuple[float, str]:
    """Return the width that a column or group is given, or its equal share, with its unit."""
    width = element.get("width") or f"{written(100 / element.columns)}%"
    of = unit(width)
    return number(width) if of == "%" else float(integer(width)), of


def _share(element: Element, context: Context) -> float:
    """Return the width of a column or group in pixels, of which its own padding and borders are a part."""
    parent, width = number(context.container), element.get("width")
    if not width:
        return float(int(parent / element.columns))
    return parent * number(width) / 100 if unit(width) == "%" else float(integer(width))


def _width_on_phones(element: Element, context: Context) -> str:
    if not context.in_group:
        return "100%"
    pixels = integer(context.container) or 1
    if context.gutter:
        _, of = _width(element)
        reduced = Gutter(element, context).width
        return f"{written(reduced if of == '%' else shortened(reduced / pixels * 100))}%"
    width = element.get("width")
    if width is None:
        return f"{100 // element.columns}%"
    return width if unit(width) == "%" else f"{written(shortened(integer(width) / pixels * 100))}%"


def _width_class(element: Element, context: Context) -> str:
    width, of = _width(element)
    if context.gutter:
        gutter = Gutter(element, context)
        width = gutter.width
    if of == "px":
        width = float(rounded(width))
    kind = "per" if of == "%" else "px"
    name = f"mj-column-{kind}-{written(width).replace('.', '-', 1)}"
    context.page.width_rule(name, width, of)
    if context.gutter and not context.in_group:
        context.page.padding_rule(gutter.name, gutter.desktop)
    return name


def _table(element: Element, inner: Context, *, padded: bool) -> str:
    outer_radius, inner_radius = element.true("border-radius"), element.true("inner-border-radius")
    collapse = {"border-collapse": "separate" if inner_radius or (outer_radius and not padded) else None}
    style = element.style(_INSIDE if padded else _TABLE, collapse)
    html = f'<table{PRESENTATION}{style} width="100%"><tbody>\n{rows(element, inner, CONTENTS)}</tbody></table>'
    if not padded:
        return html
    separate = ' style="border-collapse:separate;"' if outer_radius else ""
    cell = element.style(_PADDED, {"border-collapse": "separate" if outer_radius else None})
    return f'<table{PRESENTATION} width="100%"{separate}><tbody><tr><td{cell}>{html}</td></tr></tbody></table>'
