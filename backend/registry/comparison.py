"""Differences between two texts, line beside line, with the words that changed."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal

import msgspec

CONTEXT = 3
# Beyond these, finding the smallest difference would take too long: the changed part is then shown as one piece.
_MOST_PAIRS = 1_000_000
_LONGEST_LINE = 400
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")

Kind = Literal["same", "changed", "removed", "added", "gap"]


class Piece(msgspec.Struct, frozen=True):
    """A part of a line; ``marked`` where it differs from the other side."""

    text: str
    marked: bool = False


class Row(msgspec.Struct, frozen=True):
    """One row of a comparison; a side that has no line there has no number. A gap stands for ``count`` equal lines."""

    kind: Kind
    left_number: int | None = None
    left: tuple[Piece, ...] = ()
    right_number: int | None = None
    right: tuple[Piece, ...] = ()
    count: int = 0


def compare(old: str, new: str, *, context: int | None = CONTEXT) -> list[Row]:
    """Set two texts side by side; ``context`` equal lines stay around each difference (None: all of them).

    Equal texts give no row.
    """
    left, right = _lines(old), _lines(new)
    if left == right:
        return []
    rows: list[Row] = []
    changes = list(_changes(left, right))
    for position, (tag, start, end, other, until) in enumerate(changes):
        if tag != "equal":
            rows += _changed(left[start:end], start, right[other:until], other)
            continue
        equal = [_equal(left, start + step, other + step) for step in range(end - start)]
        rows += _shortened(equal, context, first=position == 0, last=position == len(changes) - 1)
    return rows


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _changes(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield difflib's steps; what both texts begin and end with is set aside first."""
    shortest = min(len(left), len(right))
    head = next((at for at in range(shortest) if left[at] != right[at]), shortest)
    rest = shortest - head
    tail = next((at for at in range(rest) if left[-1 - at] != right[-1 - at]), rest)
    ends = len(left) - tail, len(right) - tail
    if head:
        yield "equal", 0, head, 0, head
    inner_left, inner_right = left[head : ends[0]], right[head : ends[1]]
    if len(inner_left) * len(inner_right) > _MOST_PAIRS:
        yield "replace", head, ends[0], head, ends[1]
    else:
        for tag, start, end, other, until in SequenceMatcher(None, inner_left, inner_right).get_opcodes():
            yield tag, head + start, head + end, head + other, head + until
    if tail:
        yield "equal", ends[0], len(left), ends[1], len(right)


def _equal(left: Sequence[str], at: int, other: int) -> Row:
    piece = (Piece(left[at]),)
    return Row("same", at + 1, piece, other + 1, piece)


def _changed(left: Sequence[str], start: int, right: Sequence[str], other: int) -> Iterator[Row]:
    """Yield the rows of a difference that begins at line ``start`` on the left, ``other`` on the right, from 0."""
    paired = min(len(left), len(right))
    for step in range(paired):
        before, after = _words(left[step], right[step])
        yield Row("changed", start + step + 1, before, other + step + 1, after)
    for step, line in enumerate(left[paired:], start + paired + 1):
        yield Row("removed", step, (Piece(line, marked=True),))
    for step, line in enumerate(right[paired:], other + paired + 1):
        yield Row("added", right_number=step, right=(Piece(line, marked=True),))


def _words(old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Mark the words that differ in a pair of lines."""
    if max(len(old), len(new)) > _LONGEST_LINE:
        return (Piece(old, marked=True),), (Piece(new, marked=True),)
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, start, end, other, until in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        marked = tag != "equal"
        if start < end:
            left.append(Piece("".join(before[start:end]), marked))
        if other < until:
            right.append(Piece("".join(after[other:until]), marked))
    return tuple(left), tuple(right)


def _shortened(equal: list[Row], context: int | None, *, first: bool, last: bool) -> list[Row]:
    if context is None:
        return equal
    before, after = 0 if first else context, 0 if last else context
    if len(equal) <= before + after + 1:
        return equal
    gap = Row("gap", count=len(equal) - before - after)
    return [*equal[:before], gap, *equal[len(equal) - after :]]
