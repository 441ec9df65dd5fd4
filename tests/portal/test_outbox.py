"""The outbox: who sees what, its pages of rows, its refresh, and the renditions of one message."""

from collections.abc import Callable

import pytest

from backend.db.database import Database
from backend.lib import settings
from backend.portal import keys
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import message, service, user

_POLL = {"HX-Request": "true"}


@pytest.fixture
def lab(database: Database) -> int:
    return service(database)


def test_a_stranger_is_sent_to_sign_in_and_comes_back(browser: Browser, database: Database, lab: int) -> None:
    uid = message(database, lab)
    answer = browser.get(f"/portal/outbox/{uid}?view=text")
    assert answer.status_code == 303
    wanted = answer.headers["location"]
    assert wanted == f"/portal/sign-in?next=%2Fportal%2Foutbox%2F{uid}%3Fview%3Dtext"
    user(database, member_of=lab)
    assert 'value="/portal/outbox/' in browser.get(wanted).text
    led = browser.sign_in(next=f"/portal/outbox/{uid}?view=text").headers["location"]
    assert "40STDY246690" in browser.get(led).text


def test_a_member_sees_their_services_and_no_other(browser: Browser, database: Database, lab: int) -> None:
    other = service(database, "Proteomics")
    own, foreign = message(database, lab, "Ours"), message(database, other, "Theirs")
    user(database, member_of=lab)
    browser.sign_in()
    page = browser.get("/portal/outbox").text
    assert "Ours" in page
    assert "Theirs" not in page
    assert browser.get(f"/portal/outbox/{own}").status_code == 200
    assert browser.get(f"/portal/outbox/{foreign}").status_code == 404
    assert browser.get(f"/portal/outbox/{foreign}/html").status_code == 404
    assert browser.get(f"/portal/outbox?before={foreign}").status_code == 200


def test_a_platform_administrator_sees_every_service(browser: Browser, database: Database, lab: int) -> None:
    message(database, lab, "Ours")
    message(database, service(database, "Proteomics"), "Theirs")
    user(database, platform_admin=True)
    browser.sign_in()
    page = browser.get("/portal/outbox").text
    assert "Ours" in page
    assert "Theirs" in page
    assert "Proteomics" in page


def test_someone_without_a_service_is_told_what_to_do(browser: Browser, database: Database, lab: int) -> None:
    message(database, lab, "Ours")
    user(database)
    browser.sign_in()
    page = browser.get("/portal/outbox").text
    assert "You are not a member of a service yet" in page
    assert "Ours" not in page


def test_a_key_opens_one_service_and_travels_on_the_links(browser: Browser, database: Database, lab: int) -> None:
    other = service(database, "Proteomics")
    own, foreign = message(database, lab, "Ours"), message(database, other, "Theirs")
    key = keys.outbox_key(lab)
    page = browser.get(f"/portal/outbox?key={key}").text
    assert "Ours" in page
    assert "Theirs" not in page
    assert f"/portal/outbox/{own}?key={key}" in page
    assert f'<a href="/portal/outbox?key={key}" aria-current="page">' in page
    shown = browser.get(f"/portal/outbox/{own}?key={key}").text
    assert f"/portal/outbox/{own}/html?key={key}" in shown
    assert f"view=text&amp;key={key}" in shown
    assert browser.get(f"/portal/outbox/{own}/html?key={key}").status_code == 200
    assert browser.get(f"/portal/outbox/{foreign}?key={key}").status_code == 404
    assert browser.get(f"/portal?key={key}").status_code == 303


@pytest.mark.parametrize(
    "make", [lambda key: key[:-1], lambda key: key + "0", lambda _: "1.", lambda _: "x.y", lambda _: "²"]
)
def test_a_wrong_key_opens_nothing(browser: Browser, database: Database, lab: int, make: Callable[[str], str]) -> None:
    message(database, lab)
    answer = browser.client.get("/portal/outbox", params={"key": make(keys.outbox_key(lab))}, follow_redirects=False)
    assert answer.status_code == 303
    assert "key" not in answer.headers["location"]


def test_a_key_of_one_service_does_not_open_another(database: Database, lab: int) -> None:
    signature = keys.outbox_key(lab).partition(".")[2]
    assert keys.opened_by(keys.outbox_key(lab)) == lab
    assert keys.opened_by(f"{lab + 1}.{signature}") is None


def test_no_key_opens_anything_in_production(configure: Callable[..., settings.Settings]) -> None:
    configure(ENV="production")
    assert keys.opened_by(keys.outbox_key(1)) is None


def test_an_empty_outbox_says_what_to_do_next(browser: Browser, lab: int) -> None:
    page = browser.get(f"/portal/outbox?key={keys.outbox_key(lab)}").text
    assert "No messages yet" in page
    assert "POST /notifications/v1" in page


def test_pages_of_rows_go_back_and_forth(browser: Browser, database: Database, lab: int) -> None:
    for number in range(120):
        message(database, lab, f"Message <{number:03}>")
    key = keys.outbox_key(lab)
    seen, address = [], f"/portal/outbox?key={key}"
    for _ in range(3):
        page = browser.get(address).text
        seen.append(_subjects(page))
        following = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
        address = following if 'rel="next"' in page else address
    assert [len(rows) for rows in seen] == [50, 50, 20]
    assert [subject for rows in seen for subject in rows] == [f"{number:03}" for number in range(119, -1, -1)]
    back = page.partition('rel="prev"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert _subjects(browser.get(back).text) == seen[1]
    assert 'rel="prev"' in browser.get(back).text


def _subjects(page: str) -> list[str]:
    return [part[:3] for part in page.split("Message &lt;")[1:]]


def test_a_place_past_the_end_says_so(browser: Browser, database: Database, lab: int) -> None:
    uid = message(database, lab)
    page = browser.get(f"/portal/outbox?key={keys.outbox_key(lab)}&before={uid}").text
    assert "Nothing on this page any more" in page


def test_the_refresh_answers_only_what_is_new(browser: Browser, database: Database, lab: int) -> None:
    first = message(database, lab, "First")
    address = f"/portal/outbox/list?key={keys.outbox_key(lab)}&latest={first}"
    assert browser.get(address, **_POLL).status_code == 204
    second = message(database, lab, "Second")
    answer = browser.get(address, **_POLL)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert "1 new message<" in answer.text
    assert answer.text.count("row-fresh") == 1
    assert f"latest={second}" in answer.text


def test_one_message_is_shown_in_three_ways(browser: Browser, database: Database, lab: int) -> None:
    uid = message(database, lab)
    address, key = f"/portal/outbox/{uid}", keys.outbox_key(lab)
    html = browser.get(f"{address}?key={key}").text
    assert '<iframe class="rendition card" sandbox=""' in html
    assert "lab@lab.example" in html
    assert str(uid) in html
    text = browser.get(f"{address}?view=text&key={key}").text
    assert "<iframe" not in text
    assert "Its volume is too low." in text
    source = browser.get(f"{address}?view=source&key={key}").text
    assert "&lt;h1 style=" in source


def test_a_message_without_html_shows_its_text_alone(browser: Browser, database: Database, lab: int) -> None:
    uid = message(database, lab, None, channel="SMS", address="+447700900123", html=None, text="Freezer 3 is warm")
    page = browser.get(f"/portal/outbox/{uid}?key={keys.outbox_key(lab)}&view=html").text
    assert "Text message" in page
    assert "Freezer 3 is warm" in page
    assert "<iframe" not in page
    assert browser.get(f"/portal/outbox/{uid}/html?key={keys.outbox_key(lab)}").status_code == 404


def test_of_a_webhook_address_the_host_alone_is_shown(browser: Browser, database: Database, lab: int) -> None:
    hook = "https://hooks.slack.com/services/T0/B0/verysecret"
    uid = message(database, lab, None, channel="SLACK", address=hook, html=None)
    key = keys.outbox_key(lab)
    for page in (browser.get(f"/portal/outbox?key={key}").text, browser.get(f"/portal/outbox/{uid}?key={key}").text):
        assert "verysecret" not in page
        assert "https://hooks.slack.com/" in page


def test_hostile_text_stays_text(browser: Browser, database: Database, lab: int) -> None:
    uid = message(
        database, lab, "<script>alert(1)</script>", text="</pre><script>alert(2)</script>", address='a"b@x.example'
    )
    key = keys.outbox_key(lab)
    for address in (f"/portal/outbox?key={key}", f"/portal/outbox/{uid}?view=text&key={key}"):
        page = browser.get(address).text
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize("address", ["/portal/outbox/2b46f7b0-945b-4c92-a362-3e9f837891ac", "/portal/outbox/not-an-id"])
def test_an_unknown_message_is_a_page_that_says_so(browser: Browser, lab: int, address: str) -> None:
    answer = browser.get(f"{address}?key={keys.outbox_key(lab)}")
    assert answer.status_code == 404
    assert "Page not found" in answer.text
