"""Heroes: sections with a picture behind what stands in them."""

from backend.rendering.mjml.writer.columns import CONTENTS
from backend.rendering.mjml.writer.context import PRESENTATION, TABLE, Context, rows
from backend.rendering.mjml.writer.elements import Element, attributes, declarations, outlook
from backend.rendering.mjml.writer.numbers import integer, number, rounded, written

_OUTLOOK_IMAGE = declarations(
    "border=0 height<background-height mso-position-horizontal=center position=absolute top=0 width* z-index=-3"
)
_INNER = (
    "padding<inner-padding padding-top<inner-padding-top padding-left<inner-padding-left "
    "padding-right<inner-padding-right padding-bottom<inner-padding-bottom"
)
_OUTLOOK_INSIDE = declarations(f"background-color<inner-background-color {_INNER}")
_INSIDE = declarations(f"background-color<inner-background-color float<align margin=0px_auto width {_INNER}")
_CELL = declarations(
    "background* background-position background-repeat=no-repeat border-radius padding padding-top padding-left "
    "padding-right padding-bottom vertical-align height*"
)


def hero(element: Element, context: Context) -> str:
    """Write ``mj-hero``."""
    inner = f"{written(number(context.container) - element.spaces('padding', 'left', 'right'))}px"
    inside = _content(element, context._replace(container=inner))
    image = element.style(_OUTLOOK_IMAGE, {"width": element.get("background-width") or context.container})
    before = (
        f'<table align="center"{PRESENTATION} style="width:{context.container};" '
        f'width="{integer(context.container)}"><tr>'
        '<td style="line-height:0;font-size:0;mso-line-height-rule:exactly;">'
        f'<v:image{image}{attributes(src=element.get("background-url"))} xmlns:v="urn:schemas-microsoft-com:vml" />'
    )
    tag = attributes(align=element.get("align"), class_=element.get("css-class"))
    return (
        f'{outlook(before)}<div{tag} style="margin:0 auto;max-width:{context.container};">'
        f'<table{PRESENTATION} style="width:100%;"><tbody><tr style="vertical-align:top;">{_row(element, inside)}'
        f"</tr></tbody></table></div>{outlook('</td></tr></table>')}\n"
    )


def _row(element: Element, inside: str) -> str:
    url = element.get("background-url")
    ground = [element.get("background-color")]
    if url:
        ground += [f"url('{url}')", "no-repeat", f"{element.get('background-position')} / cover"]
    values: dict[str, str | None] = {"background": " ".join(filter(None, ground))}
    if element.get("mode") == "fluid-height":
        beside = f'<td style="width:0.01%;padding-bottom:{_ratio(element)}%;mso-padding-bottom-alt:0;"></td>'
        return f"{beside}<td{attributes(background=url)}{element.style(_CELL, values)}>{inside}</td>{beside}"
    height = integer(element.get("height")) - element.spaces("padding", "top", "bottom")
    values["height"] = f"{height}px"
    return f"<td{attributes(background=url, height=height)}{element.style(_CELL, values)}>{inside}</td>"


def _ratio(element: Element) -> str:
    height, width = integer(element.get("background-height")), integer(element.get("background-width"))
    return str(rounded(height / width * 100)) if height and width else "NaN"


def _content(element: Element, context: Context) -> str:
    align = attributes(align=element.get("align"))
    before = (
        f'<table{align}{TABLE} style="width:{context.container};" width="{integer(context.container)}"><tr>'
        f"<td{element.style(_OUTLOOK_INSIDE)}>"
    )
    table = f'<table{PRESENTATION} style="width:100%;margin:0px;"><tbody>'
    return (
        f'{outlook(before)}<div{align} class="mj-hero-content"{element.style(_INSIDE)}>{table}<tr><td>{table}\n'
        f"{rows(element, context, CONTENTS, background=True)}"
        f"</tbody></table></td></tr></tbody></table></div>{outlook('</td></tr></table>')}"
    )
