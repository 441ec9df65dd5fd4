"""Links in a preview: they open on purpose. A click shows in a new tab where a link leads, and offers to go there.

No script runs in the frame, which has an origin of its own, so each link is made to lead to a page of ours instead.
"""

import html
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
from litestar.exceptions import NotFoundException
from litestar.response import Template

from backend.portal.access import Workspace
from backend.portal.pages import page

_INSIDE = r"""(?:[^<>"']|"[^"]*"|'[^']*')*+"""
_TAG = re.compile(rf"<(?P<name>a|area)(?=\s)(?P<inside>{_INSIDE})>", re.IGNORECASE)
_VALUE = r"""\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+)"""
_HREF = re.compile(r"""(?<=\s)href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_WHERE = re.compile(rf"\s(?:target|rel|ping|download){_VALUE}", re.IGNORECASE)
_SCHEMES = frozenset({"http", "https", "mailto", "tel"})


class Link(msgspec.Struct, frozen=True):
    """Where a link leads: ``host`` for web addresses; ``opens`` is false for what no mail program can follow."""

    address: str
    host: str | None
    opens: bool


def on_purpose(text: str, base: str, query: str = "") -> str:
    """Let the links of a message lead to ``base/NUMBER`` in a new tab; all else stays as it is."""
    pieces: list[str] = []
    position = 0
    for number, (tag, href) in enumerate(_links(text), 1):
        begin = tag.start("inside")
        inside = tag["inside"]
        rest = _WHERE.sub("", f"{inside[: href.start()]}{inside[href.end() :]}")
        pieces += [text[position:begin], f' href="{base}/{number}{query}" target="_blank" rel="noopener"', rest]
        position = tag.end("inside")
    return "".join((*pieces, text[position:]))


def _links(text: str) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """Yield the tag and the address of each link that leads out of the message."""
    for tag in _TAG.finditer(text):
        href = _HREF.search(tag["inside"])
        if href is not None and not _address(href).startswith("#"):
            yield tag, href


def _address(href: re.Match[str]) -> str:
    return html.unescape(href[1] or href[2] or href[3] or "").strip()


def shown(workspace: Workspace, text: str | None, number: int, identifier: str) -> Template:
    """Show where a link of a message leads; ``number`` counts from 1.

    Raises:
        NotFoundException: if there is no such message any more, or no such link in it.
    """
    found = [_address(href) for _, href in _links(text or "")]
    if not 0 < number <= len(found):
        raise NotFoundException
    link = read(found[number - 1])
    return page(
        "templates/link.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        link=link,
        identifier=identifier,
    )


def read(address: str) -> Link:
    """Take an address apart."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return Link(address, None, opens=False)
    web = parts.scheme in {"http", "https"}
    return Link(address, host if web else None, opens=parts.scheme in _SCHEMES and (bool(host) or not web))
