"""The rows of a workbook's first sheet that is not hidden, each cell as people see it: .xlsx and .ods.

It runs in the child process alone: files come from anybody, and may be made to eat their reader.
"""

import datetime
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import openpyxl
from lxml import etree

from backend.jobs.workbooks.number_formats import shown

# What a sheet may have, and what its parts may have together when they are unpacked.
MAX_ROWS = 1_048_576
MAX_COLUMNS = 500
MAX_UNPACKED = 512 * 1024 * 1024
_MAX_PARTS = 5_000
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_ODS = b"application/vnd.oasis.opendocument.spreadsheet"


class Refused(Exception):
    """The workbook cannot be used; the text is one sentence for its owner."""


def rows(content: bytes) -> Iterator[list[str]]:
    """Yield the rows of a workbook, also those that are empty, so that they count as spreadsheet programs count.

    Raises:
        Refused: if it is none, or larger than it may be.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > _MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise Refused(f"The workbook has more than {MAX_UNPACKED // 1024**2} MiB when it is unpacked.")
            names = {part.filename for part in parts}
            if "xl/workbook.xml" in names or "[Content_Types].xml" in names:
                found = _of_xlsx(content)
            elif "mimetype" in names and archive.read("mimetype").strip().startswith(_ODS):
                found = _of_ods(archive)
            else:
                raise Refused("This is no workbook: it is another kind of ZIP file. Upload .xlsx, .ods or CSV.")
            yield from _bounded(found)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise Refused("The workbook is damaged or has a password. Save it again without one.") from error


def _bounded(found: Iterator[list[str]]) -> Iterator[list[str]]:
    """Leave out empty cells at the end of rows and empty rows at the end, and see that there is not too much."""
    empty = 0
    for number, cells in enumerate(found, start=1):
        if number > MAX_ROWS:
            raise Refused(f"The sheet has more than {MAX_ROWS:,} rows. Divide it into several files.")
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            empty += 1
            continue
        if len(cells) > MAX_COLUMNS:
            raise Refused(f"Row {number} has more than {MAX_COLUMNS} columns. Leave out what is not needed.")
        for _ in range(empty):
            yield []
        empty = 0
        yield cells


def _of_xlsx(content: bytes) -> Iterator[list[str]]:
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    except (KeyError, ValueError, TypeError, SyntaxError, AttributeError, IndexError) as error:
        raise Refused("The workbook cannot be read. Open it in a spreadsheet program and save it as .xlsx.") from error
    sheet: Any = next((one for one in book.worksheets if one.sheet_state == "visible"), None)
    if sheet is None:
        raise Refused("The workbook has no sheet that is not hidden.")
    sheet.reset_dimensions()  # what the file says of them may be wrong
    try:
        formats: dict[int, str] = {}
        for row in sheet.iter_rows():
            yield [_of_cell(cell, formats) for cell in row]
    except (KeyError, ValueError, TypeError, SyntaxError, AttributeError, IndexError, OverflowError) as error:
        raise Refused("The sheet cannot be read. Open it in a spreadsheet program and save it as .xlsx.") from error


def _of_cell(cell: Any, formats: dict[int, str]) -> str:
    """Write a cell as people see it; ``formats`` remembers those of the styles, which are costly to look up."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    style = getattr(cell, "_style_id", 0)
    form = formats.get(style)
    if form is None:
        form = formats[style] = str(cell.number_format)
    return next((write(value, form) for kind, write in _WAYS if isinstance(value, kind)), str(value))


def _moment(value: datetime.datetime, form: str) -> str:
    """Write a date as ISO 8601 does, with its time where the cell shows one or it is not midnight."""
    if value.time() == datetime.time() and "h" not in form.lower():
        return value.date().isoformat()
    return value.replace(microsecond=0).isoformat()


def _span(value: datetime.timedelta, _form: str) -> str:
    minutes, seconds = divmod(int(value.total_seconds()), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


_WAYS: Sequence[tuple[type, Callable[[Any, str], str]]] = (
    (bool, lambda value, _: "TRUE" if value else "FALSE"),
    (int, shown),
    (float, shown),
    (datetime.datetime, _moment),
    (datetime.date, lambda value, _: value.isoformat()),
    (datetime.time, lambda value, _: value.replace(microsecond=0).isoformat()),
    (datetime.timedelta, _span),
)


def _of_ods(archive: zipfile.ZipFile) -> Iterator[list[str]]:
    """Read content.xml of an OpenDocument spreadsheet (ISO/IEC 26300), which holds cells as they are shown."""
    hidden: set[str] = set()
    wanted = False
    try:
        with archive.open("content.xml") as source:
            events = ("start", "end")
            parser = etree.iterparse(source, events, resolve_entities=False, no_network=True, load_dtd=False)
            for event, element in parser:
                if event == "start" and element.tag == f"{_TABLE}table":
                    wanted = element.get(f"{_TABLE}style-name") not in hidden
                elif event == "end" and element.tag == f"{_STYLE}style":
                    hidden |= _if_hidden(element)
                elif event == "end" and element.tag == f"{_TABLE}table" and wanted:
                    return
                elif event == "end" and element.tag == f"{_TABLE}table-row":
                    if wanted:
                        yield from _repeated_row(element)
                    element.clear()
    except (KeyError, etree.XMLSyntaxError) as error:
        raise Refused("The workbook cannot be read. Open it in a spreadsheet program and save it again.") from error
    raise Refused("The workbook has no sheet that is not hidden.")


def _if_hidden(style: Any) -> set[str]:
    shown_at = [one.get(f"{_TABLE}display") for one in style.iter(f"{_STYLE}table-properties")]
    return {style.get(f"{_STYLE}name")} if "false" in shown_at else set()


def _repeated_row(row: Any) -> Iterator[list[str]]:
    cells: list[str] = []
    for cell in row.iterchildren(f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
        text = _shown_in_ods(cell)
        times = _times(cell.get(f"{_TABLE}number-columns-repeated"))
        # Empty cells to the right end are written as many thousand repeats.
        cells += [text] * (times if text else min(times, MAX_COLUMNS + 1))
        if len(cells) > 2 * MAX_COLUMNS and any(cells[MAX_COLUMNS:]):
            break  # it is refused for that
        del cells[2 * MAX_COLUMNS :]
    while cells and not cells[-1]:
        cells.pop()
    times = _times(row.get(f"{_TABLE}number-rows-repeated"))
    for _ in range(min(times, MAX_ROWS + 1)):
        yield list(cells)


def _times(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 9 else 1


def _shown_in_ods(cell: Any) -> str:
    kind = cell.get(f"{_OFFICE}value-type")
    if kind == "date":
        return str(cell.get(f"{_OFFICE}date-value", "")).removesuffix("T00:00:00")
    if kind == "boolean":
        return str(cell.get(f"{_OFFICE}boolean-value", "")).upper()
    return "\n".join(_paragraph(one) for one in cell.iterchildren(f"{_TEXT}p"))


def _paragraph(element: Any) -> str:
    text = element.text or ""
    for child in element:
        if child.tag == f"{_TEXT}s":
            text += " " * min(_times(child.get(f"{_TEXT}c")), 1000)
        elif child.tag == f"{_TEXT}tab":
            text += "\t"
        elif child.tag == f"{_TEXT}line-break":
            text += "\n"
        elif isinstance(child.tag, str) and child.tag.startswith(_TEXT):
            text += _paragraph(child)
        text += child.tail or ""
    return text
