"""Rows of a file of separated values (RFC 4180, with comma, semicolon or tab), read one by one from any place."""

import csv
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

_DELIMITERS = ",;\t"
# One line of a file; a cell may hold several. The csv module takes 131,072 characters a cell.
_MAX_LINE = 1024 * 1024
HEADER_ROW = 1


class Unreadable(Exception):
    """A file that is no table; the text is one sentence for its owner."""


class Record(msgspec.Struct, frozen=True):
    """One row: its number as spreadsheet programs count, its cells, and where the next one begins, in bytes."""

    number: int
    cells: list[str]
    end: int

    @property
    def blank(self) -> bool:
        """Tell whether nothing stands in it."""
        return not any(cell.strip() for cell in self.cells)


class _Lines:
    """The lines of a file with the place behind the last one that was given."""

    def __init__(self, file: BinaryIO, position: int) -> None:
        file.seek(position)
        self._file = file
        self.position = position

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(_MAX_LINE + 1)
        if not line:
            raise StopIteration
        if len(line) > _MAX_LINE:
            raise Unreadable("The file has a line of more than 1 MiB, so it is no table.")
        self.position += len(line)
        return line.decode()


def records(file: BinaryIO, delimiter: str, position: int = 0, number: int = HEADER_ROW) -> Iterator[Record]:
    """Yield the rows of a file from ``position`` on, the first of which has ``number``.

    Raises:
        Unreadable: with the row at which the file is no table any more.
    """
    lines = _Lines(file, position)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            reason = "a quotation mark is not closed, stands inside a cell, or a cell is too long"
            raise Unreadable(f"Row {number} cannot be read: {reason}. A quotation mark is written twice.") from None
        yield Record(number, cells, lines.position)
        number += 1


def header(file: BinaryIO) -> tuple[str, Record]:
    """Return what separates the cells, and the first row.

    Raises:
        Unreadable: if there is none.
    """
    delimiter = _delimiter(next(_Lines(file, 0), ""))
    first = next(records(file, delimiter), None)
    if first is None or first.blank:
        raise Unreadable("The first row is empty. It names the columns.")
    return delimiter, first


def _delimiter(line: str) -> str:
    """Choose what separates most in the first line, outside quotation marks."""
    outside = "".join(line.split('"')[0::2])
    return max(_DELIMITERS, key=outside.count)
