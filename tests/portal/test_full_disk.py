"""A disk that takes no more, behind the portal: pages can be read; forms are answered why not, and keep nothing."""

import logging

import pytest
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.spreadsheets import UploadPiece
from tests.conftest import MovableClock
from tests.factories import laboratory
from tests.full_disk import STATES, Disk
from tests.portal.conftest import Browser
from tests.portal.desk import Desk
from tests.portal.people_and_messages import user
from tests.portal.test_jobs import upload
from tests.portal.test_recipients import form, own


@pytest.mark.parametrize("state", STATES)
def test_forms_are_answered_by_a_page_that_says_what_is_wrong(
    database: Database, browser: Browser, moving_clock: MovableClock, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    lab = laboratory(database)
    user(database, member_of=lab.service_id, role="editor")
    browser.sign_in()
    rows = [("EMAIL", f"{'a-long-name-that-fills-pages-' * 2}{number}@lab.example") for number in range(100)]
    group = form("Large", "X_LARGE", *rows)
    source = {"action": "save", "source": "x" * 200_000, "name": "Large", "format": "html", "revision": "0"}
    moving_clock.forward(minutes=5)  # so that the session has to be marked as seen
    with Disk(database).filled(state):
        refused = [
            browser.send(own(lab, "/new"), **group),
            browser.send(f"/portal/services/{lab.service_id}/templates/X_SAMPLE", **source),
        ]
        pages = (own(lab), own(lab, "/X_LAB"), f"/portal/services/{lab.service_id}")
        shown = [browser.get(address).status_code for address in pages]
    for answer in refused:
        assert answer.status_code == 503, answer.text
        assert "Carillon cannot do this just now" in answer.text
        assert ("its disk is full" if state == "full" else "it is read-only") in answer.text
    assert shown == [200, 200, 200], "what is there can be read"
    assert not [entry for entry in caplog.records if entry.levelno >= logging.ERROR]
    assert browser.get(own(lab, "/X_LARGE")).status_code == 404
    assert browser.send(own(lab, "/new"), **group).status_code == 303


@pytest.mark.parametrize("state", STATES)
def test_a_file_that_finds_no_room_is_kept_neither_whole_nor_in_part(
    database: Database, browser: Browser, state: str
) -> None:
    lab = laboratory(database)
    user(database, member_of=lab.service_id, role="editor")
    browser.sign_in()
    content = b"email address,sample_id\n" + b"ada@lab.example,S-1\n" * 40_000
    token = browser.token()
    with Disk(database).filled(state):
        answer = upload(browser, Desk(lab), content, token)
    assert answer.status_code == 503
    assert ("its disk is full" if state == "full" else "it is read-only") in answer.text
    with database.read() as session:
        assert session.scalars(select(UploadPiece.id)).all() == []
    assert upload(browser, Desk(lab), content).status_code == 303
