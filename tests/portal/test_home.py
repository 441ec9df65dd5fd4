"""The home page of a service: numbers that lead to the lists that make them, troubles, batches, first steps."""

import re

import pytest

from backend.db.database import Database
from backend.db.models.notifications import DeliveryStatus
from tests.conftest import MovableClock
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import service, user

S = DeliveryStatus


@pytest.fixture
def lab(browser: Browser, database: Database, moving_clock: MovableClock) -> Desk:
    """Give a service with an editor, who is signed in."""
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="editor")
    browser.sign_in()
    return made


def linked(page: str) -> list[tuple[int, str]]:
    """Return the numbers of the chart's table that are links, with their addresses."""
    table = page.partition('class="figures-table"')[2].partition("</table>")[0]
    return [
        (int(number), address.replace("&amp;", "&"))
        for address, number in re.findall(r'<a href="([^"]+)">(\d+)<', table)
    ]


def rows(page: str) -> int:
    """Count the rows of a list of notifications."""
    return page.count('class="list-link"')


def test_a_new_service_sees_its_first_steps_and_they_tick_themselves(
    browser: Browser, database: Database, moving_clock: MovableClock
) -> None:
    identity = service(database)
    user(database, member_of=identity, role="admin")
    browser.sign_in()
    page = browser.get(f"/portal/services/{identity}").text
    assert "0 of 5 done" in page
    assert "Nothing was sent in these days." in page
    made = desk(database, "Zoo")
    user(database, "zoe@lab.example", member_of=made.lab.service_id, role="admin")
    browser.send("/portal/sign-out")
    browser.sign_in("zoe@lab.example")
    assert "4 of 5 done" in browser.get(made.home).text
    made.go_live(live=False)
    made.accept("S-1", recipient=["Z_LAB"], template_id="Z_SAMPLE")
    page = browser.get(made.home).text
    assert "4 of 5 done" in page
    assert f'href="{made.home}/settings"' in page
    made.go_live()
    assert "First steps" not in browser.get(made.home).text


def test_every_number_leads_to_the_list_that_makes_it(browser: Browser, lab: Desk, moving_clock: MovableClock) -> None:
    lab.accept("S-1")
    lab.finish(S.SENT, "250 Ok")
    moving_clock.forward(days=2)
    browser.sign_in()
    for number in range(3):
        lab.accept(f"S-2{number}")
    lab.finish(S.FAILED, "550 no such user", most=1)
    lab.refused()
    lab.buffer("S-3")
    page = browser.get(lab.home).text
    found = linked(page)
    assert sorted(number for number, _ in found) == [1, 1, 1, 2, 2, 5]
    for number, address in found:
        assert rows(browser.get(address).text) == number, address
    for series, number in (("sent", 1), ("failed", 2), ("buffered", 1), ("dispatched", 2)):
        match = re.search(rf'id="week-{series}" href="([^"]+)".*?<strong>(\d+)</strong>', page)
        assert match, series
        assert int(match[2]) == number
        assert rows(browser.get(match[1].replace("&amp;", "&")).text) == number
    assert page.count("<rect class=") >= 5


def test_the_chart_by_channel_counts_messages(browser: Browser, lab: Desk) -> None:
    lab.lab.recipient("X_PHONE", ("SMS", "+447700900123"))
    lab.accept("S-1", recipient=["X_TWO"])
    lab.accept("S-2", type="SMS", recipient=["X_PHONE"], subject=...)
    page = browser.get(f"{lab.home}?by=channel").text
    assert re.search(r'id="week-email".*?<strong>2</strong>', page)
    assert re.search(r'id="week-sms".*?<strong>1</strong>', page)
    address = re.search(r'id="week-sms" href="([^"]+)"', page)
    assert address
    assert rows(browser.get(address[1].replace("&amp;", "&")).text) == 1


def test_what_fails_is_grouped_by_reason_and_recipient(browser: Browser, lab: Desk) -> None:
    uids = [lab.accept(f"S-{number}") for number in range(3)]
    lab.finish(S.FAILED, "550 5.1.1 no such user, id 20260302090000")
    alone = lab.accept("S-9", recipient=["X_TWO"])
    lab.finish(S.SENT, "250 Ok", most=1)
    lab.finish(S.RETRYING, "451 try later")
    refused = lab.refused()
    page = browser.get(lab.home).text
    troubles = page.partition("Failing now")[2].partition("</section>")[0]
    assert "3 ×" in troubles
    assert troubles.count("<li>") == 3
    assert "550 5.1.1 no such user" in troubles
    assert f'href="{lab.home}/notifications/{alone}"' in troubles
    assert f'href="{lab.home}/notifications/{refused}"' in troubles
    look = re.search(r'href="([^"]+recipient=X_LAB[^"]*)"', troubles)
    assert look
    listed = browser.get(look[1].replace("&amp;", "&")).text
    assert all(str(uid) in listed for uid in uids)
    assert str(alone) not in listed


def test_a_batch_that_failed_is_among_the_troubles(browser: Browser, lab: Desk) -> None:
    lab.buffer("S-1", "S-2")
    page = browser.get(lab.home).text
    assert "data-countdown" in page
    assert "2 notifications for" in page
    address = re.search(rf'href="({lab.home}/batches/[0-9a-f-]+)"', page)
    assert address
    browser.send(f"{address[1]}/flush")
    lab.finish(S.FAILED, "550 no such user")
    troubles = browser.get(lab.home).text.partition("Failing now")[2]
    assert "550 no such user" in troubles
    assert "2 ×" in troubles


def test_the_page_asks_again_only_while_something_moves(browser: Browser, lab: Desk) -> None:
    lab.accept("S-1")
    page = browser.get(lab.home).text
    assert 'hx-trigger="every 4s"' in page
    refresh = page.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    assert browser.get(refresh).status_code == 204
    lab.finish(S.SENT, "250 Ok")
    answer = browser.get(refresh)
    assert "every 4s" not in answer.text
    assert "<html" not in answer.text


def test_another_services_home_is_not_there(browser: Browser, lab: Desk, database: Database) -> None:
    museum = desk(database, "Museum")
    museum.accept("S-1", recipient=["M_LAB"], template_id="M_SAMPLE")
    museum.buffer("S-2", recipient=["M_LAB"], template_id="M_LIST")
    assert browser.get(museum.home).status_code == 404
    assert browser.get(f"{museum.home}/now").status_code == 404
    page = browser.get(lab.home).text
    assert "M_LAB" not in page
    assert "Museum" not in page


def test_yesterday_is_remembered_for_a_minute_and_then_counted_anew(
    browser: Browser, lab: Desk, moving_clock: MovableClock
) -> None:
    lab.accept("S-1")
    moving_clock.forward(days=1)
    browser.sign_in()
    assert [number for number, _ in linked(browser.get(lab.home).text)] == [1, 1]
    lab.finish(S.SENT, "250 Ok")
    moving_clock.forward(seconds=61)
    page = browser.get(lab.home).text
    assert re.search(r'id="week-sent".*?<strong>1</strong>', page)


def test_what_stays_in_the_outbox_does_not_read_as_sent(browser: Browser, lab: Desk) -> None:
    uid = lab.accept("S-1", subject="Kept here")
    lab.keep()
    home = browser.get(lab.home).text
    assert "Nothing leaves the house by Email." in home
    assert "Recent activity" in home
    for page in (home, browser.get(f"{lab.home}/notifications").text):
        assert "Kept here" in page
        assert page.count("In outbox</span>") == 1
    assert browser.get(f"{lab.home}/notifications/{uid}").text.count("In outbox</span>") == 2
    lab.accept("S-2", subject="Gone out")
    lab.finish(S.SENT, "250 Ok")
    assert browser.get(f"{lab.home}/notifications").text.count("In outbox</span>") == 1


def test_what_fails_is_said_in_words_with_what_to_do(browser: Browser, lab: Desk) -> None:
    uid = lab.accept("S-1")
    lab.finish(S.FAILED, "552 5.2.2 Over quota")
    refused = lab.refused()
    home = browser.get(lab.home).text
    assert "The mailbox is full." in home
    assert "No recipient &#39;X_NOBODY&#39; is registered for this service." in home
    story = browser.get(f"{lab.home}/notifications/{uid}").text
    assert "The mailbox is full." in story
    assert "reach them in another way" in story
    assert "The server’s words, code 5.2.2: <q>552 5.2.2 Over quota</q>" in story
    pages = [home, browser.get(f"{lab.home}/notifications/{refused}").text.partition('<section id="message"')[0]]
    assert not any("of the first channel" in page or "/channels/0" in page for page in pages)
