"""The guide: its examples carry the service's own ids and no secret, and they run."""

import html
import json
import re
import shlex

import pytest

from backend.db.database import Database
from backend.lib.catalogue import CATALOGUE
from backend.portal import guide
from backend.reports import first_steps
from tests.factories import BATCH_HTML
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import service, user


@pytest.fixture
def lab(browser: Browser, database: Database) -> Desk:
    """Give a service with a viewer, who is signed in."""
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="viewer")
    browser.sign_in()
    return made


def lines(lab: Desk) -> guide.Lines:
    """Return the examples of a service."""
    with lab.lab.database.read() as session:
        return guide.lines(first_steps.example(session, lab.lab.service_id), "http://testserver.local")


def test_the_guide_is_filled_with_the_services_own_ids(browser: Browser, lab: Desk) -> None:
    page = html.unescape(browser.get(f"{lab.home}/guide").text)
    for own in (lab.lab.client.client_id, '"X_LAB"', '"template_id": "X_SAMPLE"', "X_LAB", "batches-title"):
        assert own in page
    assert lab.lab.client.client_secret not in page
    for code, entry in CATALOGUE.items():
        assert f'id="error-{code}"' in page
        assert entry.remedy in page
    for address in re.findall(r'<li><a href="#(\w+)">', page):
        assert f'<section id="{address}"' in page


def test_a_service_without_anything_is_told_where_to_begin(browser: Browser, database: Database) -> None:
    identity = service(database)
    user(database, member_of=identity, role="viewer")
    browser.sign_in()
    page = browser.get(f"/portal/services/{identity}/guide").text
    for path in ("clients", "recipients", "templates"):
        assert f'none yet</span> <a href="/portal/services/{identity}/{path}"' in page
    assert "YOUR_CLIENT_ID" in page


def test_the_bodies_are_what_the_api_takes(lab: Desk) -> None:
    lab.lab.template("X_LIST", BATCH_HTML, sample_fields=[{"sample-id": "S-1"}, {"sample-id": "S-2"}])
    with lab.lab.database.read() as session:
        example = first_steps.example(session, lab.lab.service_id)
    assert lab.statuses(lab.submit(guide.notification(example)))[0] == "DISPATCHED"
    assert lab.statuses(lab.submit(guide.batch_notification(example)))[0] == "BUFFERED"


def test_a_sample_with_quotes_stays_one_word_of_the_shell(database: Database) -> None:
    example = first_steps.Example(
        client="c",
        recipient="X_LAB",
        channel="SMS",
        template="X_T",
        subject_needed=True,
        fields={"a": "it's $HOME `x`"},
    )
    written = guide.lines(example, "http://lab.example").send
    body = shlex.split(written.replace("\\\n", " "))[-1]
    assert json.loads(body)["channels"][0]["fields"] == {"a": "it's $HOME `x`"}
    assert "subject" not in json.loads(body)["channels"][0]
