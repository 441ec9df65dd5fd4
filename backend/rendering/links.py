"""The links and images of a template, where they stand, and what is written in them."""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec
from jinja2 import TemplateSyntaxError

from backend.rendering.jinja.environments import ENVIRONMENTS
from backend.rendering.jinja.masking import unify_newlines
from backend.rendering.jinja.tokens import spans
from backend.rendering.model import Source

# What stands for the characters of an expression, and of a statement or a comment.
FIELD, STATEMENT = "\ue000", "\ue001"
# Every pattern here ends at the next tag, or after so many characters, so that no source takes long.
_TAG = re.compile(r"<([a-zA-Z][\w:-]*)((?:\s[^<>]*)?)>")
_ATTRIBUTE = re.compile(
    r"""(?<=\s)(href|src|background-url)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+))""", re.IGNORECASE
)
_SAID = re.compile(r"[^<]{1,300}")
_LINKS = frozenset({"a", "mj-button", "mj-navbar-link", "mj-social-element"})
_IMAGES = frozenset({"img", "mj-image", "mj-carousel-image", "mj-social-element"})
_MARKDOWN = re.compile(r"(!?)\[([^\[\]\n]{0,300})\]\(\s*<?([^\s)>]{0,2000})")
_BARE = re.compile(r"https?://[^\s<>\"')\]]{1,2000}", re.IGNORECASE)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link or image: its line from 1, and its address, in which ``FIELD`` stands for what fields say.

    ``expression`` is the Jinja expression that the address begins with, ``said`` what the link shows.
    """

    kind: Literal["link", "image"]
    line: int
    address: str
    expression: str | None = None
    said: str = ""


def links(source: Source) -> Iterator[Link]:
    """Yield the links and images of a template's own text, in their order."""
    text = unify_newlines(source.source)
    masked = _masked(source, text)
    if source.format in {"html", "mjml"}:
        yield from _in_tags(text, masked)
    elif source.format == "markdown":
        for found in _MARKDOWN.finditer(masked):
            yield _link(text, masked, found.span(3), "image" if found[1] else "link", found[2])
        yield from (_link(text, masked, one.span(), "link", "") for one in _BARE.finditer(_without_links(masked)))
    else:
        yield from (_link(text, masked, one.span(), "link", "") for one in _BARE.finditer(masked))


def _masked(source: Source, text: str) -> str:
    """Write marks in the place of Jinja's tokens, and leave the line breaks."""
    try:
        found = spans(ENVIRONMENTS[source.format], text)
    except TemplateSyntaxError:
        return text
    parts: list[str] = []
    position = 0
    for span in found:
        mark = FIELD if span.kind == "expression" else STATEMENT
        hidden = text[span.start : span.end]
        kept = hidden if span.kind in {"verbatim", "content"} else re.sub(r"[^\n]", mark, hidden)
        parts += [text[position : span.start], kept]
        position = span.end
    return "".join((*parts, text[position:]))


def _without_links(masked: str) -> str:
    return _MARKDOWN.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), masked)


def _in_tags(text: str, masked: str) -> Iterator[Link]:
    for tag in _TAG.finditer(masked):
        name = tag[1].lower()
        for attribute in _ATTRIBUTE.finditer(tag[2]):
            group = attribute.lastindex or 2
            start, end = (tag.start(2) + bounds for bounds in attribute.span(group))
            is_link = attribute[1].lower() == "href"
            if is_link and name not in _LINKS:
                continue
            said = _SAID.match(masked, tag.end()) if is_link else None
            yield _link(text, masked, (start, end), "link" if is_link else "image", said[0] if said else "")
        if (
            name in _IMAGES
            and name != "mj-social-element"
            and not _ATTRIBUTE.search(tag[2])
            and STATEMENT not in tag[2]
        ):
            yield Link(kind="image", line=text.count("\n", 0, tag.start()) + 1, address="")


def _link(text: str, masked: str, bounds: tuple[int, int], kind: Literal["link", "image"], said: str) -> Link:
    start, end = bounds
    written = masked[start:end].strip()
    expression = None
    if written.startswith(FIELD):
        first = text.index("{{", start)
        last = text.find("}}", first)
        expression = text[first + 2 : last].strip(" -+\n\t") if last > 0 else None
    return Link(
        kind=kind,
        line=text.count("\n", 0, start) + 1,
        address=re.sub(f"{FIELD}+", FIELD, written),
        expression=expression,
        said=" ".join(said.split()),
    )
