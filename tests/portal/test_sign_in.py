"""Signing in and out: cookies, expiry, CSRF, the Origin check, and where one is led."""

from collections.abc import Callable

import pytest
from litestar.testing import TestClient
from sqlalchemy import select, update

from backend.accounts import sessions
from backend.db.database import Database
from backend.db.models.accounts import PortalSession, User
from backend.lib import clock, settings
from tests.application import application
from tests.conftest import MovableClock
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import PASSWORD, user


@pytest.fixture(autouse=True)
def ada(database: Database, moving_clock: MovableClock) -> int:
    return user(database)


def test_home_asks_for_sign_in_first(browser: Browser) -> None:
    answer = browser.get("/portal")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/portal/sign-in"


def test_signing_in_sets_a_guarded_cookie_and_leads_home(browser: Browser, database: Database) -> None:
    answer = browser.sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal")
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("carillon="))
    for part in ("HttpOnly", "Path=/", "SameSite=lax", "Max-Age=604800"):
        assert part in cookie
    assert "Secure" not in cookie
    assert "ada@lab.example" in browser.get("/portal").text
    with database.read() as session:
        kept = session.scalar(select(PortalSession.digest))
    assert kept is not None
    assert browser.cookie() not in {None, kept}


def test_production_gives_a_secure_host_cookie(configure: Callable[..., settings.Settings]) -> None:
    configure(ENV="production", BASE_URL="https://carillon.example")
    with TestClient(application(), base_url="https://carillon.example") as client:
        browser = Browser(client)
        answer = browser.send("/portal/sign-in", "https://carillon.example", email="ada@lab.example", password=PASSWORD)
        cookie = next(value for value in answer.headers.get_list("set-cookie") if "__Host-carillon=" in value)
        assert "Secure" in cookie
        assert "Domain" not in cookie
        page = browser.get("/portal")
        assert page.status_code == 200
        assert "max-age" in page.headers["strict-transport-security"]


@pytest.mark.parametrize("password", ["not the password", "", "x" * 2000])
def test_a_wrong_password_is_refused_in_words(browser: Browser, password: str) -> None:
    answer = browser.sign_in(password=password)
    assert answer.status_code == 401
    assert "do not match" in answer.text
    assert 'value="ada@lab.example"' in answer.text
    assert browser.cookie() is None


def test_an_unknown_person_reads_the_same_as_a_wrong_password(browser: Browser) -> None:
    known, unknown = browser.sign_in(password="wrong"), browser.sign_in(email="bob@lab.example")
    assert known.status_code == unknown.status_code
    assert known.text.replace("ada@lab.example", "") == unknown.text.replace("bob@lab.example", "")


def test_a_new_sign_in_rotates_the_session(browser: Browser, database: Database) -> None:
    browser.sign_in()
    former = browser.cookie()
    browser.sign_in()
    assert browser.cookie() != former
    with database.read() as session:
        assert len(session.scalars(select(PortalSession)).all()) == 1
    assert former is not None
    assert sessions.resume(database, former) is None


def test_a_planted_cookie_is_worth_nothing_after_sign_in(browser: Browser, database: Database) -> None:
    browser.client.cookies.set("carillon", "planted-by-someone-else")
    browser.sign_in()
    assert sessions.resume(database, "planted-by-someone-else") is None


def test_signing_out_ends_the_session_in_the_database(browser: Browser, database: Database) -> None:
    browser.sign_in()
    value = browser.cookie()
    answer = browser.send("/portal/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal/sign-in")
    assert value is not None
    assert sessions.resume(database, value) is None
    assert browser.get("/portal").status_code == 303


def test_an_idle_session_ends_after_eight_hours(browser: Browser, moving_clock: MovableClock) -> None:
    browser.sign_in()
    moving_clock.forward(hours=7, minutes=59)
    assert browser.get("/portal").status_code == 200
    moving_clock.forward(hours=7, minutes=59)
    assert browser.get("/portal").status_code == 200
    moving_clock.forward(hours=8)
    assert browser.get("/portal").status_code == 303


def test_a_busy_session_ends_after_seven_days(browser: Browser, moving_clock: MovableClock) -> None:
    browser.sign_in()
    for _ in range(27):
        moving_clock.forward(hours=6)
        assert browser.get("/portal").status_code == 200
    moving_clock.forward(hours=6)
    assert browser.get("/portal").status_code == 303


def test_a_page_that_refreshes_itself_keeps_nobody_signed_in(browser: Browser, moving_clock: MovableClock) -> None:
    browser.sign_in()
    moving_clock.forward(hours=7)
    assert browser.get("/portal/outbox/list?latest=", **{"HX-Request": "true"}).status_code == 204
    moving_clock.forward(hours=1)
    answer = browser.get("/portal/outbox/list?latest=", **{"HX-Request": "true"})
    assert answer.headers["hx-redirect"].startswith("/portal/sign-in")


def test_deactivation_and_a_new_password_end_sessions(
    browser: Browser, database: Database, ada: int, moving_clock: MovableClock
) -> None:
    browser.sign_in()
    _change(database, ada, active=False)
    assert browser.get("/portal").status_code == 303
    _change(database, ada, active=True)
    assert browser.get("/portal").status_code == 200
    moving_clock.forward(seconds=1)
    _change(database, ada, password_changed_at=clock.now())
    assert browser.get("/portal").status_code == 303


def _change(database: Database, user_id: int, **values: object) -> None:
    with database.transaction() as session:
        session.execute(update(User).where(User.id == user_id).values(**values))


@pytest.mark.parametrize("token", ["", "0" * 128, "é" * 128])
def test_a_form_without_the_right_token_is_refused_with_a_page(browser: Browser, token: str) -> None:
    browser.token()
    answer = browser.send("/portal/sign-in", token=token, email="ada@lab.example", password=PASSWORD)
    assert answer.status_code == 403
    assert "The form was not accepted" in answer.text
    assert "content-security-policy" in answer.headers
    assert browser.cookie() is None


def test_a_file_in_the_place_of_the_token_is_refused_with_a_page(browser: Browser) -> None:
    browser.token()
    file = {"_csrf_token": ("a.txt", b"0" * 128, "text/plain")}
    answer = browser.client.post("/portal/sign-in", files=file, headers={"Accept": "text/html"})
    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver.local.evil.example"])
def test_a_form_from_another_site_is_refused(browser: Browser, origin: str) -> None:
    answer = browser.send("/portal/sign-in", origin, email="ada@lab.example", password=PASSWORD)
    assert answer.status_code == 403
    assert browser.cookie() is None


def test_a_changed_secret_key_gives_a_new_token_instead_of_a_dead_end(
    browser: Browser, configure: Callable[..., settings.Settings]
) -> None:
    browser.token()
    kept = dict(browser.client.cookies)
    configure(SECRET_KEY="another-secret-key-for-tests-9876543210")
    with TestClient(application(), base_url="http://testserver.local") as client:
        client.cookies.update(kept)
        assert Browser(client).sign_in().status_code == 303


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/portal/outbox", "/portal/outbox"),
        ("/portal/outbox?view=text", "/portal/outbox?view=text"),
        ("https://evil.example/", "/portal"),
        ("//evil.example", "/portal"),
        ("/portal//evil.example", "/portal"),
        ("/\\evil.example", "/portal"),
        ("/portal\r\nSet-Cookie: x=y", "/portal"),
        ("/portal.evil.example", "/portal"),
        ("/portalevil", "/portal"),
        ("/oauth/token", "/portal"),
        ("javascript:alert(1)", "/portal"),
    ],
)
def test_sign_in_leads_inside_the_portal_only(browser: Browser, wanted: str, led: str) -> None:
    assert browser.sign_in(next=wanted).headers["location"] == led
    assert (
        browser.client.get("/portal/sign-in", params={"next": wanted}, follow_redirects=False).headers["location"]
        == led
    )


def test_apis_need_no_csrf_token(browser: Browser) -> None:
    answer = browser.client.post("/notifications/v1", json={})
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_no_password_reaches_the_log(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    browser.sign_in(password="a password nobody may read")
    browser.send("/portal/sign-in", token="", email="ada@lab.example", password="a password nobody may read")
    assert "nobody may read" not in caplog.text
