"""What a component learns from those around it."""

from collections.abc import Callable
from typing import NamedTuple

from backend.rendering.mjml.writer.elements import Element, attributes, declarations
from backend.rendering.mjml.writer.page import Page


class Context(NamedTuple):
    """Where a component stands; ``container`` is the width it has, such as ``600px``, the rest of its section."""

    page: Page
    container: str
    gap: str | None = None
    gutter: str | None = None
    direction: str | None = None
    in_group: bool = False


Writer = Callable[[Element, Context], str]
_CELL = declarations(
    "background<container-background-color font-size=0px padding padding-top padding-right padding-bottom "
    "padding-left word-break=break-word"
)
TABLE = ' border="0" cellpadding="0" cellspacing="0"'
PRESENTATION = f'{TABLE} role="presentation"'


def rows(parent: Element, context: Context, writers: dict[str, Writer], *, background: bool = False) -> str:
    """Write what stands in a column or a hero, each in a row of its own."""
    pieces = []
    for child in parent.children():
        html = writers[child.tag](child, context)
        if child.is_raw:
            pieces.append(html)
            continue
        shown = child.get("container-background-color") if background else None
        cell = attributes(align=child.get("align"), background=shown, class_=child.get("css-class"))
        pieces.append(f"<tr><td{cell}{child.style(_CELL)}>{html}</td></tr>\n")
    return "".join(pieces)


def raw(element: Element, _context: Context) -> str:
    """Write ``mj-raw``, and Jinja that stands between components."""
    return element.content
