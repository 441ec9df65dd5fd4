"""The end of a session, at every address: why, back to the page that one sees, with what one had typed."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx import Response
from litestar.routes import HTTPRoute
from sqlalchemy import delete

from backend.db.database import Database
from backend.db.models.accounts import AttemptWindow
from tests.application import application
from tests.conftest import MovableClock
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.furnished import ADMIN, PLATFORM_ADMIN, SIGNED_OUT, Furnished, furnish, is_page, paths

_POLL = {"HX-Request": "true"}
_NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
# Whoever is not signed in is let in here, or to the sign-in page without anything to come back to.
_KEEP_NOTHING = {
    "/portal/account/password",  # made of passwords, as the next four are of codes
    "/portal/account/second-factor/on",
    "/portal/account/second-factor/codes",
    "/portal/account/second-factor/off",
    "/portal/account/second-factor/passkeys",
    "/portal/kept",  # brings what was kept before
    "/portal/services/{service_id:int}/jobs",  # a file, which is not read before it is known whose it is
}
_OPEN = {*SIGNED_OUT, "/portal/sign-out", "/portal/sign-in/oidc", "/portal/sign-in/code"}


@pytest.fixture
def furnished(database: Database) -> Furnished:
    return furnish(database)


def posts() -> list[str]:
    """Return every address of the portal that takes a form, as the application itself knows them."""
    routes = [route for route in application().routes if isinstance(route, HTTPRoute)]
    return [one.path for one in routes if one.path.startswith("/portal") and "POST" in one.route_handler_map]


def wanted(answer: Response, header: str) -> str:
    """Return where the sign-in page leads back to."""
    address = urlsplit(answer.headers[header])
    assert address.path == "/portal/sign-in"
    return parse_qs(address.query).get("next", ["/portal"])[0]


def filled(furnished: Furnished, path: str) -> str:
    """Write examples in the places of an address; what only forms are sent to needs no real one."""
    for placeholder, value in furnished.values.items():
        path = path.replace(placeholder, value)
    return re.sub(r"\{\w+:(\w+)\}", lambda one: {"int": "1", "uuid": "0" * 32}.get(one[1], "x"), path)


def test_a_page_is_come_back_to_and_a_part_never(browser: Browser, furnished: Furnished) -> None:
    seen = 0
    for name, path in paths(application()):
        address = furnished.address(path)
        if path in _OPEN:
            continue
        answer = browser.get(address)
        assert answer.status_code == 303, (name, answer.text)
        back = wanted(answer, "location")
        assert back.partition("?")[0] == address.partition("?")[0].rstrip("/"), name
        page = f"{furnished.desk.home}/notifications"
        asked = browser.get(address, **_POLL, **{"HX-Current-URL": f"{BASE_URL}{page}?priority=HIGH&latest=1"})
        assert wanted(asked, "hx-redirect") == f"{page}?priority=HIGH", name
        assert "Your session has ended" in browser.get(asked.headers["hx-redirect"]).text
        seen += 1
    assert seen >= 45


def test_where_a_part_stands_is_never_said_by_another_site(browser: Browser, furnished: Furnished) -> None:
    part = f"{furnished.desk.home}/batches/list"
    for foreign in ("https://evil.example/portal", "//evil.example", "http://testserver.local/x", "http://[", ""):
        answer = browser.get(part, **_POLL, **{"HX-Current-URL": foreign})
        assert wanted(answer, "hx-redirect") == f"{furnished.desk.home}/batches/list"[: -len("/list")], foreign


def test_whoever_goes_to_a_part_gets_its_page(browser: Browser, furnished: Furnished) -> None:
    browser.sign_in(PLATFORM_ADMIN)
    led = 0
    for name, path in paths(application()):
        answer = browser.get(furnished.address(path), **_NAVIGATES)
        if "/list" in path or path.endswith(("/state", "/story", "/now")):
            assert answer.status_code == 303, name
            answer = browser.get(answer.headers["location"], **_NAVIGATES)
            assert is_page(answer.text), name
            led += 1
        is_html = answer.headers.get("content-type", "").startswith("text/html")
        sealed = "sandbox" in answer.headers.get("content-security-policy", "")
        assert not is_html or answer.status_code == 303 or sealed or is_page(answer.text), name
    assert led >= 9


def test_every_form_that_comes_too_late_can_be_sent_after_all(
    browser: Browser, furnished: Furnished, database: Database
) -> None:
    token, seen = browser.token(), 0
    for path in posts():
        if path in _OPEN | _KEEP_NOTHING:
            continue
        address = filled(furnished, path)
        form = {"name": "Ærøskøbing", "text": "two\r\nlines", "password": "hidden-word", "empty": ""}
        answer = browser.send(address, token=token, **form)
        assert answer.status_code == 401, path
        assert "Your session has ended" in answer.text
        assert "Ærøskøbing" not in answer.text
        told = browser.sign_in(ADMIN, kept=hidden(answer, "kept"), next=hidden(answer, "next"))
        assert told.status_code == 200, path
        assert f'action="{address}"' in told.text
        assert "Ærøskøbing" in told.text
        assert "two\r\nlines" in unescape(told.text)
        assert "hidden-word" not in told.text
        browser.client.cookies.delete("carillon")
        seen += 1
        with database.transaction() as session:  # as many sign-ins as this are more than a person's
            session.execute(delete(AttemptWindow))
    assert seen >= 60


def test_what_is_kept_opens_for_its_owner_in_its_browser_for_an_hour(
    browser: Browser, furnished: Furnished, moving_clock: MovableClock
) -> None:
    moving_clock.set(days=400)  # past the day on which the passwords were set
    browser.sign_in(ADMIN)
    token = browser.token()
    moving_clock.forward(hours=9)
    answer = browser.send(f"{furnished.desk.home}/settings", token=token, name="Laboratory of Ada")
    sealed = hidden(answer, "kept")
    assert "Laboratory of Ada" not in answer.text
    wrong = browser.sign_in(ADMIN, "not this one", kept=sealed)
    assert hidden(wrong, "kept") == sealed
    assert browser.sign_in(PLATFORM_ADMIN, kept=sealed).status_code == 303
    assert browser.sign_in(ADMIN, kept=sealed[:-8] + "AAAAAAA=").status_code == 303
    assert "Laboratory of Ada" in browser.sign_in(ADMIN, kept=sealed).text
    assert "Laboratory of Ada" in browser.send("/portal/kept", kept=sealed, next="/portal").text
    moving_clock.forward(hours=1, seconds=1)
    assert browser.send("/portal/kept", kept=sealed, next="/portal/services").headers["location"] == "/portal/services"
    csrf = next(name for name in browser.client.cookies if "csrf" in name)
    browser.client.cookies.delete(csrf)
    assert browser.send("/portal/kept", kept=sealed, next="/portal").status_code == 303


def test_what_was_kept_is_done_when_it_is_sent(browser: Browser, furnished: Furnished) -> None:
    answer = browser.send(f"{furnished.desk.home}/settings", name="Laboratory of Ada")
    told = browser.sign_in(ADMIN, kept=hidden(answer, "kept"))
    assert hidden(told, "name") == "Laboratory of Ada"
    done = browser.send(f"{furnished.desk.home}/settings", token=hidden(told, "_csrf_token"), name=hidden(told, "name"))
    assert done.status_code == 303
    assert "Laboratory of Ada" in browser.led(done)


def test_a_form_too_large_to_be_kept_is_said_to_be(browser: Browser, furnished: Furnished) -> None:
    answer = browser.send(f"{furnished.desk.home}/settings", name="x" * 500_000)
    assert answer.status_code == 401
    assert "too large to be kept" in answer.text


def hidden(answer: Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, answer.text
    return unescape(found[1])
