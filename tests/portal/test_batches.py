"""Batches in the portal: what waits, one with its members and message, what people do to it, and who may."""

import re
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.batches import Batch
from backend.db.models.notifications import DeliveryStatus
from backend.registry import templates
from tests.conftest import MovableClock
from tests.factories import BATCH_HTML
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

S = DeliveryStatus


@pytest.fixture
def lab(browser: Browser, database: Database, moving_clock: MovableClock) -> Desk:
    """Give a service with an editor, who is signed in."""
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="editor")
    browser.sign_in()
    return made


def batches(lab: Desk) -> list[tuple[UUID, str, bool, int]]:
    """Return id, status, whether held, and the number of members of each batch of the service."""
    with lab.lab.database.read() as session:
        found = session.scalars(select(Batch).where(Batch.service_id == lab.lab.service_id).order_by(Batch.id))
        return [(one.uid, one.status, one.held, one.members) for one in found]


def one(lab: Desk) -> str:
    """Return the address of the service's newest batch."""
    return f"{lab.home}/batches/{batches(lab)[-1][0]}"


def test_without_batches_the_page_says_what_they_are(browser: Browser, lab: Desk) -> None:
    page = browser.get(f"{lab.home}/batches").text
    assert "No batch waits" in page
    assert f"{lab.home}/guide#batches" in page
    assert "every 3s" not in page


def test_what_waits_counts_down_and_what_went_is_below(browser: Browser, lab: Desk, moving_clock: MovableClock) -> None:
    lab.buffer("S-1", aggregator_id="run-0")
    moving_clock.forward(minutes=2)
    lab.dispatch()
    lab.finish(S.SENT, "250 Ok")
    lab.buffer("S-2", "S-3")
    page = browser.get(f"{lab.home}/batches").text
    waiting, _, gone = page.partition("Gone lately")
    assert "run-1" in waiting
    assert "data-countdown" in waiting
    assert "in 1 min" in waiting
    assert "run-0" not in waiting
    assert "run-0" in gone
    assert 'hx-trigger="every 3s"' in page
    refresh = page.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    assert browser.get(refresh).status_code == 204
    lab.buffer("S-4")
    assert browser.get(refresh).status_code == 200


def test_one_batch_shows_its_members_and_its_message(browser: Browser, lab: Desk) -> None:
    uids = lab.buffer("S-1", "S-2")
    page = browser.get(one(lab)).text
    for uid in uids:
        assert f'href="{lab.home}/notifications/{uid}"' in page
    assert "{&#34;sample-id&#34;:&#34;S-1&#34;}" in page
    assert "when nothing has joined for its quiet time" in page
    message = browser.get(f"{one(lab)}/message")
    assert "<li>S-1</li><li>S-2</li>" in message.text
    assert message.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert browser.get(f"{one(lab)}/message?view=text").headers["content-type"].startswith("text/plain")


def test_members_come_in_pages(browser: Browser, lab: Desk) -> None:
    uids = lab.buffer(*(f"S-{number}" for number in range(55)))
    first = browser.get(one(lab)).text
    assert str(uids[49]) in first
    assert str(uids[50]) not in first
    more = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    rest = browser.get(more).text
    assert str(uids[50]) in rest
    assert "First members" in rest


def test_a_batch_is_sent_now_alone(browser: Browser, lab: Desk) -> None:
    lab.buffer("S-1", recipient=["X_LAB"])
    lab.buffer("S-2", recipient=["X_TWO"])
    address = one(lab)
    led = browser.send(f"{address}/flush")
    assert led.headers["location"] == address
    assert [status for _, status, _, _ in batches(lab)] == ["OPEN", "DISPATCHED"]
    page = browser.get(address).text
    assert "The batch is on its way." in page
    assert "because somebody asked for it" in page
    lab.finish(S.SENT, "250 Ok")
    assert "<li>S-2</li>" in browser.get(f"{address}/message").text
    with lab.lab.database.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "batch.flushed")).one()
    assert (entry.actor, entry.subject, entry.detail) == (
        "ada@lab.example",
        str(batches(lab)[-1][0]),
        {"aggregator_id": "run-1"},
    )


def test_a_batch_that_lies_in_the_outbox_says_so_on_every_page(browser: Browser, lab: Desk) -> None:
    (uid,) = lab.buffer("S-1", recipient=["X_LAB"])
    address = one(lab)
    browser.send(f"{address}/flush")
    lab.keep()
    assert batches(lab)[0][1] == "SENT"
    page = browser.get(address).text
    (matter,) = re.findall(r'href="([^"]+/matters/[^"]+)"', page)
    for home in (address, f"{lab.home}/batches", f"{lab.home}/notifications/{uid}", matter):
        main = browser.get(home).text.partition("<main")[2]
        assert "</svg> In outbox</span>" in main, home
        assert "</svg> Sent</span>" not in main, home


def test_a_batch_is_held_back_and_released(browser: Browser, lab: Desk, moving_clock: MovableClock) -> None:
    lab.buffer("S-1")
    address = one(lab)
    browser.send(f"{address}/hold")
    page = browser.get(address).text
    assert "Held back" in page
    assert f"{address}/release" in page
    moving_clock.forward(minutes=20)
    lab.dispatch()
    assert batches(lab)[0][1:3] == ("OPEN", True)
    browser.send(f"{address}/release")
    assert batches(lab)[0][1:3] == ("DISPATCHED", False)


def test_a_member_is_taken_out_of_this_batch_alone(browser: Browser, lab: Desk) -> None:
    (uid,) = lab.buffer("S-1", recipient=["X_LAB", "X_TWO"])
    first, second = batches(lab)
    browser.send(f"{lab.home}/batches/{first[0]}/members/{uid}/remove")
    assert [(status, members) for _, status, _, members in batches(lab)] == [("CANCELLED", 0), ("OPEN", 1)]
    assert "Every member was taken out" in browser.get(f"{lab.home}/batches/{first[0]}").text
    assert lab.statuses(uid)[0] == "BUFFERED"
    assert second[0] == batches(lab)[1][0]


def test_a_batch_that_fails_says_why_and_goes_again(browser: Browser, lab: Desk, moving_clock: MovableClock) -> None:
    lab.buffer("S-1")
    with lab.lab.database.transaction() as session:
        templates.delete(session, lab.lab.service_id, "X_LIST")
    moving_clock.forward(minutes=20)
    lab.dispatch()
    page = browser.get(f"{lab.home}/batches").text
    assert "The template X_LIST is no longer registered." in page
    assert "no longer registered" in browser.get(one(lab)).text
    assert "no longer registered" in browser.get(f"{one(lab)}/message").text
    lab.lab.template("X_LIST", BATCH_HTML)
    browser.send(f"{one(lab)}/flush")
    assert batches(lab)[0][1] == "DISPATCHED"


def test_the_message_goes_again_where_it_failed(browser: Browser, lab: Desk) -> None:
    (uid,) = lab.buffer("S-1", recipient=["X_TWO"])
    browser.send(f"{one(lab)}/flush")
    lab.finish(S.SENT, "250 Ok", most=1)
    lab.finish(S.FAILED, "550 no such user")
    assert lab.statuses(uid)[0] == "PARTIAL"
    page = browser.get(one(lab)).text
    assert "550 no such user" in page
    assert f"{one(lab)}/again" in page
    browser.send(f"{one(lab)}/again")
    assert lab.statuses(uid)[0] == "DISPATCHED"
    browser.send(f"{one(lab)}/cancel")
    assert lab.statuses(uid)[0] == "SENT"


def test_a_viewer_sees_everything_and_changes_nothing(browser: Browser, lab: Desk, database: Database) -> None:
    (uid,) = lab.buffer("S-1")
    user(database, "grace@lab.example", member_of=lab.lab.service_id, role="viewer")
    browser.send("/portal/sign-out")
    browser.sign_in("grace@lab.example")
    for page in (browser.get(one(lab)).text, browser.get(f"{lab.home}/batches").text):
        assert "run-1" in page
        assert "/flush" not in page
        assert "/members/" not in page
    for deed in ("flush", "hold", "release", "again", "cancel", f"members/{uid}/remove"):
        assert browser.send(f"{one(lab)}/{deed}").status_code == 403, deed
    assert batches(lab)[0][1:] == ("OPEN", False, 1)


def test_another_services_batch_can_neither_be_seen_nor_changed(
    browser: Browser, lab: Desk, database: Database
) -> None:
    museum = desk(database, "Museum")
    (uid,) = museum.buffer("S-1", recipient=["M_LAB"], template_id="M_LIST")
    foreign = batches(museum)[0][0]
    for home in (museum.home, lab.home):
        for rest in ("", "/state", "/message"):
            assert browser.get(f"{home}/batches/{foreign}{rest}").status_code == 404, rest
        for deed in ("flush", "hold", "release", "again", "cancel", f"members/{uid}/remove"):
            assert browser.send(f"{home}/batches/{foreign}/{deed}").status_code == 404, deed
    assert str(foreign) not in browser.get(f"{lab.home}/batches").text
    assert batches(museum)[0][1:] == ("OPEN", False, 1)


def test_an_unknown_batch_is_a_page_that_says_so(browser: Browser, lab: Desk) -> None:
    assert browser.get(f"{lab.home}/batches/{uuid4()}").status_code == 404
    assert browser.get(f"{lab.home}/batches/{uuid4()}/message").status_code == 404
