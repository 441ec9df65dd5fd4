"""A message as Slack's blocks: headings, and sections of its own markup (mrkdwn), within what Slack takes.

Limits: https://docs.slack.dev/reference/block-kit/blocks; the total is what was seen to be taken.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from backend.channels import rich_text
from backend.channels.rich_text import Part, Piece, Span, Table, runs

_BLOCKS = 50
_SECTION = 2500  # characters of a section's text, of 3000; smaller ones leave less of the total unused
_HEADER = 150
_TOTAL = 9000  # characters of all blocks as JSON
_BUTTON = 400  # characters of a block with a button
_FALLBACK = 2000
_RUN = 400  # characters of text that are never cut apart; five times as long when all are escaped
_TABLE_WIDTH = 76
_GAP = "\u200b"  # Slack sees a mark only at the edge of a word
_NOT_A_TICK = "\u02cb"  # looks like the backtick that would end the code
_URL = re.compile(r"https?://[^\s<>\"|]+[^\s<>\"|.,;:!?')\]]")
# What would begin and end a style although the author did not mean it.
_MARK = re.compile(r"(?<!\w)([*_~`])(?=\S)(?=[^\n]*\S\1(?!\w))")
_SHORTENED = "_This message was too long for Slack and was shortened._"


class Plain(msgspec.Struct, frozen=True, tag_field="type", tag="plain_text"):
    """Text without markup; ``&``, ``<`` and ``>`` are escaped in it all the same."""

    text: str
    emoji: bool = False


class Markup(msgspec.Struct, frozen=True, tag_field="type", tag="mrkdwn"):
    """Text in Slack's markup; ``verbatim`` keeps Slack from finding names, channels and links in plain words."""

    text: str
    verbatim: bool = True


class Header(msgspec.Struct, frozen=True, tag_field="type", tag="header"):
    """A heading."""

    text: Plain


class Section(msgspec.Struct, frozen=True, tag_field="type", tag="section"):
    """Some paragraphs."""

    text: Markup


class Divider(msgspec.Struct, frozen=True, tag_field="type", tag="divider"):
    """A line across."""


Block = Header | Section | Divider
Atoms = list[str]


def blocks(subject: str | None, text: str, html: str | None = None, *, beside: int = 0) -> list[Block]:
    """Return the blocks of a message, made of its HTML where it has one; what is too much is left out, and told.

    There is room for so many others ``beside`` them.
    """
    pieces = rich_text.read(text, html)
    subject = " ".join((subject or "").split())
    if subject and not (pieces and isinstance(pieces[0], Part) and pieces[0].text == subject):
        pieces = [Part(kind="heading", spans=(Span(subject),), level=1), *pieces]
    kept: list[Block] = []
    space_left = _TOTAL - beside * _BUTTON - _size(Section(Markup(_SHORTENED)))
    for block in _packed(pieces):
        space_left -= _size(block)
        if space_left < 0 or len(kept) == _BLOCKS - 1 - beside:
            return [*kept, Section(Markup(_SHORTENED))]
        kept.append(block)
    return kept


def fallback(subject: str | None, text: str) -> str:
    """Return the text that stands for the blocks where they cannot be shown, such as on a phone's locked screen."""
    whole = "\n".join(part for part in (subject, text.strip()) if part)
    return escaped(whole[:_FALLBACK] + "…" if len(whole) > _FALLBACK else whole) or "…"


def escaped(text: str) -> str:
    """Escape text so that it is shown as it is; it can then mention nobody.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _size(block: Block) -> int:
    return len(msgspec.json.encode(block).decode())


def _packed(pieces: Iterable[Piece]) -> Iterator[Block]:
    """Put pieces into sections, as many into each as it holds; a piece is parted between its atoms only."""
    text = ""
    for piece in pieces:
        alone = _alone(piece)
        if alone is not None:
            yield from _section(text)
            yield alone
            text = ""
            continue
        separator = "\n" if isinstance(piece, Part) and piece.kind == "item" else "\n\n"
        for number, atom in enumerate(_atoms(piece)):
            joined = f"{text}{separator if text and not number else ''}{atom}"
            if len(joined) <= _SECTION:
                text = joined
            else:
                yield from _section(text)
                text = atom
    yield from _section(text)


def _section(text: str) -> Iterator[Section]:
    if text.strip():
        yield Section(Markup(text.strip("\n")))


def _alone(piece: Piece) -> Block | None:
    """Return the block of a piece that has one to itself."""
    if isinstance(piece, Table):
        return None
    if piece.kind == "rule":
        return Divider()
    words = escaped(" ".join(piece.text.split()))
    if piece.kind == "heading" and piece.level <= 2 and words and len(words) <= _HEADER:
        return Header(Plain(words))
    return None


def _atoms(piece: Piece) -> Atoms:
    """Return a piece as strings of markup, each whole in itself."""
    if isinstance(piece, Table):
        return _table(piece)
    if piece.kind == "code":
        return _fenced(piece.text)
    spans = piece.spans
    if piece.kind == "heading":
        spans = tuple(msgspec.structs.replace(span, bold=not span.code) for span in spans)
    atoms = _written(spans)
    if piece.kind == "quote":
        return [
            ("> " if not number or atoms[number - 1].endswith("\n") else "") + atom.replace("\n", "\n> ")
            for number, atom in enumerate(atoms)
        ]
    if piece.kind == "item":
        indent = "    " * piece.level
        start = f"{indent}{piece.marker} " if piece.marker else f"{indent}  "
        return [start + atoms[0], *atoms[1:]]
    return atoms


def _written(spans: Iterable[Span]) -> Atoms:
    atoms: Atoms = []
    for span in spans:
        for run in runs(span.text, _RUN):
            atom = _marked(msgspec.structs.replace(span, text=run))
            if atoms and _touch(atoms[-1], atom, span):
                atom = _GAP + atom
            atoms.append(atom)
    return atoms or [""]


def _touch(before: str, after: str, span: Span) -> bool:
    """Tell whether a mark would stand between two letters, where Slack takes it for a letter too."""
    styled = span.bold or span.italic or span.strike or span.code
    closing = before[-1:] in {"*", "_", "~", "`"} and after[:1].isalnum()
    return bool(before) and (closing or (styled and before[-1:].isalnum() and not after[:1].isspace()))


def _marked(span: Span) -> str:
    """Write one span; marks stand at the words, line by line, because Slack ends a style at a line's end."""
    return "\n".join(_line(span, line) for line in span.text.split("\n"))


def _line(span: Span, line: str) -> str:
    words = line.strip(" ")
    if not words:
        return line
    before, after = line[: len(line) - len(line.lstrip(" "))], line[len(line.rstrip(" ")) :]
    if span.code:
        inner = f"`{escaped(words).replace('`', _NOT_A_TICK)}`"
    elif span.link:
        inner = f"<{escaped(span.link).replace('|', '%7C')}|{escaped(words)}>"
    else:
        inner = _linked(words)
    for styled, mark in ((span.strike, "~"), (span.italic, "_"), (span.bold, "*")):
        if styled and not (span.code and mark == "*"):
            inner = f"{mark}{inner}{mark}"
    return before + inner + after


def _linked(words: str) -> str:
    """Escape plain words, and make their web addresses links."""
    parts, end = [], 0
    for match in _URL.finditer(words):
        parts += [_plain(words[end : match.start()]), f"<{escaped(match[0])}>"]
        end = match.end()
    return "".join([*parts, _plain(words[end:])])


def _plain(words: str) -> str:
    return _MARK.sub(rf"\1{_GAP}", escaped(words))


def _fenced(text: str) -> Atoms:
    """Write text as it is, in as few fences as hold it."""
    fences = [""]
    for line in text.splitlines():
        for run in runs(line, _RUN) if line else [""]:
            written = escaped(run.replace("```", _NOT_A_TICK * 3))
            if len(fences[-1]) + len(written) > _SECTION - 10:
                fences.append("")
            fences[-1] += ("\n" if fences[-1] else "") + written
    return [f"```\n{fence}\n```" for fence in fences]


def _table(table: Table) -> Atoms:
    """Write a table in columns where it is narrow, else row by row."""
    rows = table.plain()
    columns = max((len(row) for row in rows), default=0)
    filled = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(len(row[column]) for row in filled) for column in range(columns)]
    if sum(widths) + 2 * columns <= _TABLE_WIDTH:
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in filled
        ]
        if table.headed:
            lines.insert(1, "  ".join("-" * width for width in widths))
        return _fenced("\n".join(lines))
    return [atom for row in table.rows for atom in _row(row)]


def _row(cells: Iterable[tuple[Span, ...]]) -> Atoms:
    atoms: Atoms = []
    for number, cell in enumerate(one for one in cells if one):
        atoms += [" · " if number else "\n• ", *_written(cell)]
    return atoms
