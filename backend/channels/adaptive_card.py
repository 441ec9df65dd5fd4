"""A message as an Adaptive Card, as the Workflows webhooks of Microsoft Teams take it.

Version 1.5 is the first whose text blocks can be headings.
https://adaptivecards.io/explorer/AdaptiveCard.html; a text block knows bold, italics, lists and links of Markdown.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from backend.channels import rich_text
from backend.channels.rich_text import Part, Piece, Span, Table, runs

MAX_BYTES = 20 * 1024  # of the whole body; Teams drops what is over 28 KB without a word, and 20 was seen to work
_RUN = 1500  # characters of text that are never cut apart
_SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
_TYPE = "application/vnd.microsoft.card.adaptive"
# What would begin a style or a link although the author did not mean it.
_MARK = re.compile(r"(?<!\w)[*_](?=\S)(?=[^\n]*\S[*_](?!\w))|\[(?=[^\]\n]*\]\()|\\(?=[*_\[\]\\])")
_LINE_START = re.compile(r"^(\s*\d{1,9})([.)])(?=\s)|^(\s*)([-+*])(?=\s)", re.MULTILINE)

Element = dict[str, Any]


class _Card(msgspec.Struct, rename={"schema": "$schema"}):
    body: list[Element]
    actions: list[Element] | msgspec.UnsetType = msgspec.UNSET
    schema: str = _SCHEMA
    type: str = "AdaptiveCard"
    version: str = "1.5"
    msteams: dict[str, str] = msgspec.field(default_factory=lambda: {"width": "Full"})


class _Attachment(msgspec.Struct, rename="camel"):
    content: _Card
    content_type: str = _TYPE
    content_url: None = None


class _Envelope(msgspec.Struct):
    attachments: list[_Attachment]
    type: str = "message"


def open_url(words: str, url: str) -> Element:
    """Return a button that opens an address (https://adaptivecards.io/explorer/Action.OpenUrl.html)."""
    return {"type": "Action.OpenUrl", "title": words, "url": url}


def body(subject: str | None, text: str, html: str | None = None, buttons: Sequence[Element] = ()) -> bytes:
    """Return the request body with the card of a message, shortened with a sentence where it is too large."""
    elements = list(cards_elements(subject, text, html))
    space_left = MAX_BYTES - len(_encoded([_shortened(len(elements), len(elements))], buttons))
    kept: list[Element] = []
    for element in elements:
        space_left -= len(msgspec.json.encode(element)) + 1
        if space_left < 0:
            return _encoded([*kept, _shortened(len(elements) - len(kept), len(elements))], buttons)
        kept.append(element)
    return _encoded(kept, buttons)


def cards_elements(subject: str | None, text: str, html: str | None = None) -> Iterator[Element]:
    """Yield the elements of a message's card: the subject as its heading, then what it says."""
    pieces = rich_text.read(text, html)
    subject = " ".join((subject or "").split())
    if subject and not (pieces and isinstance(pieces[0], Part) and pieces[0].text == subject):
        yield _heading(subject, 1)
    line_above = False
    for piece in _gathered(pieces):
        if isinstance(piece, Part) and piece.kind == "rule":
            line_above = True
            continue
        for element in [_text(piece)] if isinstance(piece, str) else _elements(piece):
            yield {**element, "separator": True} if line_above else element
            line_above = False


def _gathered(pieces: Iterable[Piece]) -> Iterator[Piece | str]:
    """Join the items of a list to one text, in which an indented item belongs to the one above it."""
    items = ""
    for piece in pieces:
        if not (isinstance(piece, Part) and piece.kind == "item"):
            yield from [items] if items else []
            yield piece
            items = ""
            continue
        line = _item(piece)
        if items and len(items) + len(line) > _RUN:
            yield items
            items = ""
        items += ("\n" if items else "") + line
    yield from [items] if items else []


def _encoded(elements: list[Element], buttons: Sequence[Element]) -> bytes:
    card = _Card(elements, list(buttons) or msgspec.UNSET)
    return msgspec.json.encode(_Envelope([_Attachment(card)]))


def _shortened(left: int, of: int) -> Element:
    words = f"This message was too long for Teams and was shortened: {left} of its {of} parts are not shown."
    return _text(words, isSubtle=True, separator=True)


def _text(words: str, **more: Any) -> Element:
    return {"type": "TextBlock", "text": words, "wrap": True, **more}


def _heading(words: str, level: int) -> Element:
    size = {1: "Large", 2: "Medium"}.get(level, "Default")
    return _text(_plain(" ".join(words.split())), size=size, weight="Bolder", style="heading")


def _elements(piece: Piece) -> Iterator[Element]:
    if isinstance(piece, Table):
        yield from _table(piece)
    elif piece.kind == "heading":
        yield from (_heading(run, piece.level) for run in runs(piece.text, _RUN))
    elif piece.kind == "code":
        yield from (_text(_lines(_plain(run)), fontType="Monospace", spacing="Small") for run in runs(piece.text, _RUN))
    elif piece.kind == "quote":
        for words in _written(piece.spans):
            yield {"type": "Container", "style": "emphasis", "items": [_text(_lines(words))]}
    else:
        yield from (_text(_lines(words)) for words in _written(piece.spans))


def _item(piece: Part) -> str:
    marker = {"": "  ", "•": "- "}.get(piece.marker, f"{piece.marker} ")
    return "    " * piece.level + marker + "".join(_written(piece.spans)).replace("\n", " ")


def _lines(words: str) -> str:
    """Write line breaks as a text block wants them."""
    return re.sub(r"\n+", "\n\n", words)


def _written(spans: Iterable[Span]) -> list[str]:
    """Return text with its marks, in strings that are each whole in themselves."""
    strings = [""]
    for span in spans:
        for run in runs(span.text, _RUN):
            words = _marked(span, run)
            if strings[-1] and len(strings[-1]) + len(words) > _RUN:
                strings.append("")
            strings[-1] += words
    return [one for one in strings if one.strip()]


def _marked(span: Span, run: str) -> str:
    return "\n".join(_line(span, line) for line in run.split("\n"))


def _line(span: Span, line: str) -> str:
    words = line.strip(" ")
    if not words:
        return line
    before, after = line[: len(line) - len(line.lstrip(" "))], line[len(line.rstrip(" ")) :]
    inner = _plain(words)
    if span.link:
        address = span.link.replace("(", "%28").replace(")", "%29")
        inner = f"[{inner}]({address})"
    if span.italic:
        inner = f"_{inner}_"
    if span.bold:
        inner = f"**{inner}**"
    return before + inner + after


def _plain(words: str) -> str:
    """Disarm what would be read as markup."""
    return _LINE_START.sub(r"\1\3\\\2\4", _MARK.sub(lambda found: "\\" + found[0], words))


def _table(table: Table) -> Iterator[Element]:
    """Write a table of two columns as facts, a wider one row by row in columns."""
    rows = [[_short(cell) for cell in row] for row in table.rows]
    columns = max((len(row) for row in rows), default=0)
    if columns == 2:
        header, facts = (rows[:1], rows[1:]) if table.headed else ([], rows)
        for row in header:
            yield _columns(row, columns)
        for start in range(0, len(facts), 10):
            yield {"type": "FactSet", "facts": [_fact(row) for row in facts[start : start + 10]]}
        return
    yield from (_columns(row, columns) for row in rows)


def _short(cell: Iterable[Span]) -> str:
    return _lines("".join(_written(cell)))


def _fact(row: list[str]) -> Element:
    title, value = [*row, ""][:2]
    return {"title": title.strip("*"), "value": value}


def _columns(row: list[str], count: int) -> Element:
    cells = [*row, *[""] * (count - len(row))]
    columns = [{"type": "Column", "width": "stretch", "items": [_text(cell)]} for cell in cells]
    return {"type": "ColumnSet", "columns": columns, "spacing": "Small"}
