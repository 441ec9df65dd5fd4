"""Lists that are taken away: with their filters, as CSV and as a workbook, and nothing in them is a formula."""

import csv
import io
from typing import Any

import openpyxl
import pytest
from sqlalchemy import update

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.jobs import tasks
from backend.lib import tables
from backend.registry import suppressions
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user
from tests.portal.test_jobs import job_of, upload

S = DeliveryStatus


@pytest.fixture
def lab(browser: Browser, database: Database) -> Desk:
    """Give a service with an editor, who is signed in."""
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="editor")
    browser.sign_in()
    return made


def as_csv(browser: Browser, address: str) -> list[list[str]]:
    answer = browser.get(address)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def as_workbook(browser: Browser, address: str) -> list[list[Any]]:
    answer = browser.get(address)
    assert answer.headers["content-disposition"].endswith('.xlsx"')
    return rows_of(answer.content)


def rows_of(content: bytes) -> list[list[Any]]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    sheets = [list(sheet.iter_rows()) for sheet in book.worksheets]
    assert all(cell.data_type != "f" for rows in sheets for row in rows for cell in row)
    return [[cell.value for cell in row] for rows in sheets for row in rows]


def test_notifications_go_out_as_they_are_filtered(browser: Browser, lab: Desk) -> None:
    sent = lab.accept("S-1", subject="=HYPERLINK(1)", recipient=["X_TWO"])
    lab.finish(S.SENT, "250 Ok")
    failed = lab.accept("S-2")
    lab.finish(S.FAILED, "550 5.1.1 User unknown")
    refused = lab.refused()
    listed = as_csv(browser, f"{lab.home}/notifications.csv")
    assert [row[0] for row in listed] == ["notification_id", str(refused), str(failed), str(sent)]
    assert listed[3][4:8] == ["'=HYPERLINK(1)", "X_SAMPLE", "X_TWO", "lab@lab.example night@lab.example"]
    assert "No recipient" in listed[1][8]
    assert listed[2][8] == "550 5.1.1 User unknown"
    page = browser.get(f"{lab.home}/notifications?status=FAILED").text
    assert f"{lab.home}/notifications.xlsx?status=FAILED" in page
    filtered = as_workbook(browser, f"{lab.home}/notifications.xlsx?status=FAILED")
    assert [row[0] for row in filtered[1:]] == [str(refused), str(failed)]
    whole = as_workbook(browser, f"{lab.home}/notifications.xlsx")
    assert whole[3][4] == "=HYPERLINK(1)"


def test_many_come_page_by_page(browser: Browser, lab: Desk) -> None:
    for number in range(12):
        lab.accept(f"S-{number}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("backend.reports.exports._AT_ONCE", 5)
        assert len({row[0] for row in as_csv(browser, f"{lab.home}/notifications.csv")}) == 13


def test_the_results_of_a_job_name_its_rows(browser: Browser, lab: Desk) -> None:
    job = job_of(upload(browser, lab))
    own = f"{lab.home}/jobs/{job}"
    tasks.turn.run(job)
    browser.send(f"{own}/send", when="now")
    tasks.turn.run(job)
    with lab.lab.database.transaction() as session:
        values = {"status": S.FAILED.value, "error": "550 5.1.1 User unknown", "attempts": 1}
        session.execute(update(Delivery).where(Delivery.address == "bob@lab.example").values(**values))
    for rows in (as_csv(browser, f"{own}/results.csv"), as_workbook(browser, f"{own}/results.xlsx")):
        assert [(str(row[0]), row[4], row[5], row[7] or "") for row in rows[1:]] == [
            ("2", "ada@lab.example", "QUEUED", ""),
            ("4", "bob@lab.example", "FAILED", "550 5.1.1 User unknown"),
        ]
    assert "results.xlsx" in browser.get(own).text
    assert as_workbook(browser, f"{own}/faults.xlsx")[1][:2] == [3, "email address"]


def test_suppressed_addresses_and_recipients(browser: Browser, lab: Desk) -> None:
    lab.lab.recipient("X_PHONE", ("SMS", "+447700900123"))
    with lab.lab.database.transaction() as session:
        suppressions.suppress(session, lab.lab.service_id, Channel.SMS, "+447700900123", reason="by_hand")
    assert as_csv(browser, f"{lab.home}/suppressions.csv")[1][:3] == ["SMS", "'+447700900123", "by_hand"]
    assert as_workbook(browser, f"{lab.home}/suppressions.xlsx")[1][1] == "+447700900123"
    assert ["X_PHONE", "X_Phone", "SMS", "+447700900123", ""] in as_workbook(browser, f"{lab.home}/recipients.xlsx")


@pytest.mark.parametrize(
    ("listed", "asked", "found"),
    [
        ("recipients", "q=OTHER", "X_OTHER"),
        ("templates", "q=other", "X_OTHER"),
        ("templates", "form=markdown", "X_SITE"),
    ],
)
def test_recipients_and_templates_go_out_as_they_are_searched(
    browser: Browser, lab: Desk, listed: str, asked: str, found: str
) -> None:
    lab.lab.recipient("X_OTHER", ("SMS", "+447700900123"))
    lab.lab.template("X_OTHER", "Hello", format="text")
    lab.lab.template("X_SITE", "# Hello", format="markdown")
    page = browser.get(f"{lab.home}/{listed}?{asked}").text
    for ending, rows_of_file in (("csv", as_csv), ("xlsx", as_workbook)):
        address = f"{lab.home}/{listed}.{ending}"
        assert f"{address}?{asked}" in page
        assert [row[0] for row in rows_of_file(browser, f"{address}?{asked}")[1:]] == [found]
        assert len(rows_of_file(browser, address)) > 2


def test_a_job_of_another_service_is_none(browser: Browser, lab: Desk) -> None:
    assert browser.get(f"{lab.home}/jobs/77/results.csv").status_code == 404


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_is_a_formula(cell: str) -> None:
    pieces = b"".join(tables.csv_pieces(["a"], iter([(cell,)]))).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(pieces, newline="")))[1] == [f"'{cell}"]
    assert rows_of(b"".join(tables.xlsx_pieces(["a"], iter([(cell,)]))))[1][0].strip() == cell.strip()


def test_a_workbook_keeps_what_xml_cannot_hold_out_and_goes_on_in_another_sheet() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("backend.lib.tables._MAX_ROWS", 3)
        some = iter([("a\x00<b>&\ud800", 7), ("x" * 40_000, 2), ("third", 3)])
        rows = rows_of(b"".join(tables.xlsx_pieces(["text", "number"], some)))
    assert rows == [["text", "number"], ["a<b>&", 7], ["x" * 32_767, 2], ["text", "number"], ["third", 3]]


def test_the_first_bytes_come_before_the_last_row() -> None:
    read: list[int] = []

    def rows() -> Any:
        for number in range(200_000):
            read.append(number)
            yield (f"address{number}@lab.example", number)

    pieces = tables.xlsx_pieces(["address", "number"], rows())
    assert sum(len(next(pieces)) for _ in range(3)) > 0
    assert len(read) < 20_000
