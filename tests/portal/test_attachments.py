"""The files of notifications on the portal's pages: told, saved, and the images among them shown."""

import hashlib
from base64 import b64encode
from typing import Any

from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.delivery.sending.send import Sender
from tests.attachments import PDF, PNG, attachment
from tests.factories import notification
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

SHOWING = '<p><img src="cid:logo.png" alt="Laboratory">{{ sample_id }}</p>'


def given() -> list[dict[str, Any]]:
    return [attachment("Über <b>die Probe.pdf"), attachment("logo.png", PNG, inline=True)]


def with_files(made: Desk, **changes: Any) -> str:
    made.lab.template("X_SHOWING", SHOWING)
    return str(made.accept(template_id="X_SHOWING", attachments=given(), **changes))


def signed_in(browser: Browser, database: Database) -> Desk:
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="viewer")
    browser.sign_in()
    return made


def address_of(made: Desk, uid: str, content: bytes) -> str:
    return f"{made.home}/notifications/{uid}/attachments/{hashlib.sha256(content).hexdigest()}"


def test_a_page_tells_the_files_and_each_can_be_saved(browser: Browser, database: Database) -> None:
    made = signed_in(browser, database)
    uid = with_files(made)
    page = browser.get(f"{made.home}/notifications/{uid}").text
    assert "Über &lt;b&gt;die Probe.pdf" in page
    assert f'href="{address_of(made, uid, PDF)}"' in page
    answer = browser.get(address_of(made, uid, PDF))
    assert (answer.status_code, answer.content) == (200, PDF)
    assert answer.headers["content-type"] == "application/pdf"
    saved = answer.headers["content-disposition"]
    assert saved == "attachment; filename*=UTF-8''%C3%9Cber%20%3Cb%3Edie%20Probe.pdf"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_a_file_belongs_to_its_notification_and_its_service(browser: Browser, database: Database) -> None:
    made = signed_in(browser, database)
    uid, other = with_files(made), made.accept("S-2")
    theirs = desk(database, "Other")
    foreign = theirs.submit(
        notification(recipient=["O_LAB"], template_id="O_SAMPLE", attachments=[attachment(content=PDF + b"theirs")])
    )
    assert browser.get(address_of(made, str(other), PDF)).status_code == 404
    assert browser.get(address_of(made, uid, PDF + b"theirs")).status_code == 404
    assert browser.get(address_of(made, str(foreign), PDF + b"theirs")).status_code == 404
    assert browser.get(address_of(theirs, str(foreign), PDF + b"theirs")).status_code == 404


def test_the_message_in_its_frame_shows_its_image(browser: Browser, database: Database) -> None:
    made = signed_in(browser, database)
    uid = with_files(made)
    with database.read() as session:
        delivery = session.scalars(select(Delivery.uid)).one()
    frame = browser.get(f"{made.home}/notifications/{uid}/messages/{delivery}").text
    assert f"data:image/png;base64,{b64encode(PNG).decode()}" in frame
    Sender("worker").send_some()
    kept = browser.get(f"{made.home}/outbox/{delivery}")
    assert "Über &lt;b&gt;die Probe.pdf" in kept.text
    assert f'href="{address_of(made, uid, PDF)}"' in kept.text
    assert f"data:image/png;base64,{b64encode(PNG).decode()}" in browser.get(f"{made.home}/outbox/{delivery}/html").text


def test_the_files_of_a_refused_notification_are_told_and_cannot_be_saved(browser: Browser, database: Database) -> None:
    made = signed_in(browser, database)
    uid = with_files(made, recipient=["X_NOBODY"])
    page = browser.get(f"{made.home}/notifications/{uid}").text
    assert "Über &lt;b&gt;die Probe.pdf" in page
    assert "/attachments/" not in page
    assert browser.get(address_of(made, uid, PDF)).status_code == 404
