"""Text, buttons, pictures, dividers, spacers and tables."""

import re

from backend.rendering.mjml.writer.context import PRESENTATION, Context
from backend.rendering.mjml.writer.elements import Element, attributes, declarations, outlook
from backend.rendering.mjml.writer.numbers import integer, number, unit, written

_TEXT = declarations(
    "font-family font-size font-style font-weight letter-spacing line-height text-align<align text-decoration "
    "text-transform color height"
)
_BORDERS = "border border-bottom border-left border-radius border-right border-top"
_BUTTON_TABLE = declarations("border-collapse=separate width line-height=100%")
_BUTTON_CELL = declarations(
    f"{_BORDERS} cursor=auto font-style height mso-padding-alt<inner-padding text-align background<background-color"
)
_BUTTON = declarations(
    "display=inline-block width* background<background-color color font-family font-size font-style font-weight "
    "line-height letter-spacing margin=0 text-decoration text-transform padding<inner-padding mso-padding-alt=0px "
    "border-radius"
)
_IMAGE = declarations(
    "border border-left border-right border-top border-bottom border-radius display=block outline=none "
    "text-decoration=none height max-height min-width* width=100% max-width* font-size"
)
_IMAGE_TABLE = declarations("min-width* max-width* width* border-collapse=collapse border-spacing=0px")
_DIVIDER = declarations("border-top* font-size=1px margin* width*")
_SPACER = declarations("height line-height<height")
_TABLE = declarations("color font-family font-size line-height table-layout width border border-collapse*")


def text(element: Element, _context: Context) -> str:
    """Write ``mj-text``."""
    html = f"<div{element.style(_TEXT)}>{element.content}</div>"
    height = element.get("height")
    if not height:
        return html
    cell = f'<table{PRESENTATION}><tr><td height="{height}" style="vertical-align:top;height:{height};">'
    return f"{outlook(cell)}{html}{outlook('</td></tr></table>')}"


def button(element: Element, _context: Context) -> str:
    """Write ``mj-button``: a link, or a paragraph where it leads nowhere."""
    tag = "a" if element.true("href") else "p"
    ground = element.get("background-color")
    cell = attributes(
        align="center",
        bgcolor=None if ground == "none" else ground,
        role="presentation",
        valign=element.get("vertical-align"),
    )
    link = attributes(**element.some(("href", "name", "rel", "title")))
    target = attributes(target=element.get("target") if tag == "a" else None)
    style = element.style(_BUTTON, {"width": _button_width(element)})
    return (
        f"<table{PRESENTATION}{element.style(_BUTTON_TABLE)}><tbody><tr><td{cell}{element.style(_BUTTON_CELL)}>"
        f"<{tag}{link}{target}{style}>{element.content}</{tag}></td></tr></tbody></table>"
    )


def image(element: Element, context: Context) -> str:
    """Write ``mj-image``."""
    context.page.sheet("mj-image", _image_sheet)
    box = _box(element, context)
    width = min(box, integer(element.get("width"))) if element.true("width") else box
    height = element.get("height")
    whole = "100%" if element.get("full-width") == "full-width" else None
    picture = attributes(
        **element.some(("alt", "src", "srcset", "sizes", "title", "usemap")),
        width=width,
        height=(height if height == "auto" else integer(height)) if height else None,
    )
    html = f"<img{picture}{element.style(_IMAGE, {'min-width': whole, 'max-width': whole})} />"
    if element.true("href"):
        html = f"<a{attributes(**element.some(('href', 'target', 'rel', 'name', 'title')))}>{html}</a>"
    fluid = attributes(class_="mj-full-width-mobile" if element.true("fluid-on-mobile") else None)
    sized = {"min-width": whole, "max-width": whole, "width": whole and f"{width}px"}
    cell = "" if whole else f' style="width:{width}px;"'
    return (
        f"<table{PRESENTATION}{element.style(_IMAGE_TABLE, sized)}{fluid}><tbody><tr><td{cell}{fluid}>{html}"
        "</td></tr></tbody></table>"
    )


def divider(element: Element, context: Context) -> str:
    """Write ``mj-divider``, for Outlook as a table."""
    values = {
        "border-top": " ".join(element.get(f"border-{part}", "") for part in ("style", "width", "color")),
        "margin": {"left": "0px", "right": "0px 0px 0px auto"}.get(element.get("align", ""), "0px auto"),
        "width": element.get("width"),
    }
    wide = _outlook_width(element, context)
    tag = attributes(align=element.get("align"), width=wide)
    style = element.style(_DIVIDER, values | {"width": wide})
    cell = '<tr><td style="height:0;line-height:0;">&nbsp;</td></tr>'
    return f"<p{element.style(_DIVIDER, values)}></p>{outlook(f'<table{tag}{PRESENTATION}{style}>{cell}</table>')}"


def spacer(element: Element, _context: Context) -> str:
    """Write ``mj-spacer``."""
    return f"<div{element.style(_SPACER)}>&#8202;</div>"


def table(element: Element, _context: Context) -> str:
    """Write ``mj-table``, whose rows are the author's."""
    width = element.get("width", "")
    spacing = re.sub(r"[^\d.]", "", element.get("cellspacing", ""))
    collapse = "separate" if spacing and number(spacing) > 0 else None
    tag = attributes(
        **element.some(("cellpadding", "cellspacing", "role")),
        width=width if width == "auto" or unit(width) == "%" else integer(width),
        border="0",
    )
    return f"<table{tag}{element.style(_TABLE, {'border-collapse': collapse})}>{element.content}</table>"


def _box(element: Element, context: Context) -> int:
    return integer(context.container) - element.spaces("padding", "left", "right") - element.borders()


def _button_width(element: Element) -> str | None:
    width = element.get("width")
    if not width or unit(width) != "px":
        return None
    return f"{integer(width) - element.spaces('inner-padding', 'left', 'right') - element.borders()}px"


def _outlook_width(element: Element, context: Context) -> str:
    width = element.get("width", "")
    inside = integer(context.container) - element.spaces("padding", "left", "right")
    match unit(width):
        case "%":
            return f"{written(inside * (integer(width) / 100))}px"
        case "px":
            return width
        case _:
            return f"{inside}px"


def _image_sheet(below: str) -> str:
    return (
        f"@media only screen and (max-width:{below}) {{\n"
        "table.mj-full-width-mobile { width: 100% !important; }\n"
        "td.mj-full-width-mobile { width: auto !important; }\n}"
    )
