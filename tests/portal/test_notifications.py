"""The list of notifications: filters, search, pages, its own refresh; no other service's are in it."""

from uuid import UUID, uuid4

import pytest

from backend.db.database import Database
from backend.db.models.notifications import DeliveryStatus
from tests.conftest import MovableClock
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user
from tests.search.conftest import gathered

_POLL = {"HX-Request": "true"}


@pytest.fixture
def lab(browser: Browser, database: Database) -> Desk:
    """Give a service with a viewer, who is signed in."""
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="viewer")
    browser.sign_in()
    return made


def shown(page: str, uids: list[UUID]) -> list[UUID]:
    """Return those of the notifications that a page has a row for, in the page's order."""
    return sorted((uid for uid in uids if f'id="n-{uid}"' in page), key=lambda uid: page.index(f'id="n-{uid}"'))


def test_an_empty_list_says_what_to_do_and_keeps_looking(browser: Browser, lab: Desk) -> None:
    page = browser.get(f"{lab.home}/notifications").text
    assert "No notifications yet" in page
    assert f'href="{lab.home}/guide"' in page
    assert 'hx-trigger="every 2s"' in page


def test_the_newest_come_first_with_what_they_are_about(browser: Browser, lab: Desk) -> None:
    uids = [lab.accept("S-1"), lab.accept("S-2", priority="HIGH"), lab.refused()]
    page = browser.get(f"{lab.home}/notifications").text
    assert shown(page, uids) == uids[::-1]
    assert "A sample has failed" in page
    assert "X_NOBODY" in page
    assert "High" in page


def test_the_list_stops_asking_when_everything_is_final(browser: Browser, lab: Desk) -> None:
    lab.accept("S-1")
    lab.accept("S-2")
    lab.finish(DeliveryStatus.SENT, "250 Ok", most=1)
    assert 'hx-trigger="every 2s"' in browser.get(f"{lab.home}/notifications").text
    lab.finish(DeliveryStatus.FAILED, "550 no such user")
    page = browser.get(f"{lab.home}/notifications").text
    assert "every 2s" not in page
    assert "focus from:window" in page
    assert "Nothing here is on its way any more" in page


def test_the_refresh_answers_only_what_has_changed(browser: Browser, lab: Desk) -> None:
    first = lab.accept("S-1")
    page = browser.get(f"{lab.home}/notifications").text
    address = page.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    assert browser.get(address, **_POLL).status_code == 204
    second = lab.accept("S-2")
    answer = browser.get(address, **_POLL)
    assert shown(answer.text, [first, second]) == [second, first]
    assert answer.text.count("row-fresh") == 1
    assert "1 new notification." in answer.text
    assert "<html" not in answer.text
    address = answer.text.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    lab.finish(DeliveryStatus.SENT, "250 Ok")
    answer = browser.get(address, **_POLL)
    assert "Nothing is on its way any more." in answer.text
    assert "row-fresh" not in answer.text


_FILTERS = {
    "status=FAILED": ["refused", "failed"],
    "status=BUFFERED": ["buffered"],
    "priority=HIGH": ["high"],
    "recipient=X_TWO": ["two"],
    "recipient=X_NOBODY": ["refused"],
    "template_id=X_LIST": ["buffered"],
    "aggregator_id=run-1": ["buffered"],
    "channel=SMS": ["sms"],
    "channel=EMAIL&status=FAILED&recipient=X_LAB": ["failed"],
    "from=2026-03-03": [],
    "to=2026-03-01": [],
    "from=2026-03-02&to=2026-03-02&priority=HIGH": ["high"],
    "template_id=X": [],
}


def test_filters(browser: Browser, moving_clock: MovableClock, lab: Desk) -> None:
    lab.lab.recipient("X_PHONE", ("SMS", "+447700900123"))
    failed = lab.accept("S-0")
    lab.finish(DeliveryStatus.FAILED, "550 no such user")
    uids = {
        "failed": failed,
        "high": lab.accept("S-1", priority="HIGH"),
        "two": lab.accept("S-2", recipient=["X_TWO"]),
        "sms": lab.accept("S-3", type="SMS", recipient=["X_PHONE"], subject=...),
        "buffered": lab.buffer("S-4")[0],
        "refused": lab.refused(),
    }
    browser.sign_in()
    for query, wanted in _FILTERS.items():
        page = browser.get(f"{lab.home}/notifications?{query}").text
        assert shown(page, list(uids.values())) == [uids[name] for name in wanted], query
        assert ("Nothing matches" in page) is (not wanted), query


_FAULTS = {
    "status=LOST": "Choose one of the list.",
    "from=yesterday": "Write a day as 2026-03-02.",
    "to=0001-01-01": "Write a day as 2026-03-02.",
    f"recipient={'X' * 65}": "It has at most 64 printable characters.",
    "aggregator_id=%01": "It has at most 1024 printable characters.",
}


def test_a_filter_that_cannot_be_used_says_so_and_keeps_what_was_written(browser: Browser, lab: Desk) -> None:
    uid = lab.accept()
    for query, sentence in _FAULTS.items():
        answer = browser.get(f"{lab.home}/notifications?{query}")
        assert answer.status_code == 422, query
        assert sentence in answer.text, query
        assert shown(answer.text, [uid]) == [uid], query
    assert 'value="yesterday"' in browser.get(f"{lab.home}/notifications?from=yesterday").text


def test_the_tabs_count_by_status_and_keep_the_other_filters(browser: Browser, lab: Desk) -> None:
    lab.accept("S-1")
    lab.refused()
    page = browser.get(f"{lab.home}/notifications").text
    assert 'Dispatched <span class="tab-count">1</span>' in page
    assert 'Failed <span class="tab-count">1</span>' in page
    assert "Cancelled <span" not in page
    filtered = browser.get(f"{lab.home}/notifications?recipient=X_LAB").text
    assert f'href="{lab.home}/notifications?recipient=X_LAB&amp;status=FAILED"' in filtered
    assert "tab-count" not in filtered


def test_pages_go_on_behind_the_last_row(browser: Browser, lab: Desk) -> None:
    uids = [lab.accept(f"S-{number}") for number in range(60)]
    page = browser.get(f"{lab.home}/notifications?priority=NORMAL").text
    assert shown(page, uids) == uids[:9:-1]
    older = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    rest = browser.get(older).text
    assert shown(rest, uids) == uids[9::-1]
    assert "priority=NORMAL" in older
    assert 'rel="next"' not in rest
    assert "hx-get" not in rest.partition('id="notification-list"')[2].partition(">")[0]


def test_a_search_leads_to_the_one_that_is_meant(browser: Browser, lab: Desk) -> None:
    uid, _ = lab.accept("S-1"), lab.accept("S-2")
    for text in (str(uid), str(uid)[:13], str(uid).upper(), f" {uid} "):
        answer = browser.client.get(f"{lab.home}/notifications", params={"q": text}, follow_redirects=False)
        assert answer.headers["location"] == f"{lab.home}/notifications/{uid}", text
    for text in ("abc", "nothing", str(uuid4())):
        page = browser.client.get(f"{lab.home}/notifications", params={"q": text}).text
        assert f"Nothing found for “{text}”" in page
        assert "Try fewer words" in page


def test_a_search_shows_where_it_found_and_goes_with_the_filters(
    browser: Browser, lab: Desk, database: Database
) -> None:
    lab.lab.template("X_NAMED", subject="About {{ sample_id }}")
    uids = [lab.accept("Müller <7>"), lab.accept("S-2", subject=..., template_id="X_NAMED", recipient=["X_TWO"])]
    gathered(database)
    page = browser.client.get(f"{lab.home}/notifications", params={"q": "muller"}).text
    assert shown(page, uids) == uids[:1]
    assert "In the field sample_id: <mark>Müller</mark> &lt;7&gt;" in page
    page = browser.client.get(f"{lab.home}/notifications", params={"q": "night@lab.example"}).text
    assert shown(page, uids) == uids[1:]
    assert "In the address: <mark>night@lab.example</mark>" in page
    assert "About S-2" in page
    assert "2 addresses" in page
    page = browser.client.get(f"{lab.home}/notifications", params={"q": "about s-2"}).text
    assert "<mark>About</mark> <mark>S-2</mark></a>" in page
    page = browser.get(f"{lab.home}/notifications?q=lab&recipient=X_TWO&status=DISPATCHED").text
    assert shown(page, uids) == uids[1:]
    assert '<input type="hidden" name="recipient" value="X_TWO">' in page
    assert f'href="{lab.home}/notifications?recipient=X_TWO&amp;q=lab"' in page
    page = browser.get(f"{lab.home}/notifications?q=lab&recipient=X_TWO&status=FAILED").text
    assert f'href="{lab.home}/notifications?q=lab"' in page
    assert "Search without the filters" in page
    assert shown(browser.get(f"{lab.home}/notifications?address=NIGHT@lab.example").text, uids) == uids[1:]


def test_what_is_found_has_pages_too(browser: Browser, lab: Desk, database: Database) -> None:
    uids = [lab.accept(f"plate {number}") for number in range(60)]
    gathered(database)
    page = browser.get(f"{lab.home}/notifications?q=plate").text
    assert shown(page, uids) == uids[:9:-1]
    older = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert shown(browser.get(older).text, uids) == uids[9::-1]


def test_rows_stand_under_headings_and_say_why_it_failed(browser: Browser, lab: Desk) -> None:
    lab.accept("S-1")
    lab.finish(DeliveryStatus.FAILED, "550 no such user")
    page = browser.get(f"{lab.home}/notifications").text
    assert [part.partition("</th>")[0].rpartition(">")[2] for part in page.split('<th scope="col"')[1:]] == [
        "Status",
        "Subject",
        "To",
        "Came in",
    ]
    assert '<p class="list-fault">There is no such mailbox. 550 no such user</p>' in page
    assert '<p class="list-address">lab@lab.example</p>' in page


def test_the_notifications_page_begins_with_its_subject_as_it_was_rendered(browser: Browser, lab: Desk) -> None:
    lab.lab.template("X_NAMED", subject="About {{ sample_id }}")
    uid = lab.accept("S-9", subject=..., template_id="X_NAMED")
    assert '<h1 class="message-title">About S-9</h1>' in browser.get(f"{lab.home}/notifications/{uid}").text


def test_a_search_without_index_looks_back_so_far_and_says_so(
    browser: Browser, lab: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.reports.notifications.PAGE_WINDOW", 10)
    old = lab.accept("S-0", recipient=["X_TWO"])
    for number in range(15):
        lab.accept(f"S-1{number}")
    page = browser.get(f"{lab.home}/notifications?recipient=X_TWO").text
    assert "Nothing found yet" in page
    further = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert shown(browser.get(further).text, [old]) == [old]


def test_another_services_notifications_are_nowhere(browser: Browser, lab: Desk, database: Database) -> None:
    museum = desk(database, "Museum")
    foreign = museum.accept("S-1", recipient=["M_LAB"], template_id="M_SAMPLE")
    for address in (
        f"{museum.home}/notifications",
        f"{museum.home}/notifications/list",
        f"{museum.home}/notifications/{foreign}",
        f"{lab.home}/notifications/{foreign}",
        f"{lab.home}/notifications/{foreign}/story",
    ):
        assert browser.get(address).status_code == 404, address
    for query in ("", f"?q={foreign}", f"?before={foreign}", "?recipient=M_LAB", "?template_id=M_SAMPLE"):
        page = browser.get(f"{lab.home}/notifications{query}").text
        assert f"n-{foreign}" not in page
        assert f"notifications/{foreign}" not in page


def test_a_request_without_a_readable_shape_still_has_its_row(browser: Browser, lab: Desk) -> None:
    uid = lab.submit({"channels": "none", "colour": "red"})
    page = browser.get(f"{lab.home}/notifications").text
    assert shown(page, [uid]) == [uid]
    assert "Unreadable request" in page
    assert "colour" in browser.get(f"{lab.home}/notifications/{uid}?view=fields").text
