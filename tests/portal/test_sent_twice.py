"""A form that is sent twice does its thing once; what failed, and what is another thing, may be sent again."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from httpx import Response
from sqlalchemy import func, select

from backend.db.database import Database
from backend.db.models.accounts import ApiClient
from backend.db.models.notifications import DeliveryStatus, Event
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user


@pytest.fixture
def made(database: Database, browser: Browser) -> Desk:
    found = desk(database)
    user(database, member_of=found.lab.service_id, role="admin")
    browser.sign_in()
    return found


def marks(browser: Browser, address: str) -> dict[str, str]:
    """Return the hidden fields of a page's forms."""
    found = dict(re.findall(r'name="(_csrf_token|once)" value="([^"]+)"', browser.get(address).text))
    return {"token": found["_csrf_token"], "once": found["once"]}


def count(made: Desk) -> int:
    with made.lab.database.read() as session:
        return session.scalar(select(func.count()).select_from(ApiClient)) or 0


def test_one_client_is_made_of_a_form_that_comes_twice(browser: Browser, made: Desk) -> None:
    address = f"{made.home}/clients/new"
    form, before = marks(browser, address), count(made)
    first = browser.send(address, **form, name="lims", send="true")
    second = browser.send(address, **form, name="lims", send="true")
    assert count(made) == before + 1
    assert first.headers["location"].startswith(f"{made.home}/clients/")
    assert second.headers["location"] == f"{made.home}/clients"
    assert "was done once" in browser.led(second)
    assert browser.send(address, **form, name="another", send="true").status_code == 303
    assert browser.send(address, **marks(browser, address), name="lims", send="true").status_code == 303
    assert count(made) == before + 3


def test_at_the_same_time_too(browser: Browser, made: Desk) -> None:
    address = f"{made.home}/clients/new"
    form, before = marks(browser, address), count(made)

    def send(_: int) -> Response:
        data = {"_csrf_token": form["token"], "once": form["once"], "name": "lims", "send": "true"}
        return browser.client.post(address, data=data, follow_redirects=False)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, range(4)))
    assert {answer.status_code for answer in answers} == {303}
    assert count(made) == before + 1


def test_what_was_refused_may_be_sent_again_as_it_is(browser: Browser, made: Desk) -> None:
    address = f"{made.home}/clients/new"
    form = marks(browser, address)
    for _ in range(3):
        assert browser.send(address, **form, name="", send="true").status_code == 422


def test_a_notification_goes_again_once(browser: Browser, made: Desk) -> None:
    told = made.accept()
    made.finish(DeliveryStatus.FAILED, "550 5.1.1 User unknown")
    page = f"{made.home}/notifications/{told}"
    form = marks(browser, page)
    assert browser.send(f"{page}/again", **form).status_code == 303
    made.finish(DeliveryStatus.FAILED, "550 5.1.1 User unknown")
    assert browser.send(f"{page}/again", **form).headers["location"] == page
    with made.lab.database.read() as session:
        assert session.scalar(select(func.count()).where(Event.kind == "again")) == 1
