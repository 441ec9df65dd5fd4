"""Workbooks for jobs: each cell as people see it, and none that is made to eat its reader does."""

import datetime
import io
import zipfile
from typing import Any

import openpyxl
import pytest

from backend.jobs.workbooks import number_formats, reading
from backend.lib.problems import Problem
from tests.jobs.conftest import Bureau

_HEAD = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">'
)


def xlsx(*rows: list[Any], formats: dict[str, str] | None = None) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cell, form in (formats or {}).items():
        book.active[cell].number_format = form
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def ods(body: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", f"{_HEAD}{body}</office:document-content>")
    return written.getvalue()


def altered(workbook: bytes, old: bytes, new: bytes) -> bytes:
    """Change the sheet of a workbook."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as source, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(old, new) if name.endswith("sheet1.xml") else content)
    return written.getvalue()


def cell(text: str, attributes: str = 'office:value-type="string"') -> str:
    return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"


def test_a_workbook_is_sent_like_a_file_of_values(bureau: Bureau) -> None:
    bureau.upload(xlsx(["Email address", "Sample ID"], ["ada@lab.example", 42], [], ["nobody", "S-2"]))
    sheet = bureau.work()
    assert (sheet.good_rows, sheet.faulty_rows) == (1, 1)
    assert [row for row, _, _ in bureau.faults()] == [4]  # as the spreadsheet program counts
    bureau.send()
    bureau.work()
    assert bureau.addresses() == ["ada@lab.example"]


def test_an_open_document_is_too(bureau: Bureau) -> None:
    first = f"<table:table-row>{cell('email address')}{cell('sample_id')}</table:table-row>"
    blank = '<table:table-row table:number-rows-repeated="2"><table:table-cell/></table:table-row>'
    second = f"<table:table-row>{cell('ada@lab.example')}{cell('S<text:s/>1')}</table:table-row>"
    end = '<table:table-row table:number-rows-repeated="1048000">'
    end += '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
    bureau.upload(ods(f"<table:table>{first}{blank}{second}{end}</table:table>"))
    assert bureau.work().good_rows == 1
    bureau.send()
    bureau.work()
    assert bureau.addresses() == ["ada@lab.example"]


def test_cells_come_out_as_people_see_them() -> None:
    values = [
        447700900123,
        datetime.date(2026, 3, 2),
        datetime.datetime(2026, 3, 2, 9, 30),  # noqa: DTZ001 - cells have no zone
        1234.5,
        42,
        True,
        0.1 + 0.2,
        "=1+1",
    ]
    made = xlsx(["a"], values, formats={"A2": "+0", "D2": "#,##0.00", "E2": "00000"})
    shown = reading.as_csv(made).decode().splitlines()[1]
    assert shown == '"+447700900123","2026-03-02","2026-03-02T09:30:00","1,234.50","00042","TRUE","0.3"'


def test_cells_of_open_documents_do_as_well() -> None:
    date = 'office:value-type="date" office:date-value="2026-03-02"'
    number = 'office:value-type="float" office:value="447700900123"'
    row = f"<table:table-row>{cell('+447700900123', number)}{cell('02/03/26', date)}</table:table-row>"
    found = ods(f"<table:table>{row}</table:table>")
    assert reading.as_csv(found) == b'"+447700900123","2026-03-02"\n'


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (447700900123, "General", "447700900123"),
        (447700900123, '"+"00 0000 000000', "+44 7700 900123"),
        (447700900123, r"\+#", "+447700900123"),
        (0.075, "0.0%", "7.5%"),
        (-3, "0;(0)", "(3)"),
        (12, "[$€-407] #,##0.00", "€ 12.00"),
        (12345678901, "000-000-0000", "1234-567-8901"),
        (1.5, "# ?/?", "1.5"),
        (12, "0.00E+00", "12"),
        (1.5, "0.0##", "1.5"),
        (1e300, "0", str(10**300)),
        (1e21, "General", "1000000000000000000000"),
    ],
)
def test_numbers_are_written_by_their_formats(value: float, form: str, shown: str) -> None:
    assert number_formats.shown(value, form) == shown


def entities(workbook: bytes) -> bytes:
    """Let a sheet hold an entity that stands for ten thousand million letters."""
    names = "".join(f'<!ENTITY a{one} "{f"&a{one - 1};" * 10}">' for one in range(1, 10))
    declared = f'<!DOCTYPE worksheet [<!ENTITY a0 "aaaaaaaaaa">{names}]><worksheet '.encode()
    return altered(altered(workbook, b"<worksheet ", declared), b"<sheetData>", b"<sheetData>&a9;")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04junk", "damaged or has a password"),
        (entities(xlsx(["a"])), "cannot be read"),
        (altered(xlsx(["a"]), b'<row r="1"', b'<row r="999999999"'), "more than 1,048,576 rows"),
        (xlsx(["x"] * 501), "more than 500 columns"),
        (xlsx(), "empty"),
        (ods("<table:table"), "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(bureau: Bureau, content: bytes, sentence: str) -> None:
    with pytest.raises(Problem) as caught:
        bureau.upload(content)
    assert caught.value.code == "invalid_value"
    assert sentence in caught.value.detail


def test_one_that_unpacks_to_more_than_it_may_is_not_even_read() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            for _ in range(520):
                sheet.write(bytes(1024 * 1024))
    with pytest.raises(Problem, match="512 MiB"):
        reading.as_csv(written.getvalue())


def test_old_workbooks_are_told_apart(bureau: Bureau) -> None:
    with pytest.raises(Problem, match="of the old kind"):
        bureau.upload(b"\xd0\xcf\x11\xe0" + bytes(600))


def test_one_that_is_too_large_is_refused(bureau: Bureau) -> None:
    with pytest.raises(Problem, match="more than 20 MiB"):
        bureau.upload(b"PK\x03\x04" + bytes(reading.MAX_BYTES))
