"""Tables as files, written while their rows come: CSV (RFC 4180), and workbooks of ECMA-376 (.xlsx).

No cell is ever a formula: what a spreadsheet program would take for one is text.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from itertools import chain
from xml.sax.saxutils import escape

Cell = str | int
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
# What a spreadsheet program takes of a sheet and of a cell.
_MAX_ROWS = 1_048_576
_MAX_CELL = 32_767
_PIECE = 64 * 1024
# XML 1.0, section 2.2, has no way to write these.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET_BEGIN = (
    f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    '<sheetFormatPr defaultColWidth="22" defaultRowHeight="15"/><sheetData>'
)
_SHEET_END = "</sheetData></worksheet>"


def csv_pieces(columns: Sequence[str], rows: Iterator[tuple[Cell, ...]]) -> Iterator[bytes]:
    """Write CSV in UTF-8, with the byte order mark by which spreadsheet programs know it.

    A cell that begins as a formula does gets an apostrophe before it.
    """
    yield b"\xef\xbb\xbf"
    text = io.StringIO()
    writer = csv.writer(text)
    for row in chain([columns], rows):
        writer.writerow([f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell for cell in row])
        if text.tell() > _PIECE:
            yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    piece = text.getvalue().encode("utf-8", "replace")
    text.seek(0)
    text.truncate()
    return piece


class _Pipe(io.RawIOBase):
    """Takes what the archive writes, which cannot go back in it, until it is sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: bytes) -> int:  # type: ignore[override] # of all buffers, what the archive gives
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def xlsx_pieces(columns: Sequence[str], rows: Iterator[tuple[Cell, ...]]) -> Iterator[bytes]:
    """Write a workbook; a sheet that is full is followed by another one, which names the columns again."""
    pipe = _Pipe()
    sheets = 0
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        first = next(rows, None)
        while first is not None or not sheets:
            sheets += 1
            some = chain([columns], [first] if first is not None else [], rows)
            with archive.open(f"xl/worksheets/sheet{sheets}.xml", "w", force_zip64=True) as sheet:
                for piece in _sheet(some):
                    sheet.write(piece)
                    yield pipe.taken()
            first = next(rows, None)
        for name, content in _frame(sheets):
            archive.writestr(name, content)
    yield pipe.taken()


def _sheet(rows: Iterator[Sequence[Cell]]) -> Iterator[bytes]:
    written, size = [_SHEET_BEGIN], 0
    for number, row in enumerate(rows, start=1):
        text = "".join(map(_cell, row))
        written.append(f"<row>{text}</row>")
        size += len(text)
        if size > _PIECE:
            yield "".join(written).encode()
            written, size = [], 0
        if number == _MAX_ROWS:
            break
    yield "".join([*written, _SHEET_END]).encode()


def _cell(cell: Cell) -> str:
    if isinstance(cell, int):
        return f"<c><v>{cell}</v></c>"
    text = escape(_NO_XML.sub("", cell)[:_MAX_CELL])
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _frame(sheets: int) -> Iterator[tuple[str, str]]:
    """Yield the parts that hold a workbook of so many sheets together."""
    numbers = range(1, sheets + 1)
    yield (
        "[Content_Types].xml",
        f'{_HEAD}<Types xmlns="{_TYPES}">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{_KIND}.worksheet+xml"/>'
            for number in numbers
        )
        + "</Types>",
    )
    book = f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    yield "_rels/.rels", f'{_HEAD}<Relationships xmlns="{_RELATIONS}">{book}</Relationships>'
    yield (
        "xl/workbook.xml",
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        + "".join(f'<sheet name="Sheet{number}" sheetId="{number}" r:id="rId{number}"/>' for number in numbers)
        + "</sheets></workbook>",
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        f'{_HEAD}<Relationships xmlns="{_RELATIONS}">'
        + "".join(
            f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
            for number in numbers
        )
        + "</Relationships>",
    )
