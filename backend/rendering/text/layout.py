"""From flowing text with marks to the lines of a text message.

The marks are control characters, so no text of a message holds them. The layout comes last, when the values are
in: how wide a column is, and whether a blank line separates, depends on them.
"""

import re
from itertools import repeat

from backend.rendering.limits import OUTPUT_CHARACTERS

BLOCK = "\x01"  # what follows stands on a line of its own
PARAGRAPH = "\x02"  # a blank line separates
BREAK = "\x03"  # a line break; two make a blank line
LINK, ADDRESS, LINK_END = "\x04", "\x05", "\x06"  # around what is shown and the address
BULLETS, NUMBERS, LIST_END, ITEM = "\x07", "\x08", "\x0e", "\x0f"
TABLE, ROW, CELL, TABLE_END = "\x10", "\x11", "\x12", "\x13"
PREFORMATTED, PREFORMATTED_END = "\x14", "\x15"
BRACE = "\x16"  # an opening brace that must not begin a Jinja token
SPACE, LINE = "\x17", "\x18"  # a space and a line break that stay

_MARKS = re.compile("[\x01-\x08\x0e-\x18]")
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f\u00ad\u034f\u200b\u2060\ufeff]")
_BOUNDARY = re.compile("[\x01\x02\x03][ \x01\x02\x03]*")
_SPACE_BEFORE = re.compile(" (?=[\x01\x02\x03])")
_AFTER_ITEM = re.compile("\x0f[ \x01\x02\x03]+")
_LINK = re.compile("\x04([^\x04-\x06]*)\x05([^\x04-\x06]*)\x06")
_ADDRESS = re.compile(r"(?:https?|mailto|tel|ftp):\S+", re.IGNORECASE)
_SCHEMES = ("mailto:", "tel:")
_TABLE = re.compile("\x10([^\x10\x13]*)\x13")
_BREAKS = re.compile("[ \x03]*\x03[ \x03]*")
_PARTED = re.compile("[\x01\x02\x07\x08\x0e\x0f]")
_PREFORMATTED = re.compile("\x14([^\x14\x15]*)\x15")
_LIST = re.compile("[\x07\x08\x0e\x0f]")
_BLANK_RUN = re.compile(r"\n{3,}")
_LEFT = (LINK, LINK_END, TABLE, TABLE_END, ROW, CELL, LIST_END, PREFORMATTED, PREFORMATTED_END)
_SPACES = "\n\t\r\v\f"
_EDGES = " \x01\x02\x03"
_WIDEST_COLUMN = 40
_DEEPEST = 8  # lists and tables inside of each other


def clean(text: str) -> str:
    """Remove what cannot be seen, and could pass for marks; joiners stay, which words and emoji need."""
    return text if text.isprintable() else _UNSEEN.sub("", text)


def lay_out(flow: str) -> str:
    """Write flowing text as lines: links with their addresses, tables as lines, lists with bullets or numbers."""
    if PREFORMATTED in flow:
        flow = _PREFORMATTED.sub(_keep_space, flow)
    if "  " in flow or not flow.isascii() or any(space in flow for space in _SPACES):
        flow = " ".join(flow.split())
    if LINK in flow:
        flow = _LINK.sub(_link, flow)
    for _ in range(_DEEPEST):
        if TABLE_END in flow:
            flow = _TABLE.sub(_table, flow)
    if ITEM in flow:
        flow = _AFTER_ITEM.sub(ITEM, flow)
    text = _parted(flow)
    if BULLETS in text or NUMBERS in text or ITEM in text:
        text = _lists(text)
    return _finished(text)


def compact(flow: str) -> str:
    """Shorten a part of a flowing text; the layout of the whole stays the same."""
    if flow.isspace() or not flow:
        return flow[:1] and " "
    edges = (flow[0].isspace(), flow[-1].isspace())
    words = " ".join(flow.split())
    return _BOUNDARY.sub(_strongest, _SPACE_BEFORE.sub("", f"{' ' * edges[0]}{words}{' ' * edges[1]}"))


def _strongest(match: re.Match[str]) -> str:
    run = match[0]
    if PARAGRAPH in run:
        return PARAGRAPH
    return (BLOCK if BLOCK in run else "") + BREAK * min(run.count(BREAK), 2)


def _parted(flow: str) -> str:
    """Write the boundaries as line breaks, one or two for any number of them."""
    # A pattern would look at every character, which takes longer than all the rest.
    lines = flow.replace(PARAGRAPH, f"\n{PARAGRAPH}\n").replace(BREAK, f"\n{BREAK}\n").replace(BLOCK, "\n").split("\n")
    pieces: list[str] = []
    breaks = 0
    for line in map(str.strip, lines):
        if line == BREAK:
            breaks += 1
        elif line == PARAGRAPH:
            breaks += 2
        elif line:
            pieces += ("\n\n" if breaks > 1 else "\n", line)
            breaks = 0
    return "".join(pieces[1:])


def _keep_space(match: re.Match[str]) -> str:
    return match[1].strip("\n").replace("\n", LINE).replace("\t", SPACE * 4).replace(" ", SPACE)


def _link(match: re.Match[str]) -> str:
    text, address = match[1], match[2].strip()
    if not _ADDRESS.match(address) or " " in address:
        return text
    shown = text.strip() if text.isprintable() else " ".join(_MARKS.sub(" ", text).split())
    bare = address.partition(":")[2] if address.startswith(_SCHEMES) else address
    if shown in {address, bare}:
        return text
    ended = text.rstrip(_EDGES)
    return f"{ended} ({bare}){text[len(ended) :]}" if shown else f"{text}{bare}"


def _table(match: re.Match[str]) -> str:
    """Write rows as lines and columns below each other; a table whose cells hold blocks only lays them out."""
    body = match[1]
    before, *written = body.split(ROW) if ROW in body else ["", body]
    rows = [[cell.strip(_EDGES) for cell in row.split(CELL)[1:]] for row in written]
    rows = [row for row in rows if any(row)]
    if _PARTED.search(body) and any(_PARTED.search(cell) for row in rows for cell in row):
        return BLOCK + BLOCK.join([before, *(cell for row in rows for cell in row)]) + BLOCK
    if BREAK in body:
        rows = [[_BREAKS.sub(" ", cell) for cell in row] for row in rows]
    lines = _aligned(rows)
    before = before.strip(_EDGES)
    return PARAGRAPH + BLOCK.join([before, *lines] if before else lines) + PARAGRAPH


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [0] * max(map(len, rows), default=0)
    for row in rows:
        for position, length in enumerate(map(len, row)):
            if widths[position] < length <= _WIDEST_COLUMN:
                widths[position] = length
    if sum(widths) * len(rows) > OUTPUT_CHARACTERS:
        widths = [0] * len(widths)
    gap = SPACE * 2
    return [gap.join(map(str.ljust, row, widths, repeat(SPACE))).rstrip(SPACE) for row in rows]


def _lists(text: str) -> str:
    """Begin each item with its bullet or number, and indent what continues it."""
    lines: list[str] = []
    counters: list[int | None] = []
    for line in text.split("\n"):
        if not counters and not _LIST.search(line):
            lines.append(line)
            continue
        content = _LIST.sub("", line).strip()
        depth, prefix = min(len(counters), _DEEPEST), ""
        for mark in _LIST.findall(line):
            if mark == ITEM:
                prefix = _prefix(counters)
                depth = min(len(counters), _DEEPEST)
            elif mark == LIST_END:
                del counters[-1:]
            else:
                counters.append(None if mark == BULLETS else 0)
        if content or prefix:
            lines.append((prefix or SPACE * 4 * depth) + content)
        elif not _LIST.search(line):
            lines.append("")
    return "\n".join(lines)


def _prefix(counters: list[int | None]) -> str:
    if not counters:
        return f"{SPACE}{SPACE}*{SPACE}"
    counter = counters[-1]
    indent = SPACE * 4 * min(len(counters) - 1, _DEEPEST)
    if counter is None:
        return f"{indent}{SPACE}{SPACE}*{SPACE}"
    counters[-1] = counter + 1
    return f"{indent}{SPACE if counter < 9 else ''}{counter + 1}.{SPACE}"


def _finished(text: str) -> str:
    """Write the marks that are left as what they stand for."""
    if BRACE in text:
        text = text.replace(BRACE, "{")
    if SPACE in text or LINE in text:
        text = text.replace(SPACE, " ").replace(LINE, "\n")
        text = "\n".join(map(str.rstrip, text.split("\n")))
    if any(mark in text for mark in _LEFT):
        text = _MARKS.sub("", text)
    return _BLANK_RUN.sub("\n\n", text).strip("\n") if "\n\n\n" in text else text.strip("\n")
