"""A rendered message as what it says, without how HTML writes it: for chats, which have a markup of their own.

The HTML is a rendered template's (Markdown, HTML or MJML); tables that only lay a mail out are seen through.
"""

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote, urlsplit

import lxml.html
import msgspec
from lxml.etree import ParserError
from lxml.html import HtmlElement

_SPACE = re.compile(r"[ \t\r\n\f]+")
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_SKIPPED = frozenset({"head", "script", "style", "template", "title", "noscript", "svg", "object", "iframe", "select"})
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div"),
        *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("header", "hr", "html", "li", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody"),
        *("td", "tfoot", "th", "thead", "tr", "ul"),
    }
)
_STYLES = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em", "cite", "dfn", "var"), "italic"),
    **dict.fromkeys(("s", "strike", "del"), "strike"),
    **dict.fromkeys(("code", "kbd", "samp", "tt"), "code"),
}
_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_LONGEST_LINK = 1500
_DEEPEST = 100  # elements in elements; what is deeper counts as words alone
_SAFE_IN_URL = "!#$&'()*+,/:;=?@[]~%"


class Span(msgspec.Struct, frozen=True):
    """A run of text in one style; a line break is LF. ``link`` is an http, https, mailto or tel URL."""

    text: str
    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False
    link: str | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A paragraph of some kind; ``level`` is that of a heading (1 to 6) or the depth of a list item (from 0).

    ``marker`` is an item's own, such as ``•`` or ``2.``.
    """

    kind: Literal["heading", "paragraph", "item", "quote", "code", "rule"]
    spans: tuple[Span, ...] = ()
    level: int = 0
    marker: str = ""

    @property
    def text(self) -> str:
        """Return the words without their styles."""
        return "".join(span.text for span in self.spans)


class Table(msgspec.Struct, frozen=True):
    """A table of data: its rows of cells; ``headed`` says that the first row names the columns."""

    rows: tuple[tuple[tuple[Span, ...], ...], ...]
    headed: bool

    def plain(self) -> list[list[str]]:
        """Return the cells' words, each on one line."""
        return [[" ".join("".join(span.text for span in cell).split()) for cell in row] for row in self.rows]


Piece = Part | Table


def read(text: str, html: str | None) -> list[Piece]:
    """Return what a message says, from its HTML where it has one."""
    if html is None:
        return _of_text(text)
    try:
        root = lxml.html.document_fromstring(html)
    except (ParserError, ValueError):  # nothing in it
        return _of_text(text)
    reader = _Reader()
    reader.children(root, Span(""))
    reader.end()
    return reader.pieces


def runs(text: str, longest: int) -> Iterator[str]:
    """Part a text into runs of at most ``longest`` characters: at line ends or spaces, else anywhere between them."""
    while len(text) > longest:
        cut = max(text.rfind("\n", 1, longest), text.rfind(" ", 1, longest)) + 1 or longest
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text


def _of_text(text: str) -> list[Piece]:
    paragraphs = re.split(r"\n[ \t]*\n+", text.replace("\r\n", "\n").strip("\n"))
    return [Part(kind="paragraph", spans=(Span(one.rstrip()),)) for one in paragraphs if one.strip()]


class _Reader:
    """Walks a tree; text gathers in ``open`` until a block begins or ends."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.open: list[Span] = []
        self.kind: Literal["heading", "paragraph", "item", "quote"] = "paragraph"
        self.level = 0
        self.marker = ""
        self.depth = 0
        self.lists: list[int | None] = []  # of each list around: the last number, or None for bullets

    def children(self, element: HtmlElement, style: Span) -> None:
        """Read what is inside an element."""
        if self.depth >= _DEEPEST:
            self.words(element.text_content(), style)
            return
        self.depth += 1
        self.words(element.text, style)
        for child in element:
            if isinstance(child.tag, str):
                self.element(child, style)
            self.words(child.tail, style)
        self.depth -= 1

    def words(self, text: str | None, style: Span) -> None:
        """Take text; white space counts as one space, and as none at the start of a line."""
        if not text:
            return
        folded = _SPACE.sub(" ", text)
        if not self.open or self.open[-1].text.endswith((" ", "\n")):
            folded = folded.lstrip(" ")
        if folded:
            self.open.append(msgspec.structs.replace(style, text=folded))

    def element(self, element: HtmlElement, style: Span) -> None:
        """Read one element."""
        tag = element.tag
        if tag in _SKIPPED or _HIDDEN.search(element.get("style", "")):
            return
        if tag == "br":
            self.open.append(msgspec.structs.replace(style, text="\n"))
        elif tag == "img":
            self.words(element.get("alt"), style)
        elif tag in _BLOCKS:
            self.end()
            self.block(element, tag, style)
            self.end()
        else:
            self.children(element, _styled(style, element, tag))

    def block(self, element: HtmlElement, tag: str, style: Span) -> None:
        """Read an element that stands on lines of its own."""
        if tag == "hr":
            self.pieces.append(Part(kind="rule"))
        elif tag == "pre":
            self.pieces.append(Part(kind="code", spans=(Span(element.text_content().strip("\n")),)))
        elif tag == "table" and _is_data(element):
            self.pieces.append(_table(element))
        elif tag in {"ul", "ol"}:
            self.lists.append(_start(element) - 1 if tag == "ol" else None)
            self.children(element, style)
            self.end()
            self.lists.pop()
        else:
            self.inside(element, tag, style)

    def inside(self, element: HtmlElement, tag: str, style: Span) -> None:
        """Read a block whose paragraphs are of a kind of their own."""
        before = self.kind, self.level, self.marker
        if tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
            self.kind, self.level = "heading", int(tag[1])
        elif tag == "blockquote":
            self.kind = "quote"
        elif tag == "li" and self.lists:
            self.kind, self.level, self.marker = "item", len(self.lists) - 1, self.next_marker()
        self.children(element, _styled(style, element, tag))
        self.end()
        self.kind, self.level, self.marker = before

    def next_marker(self) -> str:
        """Return the marker of the next item of the innermost list."""
        number = self.lists[-1]
        if number is None:
            return "•"
        self.lists[-1] = number + 1
        return f"{number + 1}."

    def end(self) -> None:
        """Close the open paragraph, if it says anything."""
        spans, self.open = _tidied(self.open), []
        if spans:
            self.pieces.append(Part(kind=self.kind, spans=spans, level=self.level, marker=self.marker))
            if self.kind == "item":
                self.marker = ""  # what follows in the same item stands below its first line


def _styled(style: Span, element: HtmlElement, tag: str) -> Span:
    name = _STYLES.get(tag)
    if name is not None:
        return msgspec.structs.replace(style, **{name: True})
    if tag == "a" and (link := _link(element.get("href"))):
        return msgspec.structs.replace(style, link=link)
    return style


def _link(address: str | None) -> str | None:
    """Return a link that is safe to follow, percent-encoded; None for any other."""
    try:
        trimmed = (address or "").strip()
        usable = urlsplit(trimmed).scheme.lower() in _SCHEMES
    except ValueError:
        return None
    encoded = quote(trimmed, safe=_SAFE_IN_URL)
    return encoded if usable and len(encoded) <= _LONGEST_LINK else None


def _start(element: HtmlElement) -> int:
    given = element.get("start", "1")
    return int(given) if re.fullmatch(r"[0-9]{1,6}", given) else 1


def _tidied(spans: list[Span]) -> tuple[Span, ...]:
    """Join runs of one style, and let go of white space at the ends."""
    joined: list[Span] = []
    for span in spans:
        if joined and msgspec.structs.replace(joined[-1], text="") == msgspec.structs.replace(span, text=""):
            joined[-1] = msgspec.structs.replace(span, text=joined[-1].text + span.text)
        else:
            joined.append(span)
    while joined and not joined[-1].text.rstrip(" \n"):
        joined.pop()
    while joined and not joined[0].text.lstrip(" \n"):
        joined.pop(0)
    if joined:
        joined[0] = msgspec.structs.replace(joined[0], text=joined[0].text.lstrip(" \n"))
        joined[-1] = msgspec.structs.replace(joined[-1], text=joined[-1].text.rstrip(" \n"))
    return tuple(joined)


def _is_data(table: HtmlElement) -> bool:
    """Tell a table of data from one that lays a page out."""
    if table.get("role") == "presentation":
        return False
    inner = [one for one in table.iter("table", "ul", "ol", "h1", "h2", "h3", "pre") if one is not table]
    return not inner and any(len(row) > 1 for row in table.iter("tr"))


def _table(table: HtmlElement) -> Table:
    rows = [row for row in table.iter("tr") if not _HIDDEN.search(row.get("style", ""))]
    headed = bool(rows) and all(cell.tag == "th" for cell in rows[0] if isinstance(cell.tag, str))
    cells = tuple(tuple(_cell(cell) for cell in row.iter("td", "th")) for row in rows)
    return Table(tuple(row for row in cells if any(row)), headed)


def _cell(cell: HtmlElement) -> tuple[Span, ...]:
    reader = _Reader()
    reader.children(cell, Span("", bold=cell.tag == "th"))
    reader.end()
    return tuple(_joined(reader.pieces))


def _joined(pieces: list[Piece]) -> Iterator[Span]:
    for number, piece in enumerate(pieces):
        if isinstance(piece, Part):
            if number:
                yield Span("\n")
            yield from piece.spans
