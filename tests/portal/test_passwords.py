"""The way back: a link by e-mail, a new password; strangers neither lock anybody out nor use up the way."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import event, select, update

from backend.accounts import audit_log, passwords, sessions, users
from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.accounts import PasswordReset, User
from backend.db.models.notifications import OutboxMessage
from backend.delivery.sending.send import Sender
from backend.lib import aside, settings
from tests.application import application
from tests.conftest import MovableClock
from tests.portal.conftest import Browser
from tests.portal.letters import key, letters, link
from tests.portal.people_and_messages import PASSWORD, user

NEW = "another long enough password"


@pytest.fixture(autouse=True)
def ada(database: Database, moving_clock: MovableClock) -> int:
    return user(database)


def elsewhere(address: str) -> Browser:
    """Give a browser that asks from a network address."""

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        await application()(scope | {"client": (address, 4711)}, receive, send)

    return Browser(TestClient(asked, base_url="http://testserver.local"))  # type: ignore[arg-type]


def statements(database: Database, request: Callable[[], object]) -> list[str]:
    """Return what a request asks of the database until it is answered; what it leaves for later does not count."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not threading.current_thread().name.startswith("aside"):
            found.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    request()
    event.remove(database.engine, "before_cursor_execute", note)
    aside.wait_until_done()
    return found


def ask(browser: Browser, email: str = "ada@lab.example") -> str:
    answer = browser.send("/portal/password", email=email)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_link_leads_to_a_new_password_and_signs_in(browser: Browser, database: Database) -> None:
    ask(browser, " Ada@LAB.example ")
    address, fields = letters(database)[-1]
    assert address == "ada@lab.example"
    assert fields["link"].startswith("http://127.0.0.1:8000/portal/password/new?key=")
    page = browser.get(link(database))
    assert page.status_code == 200
    assert "ada@lab.example" in page.text
    done = browser.send("/portal/password/new", key=key(database), password=NEW)
    assert (done.status_code, done.headers["location"]) == (303, "/portal")
    shown = browser.get("/portal")
    assert "Your new password works from now on." in shown.text
    assert browser.get("/portal").text.count("works from now on") == 0
    assert users.sign_in(database, "ada@lab.example", NEW) is not None
    assert users.sign_in(database, "ada@lab.example", PASSWORD) is None


def test_the_mail_goes_through_the_engine_into_the_outbox(browser: Browser, database: Database) -> None:
    ask(browser)
    sender = Sender("test-worker")
    while sender.send_some():
        pass
    with database.read() as session:
        kept = session.scalars(select(OutboxMessage)).one()
    assert (kept.channel, kept.address) == (Channel.EMAIL, "ada@lab.example")
    assert kept.subject == "Choose a new password for Carillon"
    assert link(database) in (kept.html or "").replace("&amp;", "&")
    assert link(database) in kept.text


def test_a_link_works_once(browser: Browser, database: Database) -> None:
    ask(browser)
    browser.send("/portal/password/new", key=key(database), password=NEW)
    again = browser.send("/portal/password/new", key=key(database), password="a third long password")
    assert again.status_code == 410
    assert "Link no longer good" in again.text
    assert browser.get(link(database)).status_code == 410
    assert users.sign_in(database, "ada@lab.example", NEW) is not None


def test_a_used_link_takes_the_others_with_it(browser: Browser, database: Database) -> None:
    ask(browser)
    first = key(database)
    ask(browser)
    browser.send("/portal/password/new", key=key(database), password=NEW)
    assert browser.send("/portal/password/new", key=first, password="a third long password").status_code == 410


def test_a_link_is_over_after_an_hour(browser: Browser, database: Database, moving_clock: MovableClock) -> None:
    ask(browser)
    moving_clock.forward(minutes=59, seconds=59)
    assert browser.get(link(database)).status_code == 200
    moving_clock.forward(seconds=1)
    assert browser.get(link(database)).status_code == 410
    assert browser.send("/portal/password/new", key=key(database), password=NEW).status_code == 410


def test_the_secret_of_a_link_is_kept_as_a_digest(browser: Browser, database: Database) -> None:
    ask(browser)
    with database.read() as session:
        digest = session.scalars(select(PasswordReset.digest)).one()
    assert key(database) not in digest
    assert len(key(database)) == 43


@pytest.mark.parametrize("made_up", ["", "x", "é", "0" * 43])
def test_a_made_up_link_opens_nothing(browser: Browser, made_up: str) -> None:
    assert browser.client.get("/portal/password/new", params={"key": made_up}).status_code == 410
    assert browser.send("/portal/password/new", key=made_up, password=NEW).status_code == 410


def test_nobody_learns_who_has_an_account(browser: Browser, database: Database, ada: int) -> None:
    known, unknown = ask(browser), ask(browser, "bob@lab.example")
    assert known.replace("ada@", "bob@") == unknown
    assert len(letters(database)) == 1
    with database.transaction() as session:
        session.execute(update(User).where(User.id == ada).values(active=False))
    ask(browser)
    assert len(letters(database)) == 1


def test_a_bad_address_and_a_short_password_are_said_beside_the_field(browser: Browser, database: Database) -> None:
    answer = browser.send("/portal/password", email="no address")
    assert answer.status_code == 422
    assert 'value="no address"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    ask(browser)
    answer = browser.send("/portal/password/new", key=key(database), password="short")
    assert answer.status_code == 422
    assert "at least 10 characters" in answer.text
    assert key(database) in answer.text
    assert browser.get(link(database)).status_code == 200


def test_an_account_is_asked_for_three_times_an_hour(
    browser: Browser, database: Database, moving_clock: MovableClock
) -> None:
    for _ in range(3):
        ask(browser)
    answer = browser.send("/portal/password", email="ADA@lab.example")
    assert answer.status_code == 429
    assert "Wait 60 minutes" in answer.text
    assert len(letters(database)) == 3
    ask(browser, "bob@lab.example")
    moving_clock.forward(hours=1)
    ask(browser)


def test_a_stranger_locks_nobody_out_and_the_owner_is_told_once_a_day(
    client: TestClient[Litestar], database: Database, moving_clock: MovableClock
) -> None:
    stranger, owner = elsewhere("203.0.113.9"), elsewhere("198.51.100.7")
    for _ in range(12):
        for _ in range(20):
            stranger.sign_in(password="not the password")
        assert stranger.sign_in().status_code == 429
        assert owner.sign_in().status_code == 303
        moving_clock.forward(minutes=5)
    assert [(to, fields["subject"]) for to, fields in letters(database)] == [
        ("ada@lab.example", "Wrong passwords for your Carillon account")
    ]
    moving_clock.forward(days=1)
    for _ in range(10):
        stranger.sign_in(password="not the password")
    assert len(letters(database)) == 2


def test_many_strangers_lock_nobody_out(
    client: TestClient[Litestar], database: Database, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(passwords, "matches", lambda _stored, _password: False)
        for number in range(80):
            assert elsewhere(f"203.0.113.{number}").sign_in().status_code == 401
        late = elsewhere("203.0.113.200")
        assert [late.sign_in().status_code for _ in range(5)] == [401] * 3 + [429] * 2
    owner = elsewhere("198.51.100.7")
    assert owner.sign_in(password="mistyped").status_code == 401
    assert owner.sign_in().status_code == 303


def test_a_stranger_uses_up_nobody_s_reset(client: TestClient[Litestar], database: Database) -> None:
    for number in range(20):
        stranger = elsewhere(f"203.0.113.{number}")
        for _ in range(4):
            stranger.send("/portal/password", email="ada@lab.example")
    assert len(letters(database)) == 5  # their mailbox is not flooded, and each of these links works
    owner = elsewhere("198.51.100.7")
    assert owner.send("/portal/password", email="ada@lab.example").status_code == 200
    assert owner.send("/portal/password/new", key=key(database), password=NEW).status_code == 303


@pytest.mark.parametrize("path", ["/portal/sign-in", "/portal/password"])
def test_known_and_unknown_addresses_cost_the_same_statements(browser: Browser, database: Database, path: str) -> None:
    token = browser.token()

    def asked(email: str) -> list[str]:
        send = partial(browser.send, path, token=token, email=email, password="not the password")
        return statements(database, send)

    known, unknown = asked("ada@lab.example"), asked("bob@lab.example")
    assert known == unknown
    assert len(known) >= 2


def test_an_address_is_heard_sixty_times_in_five_minutes(
    browser: Browser, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is guessed is wrong: no need to find out sixty times, at the price of a hash each.
    monkeypatch.setattr(passwords, "matches", lambda _stored, _password: False)
    for number in range(60):
        browser.sign_in(email=f"guess-{number}@lab.example")
    assert browser.sign_in().status_code == 429


def test_a_new_password_ends_the_other_sessions(browser: Browser, database: Database, ada: int) -> None:
    browser.sign_in()
    former = browser.cookie()
    ask(browser)
    browser.send("/portal/password/new", key=key(database), password=NEW)
    assert former is not None
    assert sessions.resume(database, former) is None
    assert browser.get("/portal").status_code == 200


def test_the_account_page_changes_the_password(browser: Browser, database: Database) -> None:
    browser.sign_in()
    wrong = browser.send("/portal/account/password", present="not the password", password="short")
    assert wrong.status_code == 422
    assert "not your present password" in wrong.text
    assert "at least 10 characters" in wrong.text
    done = browser.send("/portal/account/password", present=PASSWORD, password=NEW)
    assert done.status_code == 303
    assert "Your password is changed" in browser.get("/portal/account").text
    assert users.sign_in(database, "ada@lab.example", NEW) is not None
    with database.read() as session:
        actions = [entry.action for entry in audit_log.page(session, audit_log.Filter(service_id=None)).rows]
    assert actions == ["password.changed"]


def test_no_secret_reaches_the_log(
    browser: Browser, database: Database, configure: Callable[..., settings.Settings], caplog: pytest.LogCaptureFixture
) -> None:
    ask(browser)
    secret = key(database)
    browser.get(link(database))
    browser.send("/portal/password/new", key=secret, password=NEW)
    assert secret not in caplog.text
    assert NEW not in caplog.text
