"""Accordions: titles that open and close what stands below them."""

from backend.rendering.mjml.writer.context import Context
from backend.rendering.mjml.writer.elements import Element, attributes, declarations

_HANDED_DOWN = (
    "border", "icon-align", "icon-width", "icon-height", "icon-position", "icon-wrapped-url", "icon-wrapped-alt",
    "icon-unwrapped-url", "icon-unwrapped-alt",
)  # fmt: skip
_SPACES = "padding padding-bottom padding-left padding-right padding-top"
_TABLE = declarations("width=100% border-collapse=collapse border border-bottom=none font-family")
_ELEMENT = declarations("padding=0px background-color")
_LABEL = declarations("font-size=13px font-family")
_TITLE = declarations(f"width=100% background-color color font-size font-family* font-weight {_SPACES}")
_ICONS = declarations("padding=16px background<background-color vertical-align<icon-align")
_ICON = declarations("display=none width<icon-width height<icon-height")
_TEXT = declarations(
    "background<background-color font-size font-family* font-weight letter-spacing line-height color " + _SPACES
)
_PART = declarations("width=100% border-bottom<border")
_BARE = ' cellspacing="0" cellpadding="0"'


def accordion(element: Element, context: Context) -> str:
    """Write ``mj-accordion``."""
    context.page.sheet("mj-accordion", _sheet)
    family = element.get("font-family")
    rows = "".join(_element(one, family) for one in element.children(element.some(_HANDED_DOWN)))
    return f'<table{_BARE} class="mj-accordion"{element.style(_TABLE)}><tbody>{rows}</tbody></table>'


def _element(element: Element, family: str | None) -> str:
    if element.is_raw:
        return element.content
    family = element.get("font-family") or family
    given = element.some(_HANDED_DOWN)
    parts = element.children(given)
    there = {part.tag for part in parts}
    html = "".join(part.content if part.is_raw else _PARTS[part.tag](part, family) for part in parts)
    if "mj-accordion-title" not in there:
        html = _title(element.bare("mj-accordion-title", given), family) + html
    if "mj-accordion-text" not in there:
        html += _text(element.bare("mj-accordion-text", given), family)
    return (
        f"<tr{attributes(class_=element.get('css-class'))}><td{element.style(_ELEMENT)}>"
        f'<label class="mj-accordion-element"{element.style(_LABEL)}><!--[if !mso | IE]><!-->'
        '<input class="mj-accordion-checkbox" type="checkbox" style="display:none;" /><!--<![endif]-->'
        f"<div>{html}</div></label></td></tr>"
    )


def _title(element: Element, family: str | None) -> str:
    style = element.style(_TITLE, {"font-family": element.own.get("font-family", family)})
    cells = [f"<td{attributes(class_=element.get('css-class'))}{style}>{element.content}</td>", _icons(element)]
    if element.get("icon-position") != "right":
        cells.reverse()
    return _part("mj-accordion-title", element, "".join(cells))


def _text(element: Element, family: str | None) -> str:
    style = element.style(_TEXT, {"font-family": element.own.get("font-family", family)})
    cell = f"<td{attributes(class_=element.get('css-class'))}{style}>{element.content}</td>"
    return _part("mj-accordion-content", element, cell)


_PARTS = {"mj-accordion-title": _title, "mj-accordion-text": _text}


def _part(name: str, element: Element, cells: str) -> str:
    table = f"<table{_BARE}{element.style(_PART)}><tbody><tr>{cells}</tr></tbody></table>"
    return f'<div class="{name}">{table}</div>'


def _icons(element: Element) -> str:
    images = [
        f"<img{attributes(src=element.get(f'icon-{state}-url'), alt=element.get(f'icon-{state}-alt'), class_=name)}"
        f"{element.style(_ICON)} />"
        for state, name in (("wrapped", "mj-accordion-more"), ("unwrapped", "mj-accordion-less"))
    ]
    cell = f'<td class="mj-accordion-ico"{element.style(_ICONS)}>{"".join(images)}</td>'
    return f"<!--[if !mso | IE]><!-->{cell}<!--<![endif]-->"


def _sheet(_below: str) -> str:
    return """noinput.mj-accordion-checkbox { display:block!important; }
@media yahoo, only screen and (min-width:0) {
.mj-accordion-element { display:block; }
.mj-accordion-checkbox[type="checkbox"], .mj-accordion-less { display:none!important; }
.mj-accordion-checkbox[type="checkbox"] + * .mj-accordion-title { cursor:pointer; touch-action:manipulation;
-webkit-user-select:none; -moz-user-select:none; user-select:none; }
.mj-accordion-checkbox[type="checkbox"] + * .mj-accordion-content { overflow:hidden; display:none; }
.mj-accordion-checkbox[type="checkbox"] + * .mj-accordion-more { display:block!important; }
.mj-accordion-checkbox:checked + * .mj-accordion-content { display:block; }
.mj-accordion-checkbox:checked + * .mj-accordion-more { display:none!important; }
.mj-accordion-checkbox:checked + * .mj-accordion-less { display:block!important; }
}
.moz-text-html input.mj-accordion-checkbox + * .mj-accordion-title { cursor: auto; touch-action: auto;
-webkit-user-select: auto; -moz-user-select: auto; user-select: auto; }
.moz-text-html input.mj-accordion-checkbox + * .mj-accordion-content { overflow: hidden; display: block; }
.moz-text-html input.mj-accordion-checkbox + * .mj-accordion-ico { display: none; }
@goodbye { @gmail }"""
