"""The links to files in a message: where its template puts them, and else listed at its end."""

import re
from collections.abc import Sequence
from html import escape

import msgspec

from backend.delivery.content.file_links import Link
from backend.rendering.model import Rendered

_END = re.compile(r"</body\s*>", re.IGNORECASE)
_UNITS = ((1024 * 1024, "MiB"), (1024, "KiB"))


def listed(rendered: Rendered, links: Sequence[Link]) -> Rendered:
    """Return a message in which every file can be reached: those that it does not link to are listed at its end.

    The HTML and the text are looked at each by itself. A file that several notifications of a batch have is linked to
    once.
    """
    if not links:
        return rendered
    return msgspec.structs.replace(
        rendered,
        html=_in_html(rendered.html, links) if rendered.html is not None else None,
        fragment=_in_html(rendered.fragment, links) if rendered.fragment else rendered.fragment,
        text=_at_end(rendered.text, links),
    )


def size(octets: int) -> str:
    """Write a size for people: ``1.5 MiB``."""
    for unit, word in _UNITS:
        if octets >= unit:
            return f"{octets / unit:.1f} {word}"
    return f"{octets} B"


def _missing(text: str, links: Sequence[Link]) -> list[Link]:
    placed = {(one.name, one.sha256) for one in links if one.address in text}
    wanted: dict[tuple[str, str], Link] = {}
    for one in links:
        if (one.name, one.sha256) not in placed:
            wanted.setdefault((one.name, one.sha256), one)
    return list(wanted.values())


def _in_html(html: str, links: Sequence[Link]) -> str:
    missing = _missing(html, links)
    if not missing:
        return html
    lines = "".join(
        f'<p style="margin:8px 0"><a href="{escape(one.address)}">{escape(one.name)}</a> ({size(one.size)})</p>'
        for one in missing
    )
    block = f'<div style="margin:16px;font-family:sans-serif;font-size:16px;line-height:24px">{lines}</div>'
    ends = list(_END.finditer(html))
    at = ends[-1].start() if ends else len(html)
    return f"{html[:at]}{block}{html[at:]}"


def _at_end(text: str, links: Sequence[Link]) -> str:
    missing = _missing(text, links)
    if not missing:
        return text
    lines = "\n\n".join(f"{one.name} ({size(one.size)}):\n{one.address}" for one in missing)
    return f"{text.rstrip()}\n\n{lines}\n"
