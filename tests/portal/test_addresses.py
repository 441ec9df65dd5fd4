"""The page of an address: what was sent to it, what came back, why it gets nothing; and that no log names it."""

import logging
import re

import pytest
from sqlalchemy import select

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import Delivery, DeliveryStatus, Event
from backend.lib import clock
from backend.registry import address_ids, suppressions
from backend.reports import address
from tests.conftest import MovableClock
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user
from tests.search.conftest import gathered

S = DeliveryStatus
HOOK = "https://hooks.slack.com/services/T00000000/B00000000/0123456789abcdefghijklmn"
ADDRESS = "grace@lab.example"


@pytest.fixture
def lab(browser: Browser, database: Database) -> Desk:
    """Give a service with a recipient in three channels, and an editor who is signed in."""
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="editor")
    browser.sign_in()
    made.lab.recipient("X_GRACE", ("EMAIL", ADDRESS), ("FRESHSERVICE", f"{ADDRESS};group_id=42"), ("SLACK", HOOK))
    return made


def find(browser: Browser, lab: Desk, wanted: str) -> str:
    """Look an address up, and return where that leads."""
    led = browser.send(f"{lab.home}/addresses", address=wanted)
    assert led.status_code == 303, led.text
    found: str = led.headers["location"]
    return found


def test_everything_that_was_sent_stands_there_in_all_channels(browser: Browser, lab: Desk) -> None:
    uid = lab.accept("S-1", recipient=["X_GRACE"], subject="Plate 2847")
    ticket = lab.accept("S-2", type="FRESHSERVICE", recipient=["X_GRACE"], subject="A ticket")
    lab.finish(S.FAILED, "550 5.1.1 <grace@lab.example>: User unknown", most=1)
    page = browser.get(find(browser, lab, f" {ADDRESS} ")).text
    assert f">{ADDRESS}</h1>" in page
    sent = page.partition("What was sent to it</h2>")[2]
    assert sent.index(str(ticket)) < sent.index(str(uid))
    assert "Plate 2847" in page
    assert "Freshservice" in page
    assert "recipients/X_GRACE" in page
    assert "It is not suppressed" in page
    assert "There is no such mailbox." in page
    assert "Ask its owner for the right address" in page
    assert "code 5.1.1" in page


def test_complaints_and_bounces_are_explained(browser: Browser, lab: Desk) -> None:
    lab.accept("S-1", recipient=["X_GRACE"])
    lab.finish(S.SENT, "250 Ok")
    with lab.lab.database.transaction() as session:
        one = session.scalars(select(Delivery)).one()
        for kind, words in (("complained", "abuse"), ("bounced", "552 5.2.2 Mailbox full")):
            happened = {"notification_id": one.notification_id, "delivery_id": one.id, "at": clock.now()}
            session.add(Event(**happened, kind=f"receipt_{kind}", detail=words))
        detail = {"reason": "complained", "detail": "abuse"}
        suppressions.suppress(session, lab.lab.service_id, Channel.EMAIL, ADDRESS, **detail)  # type: ignore[arg-type]
    page = browser.get(find(browser, lab, ADDRESS)).text
    assert "The reader marked the message as unwanted." in page
    assert "The mailbox is full." in page
    assert "It gets nothing from Laboratory since" in page
    assert "only with their consent" in page


def test_it_is_reached_from_wherever_an_address_is_shown(browser: Browser, lab: Desk) -> None:
    uid = lab.accept("S-1", recipient=["X_GRACE"])
    with lab.lab.database.transaction() as session:
        suppressions.suppress(session, lab.lab.service_id, Channel.EMAIL, ADDRESS, reason="by_hand")
    own = find(browser, lab, ADDRESS)
    for page in (f"notifications/{uid}", "suppressions", "recipients/X_GRACE", "recipients"):
        assert f'href="{own}"' in browser.get(f"{lab.home}/{page}").text, page


def test_a_secret_address_is_shown_by_its_ends_alone(browser: Browser, lab: Desk) -> None:
    lab.accept("S-1", type="SLACK", recipient=["X_GRACE"])
    page = browser.get(find(browser, lab, HOOK)).text
    assert "https://hooks.slack.com/…klmn" in page
    assert "0123456789" not in page


def test_an_address_that_got_nothing_says_so(browser: Browser, lab: Desk) -> None:
    page = browser.get(find(browser, lab, "nobody@lab.example")).text
    assert "Nothing was sent to it" in page
    assert "No recipient of this service has it now." in page


def test_what_is_no_address_is_told(browser: Browser, lab: Desk) -> None:
    answer = browser.send(f"{lab.home}/addresses", address="07700 900123")
    assert answer.status_code == 422
    assert "This is no address" in answer.text
    assert 'value="07700 900123"' in answer.text


def test_pages_go_back_through_all_of_it(browser: Browser, lab: Desk) -> None:
    for number in range(address.PAGE_SIZE + 5):
        lab.accept(f"S-{number}", recipient=["X_GRACE"])
    own = find(browser, lab, ADDRESS)
    first = browser.get(own).text
    further = re.search(r'href="([^"]+before=\d+)" rel="next"', first)
    assert further
    second = browser.get(further[1]).text
    named = [set(re.findall(r"/notifications/([0-9a-f-]{36})", page)) for page in (first, second)]
    assert [len(one) for one in named] == [address.PAGE_SIZE, 5]
    assert not named[0] & named[1]


def test_neither_the_address_of_the_page_nor_a_log_names_it(
    browser: Browser, lab: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    own = find(browser, lab, ADDRESS)
    browser.get(own)
    assert "grace" not in own
    assert "grace" not in "".join(record.getMessage() for record in caplog.records if record.name != "sqlalchemy")


def test_a_name_is_of_one_service_alone(browser: Browser, lab: Desk) -> None:
    foreign = address_ids.seal(lab.lab.service_id + 1, ADDRESS)
    for name in (foreign, "example", "a.b", f"{find(browser, lab, ADDRESS).rpartition('/')[2]}x"):
        assert browser.get(f"{lab.home}/addresses/{name}").status_code == 404, name


def test_each_message_is_found_once_before_and_after_its_words_are_gathered(
    any_database: Database, moving_clock: MovableClock
) -> None:
    at = desk(any_database)
    at.lab.recipient("X_GRACE", ("EMAIL", ADDRESS), ("FRESHSERVICE", f"{ADDRESS};group_id=42"))
    at.accept("S-1", recipient=["X_GRACE"])
    at.buffer("S-2", "S-3", "S-4", recipient=["X_GRACE"])
    at.accept("S-5", recipient=["X_LAB"])
    at.accept("S-6", recipient=["X_GRACE"], type="FRESHSERVICE")
    moving_clock.forward(minutes=20)
    at.dispatch()
    at.accept("S-7", recipient=["X_GRACE"])

    def found(size: int) -> list[str]:
        seen: list[str] = []
        before: int | None = None
        for _ in range(20):
            with any_database.read() as session:
                some = address.page(session, at.lab.service_id, ADDRESS, before=before, size=size)
                seen += [f"{one.type} {'batch' if one.batch_id else 'own'}" for one in some.deliveries]
            before = some.older
            if before is None:
                return seen
        raise AssertionError("The pages do not come to an end")

    whole = ["EMAIL own", "FRESHSERVICE own", "EMAIL batch", "EMAIL own"]
    assert found(50) == found(1) == whole
    gathered(any_database)
    at.accept("S-8", recipient=["X_GRACE"])
    assert found(50) == found(1) == ["EMAIL own", *whole]
