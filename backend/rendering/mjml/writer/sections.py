"""The body, its sections and wrappers."""

from lxml import etree

from backend.rendering.mjml.writer.background import declared, with_picture
from backend.rendering.mjml.writer.columns import column, group, outlook_cell
from backend.rendering.mjml.writer.context import PRESENTATION, Context, Writer, raw
from backend.rendering.mjml.writer.elements import BETWEEN, Element, attributes, declarations, outlook, suffixed
from backend.rendering.mjml.writer.hero import hero
from backend.rendering.mjml.writer.numbers import integer
from backend.rendering.mjml.writer.page import Page

_GROUND = "background* background-color* background-position* background-repeat* background-size*"
_WIDE = declarations(f"{_GROUND} width=100%")
_TABLE = declarations(f"{_GROUND} width=100% border-collapse*")
_DIV = declarations(f"{_GROUND} margin=0px_auto max-width* border-radius overflow* margin-top*")
_CELL = declarations(
    "border border-bottom border-left border-right border-top border-radius direction font-size=0px padding "
    "padding-bottom padding-left padding-right padding-top text-align"
)
_OUTLOOK_CELL = '<tr><td style="line-height:0px;font-size:0px;mso-line-height-rule:exactly;">'
_HIDDEN = (
    '<div style="display:none;font-size:1px;color:#ffffff;line-height:1px;max-height:0px;max-width:0px;opacity:0;'
    'overflow:hidden;">'
)


def document(root: etree._Element) -> str:
    """Write a whole document whose elements stand where MJML lets them."""
    page = Page(root)
    node = root.find("mj-body")
    if node is None:
        raise ValueError("there is no mj-body")
    body = Element(node, page.defaults)
    context = Context(page, body.get("width", ""))
    inside = "".join(_BODY[child.tag](child, context) for child in body.children())
    colour = f"background-color:{body.get('background-color')};" if "background-color" in body.attributes else ""
    style = f' style="word-spacing:normal;{colour}"'
    tag = attributes(id=body.get("id"), class_=body.get("css-class"))
    label = f' aria-label="{page.title}"' if page.title else ""
    preview = f"{_HIDDEN}{page.preview}</div>" if page.preview else ""
    return page.html(
        f'<body{tag}{style}>{preview}<div{label} aria-roledescription="email" role="article" lang="{page.lang}" '
        f'dir="{page.dir}"{style}>\n{inside}</div></body>'
    )


def section(element: Element, context: Context) -> str:
    """Write ``mj-section``."""
    inner = _inner(element, context)
    pieces = []
    for child in element.children():
        if child.is_raw:
            pieces.append(raw(child, inner))
            continue
        html = column(child, inner) if child.tag == "mj-column" else group(child, inner)
        cell = attributes(align=child.get("align"), class_=suffixed(child.get("css-class"), "outlook") or None)
        pieces.append(f"{outlook(f'<td{cell}{outlook_cell(child, inner)}>')}{html}{outlook('</td>')}")
    return _framed(element, context, f"{outlook('<tr>')}{''.join(pieces)}{outlook('</tr>')}")


def wrapper(element: Element, context: Context) -> str:
    """Write ``mj-wrapper``."""
    inner = _inner(element, context)
    pieces = []
    for child in element.children():
        html = _BODY[child.tag](child, inner)
        if child.is_raw:
            pieces.append(html)
            continue
        cell = attributes(
            align=child.get("align"),
            class_=suffixed(child.get("css-class"), "outlook") or None,
            width=context.container,
        )
        pieces.append(f"{outlook(f'<tr><td{cell}>')}{html}{outlook('</td></tr>')}")
    return _framed(element, context, "".join(pieces))


def _inner(element: Element, context: Context) -> Context:
    taken = element.spaces("padding", "left", "right") + element.borders()
    return context._replace(
        container=f"{integer(context.container) - taken}px",
        gap=element.get("gap"),
        gutter=element.get("gutter"),
        direction=element.get("direction"),
    )


def _framed(element: Element, context: Context, inside: str) -> str:
    """Write what stands around the columns of a section or the sections of a wrapper."""
    full_width, picture = element.get("full-width") == "full-width", "background-url" in element.attributes
    html = _div(element, context, inside, full_width=full_width)
    if not full_width:
        html = with_picture(element, context, html, full_width=False) if picture else html
        return f"{_outlook_table(element, context)}{html}{outlook('</td></tr></table>')}\n"
    html = f"{_outlook_table(element, context)}{html}{outlook('</td></tr></table>')}"
    html = with_picture(element, context, html, full_width=True) if picture else html
    tag = attributes(align="center", class_=element.get("css-class"), background=element.get("background-url"))
    style = element.style(_WIDE, declared(element))
    return f"<table{tag}{PRESENTATION}{style}><tbody><tr><td>{html}</td></tr></tbody></table>\n"


def _outlook_table(element: Element, context: Context) -> str:
    gap = f"padding-top:{context.gap};" if context.gap is not None and element.index else ""
    tag = attributes(
        align="center",
        class_=suffixed(element.get("css-class"), "outlook") or None,
        width=integer(context.container),
        bgcolor=None if context.gap else element.get("background-color") or None,
    )
    return outlook(f'<table{tag}{PRESENTATION} style="width:{context.container};{gap}">{_OUTLOOK_CELL}')


def _div(element: Element, context: Context, inside: str, *, full_width: bool) -> str:
    picture, ground = "background-url" in element.attributes, {} if full_width else declared(element)
    rounded = element.true("border-radius")
    div = element.style(
        _DIV,
        ground
        | {
            "max-width": context.container,
            "overflow": "hidden" if rounded else None,
            "margin-top": context.gap if element.index else None,
        },
    )
    table = element.style(_TABLE, ground | {"border-collapse": "separate" if rounded else None})
    background = attributes(background=None if full_width else element.get("background-url"))
    before, after = ('<div style="line-height:0;font-size:0;">', "</div>") if picture else ("", "")
    return (
        f"<div{attributes(class_=None if full_width else element.get('css-class'))}{div}>{before}"
        f'<table align="center"{background}{PRESENTATION}{table}><tbody><tr><td{element.style(_CELL)}>'
        f"{outlook(f'<table{PRESENTATION}>')}{inside}{outlook('</table>')}</td></tr></tbody></table>{after}</div>"
    )


_BODY: dict[str, Writer] = {
    "mj-section": section,
    "mj-wrapper": wrapper,
    "mj-hero": hero,
    "mj-raw": raw,
    BETWEEN: raw,
}
