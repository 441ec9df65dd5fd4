"""The child process that reads workbooks: they come from anybody, and some unpack to a thousand times their size."""

import csv
import io
import zipfile

import openpyxl

from backend.jobs.workbooks import cells
from backend.jobs.workbooks.cells import Refused
from backend.jobs.workbooks.reading import CPU_SECONDS, READ, REFUSED
from backend.lib import child

_MEMORY = 1536 * 1024 * 1024
# What becomes of a workbook: as long as a file of separated values may be.
MAX_TEXT = 50 * 1024 * 1024


def answer(workbook: bytes) -> bytes:
    """Write a workbook's rows as CSV in UTF-8 behind ``READ``; or why it cannot be used, behind ``REFUSED``."""
    try:
        return READ + _written(workbook)
    except Refused as refusal:
        return REFUSED + str(refusal).encode()
    except MemoryError:
        return REFUSED + b"The workbook takes too much memory to be read. Save the sheet as CSV, and upload that."


def _written(workbook: bytes) -> bytes:
    raw = io.BytesIO()
    text = io.TextIOWrapper(raw, "utf-8", "replace", newline="", write_through=True)
    # All cells stand in quotation marks, so that what separates them is plain to see.
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in cells.rows(workbook):
        writer.writerow([_clean(cell) for cell in row])
        if raw.tell() > MAX_TEXT:
            raise Refused(f"The sheet has more than {MAX_TEXT // 1024**2} MiB of text. Divide it into several files.")
    return raw.getvalue()


def _clean(cell: str) -> str:
    return cell.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _sample_ods() -> bytes:
    text = (
        '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
        ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
        ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><table:table><table:table-row>'
        '<table:table-cell office:value-type="float"><text:p>é</text:p></table:table-cell>'
        "</table:table-row></table:table></office:document-content>"
    )
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", text)
    return written.getvalue()


def _sample_xlsx() -> bytes:
    book = openpyxl.Workbook()
    written = io.BytesIO()
    book.active.append(["é", 1, 1.5, True])
    book.save(written)
    return written.getvalue()


def main() -> None:
    """Answer questions until nobody asks any more."""
    # One of every kind first, so that everything is loaded before no file can be opened any more.
    answer(_sample_xlsx())
    answer(_sample_ods())
    child.serve_bytes(answer, memory=_MEMORY, cpu_seconds=CPU_SECONDS)
