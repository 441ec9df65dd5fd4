"""Pictures behind sections: as CSS, and as the VML that Outlook reads."""

import re

from backend.rendering.mjml.writer.context import Context
from backend.rendering.mjml.writer.elements import Element, attributes, outlook
from backend.rendering.mjml.writer.numbers import integer, written

_PERCENT = re.compile(r"(\d+)(?:\.\d+)?%")
_ACROSS = {"left": "0%", "center": "50%", "right": "100%"}
_DOWN = {"top": "0%", "center": "50%", "bottom": "100%"}


def declared(element: Element) -> dict[str, str | None]:
    """Return the declarations of the ground of a section or wrapper."""
    colour, url = element.get("background-color"), element.get("background-url")
    if not url:
        return {"background": colour, "background-color": colour}
    anchor, size, repeat = position(element), element.get("background-size"), element.get("background-repeat")
    parts = [colour, f"url('{url}')", " ".join(anchor), f"/ {size}", repeat]
    return {
        "background": " ".join(part for part in parts if part),
        "background-position": " ".join(anchor),
        "background-repeat": repeat,
        "background-size": size,
    }


def position(element: Element) -> tuple[str, str]:
    """Return where a picture stands, across and down."""
    found: tuple[str, str]
    match element.get("background-position", "").split(" "):
        case [("top" | "bottom") as down]:
            found = ("center", down)
        case [across]:
            found = (across, "center")
        case [("top" | "bottom") as down, across] | ["center" as down, ("left" | "right") as across]:
            found = (across, down)
        case [across, down]:
            found = (across, down)
        case _:
            found = ("center", "top")
    return element.get("background-position-x") or found[0], element.get("background-position-y") or found[1]


def with_picture(element: Element, context: Context, html: str, *, full_width: bool) -> str:
    """Put the picture behind a section for Outlook."""
    origins, positions, kind = _placed(element)
    width = "mso-width-percent:1000;" if full_width else f"width:{context.container};"
    fill = attributes(
        origin=", ".join(origins),
        position=", ".join(positions),
        src=element.get("background-url"),
        color=element.get("background-color"),
        type=kind,
        **_sized(element.get("background-size", "")),
    )
    before = (
        f'<v:rect style="{width}" xmlns:v="urn:schemas-microsoft-com:vml" fill="true" stroke="false"><v:fill{fill} />'
        '<v:textbox style="mso-fit-shape-to-text:true" inset="0,0,0,0">'
    )
    return f"{outlook(before)}{html}{outlook('</v:textbox></v:rect>')}"


def _placed(element: Element) -> tuple[list[str], list[str], str]:
    """Return the origins and the places, across and down, and the type of the fill."""
    if element.get("background-size") == "auto":  # Outlook cannot use the picture's own size with a frame
        return ["0.5", "0"], ["0.5", "0"], "tile"
    across, down = position(element)
    repeat = element.get("background-repeat")
    values = []
    for value, fallback in ((_ACROSS.get(across, across), "50%"), (_DOWN.get(down, down), "0%")):
        found = _PERCENT.fullmatch(value) or _PERCENT.fullmatch(fallback)
        share = integer(found[1] if found else "0") / 100
        values.append(written(share if repeat == "repeat" else (-50 + share * 100) / 100))
    return values, values, "frame" if repeat == "no-repeat" else "tile"


def _sized(size: str) -> dict[str, str]:
    if size in {"cover", "contain"}:
        return {"size": "1,1", "aspect": "atleast" if size == "cover" else "atmost"}
    if size == "auto":
        return {}
    parts = size.split(" ")
    return {"size": size, "aspect": "atmost"} if len(parts) == 1 else {"size": ",".join(parts)}
