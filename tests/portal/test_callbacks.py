"""The page of a client's callbacks: its address, its secret shown once, what was posted, off and on again."""

import re
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from backend.accounts.audit import Actor
from backend.callbacks import endpoints
from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.callbacks import CallbackEndpoint, CallbackMessage
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser, served
from tests.portal.people_and_messages import user

_SECRET = re.compile(r"whsec_[\w+/=]+")
_URL = "https://lims.lab.example/carillon"
_UID = "msg_" + "0" * 32


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with one client, looked at by its administrator."""
    return served(database, browser, "admin")


def own(lab: Laboratory, rest: str = "") -> str:
    return f"/portal/services/{lab.service_id}/clients/{lab.client.client_id}/callback{rest}"


def posted(lab: Laboratory, status: str = "FAILED") -> None:
    """Store a message that was posted to the client's address."""
    with lab.database.transaction() as session:
        endpoint = session.scalars(select(CallbackEndpoint.id)).one()
        values = {"uid": _UID, "type": "notification.sent", "notification_uid": UUID(int=1), "payload": '{"type": "x"}'}
        answer = {"status": status, "attempts": 9, "last_status": 503}
        session.execute(insert(CallbackMessage).values(endpoint_id=endpoint, **values, **answer))


def test_the_secret_is_shown_once_and_rotated(browser: Browser, lab: Laboratory) -> None:
    assert "Register the address" in browser.get(own(lab)).text
    refused = browser.send(own(lab), url="http://localhost/x")
    assert refused.status_code == 422
    assert 'value="http://localhost/x"' in refused.text
    (first,) = set(_SECRET.findall(browser.led(browser.send(own(lab), url=f" {_URL}"))))
    assert not _SECRET.search(browser.get(own(lab)).text)
    assert browser.send(own(lab), url=f"{_URL}/2").status_code == 303
    (second,) = set(_SECRET.findall(browser.led(browser.send(own(lab, "/secret")))))
    with lab.database.read() as session:
        endpoint = session.scalars(select(CallbackEndpoint)).one()
        assert endpoints.signing_secrets(session, endpoint.id) == [second, first]
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
        actors = set(session.scalars(select(AuditEntry.actor)))
    assert actions == ["callback.registered", "callback.changed", "callback.secret_rotated"]
    assert actors == {"ada@lab.example"}


def test_what_was_posted_is_listed_and_posted_again(browser: Browser, lab: Laboratory) -> None:
    browser.send(own(lab), url=_URL)
    posted(lab)
    page = browser.get(own(lab)).text
    assert "Given up" in page
    assert "HTTP 503" in page
    assert "{&#34;type&#34;: &#34;x&#34;}" in page
    assert browser.send(own(lab, f"/messages/{_UID}/redeliver")).status_code == 303
    assert "Waiting" in browser.get(own(lab)).text
    assert browser.send(own(lab, "/messages/msg_other/redeliver")).status_code == 404


def test_one_that_was_switched_off_says_why_and_comes_on_again(browser: Browser, lab: Laboratory) -> None:
    browser.send(own(lab), url=_URL)
    posted(lab)
    with lab.database.transaction() as session:
        endpoints.disable(session, lab.client.id, "It failed for three days.", Actor("system", "callbacks"))
    page = browser.get(own(lab)).text
    assert "It failed for three days." in page
    assert "Switched off" in browser.get(own(lab).removesuffix("/callback")).text
    assert browser.send(own(lab, f"/messages/{_UID}/redeliver")).status_code == 422
    browser.send(own(lab, "/enable"))
    with lab.database.transaction() as session:
        session.execute(update(CallbackEndpoint).values(failing_since=CallbackEndpoint.created_at, failures=2))
    page = browser.get(own(lab)).text
    assert "It failed for three days." not in page
    assert "It is failing" in page
    browser.send(own(lab, "/disable"))
    assert "ada@lab.example switched it off." in browser.get(own(lab)).text
    assert browser.send(own(lab, "/remove")).status_code == 303
    assert "Register the address" in browser.get(own(lab)).text
    assert browser.send(own(lab, "/enable")).status_code == 404


def test_only_administrators_change_it_and_others_see_none(browser: Browser, database: Database) -> None:
    made, other = laboratory(database), laboratory(database, "Proteomics")
    with database.transaction() as session:
        endpoints.register(session, made.client.id, made.service_id, _URL, Actor("person", "eve@lab.example"))
    posted(made)
    user(database, member_of=made.service_id, role="editor")
    browser.sign_in()
    main = browser.get(own(made)).text.partition("<main")[2].partition("</main>")[0]
    assert _URL in main
    assert "<form" not in main
    for rest in ("", "/secret", "/enable", "/disable", "/remove", f"/messages/{_UID}/redeliver"):
        assert browser.send(own(made, rest), url=_URL).status_code == 403
    foreign = own(made).replace(made.client.client_id, other.client.client_id)
    assert browser.get(foreign).status_code == 404
    assert browser.get(own(other)).status_code == 404
