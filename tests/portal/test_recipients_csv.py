"""Recipients as CSV: what goes out comes in again unchanged, formulas stay text, and a file is taken whole or not."""

import csv
import io
import re

import pytest
from httpx import Response

from backend.db.database import Database
from backend.registry import recipients
from backend.registry.lookup import Address
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser, served
from tests.portal.test_recipients import HOOK, MASKED, actions, addresses, own

_HEAD = "identifier,name,channel,address\n"


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with the group X_LAB, looked at by its editor."""
    return served(database, browser, "editor")


def upload(browser: Browser, lab: Laboratory, raw: bytes = b"", **form: str) -> Response:
    """Send the form of the import as a browser does, with a file."""
    data = {"_csrf_token": browser.token(), **form}
    name = "recipients.csv" if raw else ""
    files = {"file": (name, raw, "text/csv")}
    headers = {"Accept": "text/html"}
    return browser.client.post(own(lab, "/import"), data=data, files=files, headers=headers, follow_redirects=False)


def accept(browser: Browser, lab: Laboratory, raw: bytes) -> Response:
    """Look at what a file would do, and have it done."""
    preview = upload(browser, lab, raw)
    seen = re.search(r'name="seen" value="(\w+)"', preview.text)
    assert seen, preview.text
    return upload(browser, lab, text=raw.decode("utf-8-sig"), seen=seen[1])


def test_what_goes_out_comes_in_again_unchanged(browser: Browser, lab: Laboratory) -> None:
    lab.recipient("X_MANY", ("SMS", "+447700900123"), ("SLACK", HOOK), language="de")
    with lab.database.transaction() as session:
        recipients.put(session, lab.service_id, "X_FORMULA", "=1+1", [Address("EMAIL", "a@lab.example")])
    answer = browser.get(own(lab, ".csv"))
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert ["X_FORMULA", "'=1+1", "EMAIL", "a@lab.example", ""] in rows
    assert ["X_MANY", "X_Many", "SMS", "'+447700900123", "de"] in rows
    assert ["X_MANY", "X_Many", "SLACK", MASKED, "de"] in rows
    assert "0 new, 0 changed, 3 as they are" in upload(browser, lab, answer.content).text
    assert addresses(lab, "X_MANY")[1] == ("SLACK", HOOK)


def test_languages_come_with_a_column_and_stay_without_one(browser: Browser, lab: Laboratory) -> None:
    def language() -> str | None:
        with lab.database.read() as session:
            return recipients.get(session, lab.service_id, "X_LAB").language

    line = "X_LAB,X_Lab,EMAIL,lab@lab.example"
    head = _HEAD.strip() + ",language\n"
    raw = f"{head}{line},DE\n".encode()
    assert "It reads German (de)" in upload(browser, lab, raw).text
    assert accept(browser, lab, raw).status_code == 303
    assert language() == "de"
    assert "0 new, 0 changed, 1 as it is" in upload(browser, lab, f"{_HEAD}{line}\n".encode()).text
    assert accept(browser, lab, f"{_HEAD}X_LAB,Renamed,EMAIL,lab@lab.example\n".encode()).status_code == 303
    assert language() == "de"
    faulty = f"{head}{line},de\nX_LAB,X_Lab,SMS,+447700900123,fr\nX_OTHER,Other,SMS,+447700900123,no such\n"
    page = upload(browser, lab, faulty.encode()).text
    assert "X_LAB reads another language in line 2: give one." in page
    assert "X_OTHER: " in page
    assert accept(browser, lab, f"{head}X_LAB,Renamed,EMAIL,lab@lab.example,\n".encode()).status_code == 303
    assert language() is None


def test_a_file_is_looked_at_and_then_stored(browser: Browser, lab: Laboratory) -> None:
    lines = "X_NEW,New,email,NEW@lab.example\nX_NEW,New,SMS,'+44 7700 900123\nX_LAB,Renamed,SLACK,#lab\n"
    raw = ("\ufeff" + _HEAD + lines).encode()
    preview = upload(browser, lab, raw).text
    assert "1 new, 1 changed" in preview
    assert "Removes Email" in preview
    assert actions(lab.database) == []
    assert accept(browser, lab, raw).status_code == 303
    assert addresses(lab, "X_NEW") == [("EMAIL", "NEW@lab.example"), ("SMS", "+447700900123")]
    assert addresses(lab, "X_LAB") == [("SLACK", "#lab")]
    assert actions(lab.database) == [("recipient.made", "X_NEW"), ("recipient.changed", "X_LAB")]


def test_what_was_changed_meanwhile_is_shown_again(browser: Browser, lab: Laboratory) -> None:
    raw = f"{_HEAD}X_LAB,Renamed,EMAIL,other@lab.example\n"
    seen = re.search(r'name="seen" value="(\w+)"', upload(browser, lab, raw.encode()).text)
    assert seen
    lab.recipient("X_LAB", ("EMAIL", "third@lab.example"))
    answer = upload(browser, lab, text=raw, seen=seen[1])
    assert "Recipients were changed since you looked" in answer.text
    assert addresses(lab, "X_LAB") == [("EMAIL", "third@lab.example")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("X_NEW,New,EMAIL,ok@lab.example\nX_BAD,Bad,EMAIL,nothing\n", "Line 3:</strong> An EMAIL address is"),
        ("x bad,Bad,EMAIL,ok@lab.example\n", "Line 2:</strong> x bad: "),
        ("P_LAB,Bad,EMAIL,ok@lab.example\n", "belongs to another service"),
        ("X_NEW,New,PIGEON,roof\n", "The channel is one of EMAIL"),
        ("X_NEW,New,EMAIL,a@lab.example\nX_NEW,Other,EMAIL,b@lab.example\n", "give one name"),
        ("X_NEW,New,EMAIL,a@lab.example\nX_NEW,New,EMAIL,a@LAB.example\n", "same as that of line 2"),
        ("X_NEW,,EMAIL,a@lab.example\n", "Line 2:"),
        ("X_NEW,New\n", "It has 2 cells"),
        ("", "holds no recipients"),
    ],
)
def test_one_bad_line_keeps_the_whole_file_out(browser: Browser, lab: Laboratory, lines: str, said: str) -> None:
    laboratory(lab.database, "Proteomics")
    answer = upload(browser, lab, (_HEAD + lines).encode())
    assert answer.status_code == 422
    assert said in answer.text
    assert 'name="seen"' not in answer.text
    assert actions(lab.database) == []


@pytest.mark.parametrize("raw", [b"", b"a,b\n", b"\xff\xfe", _HEAD.encode() + b"x" * 512 * 1024, b'"'])
def test_what_is_no_such_file(browser: Browser, lab: Laboratory, raw: bytes) -> None:
    answer = upload(browser, lab, raw)
    assert answer.status_code == 422
    assert 'id="file-fault"' in answer.text
