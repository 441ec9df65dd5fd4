"""Passkeys beside the authenticator's codes: made, used, got past by nothing, taken away, and codes as before."""

import html
import json
import re
from collections.abc import Callable

import pytest
from httpx import Response
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.accounts import Passkey
from backend.db.models.audit import AuditEntry
from backend.lib import settings
from tests.conftest import MovableClock
from tests.portal.authenticator import Authenticator
from tests.portal.conftest import Browser
from tests.portal.letters import letters
from tests.portal.people_and_messages import user
from tests.portal.test_second_factor import SETUP, _hidden, _leave, _now, _recovery_codes, _turn_on

CODE = "/portal/sign-in/code"
PASSKEYS = f"{SETUP}/passkeys"
HOST, ORIGIN = "testserver.local", "https://testserver.local"


@pytest.fixture(autouse=True)
def ada(database: Database, configure: Callable[..., settings.Settings], moving_clock: MovableClock) -> int:
    configure(BASE_URL=ORIGIN)
    return user(database)


def options(page: Response) -> str:
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found, page.text
    return html.unescape(found[1])


def add(browser: Browser, device: Authenticator, code: str, name: str = "Telephone") -> Response:
    page = browser.get(PASSKEYS)
    form = {"challenge": _hidden(page, "challenge"), "answer": device.made(options(page))}
    return browser.send(PASSKEYS, name=name, code=code, **form)


def use(browser: Browser, device: Authenticator, **changes: str) -> Response:
    """Sign in with the password, and answer with the passkey."""
    browser.sign_in()
    page = browser.get(CODE)
    form = {"challenge": _hidden(page, "challenge"), "answer": device.signed(options(page))}
    return browser.send(CODE, **form | changes)


@pytest.fixture
def device(browser: Browser, moving_clock: MovableClock) -> Authenticator:
    """Give the authenticator of a passkey that was added; Ada is signed out."""
    browser.sign_in()
    key, _ = _turn_on(browser)
    moving_clock.forward(minutes=1)
    made = Authenticator(ORIGIN, HOST)
    assert add(browser, made, _now(key)).status_code == 303
    _leave(browser)
    return made


def test_it_takes_the_place_of_a_code_and_is_taken_away(
    browser: Browser, device: Authenticator, database: Database, moving_clock: MovableClock
) -> None:
    answer = use(browser, device)
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal")
    page = browser.get(PASSKEYS).text
    assert "Telephone" in page
    assert ">never<" not in page
    with database.read() as session:
        (known,) = session.scalars(select(Passkey.id))
    moving_clock.forward(minutes=1)
    assert browser.send(f"{PASSKEYS}/{known}/remove").status_code == 303
    _leave(browser)
    browser.sign_in()
    assert "data-passkey" not in browser.get(CODE).text
    with database.read() as session:
        actions = set(session.scalars(select(AuditEntry.action)))
    assert {"second_factor.passkey", "second_factor.passkey-removed"} <= actions
    subjects = {fields["subject"] for _, fields in letters(database)}
    assert {f"A passkey was {what} for your Carillon account" for what in ("added", "removed")} <= subjects


def test_no_answer_is_taken_twice(browser: Browser, device: Authenticator, moving_clock: MovableClock) -> None:
    browser.sign_in()
    page = browser.get(CODE)
    form = {"challenge": _hidden(page, "challenge"), "answer": device.signed(options(page))}
    assert browser.send(CODE, **form).status_code == 303
    _leave(browser)
    moving_clock.forward(seconds=30)
    browser.sign_in()
    assert browser.send(CODE, **form).status_code == 422
    assert use(browser, device).status_code == 303


def test_nothing_else_gets_past_it(browser: Browser, device: Authenticator, moving_clock: MovableClock) -> None:
    other = Authenticator(ORIGIN, HOST)
    elsewhere = Authenticator("https://testserver.local.evil.example", HOST)
    elsewhere.id, elsewhere._key = device.id, device._key
    for stranger in (other, elsewhere):
        refused = use(browser, stranger)
        assert refused.status_code == 422
        assert "could not be used" in refused.text
    moving_clock.forward(minutes=6)
    browser.sign_in()
    page = browser.get(CODE)
    sealed, good = _hidden(page, "challenge"), device.signed(options(page))
    moving_clock.forward(seconds=1)
    again = browser.get(CODE)
    for challenge, answer in ((_hidden(again, "challenge"), good), ("", good), (sealed, "{}"), (sealed, "[1]")):
        assert browser.send(CODE, challenge=challenge, answer=answer).status_code == 422
    moving_clock.forward(minutes=10)
    assert browser.send(CODE, challenge=sealed, answer=good).headers["location"] == "/portal/sign-in"


def test_a_copy_that_counts_from_before_is_refused(browser: Browser, device: Authenticator) -> None:
    device.count = 7
    assert use(browser, device).status_code == 303
    _leave(browser)
    device.count = 3
    assert use(browser, device).status_code == 422


def test_another_persons_passkey_is_nobody_elses(
    browser: Browser, device: Authenticator, database: Database, moving_clock: MovableClock
) -> None:
    user(database, "bob@lab.example")
    browser.sign_in(email="bob@lab.example")
    key, _ = _turn_on(browser)
    moving_clock.forward(minutes=1)
    with database.read() as session:
        (hers,) = session.scalars(select(Passkey.id))
    assert browser.send(f"{PASSKEYS}/{hers}/remove").status_code == 404
    assert add(browser, device, _now(key)).status_code == 422  # one that is here already
    moving_clock.forward(minutes=1)
    assert add(browser, Authenticator(ORIGIN, HOST), _now(key)).status_code == 303
    _leave(browser)
    browser.sign_in(email="bob@lab.example")
    page = browser.get(CODE)
    form = {"challenge": _hidden(page, "challenge"), "answer": device.signed(options(page))}
    assert browser.send(CODE, **form).status_code == 422


def test_codes_go_on_working_and_turning_it_off_ends_passkeys(
    browser: Browser, database: Database, moving_clock: MovableClock
) -> None:
    browser.sign_in()
    key, codes = _turn_on(browser)
    moving_clock.forward(minutes=1)
    assert add(browser, Authenticator(ORIGIN, HOST), codes[0]).status_code == 303
    page = browser.get(f"{SETUP}/codes")
    assert len(_recovery_codes(page)) == 10
    _leave(browser)
    browser.sign_in()
    assert browser.send(CODE, code=_now(key)).status_code == 303
    moving_clock.forward(minutes=1)
    assert browser.send(f"{SETUP}/off", code=_now(key)).status_code == 303
    with database.read() as session:
        assert session.scalars(select(Passkey)).all() == []


def test_none_is_added_without_a_code_and_the_code_is_not_used_up_for_nothing(
    browser: Browser, database: Database, moving_clock: MovableClock
) -> None:
    browser.sign_in()
    key, _ = _turn_on(browser)
    moving_clock.forward(minutes=1)
    made = Authenticator(ORIGIN, HOST)
    wrong = add(browser, made, "000000")
    assert wrong.status_code == 422
    assert 'id="code-fault"' in wrong.text
    code = _now(key)
    for answer in ("", "x", "{}", json.dumps({"id": "AA", "rawId": "AA", "type": "public-key", "response": {}})):
        form = {"challenge": _hidden(browser.get(PASSKEYS), "challenge"), "answer": answer}
        assert browser.send(PASSKEYS, name="Mine", code=code, **form).status_code == 422, answer
    for built in ({"without_key": True}, {"form": "android-safetynet", "statement": {"ver": "1", "response": 1}}):
        page = browser.get(PASSKEYS)
        form = {"challenge": _hidden(page, "challenge"), "answer": made.made(options(page), **built)}  # type: ignore[arg-type] # of several types
        moving_clock.forward(minutes=6)  # as many wrong ones as these are slowed down
        assert browser.send(PASSKEYS, name="Mine", code=_now(key), **form).status_code == 422, built
    moving_clock.forward(seconds=1)
    assert add(browser, made, _now(key)).status_code == 303
    with database.read() as session:
        assert session.scalars(select(Passkey.name)).all() == ["Telephone"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "https://[::1]", "http://carillon.example"])
def test_where_browsers_have_none_the_page_says_so(
    browser: Browser, configure: Callable[..., settings.Settings], address: str
) -> None:
    browser.sign_in()
    _turn_on(browser)
    configure(BASE_URL=address)
    page = browser.get(PASSKEYS).text
    assert "CARILLON_BASE_URL" in page
    assert "data-passkey" not in page
